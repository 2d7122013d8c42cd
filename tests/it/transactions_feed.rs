//! What the feed of transactions does for Formance's storage: parents before children, one
//! type and no earlier date within a payment, ids that survive a URL.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_formance::kept::Kept;
use tributary_formance::{Kind, PaymentType};

use crate::support::{Consumer, Loop, TestApp, records};

fn child(id: &str, parent: &str, created_at: &str) -> Value {
    let mut record = records::transaction(id, "REFUNDED");
    record["relatedTransactionID"] = parent.into();
    record["createdAt"] = created_at.into();
    record
}

async fn served(app: &TestApp, field: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("absent").to_owned();
    app.feed("transactions").await.iter().map(|body| (text(&body["id"]), text(&body[field]))).collect()
}

async fn ids(app: &TestApp) -> Vec<String> {
    served(app, "id").await.into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_child_waits_for_its_parent() {
    let app = TestApp::new().await;
    app.push("transactions", &[child("refund", "payment", "2026-03-02T00:00:00Z")]).await;
    app.push("transactions", &[records::transaction("other", "SUCCEEDED")]).await;
    app.publish_all().await;
    assert_eq!(ids(&app).await, ["other"], "others do not wait with it");
    let mut failed = child("refund", "payment", "2026-03-02T00:00:00Z");
    failed["status"] = "REFUNDED_FAILURE".into();
    app.push("transactions", &[failed]).await;
    app.publish_all().await;
    app.push("transactions", &[records::transaction("payment", "SUCCEEDED")]).await;
    app.publish_all().await;
    assert_eq!(
        served(&app, "status").await[1..],
        [
            ("payment".into(), "SUCCEEDED".into()),
            ("refund".into(), "REFUNDED".into()),
            ("refund".into(), "REFUNDED_FAILURE".into())
        ]
    );
}

#[tokio::test]
async fn a_child_written_before_its_parent_in_one_batch_still_comes_after_it() {
    let app = TestApp::new().await;
    app.push(
        "transactions",
        &[child("a_refund", "payment", "2026-03-02T00:00:00Z"), records::transaction("payment", "SUCCEEDED")],
    )
    .await;
    app.publish_all().await;
    assert_eq!(ids(&app).await, ["payment", "a_refund"]);
}

#[tokio::test]
async fn many_children_ahead_of_their_parent_do_not_block_a_feed_that_has_little_room() {
    let app = TestApp::with_file("provider: acme\npush: all\nfeed: { pace: 1000/s }\n").await;
    // use the free past up, so that only a few entries fit at a time
    app.push("transactions", &[records::transaction("first", "SUCCEEDED")]).await;
    app.publish_all().await;
    let mut batch: Vec<Value> =
        (0..200).map(|i| child(&format!("a{i}"), "payment", "2026-03-02T00:00:00Z")).collect();
    batch.push(records::transaction("payment", "SUCCEEDED"));
    app.push("transactions", &batch).await;
    app.publish_all().await;
    let ids = ids(&app).await;
    assert_eq!(ids.len(), 202);
    assert_eq!(ids[1], "payment");
}

#[tokio::test]
async fn a_child_whose_parent_never_comes_goes_out_alone_in_the_end() {
    let app = TestApp::new().await;
    app.push("transactions", &[child("refund", "lost", "2026-03-02T00:00:00Z")]).await;
    app.push(
        "transactions",
        &[{
            let mut second = child("refund", "lost", "2026-03-02T00:00:00Z");
            second["status"] = "REFUND_REVERSED".into();
            second
        }],
    )
    .await;
    app.publish_all().await;
    assert!(ids(&app).await.is_empty());
    app.sql("update changes set waits_since = waits_since - interval '25 hours' where seq = (select min(seq) from changes)").await;
    app.publish_all().await;
    assert_eq!(
        served(&app, "status").await,
        [("refund".into(), "REFUNDED".into()), ("refund".into(), "REFUND_REVERSED".into())]
    );
}

#[tokio::test]
async fn a_child_carries_its_parents_type() {
    let app = TestApp::new().await;
    let mut payout = records::transaction("payment", "SUCCEEDED");
    payout["type"] = "PAYOUT".into();
    app.push("transactions", &[payout, child("refund", "payment", "2026-03-02T00:00:00Z")]).await;
    app.publish_all().await;
    assert_eq!(
        served(&app, "type").await,
        [("payment".into(), "PAYOUT".into()), ("refund".into(), "PAYOUT".into())]
    );
}

#[tokio::test]
async fn within_a_payment_created_at_never_goes_back() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("payment", "SUCCEEDED")]).await;
    app.publish_all().await;
    app.push("transactions", &[child("refund", "payment", "2026-03-05T00:00:00Z")]).await;
    app.push("transactions", &[child("early", "payment", "2026-03-04T00:00:00Z")]).await;
    app.push("transactions", &[records::transaction("payment", "DISPUTE")]).await;
    app.push("transactions", &[records::transaction("alone", "SUCCEEDED")]).await;
    app.publish_all().await;
    let day = |day: u32| format!("2026-03-0{day}T");
    let dates: Vec<(String, String)> =
        served(&app, "createdAt").await.into_iter().map(|(id, at)| (id, at[..11].to_owned())).collect();
    assert_eq!(
        dates,
        [
            ("payment".into(), day(1)),
            ("refund".into(), day(5)),
            ("early".into(), day(5)),
            ("payment".into(), day(5)),
            ("alone".into(), day(1))
        ]
    );
}

#[tokio::test]
async fn a_status_told_again_keeps_the_date_it_was_served_with() {
    let app = TestApp::new().await;
    let noted = |status: &str, note: &str| {
        let mut record = records::transaction("payment", status);
        record["metadata"] = json!({"note": note});
        record
    };
    app.push("transactions", &[noted("CAPTURE", "1")]).await;
    app.publish_all().await;
    app.push("transactions", &[child("refund", "payment", "2026-03-05T00:00:00Z")]).await;
    app.push("transactions", &[noted("CAPTURE", "2"), noted("DISPUTE", "3"), noted("DISPUTE", "4")]).await;
    app.publish_all().await;
    app.push("transactions", &[noted("DISPUTE", "5"), noted("CAPTURE", "6")]).await;
    app.publish_all().await;
    let days: Vec<String> =
        served(&app, "createdAt").await.into_iter().map(|(_, at)| at[8..10].to_owned()).collect();
    assert_eq!(
        days,
        // the first is the authorisation that nobody told
        ["01", "01", "05", "01", "05", "05", "05", "01"],
        "under another date Formance would capture twice"
    );
}

#[tokio::test]
async fn a_state_that_needs_another_before_it_moves_the_right_amount_however_it_is_told() {
    /// What a provider told of a payment and of a child of it, and the amount and status that
    /// Formance has to be left with.
    type Told = (&'static str, &'static [&'static str], &'static [&'static str], &'static str, &'static str);
    let told: [Told; 7] = [
        ("refunded", &["REFUNDED"], &[], "0", "REFUNDED"),
        ("captured", &["CAPTURE"], &[], "1050", "CAPTURE"),
        ("refund-hidden", &["SUCCEEDED", "REFUND_REVERSED"], &[], "1050", "REFUND_REVERSED"),
        ("all-hidden", &["REFUND_REVERSED"], &[], "1050", "REFUND_REVERSED"),
        ("child-hidden", &["SUCCEEDED"], &["REFUND_REVERSED"], "1050", "REFUND_REVERSED"),
        ("child-told", &["SUCCEEDED"], &["REFUNDED", "REFUND_REVERSED"], "1050", "REFUND_REVERSED"),
        ("nothing-hidden", &["PENDING", "SUCCEEDED", "REFUNDED"], &[], "0", "REFUNDED"),
    ];
    let app = TestApp::new().await;
    for (id, own, children, ..) in told {
        for status in own {
            app.push("transactions", &[records::transaction(id, status)]).await;
        }
        for status in children {
            let mut record = child(&format!("{id}-child"), id, "2026-03-05T00:00:00Z");
            record["status"] = (*status).into();
            record["amount"] = "1050".into();
            app.push("transactions", &[record]).await;
        }
    }
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        consumer.poll().await;
        let mut kept = Kept::default();
        kept.take(Kind::Transactions, &consumer.rows);
        for (id, _, _, amount, status) in told {
            let payment = kept.payment(id, PaymentType::PayIn).unwrap();
            assert_eq!(
                (payment.amount.to_string().as_str(), payment.status().as_wire()),
                (amount, status),
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn type_date_and_parent_stay_as_first_seen() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    let mut drifted = records::transaction("a", "SUCCEEDED");
    drifted["type"] = "PAYOUT".into();
    drifted["createdAt"] = "2026-04-01T00:00:00Z".into();
    drifted["relatedTransactionID"] = "b".into();
    assert_eq!(app.push("transactions", &[drifted]).await["updated"], 1);
    app.publish_all().await;
    let last = app.feed("transactions").await.pop().unwrap();
    assert_eq!(last["type"], "PAYIN");
    assert_eq!(last["createdAt"], "2026-03-01T12:00:00.000000Z");
    assert_eq!(last["status"], "SUCCEEDED");
    assert_eq!(last.get("relatedTransactionID"), None);
}

#[tokio::test]
async fn account_ids_are_served_url_safe_wherever_they_occur_and_the_original_is_in_metadata() {
    let app = TestApp::new().await;
    let id = "GB33/BUKB 2020?#%é..";
    app.push("accounts", &[records::account(id, "2021-05-01T00:00:00Z")]).await;
    app.push("balances", &[records::balances(id, "2026-03-01T12:00:00Z", &[("GBP/2", "5")])]).await;
    let mut transaction = records::transaction("a", "PENDING");
    transaction["sourceAccountID"] = id.into();
    app.push("transactions", &[transaction]).await;
    app.publish_all().await;

    let account = app.get_ok("/accounts").await[0].clone();
    let served = account["id"].as_str().unwrap().to_owned();
    assert!(served.bytes().all(|b| b.is_ascii_alphanumeric() || b"~._-".contains(&b)), "{served}");
    assert_eq!(account["metadata"]["tributary.id"], id);
    let transaction = app.get_ok("/transactions").await[0].clone();
    assert_eq!(transaction["sourceAccountID"], served);
    assert_eq!(transaction["metadata"]["tributary.sourceAccountID"], id);
    assert_eq!(transaction["destinationAccountID"], "acc_1");
    let balances = app.get_ok(&format!("/accounts/{served}/balances")).await;
    assert_eq!(balances["accountID"], served);
    assert_eq!(balances["balances"], json!([{"currency": "GBP/2", "amount": "5"}]));
}

#[tokio::test]
async fn children_that_wait_wake_when_the_publisher_runs() {
    let app = TestApp::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let publisher = tokio::spawn(app.publisher().run(stop.clone()));
    app.push("transactions", &[child("refund", "payment", "2026-03-02T00:00:00Z")]).await;
    app.push("transactions", &[records::transaction("payment", "SUCCEEDED")]).await;
    let both = async {
        while ids(&app).await.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("both are published");
    stop.cancel();
    publisher.await.unwrap();
}
