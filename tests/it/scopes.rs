//! Which key opens which route: every route of both listeners, asked with every kind of key. The table in
//! docs/security.md is what has to come out.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;
use tower::ServiceExt as _;
use tributary_domain::Scope;

use crate::support::TestApp;
use crate::support::app::{new_test_key, read};

/// The columns of the table, in its order.
const COLUMNS: [&str; 9] = [
    "no key",
    "unknown",
    "expired",
    "revoked",
    "`read`",
    "`pay`",
    "`connector`",
    "`ingest`",
    "of another provider",
];

/// A key of each column but the last; none in the first.
async fn keys(app: &TestApp) -> Vec<Option<String>> {
    let new = async |scope| new_test_key(&app.pool, app.name(), scope).await;
    let (expired, revoked) = (new(Scope::Connector).await, new(Scope::Connector).await);
    for (key, column) in [(&expired, "expires_at"), (&revoked, "revoked_at")] {
        let id = key.strip_prefix("trb_").unwrap().split_once('_').unwrap().0;
        let changed = format!("update api_keys set {column} = clock_timestamp() where id = '{id}'");
        assert_eq!(app.sql(&changed).await, 1);
    }
    let (_, unknown) = tributary::http::new_api_key();
    let mut keys = vec![None, Some(unknown), Some(expired), Some(revoked)];
    for scope in [Scope::Read, Scope::Pay, Scope::Connector, Scope::Ingest] {
        keys.push(Some(new(scope).await));
    }
    keys
}

/// The scope of the key that opens a route, as far as its path tells.
fn scope_of(path: &str) -> Scope {
    match path {
        path if path.starts_with("/ingest") => Scope::Ingest,
        _ => Scope::Connector,
    }
}

async fn ask(router: &Router, method: &str, path: &str, key: Option<&str>) -> u16 {
    let path = path.replace("{accountId}", "mine").replace("{provider}", "acme");
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    read(answer).await.0.as_u16()
}

/// The lines of the table: one for each route at each address where it is.
async fn table(app: &TestApp) -> Vec<String> {
    let keys = keys(app).await;
    let mut routes = tributary::http::routes();
    routes.sort_by(|(_, one), (_, other)| one.cmp(other));
    let mut lines = vec![];
    for (method, path) in routes {
        let other = new_test_key(&app.pool, &"other".parse().unwrap(), scope_of(&path)).await;
        // with limits of its own for each route: these requests are many for strangers
        let fresh = (app.connector_key.clone(), app.ingest_key.clone());
        let fresh = TestApp::with_keys(app, app.service.clone(), fresh);
        for (address, router) in [("all", &fresh.router), ("operators", &fresh.operator)] {
            let mut statuses = vec![];
            for key in keys.iter().map(Option::as_deref).chain([Some(other.as_str())]) {
                statuses.push(ask(router, method, &path, key).await.to_string());
            }
            // "there is no such path" is what every key hears where a route is not
            if statuses.iter().any(|status| status != "404") || path == "/metrics" && address == "operators" {
                lines.push(format!("| `{method} {path}` | {address} | {} |", statuses.join(" | ")));
            }
        }
    }
    lines
}

#[tokio::test]
async fn each_route_opens_to_the_keys_that_the_documents_name() {
    let app = TestApp::new().await;
    app.push("accounts", &[json!({"id": "mine", "accountName": "m", "createdAt": "2026-03-01T12:00:00Z"})])
        .await;
    let table = table(&app).await;
    let documents = include_str!("../../docs/security.md");
    let head = format!("| route | address | {} |", COLUMNS.join(" | "));
    let documented = documents.lines().skip_while(|line| *line != head).skip(2);
    let documented: Vec<&str> = documented.take_while(|line| line.starts_with('|')).collect();
    assert!(documented == table, "docs/security.md has to say:\n{head}\n{}", table.join("\n"));
    // no route is missing in it, and none is anywhere but where the router says
    for (method, path) in tributary::http::routes() {
        assert!(
            table.iter().any(|line| line.starts_with(&format!("| `{method} {path}` |"))),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn another_providers_key_sees_and_changes_nothing() {
    let app = TestApp::new().await;
    app.push("accounts", &[json!({"id": "mine", "accountName": "m", "createdAt": "2026-03-01T12:00:00Z"})])
        .await;
    app.publish_all().await;
    let other = "other".parse().unwrap();
    let reader = new_test_key(&app.pool, &other, Scope::Read).await;
    let pusher = new_test_key(&app.pool, &other, Scope::Ingest).await;
    assert_eq!(app.get_ok("/accounts").await.as_array().unwrap().len(), 1);
    assert_eq!(read(app.call(app.get_request("/accounts", &reader)).await).await.1, json!([]));
    let renamed = json!([{"id": "mine", "accountName": "taken", "createdAt": "2026-03-01T12:00:00Z"}]);
    let push = Request::post("/ingest/accounts").header(header::AUTHORIZATION, format!("Bearer {pusher}"));
    let push = push.header(header::CONTENT_TYPE, "application/json").body(Body::from(renamed.to_string()));
    assert_eq!(read(app.call(push.unwrap()).await).await.1["created"], 1);
    let name: String = sqlx::query_scalar("select name from accounts where provider = 'acme'")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(name, "m");
}
