//! `POST /ingest/files`.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tributary::encryption::Keyring;
use tributary::records::erase::{Wanted, erase, find};
use tributary::store::statements::{Alarms, alarms};

use super::{FILE, balance, booked, camt, day, instance, mt940, post, report, transactions};
use crate::support::TestApp;
use crate::support::jobs::count;
use crate::support::process::Place;

#[tokio::test]
async fn a_statement_becomes_an_account_its_balance_and_its_movements() {
    let app = TestApp::with_file(FILE).await;
    let answer = post(&app, &camt(&day(1, 5_000, &[100, -250]))).await;
    assert_eq!(answer["statements"][0]["state"], "published", "{answer}");
    // the account, two movements and a balance
    assert_eq!(
        (&answer["created"], &answer["known"], &answer["warnings"]),
        (&json!(4), &json!(false), &json!([]))
    );
    let rows = transactions(&app).await;
    assert_eq!(booked(&rows), [-250, 100]);
    assert_eq!(balance(&app).await, Some(4_850));
    app.publish_all().await;
    let feed = app.feed("transactions").await;
    let out = feed.iter().find(|body| body["type"] == "PAYOUT").unwrap();
    assert_eq!((&out["sourceAccountID"], &out["amount"]), (&json!("main"), &json!("250")));
    // midnight of Berlin
    assert!(out["createdAt"].as_str().unwrap().starts_with("2026-03-01T23:00:00"), "{out}");
    assert_eq!(out["metadata"]["bookingDate"], "2026-03-02");
    let at: String =
        sqlx::query_scalar("select provider_at::text from balances").fetch_one(&app.pool).await.unwrap();
    assert!(at.starts_with("2026-03-02 23:00:00"), "the balance is that of the end of its day: {at}");
}

#[tokio::test]
async fn the_same_bytes_change_nothing_whatever_they_are_called() {
    let app = TestApp::with_file(FILE).await;
    let text = mt940(&day(1, 5_000, &[100, 100, -250]));
    let first = post(&app, &text).await;
    let changes = "select count(*) from changes";
    let before = count(&app.pool, changes).await;
    let (_, again) = app.post("/ingest/files?name=other", "text/plain", text).await;
    let again = &again["files"][0];
    assert_eq!((&again["known"], &again["created"]), (&json!(true), &json!(0)));
    assert_eq!(again["statements"], first["statements"]);
    assert_eq!(count(&app.pool, changes).await, before);
}

#[tokio::test]
async fn a_statement_that_lost_a_line_is_put_aside_with_the_sum_that_is_missing_until_it_comes_whole() {
    let app = TestApp::with_file(FILE).await;
    let whole = camt(&day(1, 5_000, &[100, -250, 777]));
    let at = whole.rfind("<Ntry>").unwrap();
    let end = whole.rfind("</Ntry>").unwrap() + "</Ntry>".len();
    let broken = format!("{}{}", &whole[..at], &whole[end..]);
    let answer = post(&app, &broken).await;
    let statement = &answer["statements"][0];
    assert_eq!(
        (&statement["state"], &statement["missing"]),
        (&json!("put_aside"), &json!("777")),
        "{answer}"
    );
    assert!(statement["reason"].as_str().unwrap().contains("7.77"), "{answer}");
    assert!(
        transactions(&app).await.is_empty() && balance(&app).await.is_none(),
        "nothing of it is published"
    );
    let open = "select count(*) from statements where state = 'put_aside' and settled_at is null";
    assert_eq!(count(&app.pool, open).await, 1);
    assert_eq!(alarms(&app.pool, app.name()).await.unwrap().unbalanced, 1);
    post(&app, &whole).await;
    assert_eq!(booked(&transactions(&app).await), [-250, 100, 777]);
    assert_eq!(count(&app.pool, open).await, 0, "the whole one took its place");
    assert_eq!(alarms(&app.pool, app.name()).await.unwrap(), Alarms::default());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_has_nothing_of_its_call_taken() {
    let app = TestApp::with_file(FILE).await;
    let good = mt940(&day(1, 0, &[1]));
    let cut = camt(&day(2, 1, &[2]));
    let cut = &cut[..cut.len() / 2];
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"good.sta\"\r\n\r\n{good}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"cut.xml\"\r\n\r\n{cut}\r\n--b--\r\n"
    );
    let (status, answer) = app.post("/ingest/files", "multipart/form-data; boundary=b", form.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let detail = answer["Detail"].as_str().unwrap();
    assert!(detail.contains("cut.xml") && detail.contains("Nothing of this call was taken"), "{detail}");
    assert_eq!(count(&app.pool, "select count(*) from statement_files").await, 0);
    let form = form.replace(cut, &camt(&day(2, 1, &[2])));
    let (status, answer) = app.post("/ingest/files", "multipart/form-data; boundary=b", form).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let names: Vec<&Value> = answer["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["good.sta", "cut.xml"]);
    for wrong in ["", "x", "<a/>", "--b\r\n"] {
        let (status, _) = app.post("/ingest/files", "text/plain", wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_provider_without_files_takes_none() {
    let app = TestApp::new().await;
    let (status, answer) = app.post("/ingest/files", "text/plain", mt940(&day(1, 0, &[1]))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(answer["Detail"].as_str().unwrap().contains("no `files`"), "{answer}");
}

#[tokio::test]
async fn pages_in_several_files_wait_for_each_other_in_any_order() {
    let first =
        ":20:A\n:25:DE1\n:28C:7/1\n:60F:C260302EUR0,\n:61:2603020302CR1,NTRFNONREF\n:62M:C260302EUR1,\n-\n";
    let second =
        ":20:A\n:25:DE1\n:28C:7/2\n:60M:C260302EUR1,\n:61:2603020302CR2,NTRFNONREF\n:62F:C260302EUR3,\n-\n";
    let mut ids = Vec::new();
    for order in [[first, second], [second, first]] {
        let app = TestApp::with_file(FILE).await;
        let answer = post(&app, order[0]).await;
        assert_eq!(answer["statements"][0]["state"], "waiting", "{answer}");
        assert!(transactions(&app).await.is_empty());
        let answer = post(&app, order[1]).await;
        assert_eq!(answer["statements"][0]["state"], "published", "{answer}");
        let rows = transactions(&app).await;
        assert_eq!((booked(&rows), balance(&app).await), (vec![100, 200], Some(300)));
        let waiting = "select count(*) from statements where state = 'waiting'";
        assert_eq!(count(&app.pool, waiting).await, 0);
        ids.push(rows);
    }
    assert_eq!(ids[0], ids[1], "in whatever order they come");
}

#[tokio::test]
async fn what_was_pending_and_is_not_booked_is_cancelled_and_what_is_booked_keeps_its_id() {
    let app = TestApp::with_file(FILE).await;
    let expected = report(&day(1, 0, &[100, 777])).replace("BOOK", "PDNG");
    post(&app, &expected).await;
    let pending = transactions(&app).await;
    assert!(pending.iter().all(|(_, status, _)| status == "PENDING"), "{pending:?}");
    assert_eq!(balance(&app).await, None);
    post(&app, &camt(&day(1, 0, &[100]))).await;
    let now = transactions(&app).await;
    let ids = |rows: &[(String, String, i64)]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&now), ids(&pending));
    let states: Vec<(&str, i64)> = now.iter().map(|(_, status, units)| (status.as_str(), *units)).collect();
    assert!(states.contains(&("SUCCEEDED", 100)) && states.contains(&("CANCELLED", 777)), "{states:?}");
}

#[tokio::test]
async fn a_statement_that_is_missing_is_told_and_the_others_are_published() {
    let app = TestApp::with_file(FILE).await;
    post(&app, &camt(&day(1, 0, &[100]))).await;
    post(&app, &camt(&day(2, 100, &[5]))).await;
    let answer = post(&app, &camt(&day(4, 305, &[1]))).await;
    assert_eq!(answer["statements"][0]["state"], "published");
    let told = answer["warnings"].to_string();
    assert!(told.contains("does not open where") && told.contains("statement 3 is missing"), "{told}");
    assert_eq!(alarms(&app.pool, app.name()).await.unwrap().gaps, 2);
    let answer = post(&app, &camt(&day(3, 105, &[200]))).await;
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(alarms(&app.pool, app.name()).await.unwrap(), Alarms::default());
    assert_eq!((booked(&transactions(&app).await), balance(&app).await), (vec![1, 5, 100, 200], Some(306)));
}

#[tokio::test]
async fn rules_that_would_give_the_same_money_other_ids_are_refused() {
    let app = TestApp::with_file(FILE).await;
    post(&app, &camt(&day(1, 0, &[100]))).await;
    for (from, to, told) in [
        ("files:\n", "files:\n  movements: details\n", "movements: entries"),
        ("DE1: main", "DE1: other", "\"main\""),
    ] {
        let file = FILE.replace(from, to);
        let other = instance(&app, &file);
        let text = camt(&day(2, 100, &[5]));
        let (status, answer) = other.post("/ingest/files", "text/xml", text).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer["Detail"].as_str().unwrap().contains(told), "{answer}");
    }
    assert_eq!(transactions(&app).await.len(), 1);
}

#[tokio::test]
async fn with_a_person_go_the_files_that_tell_of_them_and_their_bytes_are_not_taken_again() {
    let app = TestApp::with_file(FILE).await;
    let text = mt940(&day(1, 0, &[100])).replace("Something", "Jane Doe");
    post(&app, &text).await;
    post(&app, &mt940(&day(2, 100, &[5]))).await;
    let (keys, also) = (Keyring::default(), ["jane doe".to_owned()]);
    let wanted = Wanted { provider: app.name(), id: "nobody", with_payments: false, also: &also };
    let found = find(&app.pool, &keys, wanted).await.unwrap();
    assert_eq!(found.files.len(), 1);
    erase(&app.pool, wanted, &found, false).await.unwrap();
    let left = "select count(*) from statement_files where bytes is not null";
    assert_eq!(count(&app.pool, left).await, 1);
    assert_eq!(post(&app, &text).await["known"], true);
    // a transaction takes the file that it came from with it
    let id = transactions(&app).await.into_iter().find(|(.., units)| *units == 5).unwrap().0;
    let wanted = Wanted { provider: app.name(), id: &id, with_payments: false, also: &[] };
    erase(&app.pool, wanted, &find(&app.pool, &keys, wanted).await.unwrap(), false).await.unwrap();
    assert_eq!(count(&app.pool, left).await, 0);
}

#[tokio::test]
async fn a_file_is_checked_without_a_database() {
    let place = Place::new("statement-check");
    std::fs::write(place.0.join("bank.yaml"), FILE.replace("acme", "bank")).unwrap();
    let whole = mt940(&day(1, 5_000, &[100, -250]));
    std::fs::write(place.0.join("whole.sta"), &whole).unwrap();
    std::fs::write(place.0.join("short.sta"), whole.replace("C260302EUR50,00", "C260302EUR51,00")).unwrap();
    let output =
        place.run(&["statement", "check", "whole.sta", "--provider", "bank.yaml", "--records"]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("DE1/EUR: statement 1 of 2026-03-02, 2 entries"),
        "{told}"
    );
    let app = TestApp::with_file(FILE).await;
    post(&app, &whole).await;
    for (id, ..) in transactions(&app).await {
        assert!(told.contains(&id), "the ids are those that they get: {told}");
    }
    let output = place.run(&["statement", "check", "short.sta"]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && told.contains("put aside") && told.contains("1.00"), "{told}");
}
