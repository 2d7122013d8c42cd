//! Who decides about payments: persons, each by the login that the server knows, as many as it takes,
//! and nobody else. All of it is held by the database, whoever tries.

use sqlx::{Connection, Executor, PgConnection};
use tributary::store::payment_orders;
use tributary_domain::OrderState;
use uuid::Uuid;

use crate::support::TestApp;
use crate::support::logins::{self, ANN, BOB};
use crate::support::till::number;

/// Puts an order in as the service does.
pub async fn place(app: &TestApp, key: &str, state: &str, approvals: i32, placed_by: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount,
           source_account_id, destination_account_id, provider_key, request, state, approvals_needed,
           placed_by)
         values ($1, 'acme', 'PAYOUT', $2, sha256($2::bytea), 'EUR/2', 100, 'a', 'b', $2, '{}', $3, $4, $5)",
    )
    .bind(id)
    .bind(key)
    .bind(state)
    .bind(approvals)
    .bind(placed_by)
    .execute(&app.service)
    .await
    .unwrap();
    id
}

async fn state(app: &TestApp, id: Uuid) -> String {
    sqlx::query_scalar("select state from payment_orders where id = $1")
        .bind(id)
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

/// Runs SQL by `url`; gives what it was refused with.
async fn refused(url: &str, sql: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    match connection.execute(sqlx::AssertSqlSafe(sql)).await {
        Ok(_) => panic!("{sql}: nobody refused it"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn it_takes_as_many_persons_as_the_order_says_and_each_counts_once() {
    let app = TestApp::new().await;
    let id = place(&app, "k", "held", 2, "key:formance").await;
    let (ann, bob) = (logins::person_pool(&app.url, ANN).await, logins::person_pool(&app.url, BOB).await);
    let decided = payment_orders::approve(&ann, id).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed, decided.needed), (OrderState::Held, 1, 2));
    let again = payment_orders::approve(&ann, id).await.unwrap_err();
    assert!(again.broke("payment_approvals_pkey"), "{again}");
    assert_eq!(state(&app, id).await, "held", "one person is not two");
    let decided = payment_orders::approve(&bob, id).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed, decided.needed), (OrderState::Recorded, 2, 2));
    let audit = "select string_agg(actor || '/' || login || '/' || what, ', ' order by id) from payment_audit where what <> 'insert'";
    let audit: String = sqlx::query_scalar(audit).fetch_one(&app.pool).await.unwrap();
    let agrees = |who| format!("{who}/{who}/agrees that it goes out");
    assert_eq!(audit, format!("{}, {}, {BOB}/{BOB}/approved", agrees(ANN), agrees(BOB)));
    let order = payment_orders::get(&app.service, id).await.unwrap().unwrap();
    assert_eq!(order.approved_by.unwrap(), format!("{ANN}, {BOB}"));
}

#[tokio::test]
async fn persons_who_agree_at_the_same_moment_are_both_counted() {
    let app = TestApp::new().await;
    let (ann, bob) = (logins::person_pool(&app.url, ANN).await, logins::person_pool(&app.url, BOB).await);
    for round in 0..10 {
        let id = place(&app, &format!("k{round}"), "held", 2, "key:formance").await;
        let (one, other) = tokio::join!(payment_orders::approve(&ann, id), payment_orders::approve(&bob, id));
        let mut agreed = [one, other].map(|decided| decided.unwrap().unwrap().agreed);
        agreed.sort_unstable();
        assert_eq!((agreed, state(&app, id).await.as_str()), ([1, 2], "recorded"), "round {round}");
    }
}

#[tokio::test]
async fn without_its_approvals_an_order_leaves_held_for_nobody() {
    let app = TestApp::new().await;
    let id = place(&app, "k", "held", 2, "key:formance").await;
    let ann = logins::person_pool(&app.url, ANN).await;
    payment_orders::approve(&ann, id).await.unwrap();
    let service = logins::service(&app.url).await;
    for url in [&app.url, &service] {
        for sql in [
            "update payment_orders set state = 'recorded'",
            "update payment_orders set state = 'sending'",
            "update payment_orders set state = 'unknown'",
            "update payment_orders set state = 'pending'",
            "update payment_orders set state = 'parked'",
            "update payment_orders set state = 'succeeded', status = 'SUCCEEDED'",
            // by fewer, by another attempt, by a round that was approved, by a table of the same name
            "update payment_orders set state = 'recorded', approvals_needed = 1",
            "update payment_orders set state = 'recorded', attempt = 2, provider_key = 'other'",
            "create temp table payment_approvals as select order_id, round, decision, person || n as person
               from public.payment_approvals, generate_series(1, 5) n;
             update public.payment_orders set state = 'recorded'",
        ] {
            let error = refused(url, sql).await;
            let expected = [
                "needs the approval of 2 persons first",
                "never lowered",
                "an attempt follows a refused one",
            ];
            assert!(expected.iter().any(|expected| error.contains(expected)), "{sql}: {error}");
        }
    }
    assert_eq!(state(&app, id).await, "held");
    // nor does one begin as if it had them
    let begun = "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount,
          source_account_id, destination_account_id, provider_key, request, state, approvals_needed)
        select gen_random_uuid(), 'acme', 'PAYOUT', 'l', fingerprint, asset, amount, 'a', 'b', 'l', '{}', 'recorded', 1
        from payment_orders";
    assert!(refused(&service, begun).await.contains("begins as held"));
}

#[tokio::test]
async fn nobody_approves_but_a_person_by_a_login_of_its_own() {
    let app = TestApp::new().await;
    let id = place(&app, "k", "held", 1, "key:formance").await;
    logins::person(&app.url, ANN).await;
    let both =
        logins::login(&app.url, "tributary_test_both", "in role tributary_operator, tributary_app").await;
    let root = logins::login(&app.url, "tributary_test_root", "superuser in role tributary_operator").await;
    let approve = format!("select approve_payment_order('{id}')");
    let by_hand = |person: &str| {
        format!(
            "insert into payment_approvals (order_id, round, decision, person, attempt, at)
             values ('{id}', 0, 'release', '{person}', 1, now())"
        )
    };
    for (who, url, sql, why) in [
        ("the owner", &app.url, approve.clone(), "whatever the owner of the tables may"),
        ("the owner", &app.url, by_hand(ANN), "whatever the owner of the tables may"),
        ("a superuser", &root, approve.clone(), "whatever the owner of the tables may"),
        ("a superuser", &root, by_hand(ANN), "whatever the owner of the tables may"),
        (
            "a superuser who says to be Ann",
            &app.url,
            format!("set session authorization {ANN}; {approve}"),
            "the session was opened by",
        ),
        ("a superuser as Ann's role", &app.url, format!("set role {ANN}; {approve}"), "whatever the owner"),
        (
            "the service",
            &logins::service(&app.url).await,
            approve.clone(),
            "it is no member of tributary_operator",
        ),
        (
            "the service with a proof that it made up",
            &logins::service(&app.url).await,
            format!("set tributary.proof = 'aa'; {approve}"),
            "sign in again",
        ),
        ("the service", &logins::service(&app.url).await, by_hand(ANN), "permission denied for table"),
        ("who is person and service", &both, approve.clone(), "it is a member of tributary_app"),
        ("nobody", &logins::nobody(&app.url).await, approve.clone(), "permission denied for"),
        ("a writer", &logins::writer(&app.url).await, approve.clone(), "permission denied for"),
        (
            "a person by hand",
            &logins::person(&app.url, BOB).await,
            by_hand(BOB),
            "permission denied for table",
        ),
        (
            "a person past the functions",
            &logins::person(&app.url, BOB).await,
            "update payment_orders set state = 'recorded'".to_owned(),
            "permission denied for table payment_orders",
        ),
    ] {
        let error = refused(url, &sql).await;
        assert!(error.contains(why), "{who}: {error}");
    }
    assert_eq!(number(&app.pool, "select count(*) from payment_approvals").await, 0);
    assert_eq!(state(&app, id).await, "held");
    // whoever may do what Ann may is still not Ann
    let like_ann = "tributary_test_like_ann";
    let url = logins::login(&app.url, like_ann, &format!("in role {ANN}")).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("set role {ANN}; {approve}"))).await.unwrap();
    let person = sqlx::query_scalar::<_, String>("select person from payment_approvals").fetch_one(&app.pool);
    assert_eq!(person.await.unwrap(), like_ann);
}

#[tokio::test]
async fn who_placed_an_order_or_had_it_retried_does_not_decide_about_it() {
    let app = TestApp::new().await;
    let (ann, bob) = (logins::person_pool(&app.url, ANN).await, logins::person_pool(&app.url, BOB).await);
    for (n, placed_by) in
        [format!("key:{ANN}"), format!("login:{ANN}"), ANN.to_uppercase()].iter().enumerate()
    {
        let id = place(&app, &format!("k{n}"), "held", 1, placed_by).await;
        let own = payment_orders::approve(&ann, id).await.unwrap_err();
        assert!(own.broke("payment_approvals_not_own"), "{placed_by}: {own}");
        assert!(payment_orders::approve(&bob, id).await.is_ok(), "another person may");
    }
    let frozen = refused(&app.url, "update payment_orders set placed_by = 'key:another'").await;
    assert!(frozen.contains("what was ordered never changes"), "{frozen}");
    let id = place(&app, "retried", "held", 1, "key:formance").await;
    app.sql(&format!("update payment_orders set retried_by = 'key:{ANN}' where id = '{id}'")).await;
    assert!(payment_orders::approve(&ann, id).await.unwrap_err().broke("payment_approvals_not_own"));
    // nor does it tell that its own payment never was
    let id = place(&app, "lost", "parked", 0, &format!("key:{ANN}")).await;
    assert!(payment_orders::fail(&ann, id, "x").await.unwrap_err().broke("payment_approvals_not_own"));
    // but everybody may stop an order, whoever placed it
    let id = place(&app, "own", "held", 1, &format!("key:{ANN}")).await;
    assert!(payment_orders::reject(&ann, id, "a mistake").await.unwrap());
}

#[tokio::test]
async fn what_was_approved_before_an_order_came_to_wait_again_counts_no_more() {
    let app = TestApp::new().await;
    let id = place(&app, "k", "held", 2, "key:formance").await;
    let (ann, bob) = (logins::person_pool(&app.url, ANN).await, logins::person_pool(&app.url, BOB).await);
    for person in [&ann, &bob] {
        payment_orders::approve(person, id).await.unwrap();
    }
    assert_eq!(state(&app, id).await, "recorded");
    // it waited for too long, and the service holds it once more
    let held = "update payment_orders set state = 'held', round = 0";
    app.service.execute(held).await.unwrap();
    let out = refused(&logins::service(&app.url).await, "update payment_orders set state = 'recorded'").await;
    assert!(out.contains("needs the approval of 2 persons"), "{out}");
    assert_eq!(payment_orders::get(&app.service, id).await.unwrap().unwrap().approved_by, None);
    let decided = payment_orders::approve(&ann, id).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed), (OrderState::Held, 1), "Ann may agree once more");
    payment_orders::approve(&bob, id).await.unwrap();
    assert_eq!(state(&app, id).await, "recorded");
    // an order that was never to be approved needs a person once it is held
    let id = place(&app, "small", "recorded", 0, "key:formance").await;
    app.service
        .execute("update payment_orders set state = 'held' where idempotency_key = 'small'")
        .await
        .unwrap();
    let out = "update payment_orders set state = 'recorded' where idempotency_key = 'small'";
    assert!(refused(&app.url, out).await.contains("needs the approval of a person"));
    let decided = payment_orders::approve(&ann, id).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.needed), (OrderState::Recorded, 1));
}

#[tokio::test]
async fn an_order_that_needed_approvals_needs_them_for_every_attempt() {
    let app = TestApp::new().await;
    place(&app, "k", "held", 2, "key:formance").await;
    app.service.execute("update payment_orders set state = 'failed', status = 'FAILED'").await.unwrap();
    let again = "update payment_orders set attempt = 2, provider_key = 'k2', status = 'PENDING', state = ";
    for state in ["'recorded'", "'recorded', approvals_needed = 0", "'sending'"] {
        let error = refused(&logins::service(&app.url).await, &format!("{again}{state}")).await;
        assert!(error.contains("approv"), "{state}: {error}");
    }
    app.service.execute(sqlx::AssertSqlSafe(format!("{again}'held'"))).await.unwrap();
}

#[tokio::test]
async fn a_parked_order_fails_by_two_persons_or_by_one_with_a_fresh_lookup() {
    let app = TestApp::new().await;
    let (ann, bob) = (logins::person_pool(&app.url, ANN).await, logins::person_pool(&app.url, BOB).await);
    let looked_up = async |id: Uuid, attempt: i32, found: bool| {
        sqlx::query("insert into payment_lookups (order_id, attempt, found) values ($1, $2, $3)")
            .bind(id)
            .bind(attempt)
            .bind(found)
            .execute(&app.service)
            .await
            .unwrap();
    };
    let two = place(&app, "two", "parked", 0, "key:formance").await;
    let decided = payment_orders::fail(&ann, two, "never arrived").await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed, decided.needed), (OrderState::Parked, 1, 2));
    assert!(payment_orders::fail(&ann, two, "really").await.unwrap_err().broke("payment_approvals_pkey"));
    assert_eq!(payment_orders::fail(&bob, two, "so it is").await.unwrap().unwrap().state, OrderState::Failed);

    let one = place(&app, "one", "parked", 0, "key:formance").await;
    looked_up(one, 1, false).await;
    let decided = payment_orders::fail(&ann, one, "not found").await.unwrap().unwrap();
    assert_eq!((decided.state, decided.needed), (OrderState::Failed, 1));

    // no evidence: of another attempt, of before the last request, an old one, one that was found since
    let other = place(&app, "other", "parked", 0, "key:formance").await;
    looked_up(other, 2, false).await;
    let sent_since = place(&app, "sent_since", "parked", 0, "key:formance").await;
    looked_up(sent_since, 1, false).await;
    app.sql(&format!("update payment_orders set last_sent_at = clock_timestamp() where id = '{sent_since}'"))
        .await;
    let old = place(&app, "old", "parked", 0, "key:formance").await;
    looked_up(old, 1, false).await;
    app.rewrite(&format!(
        "update payment_lookups set at = at - interval '61 minutes' where order_id = '{old}'"
    ))
    .await;
    let found = place(&app, "found", "parked", 0, "key:formance").await;
    looked_up(found, 1, false).await;
    looked_up(found, 1, true).await;
    for id in [other, sent_since, old, found] {
        let decided = payment_orders::fail(&ann, id, "not found").await.unwrap().unwrap();
        assert_eq!((decided.state, decided.needed), (OrderState::Parked, 2));
    }
    let evidence =
        "insert into payment_lookups (order_id, attempt, found) select id, 1, false from payment_orders";
    let own = refused(&logins::person(&app.url, ANN).await, evidence).await;
    assert!(own.contains("permission denied for table payment_lookups"), "{own}");
    let future = "insert into payment_lookups (order_id, attempt, found, at)
        select id, 1, false, clock_timestamp() + interval '1 day' from payment_orders limit 1";
    let future = refused(&logins::service(&app.url).await, future).await;
    assert!(future.contains("payment_lookups_at_past"), "{future}");
}
