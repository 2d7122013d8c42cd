//! API keys: only digests are kept, and one that is revoked or expired opens nothing.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use tributary::store::api_keys::{self, ApiKey};
use tributary_domain::Scope;

use crate::support::TestApp;
use crate::support::app::{new_test_key, read, secret_of};
use crate::support::process::{FILE_KEY, Place, stop};

async fn connector(app: &TestApp) -> ApiKey {
    let keys = api_keys::list(&app.pool, Some(app.name())).await.unwrap();
    keys.into_iter().find(|key| key.scope == "connector").unwrap()
}

/// Status of a request with `key`.
async fn status(app: &TestApp, method: &str, path: &str, key: &str) -> u16 {
    let request =
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    let request = request.body(Body::empty()).unwrap();
    let response =
        if path.starts_with("/admin") { app.call_operator(request).await } else { app.call(request).await };
    read(response).await.0.as_u16()
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_then_on() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/accounts").await.0, StatusCode::OK);
    let id = connector(&app).await.id;
    assert!(api_keys::revoke(&app.pool, id).await.unwrap());
    assert!(!api_keys::revoke(&app.pool, id).await.unwrap(), "once is enough");
    assert_eq!(app.get("/accounts").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        read(app.call(app.get_request("/accounts", &app.ingest_key)).await).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_expired_key_opens_nothing_though_it_was_used_before() {
    let app = TestApp::new().await;
    app.sql("update api_keys set expires_at = clock_timestamp() + interval '1 hour'").await;
    assert_eq!(app.get("/accounts").await.0, StatusCode::OK);
    app.sql("update api_keys set expires_at = clock_timestamp()").await;
    assert_eq!(app.get("/accounts").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn each_scope_opens_what_it_is_for_and_nothing_else() {
    let app = TestApp::new().await;
    let keys = async |scope| new_test_key(&app.pool, app.name(), scope).await;
    for (scope, reads, pays, pushes) in [
        // nothing is paid at a provider that is pushed, whoever asks; 400, 404: what is asked for makes no sense
        (Scope::Connector, 200, "Not enabled", 403),
        (Scope::Read, 200, "Forbidden", 403),
        (Scope::Pay, 403, "Not enabled", 403),
        (Scope::Ingest, 403, "Forbidden", 400),
    ] {
        let key = keys(scope).await;
        for path in ["/accounts", "/beneficiaries", "/transactions"] {
            assert_eq!(status(&app, "GET", path, &key).await, reads, "{scope:?} {path}");
        }
        for path in ["/payouts", "/transfers"] {
            let mut request = app.get_request(path, &key);
            *request.method_mut() = Method::POST;
            let (status, told) = read(app.call(request).await).await;
            assert_eq!(
                (status, told["Title"].as_str()),
                (StatusCode::FORBIDDEN, Some(pays)),
                "{scope:?} {path}"
            );
        }
        for path in ["/ingest/accounts", "/ingest/transactions"] {
            assert_eq!(status(&app, "POST", path, &key).await, pushes, "{scope:?} {path}");
        }
        assert_eq!(status(&app, "POST", "/admin/v1/sync", &key).await, 401, "{scope:?}: it is for operators");
    }
    let read_key = keys(Scope::Ingest).await;
    let (_, told) = read(app.call(app.get_request("/accounts", &read_key)).await).await;
    assert!(told["Detail"].as_str().unwrap().contains("\"connector\" or \"read\""), "{told}");
}

#[tokio::test]
async fn that_a_key_is_used_is_noted_and_not_with_every_request() {
    let app = TestApp::new().await;
    assert_eq!(connector(&app).await.last_used_at, None);
    app.get_ok("/accounts").await;
    let noted = async {
        loop {
            if let Some(at) = connector(&app).await.last_used_at {
                return at;
            }
            tokio::task::yield_now().await;
        }
    };
    let noted = tokio::time::timeout(std::time::Duration::from_secs(20), noted).await.expect("it is noted");
    let written = async || -> String {
        let row = "select xmin::text from api_keys where scope = 'connector'";
        sqlx::query_scalar(row).fetch_one(&app.pool).await.unwrap()
    };
    let before = written().await;
    for _ in 0..50 {
        app.get_ok("/accounts").await;
    }
    // another instance knows nothing of this one's note, and leaves it as well
    let other =
        TestApp::with_keys(&app, app.pool.clone(), (app.connector_key.clone(), app.ingest_key.clone()));
    other.get_ok("/accounts").await;
    let id = connector(&app).await.id;
    api_keys::used(&app.pool, id).await.unwrap();
    assert_eq!(
        (connector(&app).await.last_used_at, written().await),
        (Some(noted), before),
        "the row is as it was"
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

/// Keys as `keys list` tells them.
async fn listed(place: &Place) -> Vec<serde_json::Value> {
    serde_json::from_str(&place.stdout(&["keys", "list", "--output", "json"]).await).unwrap()
}

#[tokio::test]
async fn keys_are_rotated_with_an_overlap_expire_and_are_revoked_by_name() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("rotation");
    let (server, address) = place.serve(None).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let opens = async |key: &str| {
        let answer = http.get(format!("http://{address}/accounts")).bearer_auth(key).send().await.unwrap();
        answer.status() == 200
    };
    let create =
        ["keys", "create", "--provider", "acme", "--name", "formance", "--scope", "read", "--expires", "90d"];
    let first = place.stdout(&create).await.trim().to_owned();
    let twice = place.run(&create).await;
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(!twice.status.success() && said.contains("keys rotate formance"), "{said}");

    let second = place.stdout(&["keys", "rotate", "formance", "--overlap", "1h"]).await.trim().to_owned();
    assert!(first != second && opens(&first).await && opens(&second).await);
    let keys = listed(&place).await;
    assert_eq!((&keys[0]["state"], &keys[1]["state"]), (&"replaced".into(), &"valid".into()));
    assert_eq!((&keys[0]["replaced_by"], &keys[1]["scope"]), (&keys[1]["id"], &"read".into()));
    let lasts = |key: &serde_json::Value| {
        let at = |field: &str| key[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        (at("expires_at") - at("created_at")).num_days()
    };
    assert_eq!(lasts(&keys[0]), 0, "the overlap ends it");
    assert!((89..=90).contains(&lasts(&keys[1])), "it lasts as long as the one before was made for");

    let third = place.stdout(&["keys", "rotate", "formance", "--overlap", "0s"]).await.trim().to_owned();
    assert!(!opens(&second).await && opens(&third).await && opens(&first).await);
    place.stdout(&["keys", "revoke", "formance", "--provider", "acme"]).await;
    assert!(!opens(&first).await && !opens(&third).await);
    assert!(listed(&place).await.iter().all(|key| key["state"] == "revoked"));
    let gone = place.run(&["keys", "revoke", "formance"]).await;
    assert!(!gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("keys list"));
    // the name is free again
    place.stdout(&create).await;
    stop(server).await;
}

#[tokio::test]
async fn a_key_in_two_files_is_refused_with_both_places() {
    let place = Place::new("same_key");
    let other = "provider: other\npush: all\nkeys:\n  - { scope: ingest, key: \"${OTHER_KEY}\" }\n  - { scope: read, key: \"${ACME_KEY}\" }\n";
    std::fs::write(place.0.join("providers/other.yaml"), other).unwrap();
    let mut command = place.command(&["serve"]);
    let output = command
        .env("ACME_KEY", FILE_KEY)
        .env("OTHER_KEY", "another key of some length")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    for told in ["keys[0] of ", "acme.yaml", "keys[1] of ", "other.yaml"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!output.status.success() && !said.contains(FILE_KEY), "{said}");
}
