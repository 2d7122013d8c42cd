//! What waits for a person is told to the company's own address: signed, once however many instances look, until it
//! arrives, and no longer than it waits.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ring::hmac;
use serde_json::Value;
use tributary::config::Notify;
use tributary::notify::Notifier;
use tributary::store::notifications::{self, Notification};
use tributary::sync::{Housekeeper, Retention};

use crate::support::TestApp;
use crate::support::jobs::count;
use crate::support::process::{FILE_KEY, Place, stop};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A call that the company's address got.
#[derive(Clone)]
struct Call {
    id: String,
    body: Value,
}

/// The company's address: it looks at signatures, and answers with what it is told to.
#[derive(Clone)]
struct Desk {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    answers: Arc<Mutex<StatusCode>>,
    /// Whoever has it keeps answers back.
    answering: Arc<tokio::sync::Mutex<()>>,
}

impl Desk {
    async fn open() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/of-the-desk-t0ken", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(StatusCode::NO_CONTENT));
        let desk = Self { url, calls: Arc::default(), answers, answering: Arc::default() };
        let app = Router::new().fallback(take).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        desk
    }

    fn notify(&self) -> Notify {
        let set = |name: &str| Some(if name.ends_with("URL") { self.url.clone() } else { SECRET.to_owned() });
        Notify::of(&set).unwrap().unwrap()
    }

    fn notifier(&self, app: &TestApp) -> Notifier {
        Notifier::new(app.service.clone(), vec![app.name().clone()], self.notify()).unwrap()
    }

    fn answer(&self, status: StatusCode) {
        *self.answers.lock().unwrap() = status;
    }

    async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.answering).lock_owned().await
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> =
            self.calls().iter().map(|call| call.body["type"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    }
}

/// As the libraries of Standard Webhooks prove a call.
async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let age = Utc::now() - DateTime::from_timestamp(timestamp.parse().unwrap(), 0).unwrap();
    assert!(age.num_seconds().abs() < 60, "{age}");
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat();
    let code = header("webhook-signature");
    let code = STANDARD.decode(code.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &code).expect("it is signed");
    desk.calls.lock().unwrap().push(Call { id, body: serde_json::from_slice(&body).unwrap() });
    let _answering = desk.answering.lock().await;
    *desk.answers.lock().unwrap()
}

/// An order in `state`, of an amount and a payee that nobody else has to know.
async fn order(app: &TestApp, key: &str, state: &str) {
    app.sql(&format!(
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount,
           source_account_id, destination_account_id, state, provider_key, request)
         values (gen_random_uuid(), 'acme', 'PAYOUT', '{key}', sha256('f'), 'EUR/2', 98765, 'a', 'jane-doe', '{state}',
           '{key}', '{{}}')"
    ))
    .await;
}

/// One of everything that may wait.
async fn everything(app: &TestApp) {
    order(app, "invoice-17", "parked").await;
    order(app, "invoice-18", "held").await;
    app.sql(
        "insert into quarantine (provider, resource, raw, reason, raw_digest, fault, fault_group)
         values ('acme', 'transactions', '{}', 'jane-doe', sha256('{}'), 'jane-doe', '00000000000000aa');
         insert into sync_leases (provider, stream_group, failures) values ('acme', 'payments', 3), ('acme', 'accounts', 2);
         insert into consumers (provider, resource, key, first_polled_at, polled_at, gaps)
         values ('acme', 'accounts', 'file:acme/connector', now() - interval '1 day', now() - interval '2 hours', '{1800,1800,1800}'),
                ('acme', 'transactions', 'file:acme/connector', now() - interval '1 day', now() - interval '40 minutes', '{1800,1800,1800}')",
    )
    .await;
}

const ALL: [&str; 5] =
    ["consumer.silent", "payment.approval_waiting", "payment.parked", "provider.failing", "quarantine.grew"];

async fn all(app: &TestApp) -> Vec<Notification> {
    notifications::list(&app.pool, None, 100).await.unwrap()
}

#[tokio::test]
async fn each_thing_that_waits_is_told_once_with_what_to_type_and_without_amounts_or_names() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    let notifier = desk.notifier(&app);
    notifier.look().await.unwrap();
    assert!(desk.calls().is_empty());
    everything(&app).await;
    // another instance looks at the same moment
    let other = desk.notifier(&app);
    for _ in 0..3 {
        let (one, two) = tokio::join!(notifier.look(), other.look());
        one.and(two).unwrap();
    }
    assert_eq!(desk.kinds(), ALL);
    for Call { id, body } in desk.calls() {
        let command = body["data"]["command"].as_str().unwrap();
        assert!(command.starts_with("tributary ") || command.starts_with("fctl payments "), "{command}");
        assert_eq!(body["data"]["provider"], "acme");
        assert!(body["timestamp"].as_str().unwrap().parse::<DateTime<Utc>>().is_ok(), "{body}");
        let text = body.to_string();
        assert!(!text.contains("98765") && !text.contains("jane-doe"), "{text}");
        assert!(all(&app).await.iter().any(|told| told.id.to_string() == id && told.delivered_at.is_some()));
    }
    let silent = desk.calls().into_iter().find(|call| call.body["type"] == "consumer.silent").unwrap();
    assert_eq!(silent.body["data"]["feed"], "accounts", "40 minutes are not two periods of 30");
}

#[tokio::test]
async fn what_begins_to_wait_again_is_told_again_and_what_waits_no_longer_is_not() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    let notifier = desk.notifier(&app);
    order(&app, "invoice-17", "parked").await;
    let pass = async |state: &str| {
        app.rewrite(&format!("update payment_orders set state = '{state}'")).await;
        notifier.look().await.unwrap();
    };
    notifier.look().await.unwrap();
    pass("unknown").await;
    assert!(all(&app).await[0].ended_at.is_some());
    pass("parked").await;
    assert_eq!(desk.kinds(), ["payment.parked"; 2]);
    assert_ne!(desk.calls()[0].id, desk.calls()[1].id);
    // one that could not be told before it ended is not told any more
    pass("unknown").await;
    desk.answer(StatusCode::SERVICE_UNAVAILABLE);
    pass("parked").await;
    assert_eq!((desk.calls().len(), all(&app).await[0].next_at.is_some()), (3, true));
    pass("unknown").await;
    let ended = all(&app).await.remove(0);
    assert!(ended.ended_at.is_some() && ended.next_at.is_none() && ended.delivered_at.is_none(), "{ended:?}");
    // and history goes in the end
    let later = Utc::now() + chrono::TimeDelta::days(91);
    Housekeeper::new(app.service.clone(), vec![], Retention::default()).forget(later).await.unwrap();
    assert!(all(&app).await.is_empty());
}

#[tokio::test]
async fn it_is_tried_again_at_growing_distances_under_one_id_and_given_up_in_the_end() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    let notifier = desk.notifier(&app);
    order(&app, "invoice-17", "parked").await;
    desk.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let mut waits = Vec::new();
    loop {
        notifier.look().await.unwrap();
        let told = all(&app).await.remove(0);
        assert_eq!(told.last_error.as_deref(), Some("answered 500 Internal Server Error"));
        let Some(next) = told.next_at else { break };
        waits.push((next - Utc::now()).num_seconds() + 1);
        // not before its time
        notifier.look().await.unwrap();
        assert_eq!(desk.calls().len(), waits.len());
        app.sql("update notifications set next_at = now()").await;
    }
    assert_eq!(desk.calls().len(), 11);
    assert!(waits.is_sorted() && waits[0] <= 5 && waits[9] > 15 * 3600, "{waits:?}");
    assert!(desk.calls().iter().all(|call| call.id == desk.calls()[0].id));
}

#[tokio::test]
async fn it_arrives_once_the_address_answers_again_and_a_redirect_is_not_followed() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    order(&app, "invoice-17", "parked").await;
    for status in [StatusCode::FOUND, StatusCode::GONE, StatusCode::OK] {
        desk.answer(status);
        desk.notifier(&app).look().await.unwrap();
        app.sql("update notifications set next_at = now() where next_at is not null").await;
    }
    let told = all(&app).await.remove(0);
    assert!(told.delivered_at.is_some() && told.last_error.is_none() && told.attempts == 3, "{told:?}");
    desk.notifier(&app).look().await.unwrap();
    assert_eq!(desk.calls().len(), 3);
}

#[tokio::test]
async fn while_one_instance_waits_for_an_answer_no_other_sends_the_same() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    let (one, two) = (desk.notifier(&app), desk.notifier(&app));
    order(&app, "invoice-17", "parked").await;
    let held = desk.hold().await;
    let looking = tokio::spawn(async move { one.look().await });
    while desk.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    two.look().await.unwrap();
    drop(held);
    looking.await.unwrap().unwrap();
    two.look().await.unwrap();
    assert_eq!((desk.calls().len(), all(&app).await[0].attempts), (1, 1));
}

#[tokio::test]
async fn instances_that_serve_tell_it_and_neither_log_nor_table_has_the_address_or_the_secret() {
    let (app, desk) = (TestApp::new().await, Desk::open().await);
    everything(&app).await;
    let place = Place::new("notifications");
    let log = |name: &str| Stdio::from(std::fs::File::create(place.0.join(name)).unwrap());
    let serve = async |name: &str, url: &str| {
        let set = |command: &mut tokio::process::Command| {
            command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &app.url).stderr(log(name));
            command
                .env("TRIBUTARY_LOG", "debug")
                .env("TRIBUTARY_NOTIFY_URL", url)
                .env("TRIBUTARY_NOTIFY_SECRET", SECRET);
        };
        place.serve_as(set).await.0
    };
    // one at which nobody listens: it is tried, and told in the log
    let nowhere = serve("nowhere", "http://127.0.0.1:9/of-the-desk-t0ken").await;
    let tried = async {
        while count(&app.pool, "select count(*) from notifications where last_error is not null").await < 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tried).await.expect("they are tried");
    stop(nowhere).await;
    app.sql("update notifications set next_at = now()").await;
    let (one, two) = (serve("one", &desk.url).await, serve("two", &desk.url).await);
    let told = async {
        while count(&app.pool, "select count(*) from notifications where delivered_at is not null").await < 5
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("they are told");
    stop(one).await;
    stop(two).await;
    assert_eq!(desk.kinds(), ALL);

    let listed = place.command(&["notifications"]).env("DATABASE_URL", &app.url).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(ALL.iter().all(|kind| listed.contains(kind)), "{listed}");
    let logs: String =
        ["nowhere", "one", "two"].iter().map(|n| std::fs::read_to_string(place.0.join(n)).unwrap()).collect();
    assert!(logs.contains("what waits for a person could not be told"), "{logs}");
    let rows: Vec<String> =
        sqlx::query_scalar("select n::text from notifications n").fetch_all(&app.pool).await.unwrap();
    for hidden in ["t0ken", &SECRET[6..]] {
        assert!(!logs.contains(hidden) && !listed.contains(hidden), "{hidden}");
        assert!(rows.iter().all(|row| !row.contains(hidden)), "{hidden} in {rows:?}");
    }
}

#[tokio::test]
async fn a_mistake_in_its_configuration_is_told_at_the_start() {
    let place = Place::new("notify_mistakes");
    for (url, secret) in
        [("http://ops.example/t0ken", SECRET), ("https://ops.example/t0ken", "s3cret-of-mine")]
    {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("ACME_KEY", FILE_KEY)
            .env("TRIBUTARY_NOTIFY_URL", url)
            .env("TRIBUTARY_NOTIFY_SECRET", secret);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("TRIBUTARY_NOTIFY_"), "{said}");
        assert!(!said.contains("t0ken") && !said.contains("s3cret") && !said.contains("MfKQ"), "{said}");
    }
}
