//! Times of providers: which state is the later one, as far as a clock can tell, and what is told
//! of an older one.

use serde_json::{Value, json};

use crate::support::{TestApp, records};

fn state(id: &str, status: &str, updated_at: &str) -> Value {
    let mut record = records::transaction(id, status);
    record["updatedAt"] = updated_at.into();
    record
}

async fn statuses(app: &TestApp) -> Vec<String> {
    app.publish_all().await;
    let feed = app.feed("transactions").await;
    feed.iter().map(|body| body["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_payment_that_is_booked_in_the_hour_that_comes_twice_is_not_pending_for_ever() {
    for (pending, booked, taken) in [
        // local time, and clocks were put back in between
        ("2026-10-25T02:50:00-00:00", "2026-10-25T02:10:00-00:00", true),
        ("2026-10-25T00:00:00-00:00", "2026-10-24T18:00:00-00:00", false),
        ("2026-10-25T18:00:00-00:00", "2026-10-25T00:00:00-00:00", true),
        // one clock shows parts of a second, the other does not
        ("2026-03-01T12:00:00.9Z", "2026-03-01T12:00:00Z", true),
        ("2026-03-01T12:00:00.9Z", "2026-03-01T12:00:00.8Z", false),
        ("2026-03-01T12:50:00Z", "2026-03-01T12:10:00Z", false),
    ] {
        let app = TestApp::new().await;
        app.push("transactions", &[state("a", "PENDING", pending)]).await;
        let answer = app.push("transactions", &[state("a", "SUCCEEDED", booked)]).await;
        let (updated, older) = if taken { (1, 0) } else { (0, 1) };
        assert_eq!(
            (&answer["updated"], &answer["older"]),
            (&json!(updated), &json!(older)),
            "{pending} {booked}"
        );
        let expected = if taken { vec!["PENDING", "SUCCEEDED"] } else { vec!["PENDING"] };
        assert_eq!(statuses(&app).await, expected, "{pending} {booked}");
        // what was before is told again by a slow sync
        let answer = app.push("transactions", &[state("a", "PENDING", pending)]).await;
        assert_eq!(answer["updated"], json!(0), "a state does not go back: {pending} {booked}");
        assert_eq!(statuses(&app).await, expected);
    }
}

#[tokio::test]
async fn what_is_older_and_differs_is_counted_and_what_is_as_it_was_is_not() {
    let app = TestApp::new().await;
    app.push("transactions", &[state("a", "SUCCEEDED", "2026-03-01T12:00:00Z")]).await;
    let again = app.push("transactions", &[state("a", "SUCCEEDED", "2026-03-01T11:00:00Z")]).await;
    assert_eq!((&again["unchanged"], &again["older"]), (&json!(1), &json!(0)));
    let before = app.push("transactions", &[state("a", "PENDING", "2026-03-01T11:00:00Z")]).await;
    assert_eq!((&before["unchanged"], &before["older"]), (&json!(1), &json!(1)));
    let balances = |at: &str, amount: &str| {
        [json!({"accountID": "acc_1", "at": at, "balances": [{"currency": "EUR/2", "amount": amount}]})]
    };
    app.push("balances", &balances("2026-03-01T12:00:00Z", "1")).await;
    let before = app.push("balances", &balances("2026-03-01T11:00:00Z", "2")).await;
    assert_eq!((&before["updated"], &before["older"]), (&json!(0), &json!(1)));
}
