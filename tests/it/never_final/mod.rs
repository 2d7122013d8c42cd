//! Formance takes every 4xx but 408, 421, 423, 425 and 429 for final, and pauses a schedule for good
//! after ten of them. So whatever happens to us, it hears "again", and once that is over the same request is answered.

mod company;

use std::time::Duration;

use axum::http::{StatusCode, header};
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::Value;
use tributary_domain::{ProviderName, Scope};

use company::{Company, TROUBLES, Trouble};

use crate::support::TestApp;
use crate::support::app::{new_test_key, read};
use crate::support::process::{FILE_KEY, Place, signal};

/// What is not final, of the statuses below 500.
const AGAIN: [u16; 5] = [408, 421, 423, 425, 429];

/// What Formance asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Route {
    Accounts,
    Balances,
    Beneficiaries,
    Transactions,
    Payout,
    Transfer,
}

impl Route {
    const ALL: [Self; 6] = [
        Self::Accounts,
        Self::Balances,
        Self::Beneficiaries,
        Self::Transactions,
        Self::Payout,
        Self::Transfer,
    ];

    fn writes(self) -> bool {
        matches!(self, Self::Payout | Self::Transfer)
    }

    /// Method and path, where `account` is one that is served.
    fn target(self, account: &str) -> (&'static str, String) {
        match self {
            Self::Accounts => ("GET", "/accounts?page=1&pageSize=100&sort=createdAt:asc".to_owned()),
            Self::Balances => ("GET", format!("/accounts/{account}/balances")),
            Self::Beneficiaries => {
                ("GET", "/beneficiaries?page=1&pageSize=100&sort=createdAt:asc".to_owned())
            }
            Self::Transactions => ("GET", "/transactions?page=1&pageSize=100&sort=updatedAt:asc".to_owned()),
            Self::Payout => ("POST", "/payouts".to_owned()),
            Self::Transfer => ("POST", "/transfers".to_owned()),
        }
    }
}

/// Whether an answer is one of success. It has to be one that Formance asks for again, if not.
fn is_served(what: &str, answer: Option<&(StatusCode, Value)>) -> bool {
    let Some((status, body)) = answer else { return false };
    if status.is_success() {
        return true;
    }
    assert!(status.is_server_error() || AGAIN.contains(&status.as_u16()), "{what}: a final {status}: {body}");
    for member in ["Title", "Detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: {status}: {body}");
    }
    false
}

#[tokio::test]
async fn no_trouble_of_ours_is_a_final_answer_and_what_was_asked_is_answered_after_it() {
    let company = Company::open().await;
    for trouble in TROUBLES {
        let key = |route: Route| format!("{trouble:?} {route:?}");
        let held = company.begin(trouble).await;
        let asking = Route::ALL.map(async |route| (route, company.ask(route, &key(route)).await));
        let answers = join_all(asking).await;
        for (route, answer) in answers {
            let served = is_served(&key(route), answer.as_ref());
            let expected = trouble == Trouble::ReadOnly && !route.writes();
            assert_eq!(served, expected, "{trouble:?} has to be met by {route:?}: {answer:?}");
        }
        company.end(trouble, held).await;
        let asking =
            Route::ALL.map(async |route| company.ask_until_answered(trouble, route, &key(route)).await);
        join_all(asking).await;
        for route in Route::ALL.into_iter().filter(|route| route.writes()) {
            let moved = company.till.moved(&key(route)).await;
            assert!(moved <= 1, "{trouble:?}: {moved} movements for {route:?}");
        }
    }
}

#[tokio::test]
async fn an_account_that_is_not_known_yet_is_worth_asking_for_again() {
    let app = TestApp::new().await;
    let target = "/accounts/forgotten/balances";
    let response = app.call(app.get_request(target, &app.connector_key)).await;
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    let (status, body) = read(response).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let detail = body["Detail"].as_str().unwrap();
    assert!(detail.contains("forgotten") && detail.contains("sync or push"), "{detail}");
    app.push("accounts", &[crate::support::records::account("forgotten", "2026-01-01T00:00:00Z")]).await;
    app.get_ok(target).await;
}

#[tokio::test]
async fn a_caller_over_its_limit_is_asked_to_come_later_on_every_route() {
    let app = TestApp::with_file("provider: acme\npush: all\ncallers: { requests: 1/s, burst: 22 }\n").await;
    app.push("accounts", &[crate::support::records::account("a", "2026-01-01T00:00:00Z")]).await;
    let ask = async |route: Route| {
        let (method, target) = route.target("a");
        let mut request = app.get_request(&target, &app.connector_key);
        *request.method_mut() = method.parse().unwrap();
        read(app.call(request).await).await
    };
    while ask(Route::Accounts).await.0 == StatusCode::OK {}
    for route in Route::ALL {
        // one a second comes back meanwhile, and is taken at once
        let (mut status, mut body) = ask(route).await;
        while status != StatusCode::TOO_MANY_REQUESTS {
            (status, body) = ask(route).await;
        }
        assert!(!is_served(&format!("{route:?}"), Some(&(status, body))));
    }
}

/// Asks a process what Formance asks.
async fn ask_process(address: &str, key: &str, route: Route) -> (StatusCode, Value) {
    let (method, path) = route.target("a");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("http://{address}{path}")).bearer_auth(key);
    let answer = request.body(if route.writes() { "{}" } else { "" }).send().await.unwrap();
    (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_key_whose_provider_file_is_missing_is_asked_to_come_again_and_a_draining_process_serves() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (app, place) = (TestApp::new().await, Place::new("file_missing"));
    let provider: ProviderName = "gone".parse().unwrap();
    let key = new_test_key(&app.pool, &provider, Scope::Connector).await;
    app.sql("insert into accounts (provider, id, name, created_at) values ('gone', 'a', 'a', '2026-01-01')")
        .await;
    for there in [false, true] {
        if there {
            std::fs::write(place.0.join("providers/gone.yaml"), "provider: gone\npush: all\n").unwrap();
        }
        let (mut server, address) = place
            .serve_as(|command| {
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &app.url);
                command.env("TRIBUTARY_LAME_DUCK", "3s");
            })
            .await;
        let check = async || {
            for route in Route::ALL {
                let (status, body) = ask_process(&address, &key, route).await;
                if there && route.writes() {
                    // what is pushed cannot pay: no trouble of ours, and no money moves
                    assert_eq!(status, StatusCode::FORBIDDEN, "{route:?}: {body}");
                    continue;
                }
                let served =
                    is_served(&format!("{route:?}, the file there: {there}"), Some(&(status, body.clone())));
                assert_eq!(served, there, "{route:?}: {body}");
                assert!(there || body["Detail"].as_str().unwrap().contains("gone.yaml"), "{body}");
            }
            let (status, _) = ask_process(&address, &key.replace("trb_", "trb_0"), Route::Accounts).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "a key that is none is refused for good");
        };
        check().await;
        signal(&server, Signal::SIGTERM);
        check().await;
        let ended =
            tokio::time::timeout(Duration::from_secs(60), server.wait()).await.expect("it stops").unwrap();
        assert!(ended.success(), "{ended}");
    }
}
