//! API keys: only digests are kept, and a revoked key opens nothing.

use axum::http::StatusCode;
use tributary::store::api_keys;

use crate::support::TestApp;
use crate::support::app::{read, secret_of};

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_then_on() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/accounts").await.0, StatusCode::OK);
    let keys = api_keys::list(&app.pool, Some(app.name())).await.unwrap();
    let connector = keys.iter().find(|key| key.scope == "connector").unwrap();
    assert!(api_keys::revoke(&app.pool, connector.id).await.unwrap());
    assert!(!api_keys::revoke(&app.pool, connector.id).await.unwrap(), "once is enough");
    assert_eq!(app.get("/accounts").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        read(app.call(app.get_request("/accounts", &app.ingest_key)).await).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn the_database_holds_no_key() {
    let app = TestApp::new().await;
    let dump: String = sqlx::query_scalar("select string_agg(k::text, ' ') from api_keys k")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    for key in [&app.connector_key, &app.ingest_key] {
        assert!(!dump.contains(secret_of(key)));
    }
}
