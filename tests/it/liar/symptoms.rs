//! What lies look like to whoever keeps the records.

use serde_json::{Value, json};
use tributary::records::{self, Batch, Written};
use tributary::store;
use tributary_domain::{Record, Resource, parse_record};

use crate::support::TestApp;

fn payment(edit: impl FnOnce(&mut Value)) -> Record {
    let mut payment = json!({"id": "x", "createdAt": "2026-03-01T12:00:00Z", "type": "PAYIN",
        "status": "SUCCEEDED", "currency": "EUR/2", "amount": "1050"});
    edit(&mut payment);
    parse_record(Resource::Transactions, payment.to_string().as_bytes()).unwrap()
}

async fn write_as(app: &TestApp, records: Vec<Record>, may_amend: bool) -> Written {
    let mut transaction = store::begin(&app.service).await.unwrap();
    let batch = Batch { records, decides: true, may_amend, ..Batch::default() };
    let written = records::write(&mut transaction, app.name(), Resource::Transactions, &batch).await.unwrap();
    transaction.commit().await.unwrap();
    written
}

async fn write(app: &TestApp, record: Record) -> Written {
    write_as(app, vec![record], false).await
}

async fn kept(app: &TestApp) -> (String, String) {
    sqlx::query_as("select status, amount::text from transactions where id = 'x'")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_id_that_another_run_brings_with_another_date_and_amount_is_of_another_payment() {
    let app = TestApp::new().await;
    write(&app, payment(|_| {})).await;
    let other = |edit: fn(&mut Value)| {
        payment(move |payment| {
            payment["createdAt"] = json!("2026-03-02T12:00:00Z");
            edit(payment);
        })
    };
    for another in [
        other(|payment| payment["amount"] = json!("77")),
        other(|payment| payment["type"] = json!("PAYOUT")),
        payment(|payment| (payment["type"], payment["amount"]) = (json!("PAYOUT"), json!("77"))),
    ] {
        let written = write(&app, another).await;
        assert_eq!((written.refused.len(), written.shared_ids, written.tally.updated), (1, 1, 0));
        assert!(written.refused[0].1.contains("another payment"), "{}", written.refused[0].1);
        assert_eq!(kept(&app).await, ("SUCCEEDED".to_owned(), "1050".to_owned()));
    }
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from quarantine").fetch_one(&app.pool).await.unwrap();
    assert_eq!(waiting, 3);
    // dated anew, or with a part of a second that another endpoint leaves out, it is the same payment
    for same in [other(|_| {}), payment(|payment| payment["createdAt"] = json!("2026-03-01T12:00:00.7Z"))] {
        let written = write(&app, same).await;
        assert_eq!((written.refused.len(), written.tally.amended), (0, 0));
    }
}

#[tokio::test]
async fn the_second_of_two_payments_of_one_id_in_one_push_is_named_by_its_place() {
    let app = TestApp::new().await;
    let row = |id: &str, day: u32, amount: &str| {
        json!({"id": id, "createdAt": format!("2026-03-{day:02}T12:00:00Z"), "type": "PAYIN",
            "status": "SUCCEEDED", "currency": "EUR/2", "amount": amount})
    };
    let answer = app
        .push("transactions", &[row("x", 1, "1"), row("y", 1, "2"), row("x", 2, "3"), row("z", 1, "4")])
        .await;
    assert_eq!(answer["created"], 3, "{answer}");
    assert_eq!(answer["quarantined"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["quarantined"][0]["index"], 2, "{answer}");
}

#[tokio::test]
async fn an_amount_that_changes_is_taken_and_counted_since_formance_keeps_the_first() {
    let app = TestApp::new().await;
    write(&app, payment(|_| {})).await;
    let written = write(&app, payment(|payment| payment["amount"] = json!("1100"))).await;
    assert_eq!((written.tally.updated, written.tally.amended, written.refused.len()), (1, 1, 0));
    assert_eq!(kept(&app).await.1, "1100");
    // what was on its way may be dated and counted anew as it arrives
    let pending = payment(|payment| {
        payment["id"] = json!("y");
        payment["status"] = json!("PENDING");
    });
    write(&app, pending).await;
    let booked = payment(|payment| {
        payment["id"] = json!("y");
        payment["createdAt"] = json!("2026-03-03T00:00:00Z");
        payment["amount"] = json!("990");
    });
    let written = write(&app, booked).await;
    assert_eq!((written.tally.updated, written.tally.amended, written.refused.len()), (1, 1, 0));
}

#[tokio::test]
async fn what_a_person_had_mapped_anew_may_be_of_another_date_and_amount() {
    let app = TestApp::new().await;
    write(&app, payment(|_| {})).await;
    let anew = payment(|payment| {
        payment["createdAt"] = json!("2026-03-02T12:00:00Z");
        payment["amount"] = json!("105000");
    });
    let written = write_as(&app, vec![anew], true).await;
    assert_eq!((written.tally.updated, written.refused.len()), (1, 0));
    assert_eq!(kept(&app).await.1, "105000");
}

#[tokio::test]
async fn a_status_that_nobody_knows_takes_nothing_from_one_that_is_known() {
    let app = TestApp::new().await;
    let unknown = |edit: fn(&mut Value)| match payment(edit) {
        Record::Transaction(mut transaction) => {
            transaction.status_unknown = true;
            Record::Transaction(transaction)
        }
        other => other,
    };
    write(&app, payment(|_| {})).await;
    let odd = unknown(|payment| payment["status"] = json!("OTHER"));
    assert_eq!(write(&app, odd).await.tally.unchanged, 1);
    let odd = unknown(|payment| {
        payment["status"] = json!("OTHER");
        payment["metadata"] = json!({"status": "on_hold"});
    });
    assert_eq!(write(&app, odd).await.tally.updated, 1, "what else it says is taken");
    assert_eq!(kept(&app).await.0, "SUCCEEDED");
    let pushed = payment(|payment| payment["status"] = json!("OTHER"));
    write(&app, pushed).await;
    assert_eq!(kept(&app).await.0, "OTHER", "who says OTHER means it");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_while_a_request_waits_for_the_budget_holds_for_it() {
    let app = TestApp::new().await;
    let take =
        "select wait is not null from take_request($1, array[100::bigint], array[interval '1 h'], 'records')";
    let provider = app.name().as_str();
    let first: bool = sqlx::query_scalar(take).bind(provider).fetch_one(&app.pool).await.unwrap();
    assert!(!first);
    let mut holder = app.pool.begin().await.unwrap();
    sqlx::query("select from provider_pace where provider = $1 for update")
        .bind(provider)
        .execute(&mut *holder)
        .await
        .unwrap();
    let pool = app.pool.clone();
    let name = provider.to_owned();
    let waiting =
        tokio::spawn(async move { sqlx::query_scalar::<_, bool>(take).bind(name).fetch_one(&pool).await });
    let blocked = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%take_request%'
                   and datname = current_database())";
    while !sqlx::query_scalar::<_, bool>(blocked).fetch_one(&app.pool).await.unwrap() {
        tokio::task::yield_now().await;
    }
    sqlx::query("insert into closed_lanes (provider, lane, closed_until) values ($1, 'records', now() + interval '1 h')")
        .bind(provider)
        .execute(&app.pool)
        .await
        .unwrap();
    holder.commit().await.unwrap();
    assert!(waiting.await.unwrap().unwrap(), "the request was sent into the pause");
}
