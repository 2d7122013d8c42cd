//! One payout and one sync are one story each, whoever works on them; and a collector is never waited for.

mod collector;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::routing::get;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::process::Command;
use tributary::store::{self, payment_orders};
use tributary_domain::Status;
use tributary_standin::kit::PaymentFault;
use uuid::Uuid;

use crate::support::logins::{self, ANN};
use crate::support::process::{FILE_KEY, Place, stop};
use crate::support::server;
use crate::support::till::{MANIFEST, SECRET, TOKEN, impatient, number, small_bank};
use crate::support::{edited, with_fast_feed};
use collector::Collector;

const OBSERVABILITY: &str = include_str!("../../../docs/observability.md");

/// The trace and the span that Formance says it is in.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// What nobody but the parties is to read of the payment.
const AMOUNT: &str = "987653";
const KEY: &str = "invoice-of-somebody";
const DESCRIPTION: &str = "rent-of-somebody";

/// All that a span may carry.
const CARRIED: [&str; 21] = [
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "tributary.attempt",
    "tributary.entries",
    "tributary.feed",
    "tributary.group",
    "tributary.kind",
    "tributary.lookup",
    "tributary.order",
    "tributary.outcome",
    "tributary.partition",
    "tributary.provider",
    "tributary.records",
    "tributary.resource",
    "tributary.step",
    "tributary.stream",
    "tributary.try",
    "url.template",
    // of the process, beside what OTEL_RESOURCE_ATTRIBUTES says
    "service.instance.id",
    "service.version",
];

async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(90), waited).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// A server in `place` whose spans go to `endpoint`, with its log in `log`.
async fn serve(
    place: &Place,
    url: &str,
    endpoint: &str,
    log: &str,
    set: impl FnOnce(&mut Command),
) -> (tokio::process::Child, String) {
    let log = std::fs::File::create(place.0.join(log)).unwrap();
    place
        .serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", url).env("STARLING_TOKEN", TOKEN);
            command.env("TRIBUTARY_PAYMENT_SECRET", SECRET).env("TRIBUTARY_LOG", "info");
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).stderr(log);
            set(command);
        })
        .await
}

/// A place whose bank asks for an approval above 10 pounds if `approved`.
fn bank_place(name: &str, approved: bool) -> Place {
    let place = Place::new(name);
    std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
    let mut file = with_fast_feed(&impatient(MANIFEST));
    if approved {
        file = edited(&file, "{ asset: GBP/2 }", "{ asset: GBP/2, require_approval_above: \"1000\" }");
    }
    let keys = "keys:\n  - { scope: connector, key: \"${ACME_KEY}\" }\n";
    std::fs::write(place.0.join("providers/starling.yaml"), format!("{file}\n{keys}")).unwrap();
    place
}

/// Orders a payout as Formance would; gives the answer and who are paid and pays.
async fn order(pool: &PgPool, address: &str, trace: &str) -> (reqwest::Response, [String; 2]) {
    let one = async |sql: &'static str| sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
    let source: String = one("select id from accounts limit 1").await;
    let payee: String = one("select id from beneficiaries limit 1").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "idempotencyKey": KEY, "amount": AMOUNT, "currency": "GBP/2",
        "sourceAccountId": source, "destinationAccountId": payee, "description": DESCRIPTION });
    let request = client.post(format!("http://{address}/payouts")).bearer_auth(FILE_KEY).json(&body);
    let answer = request.header("traceparent", format!("00-{trace}-{CALLER}-01")).send().await.unwrap();
    (answer, [source, payee])
}

fn log_lines(place: &Place, log: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(place.0.join(log)).unwrap();
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Nothing but what is listed is in a span, and nothing of what is `private` anywhere.
fn tells_nothing(collector: &Collector, private: &[&str]) {
    let spans = collector.spans();
    for (name, value) in spans.iter().flat_map(|span| &span.attributes) {
        assert!(CARRIED.contains(&name.as_str()), "{name} is in no list");
        let holds_hex = ["tributary.order", "service.instance.id"].contains(&name.as_str());
        assert!(holds_hex || !value.contains(AMOUNT), "{name}: {value}");
    }
    let bytes = collector.bytes();
    for private in private {
        assert!(!contains(&bytes, private), "{private} was exported");
    }
}

async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_payout_that_two_instances_work_on_is_one_trace_and_part_of_formances() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (collector, (bank, bank_running)) = (Collector::start().await, small_bank().await);
    let place = bank_place("traced_payout", true);
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let at_bank = |command: &mut Command| {
        command.env("STARLING_URL", &bank_running.url);
    };
    let (first, address) = serve(&place, &url, &collector.endpoint, "a.log", at_bank).await;
    wait_for("payees", async || number(&pool, "select count(*) from beneficiaries").await > 0).await;
    let (answer, parties) = order(&pool, &address, TRACE).await;
    assert_eq!(answer.status(), 201);
    assert!(answer.headers().get("traceparent").is_none(), "the answer is what it always was");
    let placed: Value = answer.json().await.unwrap();
    let id = placed["id"].as_str().unwrap().to_owned();
    // what follows is the other instance's
    collector.until("the row of the order", |span| span.trace == TRACE && span.name == "publish").await;
    stop(first).await;
    bank.set_payment_faults([PaymentFault::ErrorAfter]);
    let (second, _) = serve(&place, &url, &collector.endpoint, "b.log", at_bank).await;
    let ann = logins::person_pool(&url, ANN).await;
    payment_orders::approve(&ann, Uuid::parse_str(&id).unwrap()).await.unwrap();
    wait_for("the money", async || !bank.movements().is_empty()).await;
    bank.move_payment(&bank.movements()[0].key, Status::Succeeded);
    let served = "select count(*) from feed where status = 'SUCCEEDED' and body ->> 'relatedTransactionID' is not null";
    wait_for("the feed", async || number(&pool, served).await > 0).await;
    stop(second).await;

    let trace = collector.of_trace(TRACE);
    eprintln!("{}", trace.tree());
    let first = trace.first();
    assert!(first.iter().all(|span| span.parent == CALLER), "{first:#?}");
    assert_eq!(first.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["POST /payouts"]);
    let ways = trace.ways();
    for way in ["publish", "send payment / PUT", "look up payment / GET"] {
        let way = format!("POST /payouts / place order / {way}");
        assert!(ways.contains(&way), "{way} is not among {ways:#?}");
    }
    let of = |name: &str| trace.0.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!(of("send payment").len(), 1, "it is sent once");
    assert_eq!(of("send payment")[0].attributes["tributary.outcome"], "unknown");
    assert!(of("look up payment").iter().any(|span| span.attributes["tributary.outcome"] == "found"));
    let [here, there] = [of("POST /payouts")[0], of("send payment")[0]].map(|span| &span.instance);
    assert_ne!(here, there);
    let publishers: BTreeSet<_> = of("publish").iter().map(|span| &span.instance).collect();
    assert_eq!(publishers, BTreeSet::from([here, there]), "each told its versions");
    assert!(
        trace.0.iter().filter_map(|span| span.attributes.get("tributary.order")).all(|order| *order == id)
    );

    let lines = log_lines(&place, "a.log");
    let ordered = lines.iter().find(|line| line["message"] == "a payment is ordered").unwrap();
    assert_eq!(
        (&ordered["trace_id"], ordered["span"]["key"].is_string()),
        (&json!(TRACE), true),
        "{ordered}"
    );
    assert!(lines.iter().any(|line| line["message"] == "serving" && line.get("trace_id").is_none()));

    let names = texts(&pool, "select name from accounts union select name from beneficiaries").await;
    let mut private = vec![TOKEN, FILE_KEY, SECRET, KEY, DESCRIPTION, &parties[0], &parties[1]];
    private.extend(names.iter().map(String::as_str));
    tells_nothing(&collector, &private);
    assert!(contains(&collector.bytes(), &id), "the search finds what is there");
}

#[tokio::test]
async fn a_retry_is_a_trace_of_its_own_that_points_to_the_one_before() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (collector, (bank, bank_running)) = (Collector::start().await, small_bank().await);
    let place = bank_place("traced_retry", false);
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let at_bank = |command: &mut Command| {
        command.env("STARLING_URL", &bank_running.url);
    };
    let (server, address) = serve(&place, &url, &collector.endpoint, "retry.log", at_bank).await;
    wait_for("payees", async || number(&pool, "select count(*) from beneficiaries").await > 0).await;
    bank.set_payment_faults([PaymentFault::Refuse("no".to_owned())]);
    order(&pool, &address, TRACE).await;
    let failed = "select count(*) from payment_orders where state = 'failed'";
    wait_for("the refusal", async || number(&pool, failed).await == 1).await;
    // a person would have waited for the guard's time
    sqlx::query("update payment_orders set replied_at = replied_at - interval '1 hour'")
        .execute(&pool)
        .await
        .unwrap();
    let other = "0af7651916cd43dd8448eb211c80319c";
    order(&pool, &address, other).await;
    let sent =
        collector.until("the attempt", |span| span.trace == other && span.name == "send payment").await;
    assert_eq!(sent.attributes["tributary.attempt"], "2");
    let placed = collector.until("the order", |span| span.trace == other && span.name == "place order").await;
    assert_eq!((placed.links, sent.parent), (vec![TRACE.to_owned()], placed.id));
    stop(server).await;
}

/// What a small provider was asked.
type Asked = Arc<Mutex<Vec<HeaderMap>>>;

/// A provider with two pages of accounts.
async fn small_provider() -> (String, Asked) {
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    let list = move |Query(query): Query<Vec<(String, String)>>, headers: HeaderMap| {
        notes.lock().unwrap().push(headers);
        let page = query.iter().find(|(name, _)| name == "page").map_or("", |(_, value)| value.as_str());
        let ids: &[&str] = match page {
            "1" => &["account-of-a", "account-of-b"],
            "2" => &["account-of-c"],
            _ => &[],
        };
        let rows: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "id": id, "name": "Somebody Else", "at": "2026-03-01T12:00:00Z" }))
            .collect();
        async move { Json(json!({ "rows": rows })) }
    };
    let app = axum::Router::new().route("/list", get(list));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, asked)
}

/// Reads the small provider once, with `more` in its file; gives what was exported, what it was asked, and where.
async fn synced(name: &str, more: &str) -> (Collector, Asked, Place) {
    let collector = Collector::start().await;
    let (api, asked) = small_provider().await;
    let place = Place::new(name);
    let file = format!(
        "provider: acme
api: {api}
auth: {{ bearer: {TOKEN} }}
every: 1h
{more}pull:
  accounts:
    get: /list
    page: {{ number: page, first: 1, size: {{ limit: 2 }}, ends: empty }}
    rows: .rows
    id: .id
    name: .name
    created: .at
"
    );
    std::fs::write(place.0.join("providers/acme.yaml"), file).unwrap();
    let url = server::new_database().await;
    let (server, _) = serve(&place, &url, &collector.endpoint, "sync.log", |_| {}).await;
    collector.until("the accounts in the feed", |span| span.name == "publish").await;
    stop(server).await;
    (collector, asked, place)
}

#[tokio::test]
async fn a_sync_is_one_trace_from_its_run_to_the_feed_and_the_provider_is_told_nothing_of_it() {
    let (collector, asked, place) = synced("traced_sync", "").await;
    let run = collector.until("the run", |span| span.name == "sync").await;
    let trace = collector.of_trace(&run.trace);
    eprintln!("{}", trace.tree());
    assert_eq!(trace.first().len(), 1);
    let ways = trace.ways();
    for way in ["read page / GET", "commit page", "commit page / publish"] {
        let way = format!("sync / read stream / read partition / {way}");
        assert!(ways.contains(&way), "{way} is not among {ways:#?}");
    }
    assert_eq!(run.attributes["tributary.outcome"], "succeeded");
    let asks: Vec<_> = trace.0.iter().filter(|span| span.name == "GET").collect();
    assert_eq!((asks.len(), asks[0].attributes["url.template"].as_str()), (3, "/list"), "{asks:#?}");
    let log = log_lines(&place, "sync.log");
    let synced = log.iter().find(|line| line["message"] == "synced").unwrap();
    assert_eq!(synced["trace_id"], run.trace.as_str(), "{synced}");
    assert!(asked.lock().unwrap().iter().all(|headers| headers.get("traceparent").is_none()));
    tells_nothing(&collector, &[TOKEN, "account-of-a", "account-of-c", "Somebody"]);
}

#[tokio::test]
async fn a_provider_is_told_the_trace_where_its_file_says_so() {
    let (collector, asked, _) = synced("told_of_traces", "traceparent: true\n").await;
    let told: BTreeSet<String> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|headers| headers["traceparent"].to_str().unwrap().to_owned())
        .collect();
    let requests: BTreeSet<String> = collector
        .spans()
        .iter()
        .filter(|span| span.name == "GET")
        .map(|span| format!("00-{}-{}-01", span.trace, span.id))
        .collect();
    assert_eq!((told.len(), told), (3, requests), "each request tells its own span");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_payment_and_no_end_and_what_is_lost_is_counted() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let (bank, bank_running) = small_bank().await;
    let place = bank_place("silent_collector", false);
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let at_bank = |command: &mut Command| {
        command.env("STARLING_URL", &bank_running.url);
    };
    let (server, address) = serve(&place, &url, &endpoint, "silent.log", at_bank).await;
    wait_for("payees", async || number(&pool, "select count(*) from beneficiaries").await > 0).await;
    let (answer, _) = order(&pool, &address, TRACE).await;
    assert_eq!(answer.status(), 201);
    wait_for("the money", async || bank.movements().len() == 1).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    wait_for("the count of what is lost", async || {
        let asked = client.get(format!("http://{}/metrics", place.operator(&address))).send().await.unwrap();
        let metrics = asked.text().await.unwrap();
        let dropped = "tributary_trace_spans_dropped_total{reason=\"collector\"} ";
        let count =
            metrics.lines().find_map(|line| line.strip_prefix(dropped)).expect("it is counted from 0 on");
        count != "0"
    })
    .await;
    let stopping = Instant::now();
    stop(server).await;
    // requests and runs end at once; then 5 s for the collector, and room for a busy machine
    assert!(stopping.elapsed() < Duration::from_secs(30), "{:?}", stopping.elapsed());
    let log = std::fs::read_to_string(place.0.join("silent.log")).unwrap();
    assert_eq!(log.matches("the collector did not take spans").count(), 1, "it is said once:\n{log}");
}

#[test]
fn everything_that_a_span_carries_is_documented() {
    for name in CARRIED {
        assert!(OBSERVABILITY.contains(&format!("`{name}`")), "{name} is not in docs/observability.md");
    }
}
