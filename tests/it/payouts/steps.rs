//! Payments that take several requests: a quote, a draft of the transfer, and the one that moves the money.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tributary::config::{Provider, Source};
use tributary::encryption::Keyring;
use tributary::payments::{Payer, Payments, Point, Policy, Settings};
use tributary::records::story;
use tributary::sync::{DatabaseShared, RunOutcome, run_once};
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{Initiation, PaymentStatus};
use tributary_manifest::CompiledProvider;

use crate::support::TestApp;
use crate::support::process::Place;
use crate::support::till::{Formance, dead_at, died, now, number, order_of, quick, secret, unlimited};

/// A bank that quotes, drafts and then pays: only `fund` moves money, once for each draft.
const FILE: &str = r#"
provider: acme
api: "${BANK_URL}"
auth: { bearer: token }
limits: { pace: 1000/s }
every: 1h
money: { decimal: .amount, currency: EUR }
pull:
  accounts: { values: main, id: ., name: Main, created: "2026-01-01T00:00:00Z" }
  beneficiaries: { values: "42", id: ., name: Ben, created: "2026-01-01T00:00:00Z" }
pay:
  limits: [{ asset: EUR/2 }]
  payouts:
    steps:
      quote: { post: /quotes, body: { amount: $decimal, to: $to.id }, gives: .id, again: true, no_money: [422] }
      draft:
        post: /drafts
        body: { quote: $quote, reference: $key, note: "of quote {$quote}" }
        gives: .id
        no_money: [409, 422]
    post: /drafts/{$draft}/fund?of={$draft}
    headers: { X-Draft: $draft }
    body: { draft: $draft, kind: BALANCE }
    key: { form: uuid, kept: 24h }
    timeout: 1s
    made: { id: $draft, status: .status }
    statuses: { SUCCEEDED: funded }
    no_money: [422]
    find:
      get: /drafts/{$draft}
      row: .
      where: .status != "draft"
      made: { id: .id, status: .status }
      within: 1s
      every: 1s
"#;

/// What a request becomes instead of what it asks for.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing is done, and 500 is told.
    Nothing,
    /// All is done, and 500 is told.
    Lost,
    /// It is refused.
    Refused,
}

#[derive(Default)]
struct Bank {
    quotes: Vec<Value>,
    /// Drafts by reference: number, quote, and how often it was funded.
    drafts: HashMap<String, Draft>,
    moved: Vec<u64>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    requests: HashMap<&'static str, usize>,
}

struct Draft {
    id: u64,
    quote: String,
    funded: bool,
}

type Shared = Arc<Mutex<Bank>>;

/// Does what is asked for, or what a fault makes of it.
fn answered(
    bank: &Shared,
    endpoint: &'static str,
    act: impl FnOnce(&mut Bank) -> Result<Value, StatusCode>,
) -> Response {
    let mut bank = bank.lock().unwrap();
    *bank.requests.entry(endpoint).or_default() += 1;
    let fault = bank.faults.get_mut(endpoint).and_then(VecDeque::pop_front);
    match fault {
        Some(Fault::Nothing) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Fault::Refused) => return (StatusCode::UNPROCESSABLE_ENTITY, "no").into_response(),
        _ => {}
    }
    let done = act(&mut bank);
    match done {
        _ if fault == Some(Fault::Lost) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Ok(answer) => Json(answer).into_response(),
        Err(status) => status.into_response(),
    }
}

async fn quote(State(bank): State<Shared>, Json(asked): Json<Value>) -> Response {
    answered(&bank, "quote", |bank| {
        bank.quotes.push(asked);
        Ok(json!({"id": format!("q/{}", bank.quotes.len())}))
    })
}

async fn draft(State(bank): State<Shared>, Json(asked): Json<Value>) -> Response {
    answered(&bank, "draft", |bank| {
        let quote = asked["quote"].as_str().ok_or(StatusCode::BAD_REQUEST)?.to_owned();
        if asked["note"] != format!("of quote {quote}") || !quote.starts_with("q/") {
            return Err(StatusCode::BAD_REQUEST);
        }
        let id = 16_000_000_000 + bank.drafts.len() as u64;
        let reference = asked["reference"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
        let draft = bank.drafts.entry(reference.to_owned()).or_insert(Draft { id, quote, funded: false });
        Ok(json!({"id": draft.id, "status": "draft"}))
    })
}

async fn fund(
    State(bank): State<Shared>,
    Path(id): Path<u64>,
    headers: axum::http::HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    answered(&bank, "fund", |bank| {
        if asked["draft"] != id || headers["x-draft"] != id.to_string().as_str() {
            return Err(StatusCode::BAD_REQUEST);
        }
        let draft = bank.drafts.values_mut().find(|draft| draft.id == id).ok_or(StatusCode::NOT_FOUND)?;
        if !std::mem::replace(&mut draft.funded, true) {
            bank.moved.push(id);
        }
        Ok(json!({"status": "funded"}))
    })
}

async fn look(State(bank): State<Shared>, Path(id): Path<u64>) -> Response {
    answered(&bank, "look", |bank| {
        let draft = bank.drafts.values().find(|draft| draft.id == id).ok_or(StatusCode::NOT_FOUND)?;
        Ok(
            json!({"id": draft.id, "quote": draft.quote, "status": if draft.funded { "funded" } else { "draft" }}),
        )
    })
}

/// The bank, and an application that has read whom it can pay.
struct Desk {
    bank: Shared,
    app: TestApp,
    connection: Arc<CompiledProvider>,
}

impl Desk {
    async fn open() -> Self {
        let bank = Shared::default();
        let router = Router::new()
            .route("/quotes", post(quote))
            .route("/drafts", post(draft))
            .route("/drafts/{id}/fund", post(fund))
            .route("/drafts/{id}", get(look))
            .with_state(Arc::clone(&bank));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let variable = move |name: &str| (name == "BANK_URL").then(|| url.clone());
        let Source::Pull(manifest) = Provider::parse(FILE, &variable).unwrap().source else {
            panic!("it is pulled")
        };
        let app = TestApp::with_file(FILE).await;
        let shared = Arc::new(DatabaseShared::new(app.service.clone(), app.name().clone()));
        let connection = Arc::new(CompiledProvider::with_shared(app.name(), &manifest, shared).unwrap());
        let outcome = run_once(&app.service, app.name(), &connection, &Arc::default()).await.unwrap();
        assert!(matches!(outcome, RunOutcome::Succeeded { .. }), "{outcome:?}");
        Self { bank, app, connection }
    }

    fn instance(&self, name: &str, settings: Settings) -> (TestApp, Payments) {
        let policy = Policy { guard: Duration::ZERO, limits: unlimited(["EUR/2"]), ..Policy::default() };
        let payer = Payer { apis: self.connection.payments(), policy };
        let payers = HashMap::from([(self.app.name().clone(), payer)]);
        let payments =
            Payments::new(self.app.service.clone(), name.to_owned(), payers, Some(secret()), settings);
        (TestApp::paying(&self.app, payments.clone()), payments)
    }

    fn fail(&self, endpoint: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.bank.lock().unwrap().faults.insert(endpoint, faults.into_iter().collect());
    }

    fn asked(&self, endpoint: &'static str) -> usize {
        self.bank.lock().unwrap().requests.get(endpoint).copied().unwrap_or_default()
    }

    /// How many drafts there are, and how often money moved.
    fn made(&self) -> (usize, usize) {
        let bank = self.bank.lock().unwrap();
        (bank.drafts.len(), bank.moved.len())
    }

    async fn state(&self) -> String {
        sqlx::query_scalar("select state from payment_orders").fetch_one(&self.app.pool).await.unwrap()
    }

    async fn carry_on(&self, payments: &Payments, state: &str) {
        let arrived = async {
            while self.state().await != state {
                payments.worker().run_once().await.unwrap();
                // what is due is due by the database's clock
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let arrived = tokio::time::timeout(Duration::from_secs(30), arrived).await;
        assert!(arrived.is_ok(), "it stays {} instead of {state}", self.state().await);
    }
}

fn order(key: &str) -> Initiation {
    Initiation { asset: "EUR/2".to_owned(), ..order_of(key, 1500, "main", "42") }
}

/// Formance shows the order as paid, and the money moved once.
async fn is_paid_once(desk: &Desk, formance: &mut Formance, app: &TestApp) {
    formance.poll(app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!(desk.made(), (1, 1), "one draft, funded once");
}

#[tokio::test]
async fn a_payment_of_several_requests_takes_from_each_what_the_next_one_needs() {
    let desk = Desk::open().await;
    let (app, payments) = desk.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let row = formance.pay(&order("k")).await.unwrap();
    assert_eq!(row.payment().status.to_string(), "SUCCEEDED");
    payments.drained().await;
    is_paid_once(&desk, &mut formance, &app).await;
    assert_eq!(desk.bank.lock().unwrap().quotes, [json!({"amount": 15.00, "to": "42"})]);
    let id: String = sqlx::query_scalar("select provider_payment_id from payment_orders")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(id, "16000000000", "the draft is the payment");
    let told = "select count(*) from payment_audit where what = 'a step gave what it is for'";
    assert_eq!(number(&app.pool, told).await, 2, "the audit has both steps");
}

#[tokio::test]
async fn an_order_of_several_steps_is_shown_with_what_each_gave_and_when() {
    let desk = Desk::open().await;
    let (app, payments) = desk.instance("one", quick());
    desk.fail("quote", [Fault::Nothing]);
    let mut formance = Formance::of(&app).await;
    formance.pay(&order("k")).await.unwrap();
    desk.carry_on(&payments, "succeeded").await;
    payments.drained().await;
    app.publish_all().await;
    let place = Place::new("steps_show");
    let shown = async |args: &[&str]| {
        let output = place.command(args).env("DATABASE_URL", &app.url).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = shown(&["payouts", "show", "k"]).await;
    let steps: Vec<&str> = table.lines().filter(|line| line.starts_with("step ")).collect();
    assert!(steps[0].contains(" quote: gave q/1 at 20") && steps[0].ends_with("(asked 2 times)"), "{table}");
    assert!(
        steps[1].contains(" draft: gave 16000000000 at 20") && steps[1].ends_with("(asked once)"),
        "{table}"
    );
    let json: Value =
        serde_json::from_str(&shown(&["payouts", "show", "k", "--output", "json"]).await).unwrap();
    assert_eq!(
        (&json["steps"][1]["gave"], &json["steps"][1]["attempt"]),
        (&json!(16_000_000_000_u64), &json!(1))
    );

    // the story of the record has the same, by the key, by the order's id and by the provider's
    let id = json["id"].as_str().unwrap();
    for name in ["k", id, "16000000000"] {
        let found = story::find(&app.pool, name, None).await.unwrap();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        let story = story::of(&app.pool, &Keyring::default(), found[0].clone(), None).await.unwrap();
        let order = story.order.unwrap();
        assert_eq!(
            (order.steps.len(), order.state.as_str(), order.idempotency_key.as_str()),
            (2, "succeeded", "k")
        );
        let audit = order.audit.unwrap();
        assert!(audit.len() > 4 && audit[0].what == "recorded", "{audit:?}");
        assert!(story.versions.len() >= 2 && story.name.id == id, "{:?}", story.versions);
    }
    // by the login of the service, without the audit
    let found = story::find(&app.service, "k", None).await.unwrap();
    let of_service = story::of(&app.service, &Keyring::default(), found[0].clone(), None).await.unwrap();
    assert_eq!(of_service.order.map(|order| (order.steps.len(), order.audit)), Some((2, None)));
    let table = shown(&["records", "show", "k"]).await;
    assert!(
        table.contains("It was ordered") && table.contains("step quote of attempt 1: gave q/1"),
        "{table}"
    );
}

#[tokio::test]
async fn a_lost_answer_of_a_step_makes_no_second_draft_and_one_of_the_payment_moves_no_second_money() {
    let desk = Desk::open().await;
    desk.fail("quote", [Fault::Lost, Fault::Nothing]);
    desk.fail("draft", [Fault::Lost, Fault::Nothing, Fault::Lost]);
    desk.fail("fund", [Fault::Lost]);
    let (app, payments) = desk.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&order("k")).await.unwrap();
    desk.carry_on(&payments, "succeeded").await;
    is_paid_once(&desk, &mut formance, &app).await;
    assert_eq!((desk.asked("quote"), desk.asked("draft")), (3, 4));
}

#[tokio::test]
async fn a_payment_that_did_not_move_any_money_is_sent_again_with_what_its_steps_gave() {
    let desk = Desk::open().await;
    desk.fail("fund", [Fault::Nothing]);
    let (app, payments) = desk.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&order("k")).await.unwrap();
    desk.carry_on(&payments, "succeeded").await;
    is_paid_once(&desk, &mut formance, &app).await;
    assert_eq!((desk.asked("quote"), desk.asked("draft"), desk.asked("fund")), (1, 1, 2));
}

#[tokio::test]
async fn a_step_that_is_refused_fails_the_order_and_retry_begins_with_steps_of_its_own() {
    let desk = Desk::open().await;
    desk.fail("draft", [Fault::Refused]);
    let (app, payments) = desk.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let row = formance.pay(&order("k")).await.unwrap();
    assert_eq!(row.payment().status.to_string(), "FAILED");
    assert_eq!(desk.made(), (0, 0));
    let reason: String =
        sqlx::query_scalar("select reason from payment_orders").fetch_one(&app.pool).await.unwrap();
    assert!(reason.contains("step draft: refused with 422"), "{reason}");
    formance.poll(&app).await;
    formance.pay(&order("k")).await.unwrap();
    desk.carry_on(&payments, "succeeded").await;
    is_paid_once(&desk, &mut formance, &app).await;
    assert_eq!(desk.asked("quote"), 2, "the second attempt has a quote of its own");
}

/// Orders at an instance that dies at `point`, and has another carry on.
async fn dies(point: Point) {
    let desk = Desk::open().await;
    let (settings, dead) = dead_at(point);
    let (app, _dying) = desk.instance("dying", settings);
    let mut formance = Formance::of(&app).await;
    let initiation = order("k");
    assert!(formance.kept.initiate("k", now()));
    tokio::select! {
        _ = formance.send(&initiation) => {}
        () = died(&dead) => {}
    }
    let (other, survivors) = desk.instance("survivor", quick());
    formance.move_to(&other).await;
    desk.carry_on(&survivors, "succeeded").await;
    formance.send(&initiation).await.unwrap();
    is_paid_once(&desk, &mut formance, &other).await;
}

#[tokio::test]
async fn whoever_dies_before_a_step_is_asked_for_leaves_it_to_another() {
    dies(Point::Asking).await;
}

#[tokio::test]
async fn whoever_dies_over_the_answer_of_a_step_leaves_it_to_another() {
    dies(Point::Asked).await;
}

#[tokio::test]
async fn whoever_dies_before_the_money_moves_leaves_the_steps_that_are_done() {
    dies(Point::Sending).await;
}

#[tokio::test]
async fn whoever_dies_over_the_answer_of_the_payment_has_moved_the_money_once() {
    dies(Point::Sent).await;
}

#[tokio::test]
async fn two_instances_that_take_the_same_order_make_one_draft_and_move_the_money_once() {
    let desk = Desk::open().await;
    let (app, first) = desk.instance("first", quick());
    let (other, second) = desk.instance("second", quick());
    desk.fail("draft", [Fault::Lost, Fault::Lost]);
    let mut formance = Formance::of(&app).await;
    let mut again = Formance::of(&other).await;
    let (one, two) = (order("k"), order("k"));
    let (_, _) = tokio::join!(formance.pay(&one), again.pay(&two));
    let (_, _) = tokio::join!(desk.carry_on(&first, "succeeded"), desk.carry_on(&second, "succeeded"));
    is_paid_once(&desk, &mut formance, &app).await;
}

#[tokio::test]
async fn what_a_step_gave_is_kept_for_ever() {
    let desk = Desk::open().await;
    let (app, payments) = desk.instance("one", quick());
    Formance::of(&app).await.pay(&order("k")).await.unwrap();
    payments.drained().await;
    for sql in
        ["update payment_steps set gave = '\"other\"'", "delete from payment_steps", "truncate payment_steps"]
    {
        assert!(sqlx::query(sql).execute(&app.pool).await.is_err(), "{sql}");
    }
}

#[test]
fn a_file_whose_steps_could_lose_or_repeat_something_is_refused() {
    let url = |name: &str| (name == "BANK_URL").then(|| "http://127.0.0.1:1".to_owned());
    for (from, to, told) in [
        ("reference: $key, ", "", "step draft carries no key"),
        ("post: /drafts/{$draft}/fund?of={$draft}", "post: /fund", "does not carry the key"),
        (
            "quote: $quote, reference",
            "quote: \"$quote | .[2:]\", reference",
            "computes with what the step quote gives",
        ),
        ("gives: .id, again", "again", "`gives` is missing"),
        ("again: true, no_money: [422]", "again: true, no_money: [500]", "name statuses"),
        ("      quote: { post", "      key: { post", "that is no other's"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let mut text = FILE.replacen(from, to, 1);
        if from.starts_with("post: /drafts/") {
            text = text.replace("X-Draft: $draft", "X-Draft: none").replace("draft: $draft, ", "");
        }
        let error = Provider::parse(&text, &url).and_then(|provider| {
            let Source::Pull(manifest) = provider.source else { panic!("it is pulled") };
            CompiledProvider::new(&provider.name, &manifest).map(drop).map_err(|error| error.to_string())
        });
        let error = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(told), "{from} -> {to}: {error}");
    }
}
