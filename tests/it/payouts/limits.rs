//! What may be paid, and who has to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tributary::payments::{AssetLimit, Payments, Point, Policy};
use tributary::store::payment_orders::{self, Bounds, Claim, Passed};
use tributary_domain::{Amount, OrderState, Role, Status};
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::kit::{Faults, PaymentFault, When};
use uuid::Uuid;

use crate::console::Browser;
use crate::support::logins::{self, ANN, BOB};
use crate::support::till::{Formance, Till, dead_at, died, now, number, quick, unlimited};

async fn limited(guard: Duration) -> Till {
    let amount = |text| Some(Amount::parse("amount", text).unwrap());
    let mut till = Till::open(guard).await;
    let limit = AssetLimit {
        per_payment: amount("2000"),
        per_day: amount("3000"),
        require_approval_above: amount("1000"),
        approvals: None,
    };
    till.policy.limits = BTreeMap::from([("GBP/2".to_owned(), limit)]);
    till
}

#[tokio::test]
async fn more_than_a_payment_or_a_day_may_have_is_refused() {
    let till = limited(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let refused = formance.pay(&till.initiation("much", 2001)).await.unwrap_err();
    assert!(refused.to_string().contains("the limit of one payment"), "{refused}");
    for (key, pence) in [("a", 1000), ("b", 1000), ("c", 900)] {
        formance.pay(&till.initiation(key, pence)).await.unwrap();
    }
    let refused = formance.pay(&till.initiation("d", 101)).await.unwrap_err();
    assert!(refused.to_string().contains("2900 ordered today"), "{refused}");
    let page = Browser::of(&app, Role::Viewer).await.page("/console/payments").await;
    let of_the_day =
        "<td class=\"number\">3000</td><td class=\"number\">2900</td><td class=\"number\">100</td>";
    assert!(page.contains("1 above 1000") && page.contains(of_the_day), "{page}");
    formance.pay(&till.initiation("e", 100)).await.unwrap();
    assert_eq!(till.bank.payment_requests(), 4);
    assert_eq!(number(&app.pool, "select count(*) from payment_refusals").await, 2);
}

#[tokio::test]
async fn what_has_to_be_approved_waits_for_a_person() {
    let till = limited(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    for key in ["yes", "no"] {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("yes"), (PaymentStatus::Pending, InitiationStatus::Processing));
    payments.worker().run_once().await.unwrap();
    assert_eq!((till.bank.payment_requests(), till.state("yes").await.as_str()), (0, "held"));
    let id = |key| payment_orders::of_idempotency_key(&app.pool, key);
    let (yes, no) = (id("yes").await.unwrap()[0].id, id("no").await.unwrap()[0].id);
    let ann = logins::person_pool(&app.url, ANN).await;
    let decided = payment_orders::approve(&ann, yes).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed, decided.needed), (OrderState::Recorded, 1, 1));
    let again = payment_orders::approve(&ann, yes).await.unwrap_err();
    assert!(again.refusal().unwrap().contains("is recorded and not held"), "once: {again}");
    assert!(payment_orders::reject(&ann, no, "not ours").await.unwrap());
    till.carry_on(&payments, "yes", &["pending"]).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("no"), (PaymentStatus::Failed, InitiationStatus::Failed));
    assert_eq!((till.moved("yes").await, till.moved("no").await), (1, 0));
    let who = "select count(*) from payment_audit where actor = 'tributary_test_ann' and login = actor";
    assert_eq!(number(&app.pool, who).await, 3, "agreed, approved, rejected");
}

#[tokio::test]
async fn what_was_never_sent_can_be_rejected_and_what_may_have_been_cannot() {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let ann = logins::person_pool(&app.url, ANN).await;
    let reject = async |key: &str| {
        let id = payment_orders::of_idempotency_key(&app.pool, key).await.unwrap()[0].id;
        payment_orders::reject(&ann, id, "never mind").await.unwrap()
    };
    // the bank looks at nothing
    till.bank.set_faults(Faults { rate_limited: Some(When::every(1)), ..Faults::default() });
    formance.pay(&till.initiation("unsent", 1500)).await.unwrap();
    till.carry_on(&payments, "unsent", &["recorded"]).await;
    assert!(reject("unsent").await);
    till.bank.set_faults(Faults::default());
    formance.poll(&app).await;
    assert_eq!(formance.shows("unsent"), (PaymentStatus::Failed, InitiationStatus::Failed));
    // who is about to send may do so
    for point in [Point::Recorded, Point::Sending, Point::Sent] {
        let (settings, dead) = dead_at(point);
        let (dying, _) = till.instance("dying", settings);
        formance.move_to(&dying).await;
        assert!(formance.kept.initiate(point.as_str(), now()));
        let initiation = till.initiation(point.as_str(), 1500);
        tokio::select! {
            () = died(&dead) => {}
            _ = formance.send(&initiation) => died(&dead).await,
        }
        assert!(!reject(point.as_str()).await, "{point:?}");
    }
    // nobody sends what was rejected
    for point in [Point::Recorded, Point::Sending, Point::Sent] {
        till.carry_on(&payments, point.as_str(), &["pending"]).await;
        assert!(!reject(point.as_str()).await, "{point:?}");
    }
    assert_eq!((till.moved("unsent").await, till.bank.movements().len()), (0, 3));
}

#[tokio::test]
async fn an_order_that_nobody_can_find_out_about_waits_for_a_person() {
    let mut till = Till::open(Policy::GUARD).await;
    // no way to look, and a key that protects nothing
    till.change(|manifest| {
        let payouts = manifest.payouts.as_mut().unwrap();
        (payouts.lookup, payouts.key.lifetime) = (None, None);
    });
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.set_payment_faults([PaymentFault::ErrorBefore, PaymentFault::ErrorAfter]);
    for key in ["gone", "paid"] {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
        till.carry_on(&payments, key, &["parked"]).await;
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("gone"), (PaymentStatus::Pending, InitiationStatus::Processing));
    // the records of the bank tell of the one
    till.sync().await;
    assert_eq!(till.state("paid").await, "pending");
    // and a person of the other
    let gone = payment_orders::of_idempotency_key(&app.pool, "gone").await.unwrap()[0].id;
    for (name, state) in [(ANN, OrderState::Parked), (BOB, OrderState::Failed)] {
        let person = logins::person_pool(&app.url, name).await;
        let decided =
            payment_orders::fail(&person, gone, "the provider says it never arrived").await.unwrap();
        assert_eq!(decided.unwrap().state, state, "{name}");
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("gone"), (PaymentStatus::Failed, InitiationStatus::Failed));
    assert_eq!(till.bank.payment_requests(), 2, "nothing was sent twice");
}

/// A till of which a day may have 3,000, with orders of 1,500 that were placed on days before: all of
/// them wait for an approval.
async fn waiting(keys: &[&str]) -> (Till, Payments, Formance) {
    let till = limited(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    for key in keys {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
        yesterday(&till, "created_at").await;
    }
    (till, payments, formance)
}

/// What has happened to all orders has done so a day earlier.
async fn yesterday(till: &Till, what: &str) {
    till.app
        .sql(&format!(
            "set session_replication_role = replica;
             update payment_orders set {what} = {what} - interval '1 day';
             set session_replication_role = origin"
        ))
        .await;
}

async fn why(till: &Till, key: &str) -> String {
    let reason = sqlx::query_scalar("select reason from payment_orders where idempotency_key = $1");
    reason.bind(key).fetch_one(&till.app.pool).await.unwrap()
}

#[tokio::test]
async fn what_waited_for_days_does_not_go_out_in_one() {
    let (till, payments, mut formance) = waiting(&["a", "b", "c"]).await;
    for (key, state) in [("a", "pending"), ("b", "pending"), ("c", "held")] {
        till.approve(key).await;
        till.carry_on(&payments, key, &[state]).await;
    }
    assert_eq!(till.bank.payment_requests(), 2);
    assert!(why(&till, "c").await.contains("with 3000 sent today"), "{}", why(&till, "c").await);
    // an approval makes no room, and does not last until there is some
    till.approve("c").await;
    till.carry_on(&payments, "c", &["held"]).await;
    let approved = "select count(*) from payment_orders o join payment_approvals a
        on a.order_id = o.id and a.round = o.round where o.idempotency_key = 'c'";
    assert_eq!((till.bank.payment_requests(), number(&till.app.pool, approved).await), (2, 0));
    formance.poll(&till.app).await;
    assert_eq!(formance.shows("c"), (PaymentStatus::Pending, InitiationStatus::Processing));
    // the next day has room
    yesterday(&till, "last_sent_at").await;
    till.approve("c").await;
    till.carry_on(&payments, "c", &["pending"]).await;
    assert_eq!((till.bank.payment_requests(), till.moved("c").await), (3, 1));
}

#[tokio::test]
async fn what_is_approved_at_once_does_not_take_the_last_room_twice() {
    let keys = ["a", "b", "c", "d", "e", "f"];
    let (till, _, _) = waiting(&keys).await;
    for key in keys {
        till.approve(key).await;
    }
    // one instance for each of them, all of which come to the gate at the same moment
    let claim = || Claim { owner: "one", token: Uuid::new_v4(), time: Duration::from_secs(60) };
    let bounds =
        Bounds { refused: None, per_day: Some("3000".to_owned()), expire_after: Duration::from_secs(3600) };
    let mut claimed = Vec::new();
    for _ in keys {
        let claim = claim();
        let orders = payment_orders::claim_due(&till.app.pool, &["starling"], 1, claim).await.unwrap();
        claimed.extend(orders.into_iter().map(|order| (order, claim)));
    }
    // a connection for each, so that none is behind the others
    let connections = futures::future::join_all(keys.map(|_| till.app.pool.acquire())).await;
    assert!(connections.iter().all(Result::is_ok));
    drop(connections);
    let gates = claimed.iter().map(async |(order, claim)| {
        payment_orders::sending(&till.app.pool, order, *claim, &bounds).await.unwrap()
    });
    let passed = futures::future::join_all(gates).await;
    let open = passed.iter().filter(|passed| **passed == Passed::Open).count();
    assert_eq!((passed.len(), open), (keys.len(), 2), "{passed:?}");
    let held = "select count(*) from payment_orders o where state = 'held'
        and not exists (select from payment_approvals a where a.order_id = o.id and a.round = o.round)";
    assert_eq!(number(&till.app.pool, held).await, 4);
}

#[tokio::test]
async fn what_may_have_moved_counts_until_it_is_known() {
    let (till, payments, _) = waiting(&["lost", "next"]).await;
    // the bank loses one from yesterday, which may move at any time
    till.bank.hide_payments(true);
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    till.approve("lost").await;
    till.carry_on(&payments, "lost", &["unknown"]).await;
    yesterday(&till, "first_sent_at").await;
    yesterday(&till, "last_sent_at").await;
    till.app.sql("update payment_orders set next_at = clock_timestamp() + interval '1 hour' where state = 'unknown'").await;
    let day = Some(Amount::parse("amount", "2500").unwrap());
    let mut till = till;
    till.policy.limits.get_mut("GBP/2").unwrap().per_day = day;
    let payments = till.payments("two", quick());
    till.approve("next").await;
    till.carry_on(&payments, "next", &["held"]).await;
    assert!(why(&till, "next").await.contains("with 1500 sent today"));
    // it is found, as of yesterday, and makes room
    till.bank.hide_payments(false);
    till.sync().await;
    assert_eq!(till.state("lost").await, "pending");
    till.approve("next").await;
    till.carry_on(&payments, "next", &["pending"]).await;
}

#[tokio::test]
async fn what_may_not_be_paid_any_more_is_not_sent() {
    let amount = |text| Some(Amount::parse("amount", text).unwrap());
    type Change = (&'static str, fn(&mut Policy, Option<Amount>));
    let changes: [Change; 4] = [
        ("the limit of one payment", |policy, most| {
            policy.limits.get_mut("GBP/2").unwrap().per_payment = most;
        }),
        ("may not pay", |policy, _| policy.source_accounts = Some(BTreeSet::from(["another".to_owned()]))),
        ("GBP/2 is not among", |policy, _| policy.limits = unlimited(["EUR/2"])),
        ("GBP/2 is not among", |policy, _| policy.limits.clear()),
    ];
    for (reason, change) in changes {
        let (mut till, _, mut formance) = waiting(&["k"]).await;
        till.approve("k").await;
        change(&mut till.policy, amount("1499"));
        let payments = till.payments("two", quick());
        till.carry_on(&payments, "k", &["held"]).await;
        assert!(why(&till, "k").await.contains(reason), "{reason}: {}", why(&till, "k").await);
        assert_eq!(till.bank.payment_requests(), 0);
        formance.poll(&till.app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    }
}

#[tokio::test]
async fn a_request_that_would_be_repeated_beyond_its_bounds_is_left_to_a_person() {
    let (mut till, payments, _) = waiting(&["k"]).await;
    till.bank.set_payment_faults([PaymentFault::ErrorBefore]);
    till.approve("k").await;
    till.carry_on(&payments, "k", &["unknown"]).await;
    till.policy.limits.get_mut("GBP/2").unwrap().per_payment = Some(Amount::parse("amount", "1000").unwrap());
    let payments = till.payments("two", quick());
    till.carry_on(&payments, "k", &["parked"]).await;
    assert!(why(&till, "k").await.contains("the limit of one payment"));
    assert_eq!(till.bank.payment_requests(), 1, "its first request may have moved money: it is not held");
}

#[tokio::test]
async fn an_order_that_is_not_sent_in_time_has_to_be_approved_again() {
    let (till, payments, mut formance) = waiting(&["k"]).await;
    // the bank looks at nothing
    till.bank.set_faults(Faults { rate_limited: Some(When::every(1)), ..Faults::default() });
    till.approve("k").await;
    payments.worker().run_once().await.unwrap();
    assert_eq!(till.state("k").await, "recorded");
    yesterday(&till, "waits_since").await;
    payments.worker().run_once().await.unwrap();
    till.bank.set_faults(Faults::default());
    payments.worker().run_once().await.unwrap();
    let held = "select count(*) from payment_orders o where state = 'held'
        and not exists (select from payment_approvals a where a.order_id = o.id and a.round = o.round)";
    assert_eq!((number(&till.app.pool, held).await, till.bank.payment_requests()), (1, 0));
    assert!(why(&till, "k").await.contains("no approval from before counts"));
    // held orders wait anew, too: whoever agreed before does so again
    let since = "select waits_since > clock_timestamp() - interval '1 hour' from payment_orders";
    yesterday(&till, "waits_since").await;
    payments.worker().run_once().await.unwrap();
    assert!(sqlx::query_scalar::<_, bool>(since).fetch_one(&till.app.pool).await.unwrap());
    till.approve("k").await;
    till.carry_on(&payments, "k", &["pending"]).await;
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.carry_on(&payments, "k", &["succeeded"]).await;
    formance.poll(&till.app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
}

#[tokio::test]
async fn the_last_gate_itself_lets_nothing_through_that_waited_too_long() {
    let (till, _, _) = waiting(&["k"]).await;
    till.approve("k").await;
    let claim = Claim { owner: "one", token: Uuid::new_v4(), time: Duration::from_secs(60) };
    let claimed = payment_orders::claim_due(&till.app.pool, &["starling"], 1, claim).await.unwrap();
    yesterday(&till, "waits_since").await;
    let bounds =
        |hours: u64| Bounds { refused: None, per_day: None, expire_after: Duration::from_secs(hours * 3600) };
    let gate = async |hours: u64| {
        payment_orders::sending(&till.app.pool, &claimed[0], claim, &bounds(hours)).await.unwrap()
    };
    assert!(matches!(gate(24).await, Passed::Shut(OrderState::Held, why) if why.contains("expire_after")));
    assert_eq!(till.state("k").await, "held");
    assert_eq!(gate(48).await, Passed::NotOurs, "the claim is over");
}

#[tokio::test]
async fn nothing_is_ordered_before_the_file_says_what_may_be() {
    let mut till = Till::open(Duration::ZERO).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("before", 1500)).await.unwrap();
    till.policy.limits.clear();
    let (app, _) = till.instance("two", quick());
    formance.move_to(&app).await;
    let refused = formance.pay(&till.initiation("after", 1500)).await.unwrap_err();
    assert!(refused.class().is_final(), "a 5xx would be asked for ever: {refused}");
    let told = "select count(*) from payment_refusals where status = 403 and detail like '%pay: { limits:%'";
    assert_eq!(number(&app.pool, told).await, 1);
    // what was ordered before is told, and followed to its end
    let row = formance.send(&till.initiation("before", 1500)).await.unwrap();
    assert_eq!(row.payment().status, PaymentStatus::Pending);
    let mut other = till.initiation("before", 1501);
    let refused = formance.client.create(formance.movement, &other).await.unwrap_err();
    assert!(refused.to_string().contains("422"), "{refused}");
    other.reference = "another".to_owned();
    assert!(formance.client.create(formance.movement, &other).await.is_err());
    till.bank.move_payment(&till.bank_keys("before").await[0], Status::Succeeded);
    till.carry_on(&payments, "before", &["succeeded"]).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("before"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!(till.bank.payment_requests(), 1);
}

#[tokio::test]
async fn an_asset_that_is_not_listed_is_not_paid() {
    let mut till = Till::open(Policy::GUARD).await;
    till.policy.limits = unlimited(["EUR/2"]);
    let (app, _) = till.instance("one", quick());
    let refused = Formance::of(&app).await.pay(&till.initiation("k", 1500)).await.unwrap_err();
    assert!(refused.class().is_final() && refused.to_string().contains("GBP/2 is not among"), "{refused}");
    assert_eq!(number(&app.pool, "select count(*) from payment_orders").await, 0);
}
