//! Accounts and beneficiaries: first sight only, in the provider's own dates where they ascend.

use tributary::store::feeds;
use tributary_domain::FeedName;
use tributary_formance::Kind;

use crate::support::{Consumer, Loop, TestApp, records};

async fn created_at(app: &TestApp) -> Vec<(String, String, Option<String>)> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    app.feed("accounts")
        .await
        .iter()
        .map(|body| {
            (
                text(&body["id"]).unwrap(),
                text(&body["createdAt"]).unwrap(),
                text(&body["metadata"]["tributary.createdAt"]),
            )
        })
        .collect()
}

#[tokio::test]
async fn accounts_keep_the_providers_dates_where_they_ascend() {
    let app = TestApp::new().await;
    app.push(
        "accounts",
        &[
            records::account("b", "2021-05-01T00:00:00Z"),
            records::account("a", "2019-05-01T00:00:00.5+02:00"),
        ],
    )
    .await;
    app.publish_all().await;
    assert_eq!(
        created_at(&app).await,
        [
            ("a".into(), "2019-04-30T22:00:00.500000Z".into(), None),
            ("b".into(), "2021-05-01T00:00:00.000000Z".into(), None)
        ]
    );
}

#[tokio::test]
async fn an_account_that_turns_up_late_gets_the_time_of_publication_and_keeps_its_date_in_metadata() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("new", "2025-01-01T00:00:00Z")]).await;
    app.publish_all().await;
    app.push("accounts", &[records::account("old", "2001-01-01T00:00:00Z")]).await;
    app.publish_all().await;
    let (id, served, original) = created_at(&app).await.pop().unwrap();
    assert_eq!(id, "old");
    assert!(served.as_str() > "2026", "{served}");
    assert_eq!(original.as_deref(), Some("2001-01-01T00:00:00.000000Z"));
}

#[tokio::test]
async fn a_date_in_the_future_is_not_served_ahead_of_the_clock() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2199-01-01T00:00:00Z")]).await;
    app.publish_all().await;
    let (_, served, original) = created_at(&app).await.pop().unwrap();
    assert!(served.as_str() < "2199", "{served}");
    assert_eq!(original.as_deref(), Some("2199-01-01T00:00:00.000000Z"));
}

#[tokio::test]
async fn a_rename_makes_no_entry() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2021-05-01T00:00:00Z")]).await;
    let mut renamed = records::account("a", "2021-05-01T00:00:00Z");
    renamed["accountName"] = "Another".into();
    assert_eq!(app.push("accounts", &[renamed]).await["updated"], 1);
    app.publish_all().await;
    assert_eq!(app.feed("accounts").await.len(), 1);
}

#[tokio::test]
async fn a_first_full_sync_is_held_back_until_it_ends_and_goes_out_in_the_order_of_dates() {
    let app = TestApp::new().await;
    let mut connection = app.pool.acquire().await.unwrap();
    assert!(feeds::await_first_sync(&mut connection, app.name(), FeedName::Accounts).await.unwrap());
    app.push("accounts", &[records::account("newer", "2024-01-01T00:00:00Z")]).await;
    assert_eq!(app.publish().await, 0);
    app.push("accounts", &[records::account("older", "2014-01-01T00:00:00Z")]).await;
    feeds::end_first_sync(&mut connection, app.name(), FeedName::Accounts).await.unwrap();
    app.publish_all().await;
    let dates: Vec<String> = created_at(&app).await.into_iter().map(|(_, served, _)| served).collect();
    assert_eq!(dates, ["2014-01-01T00:00:00.000000Z", "2024-01-01T00:00:00.000000Z"]);
    assert!(
        !feeds::await_first_sync(&mut connection, app.name(), FeedName::Accounts).await.unwrap(),
        "once is enough"
    );
}

#[tokio::test]
async fn beneficiaries_are_served_as_accounts_are() {
    let app = TestApp::new().await;
    app.push(
        "beneficiaries",
        &[serde_json::json!({"id": "ben_1", "ownerName": "Ann", "createdAt": "2026-01-01T00:00:00Z"})],
    )
    .await;
    app.publish_all().await;
    assert_eq!(
        app.get_ok("/beneficiaries").await,
        serde_json::json!([{"id": "ben_1", "ownerName": "Ann", "createdAt": "2026-01-01T00:00:00.000000Z", "metadata": {}}])
    );
}

#[tokio::test]
async fn s18_an_old_account_found_late_and_300_of_one_date_are_all_ingested() {
    let app = TestApp::new().await;
    let same_day: Vec<_> =
        (0..300).map(|i| records::account(&format!("a{i}"), "2024-01-01T00:00:00Z")).collect();
    app.push("accounts", &same_day).await;
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Accounts, form).await;
        consumer.poll().await;
        let old = records::account(&format!("old_{form:?}"), "1999-01-01T00:00:00Z");
        app.push("accounts", &[old]).await;
        app.publish_all().await;
        assert_eq!(consumer.poll().await, 1);
        consumer.check(&app).await;
    }
}
