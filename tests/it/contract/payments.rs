//! Payouts and transfers, ordered as the recorded connector ordered them: each is accepted or
//! refused, and shows as one payment.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::{Path as UrlPath, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tributary::config::{Provider, Source};
use tributary::payments::{Payer, Payments, Policy};
use tributary::sync::{DatabaseShared, run_once};
use tributary_domain::Asset;
use tributary_formance::kept::InitiationStatus;
use tributary_formance::recording::{Call, CallKind, Input, RecordedOrder};
use tributary_formance::{Initiation, Integer, Kind, Movement, PaymentStatus};
use tributary_manifest::CompiledProvider;

use crate::support::till::{Formance, now, quick, secret, unlimited};
use crate::support::{TestApp, records};

/// What the provider has, by provider key: kind and request.
type Desk = Arc<Mutex<BTreeMap<String, (String, Value)>>>;

async fn pay(
    State(desk): State<Desk>,
    UrlPath(kind): UrlPath<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let key = body["key"].as_str().unwrap().to_owned();
    desk.lock().unwrap().entry(key.clone()).or_insert((kind, body));
    Json(json!({"id": format!("p-{key}"), "state": "OPEN"}))
}

async fn list(State(desk): State<Desk>) -> Json<Value> {
    let desk = desk.lock().unwrap();
    let payment = |(key, (kind, body)): (&String, &(String, Value))| {
        json!({"id": format!("p-{key}"), "kind": kind, "key": key, "amount": body["amount"],
               "currency": body["currency"], "from": body["from"], "to": body["to"]})
    };
    Json(desk.iter().map(payment).collect())
}

/// A provider that pays both ways; everything in its list is done.
fn provider_file(url: &str) -> String {
    let section = |kind: &str| {
        format!(
            r#"  {kind}:
    to: any
    post: /pay/{kind}
    key: {{ header: Idempotency-Key, form: uuid, kept: 1h }}
    body: {{ key: $key, amount: .amount, currency: $asset, from: $from.id, to: $to.id }}
    made: {{ id: .id, status: .state }}
    statuses: {{ PENDING: OPEN }}
"#
        )
    };
    format!(
        r#"provider: acme
feed: {{ pace: 1000/s }}
api: {url}
auth: {{ bearer: token-of-the-test }}
limits: {{ pace: 1000/s, burst: 100 }}
every: 1h
pull:
  transactions:
    payments:
      get: /payments
      rows: .
      map: |
        {{ id, type: (if .kind == "payouts" then "PAYOUT" else "TRANSFER" end), status: "SUCCEEDED", createdAt: $now,
          amount, currency, sourceAccountID: .from, destinationAccountID: .to, orderReference: .key }}
pay:
{}{}"#,
        section("payouts"),
        section("transfers")
    )
}

fn recorded() -> Vec<(Movement, RecordedOrder, Vec<tributary_formance::recording::Exchange>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/tributary-formance/tests/fixtures/traces-selection.jsonl");
    let calls = std::fs::read_to_string(file).unwrap();
    let calls = calls.lines().filter_map(|line| serde_json::from_str::<Call>(line).ok());
    let ordered = calls.filter_map(|call| match (call.kind, call.input) {
        (CallKind::Payouts, Some(Input::Order(order))) => Some((Movement::Payout, order, call.exchanges)),
        (CallKind::Transfers, Some(Input::Order(order))) => Some((Movement::Transfer, order, call.exchanges)),
        _ => None,
    });
    ordered.collect()
}

fn initiation(order: &RecordedOrder, reference: &str) -> Initiation {
    Initiation {
        reference: reference.to_owned(),
        amount: Integer::parse(&order.amount).unwrap(),
        asset: order.asset.clone(),
        source: order.source.clone(),
        destination: order.destination.clone(),
        description: order.description.clone(),
        metadata: order.metadata.clone(),
    }
}

#[tokio::test]
async fn recorded_payouts_and_transfers_are_one_payment_each() {
    let desk = Desk::default();
    let fsp = Router::new()
        .route("/pay/{kind}", post(pay))
        .route("/payments", get(list))
        .with_state(Arc::clone(&desk));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = provider_file(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, fsp).await });
    let base = TestApp::with_file(&file).await;
    let Source::Pull(manifest) = Provider::parse(&file, &|_| None).unwrap().source else {
        panic!("it is pulled")
    };
    let shared = Arc::new(DatabaseShared::new(base.pool.clone(), base.name().clone()));
    let connection = Arc::new(CompiledProvider::with_shared(base.name(), &manifest, shared).unwrap());
    let recorded = recorded();
    let limits = unlimited(recorded.iter().map(|(_, order, _)| order.asset.as_str()));
    let payer = Payer { apis: connection.payments(), policy: Policy { limits, ..Policy::default() } };
    let payers = HashMap::from([(base.name().clone(), payer)]);
    let payments = Payments::new(base.pool.clone(), "one".to_owned(), payers, Some(secret()), quick());
    let app = TestApp::paying(&base, payments);
    app.push("accounts", &[records::account("acc_1", "2026-01-01T00:00:00Z")]).await;
    let payee =
        json!({"id": "ben_1", "ownerName": "Ann", "createdAt": "2026-01-01T00:00:00Z", "metadata": {}});
    app.push("beneficiaries", &[payee]).await;

    let mut formance = Formance::of(&app).await;
    let (mut accepted, mut refused, mut unasked) = (Vec::new(), 0, 0);
    for (case, (movement, order, exchanges)) in recorded.iter().enumerate() {
        // the recording has one reference for many orders
        let reference = format!("{}-{case}", order.reference);
        let as_recorded = initiation(order, &order.reference).request(*movement);
        let Ok(request) = as_recorded else {
            assert!(exchanges.is_empty(), "{order:?}: it was asked");
            unasked += 1;
            continue;
        };
        assert_eq!(
            exchanges.first().map(|exchange| (&exchange.path, &exchange.body)),
            Some((&request.path, &request.body))
        );
        assert!(formance.kept.initiate(&reference, now()));
        let outcome = formance.client.create(*movement, &initiation(order, &reference)).await;
        formance.kept.conclude(&reference, &outcome, now());
        match outcome {
            Ok(row) => {
                assert_eq!(row.payment().status, PaymentStatus::Pending);
                accepted.push(reference);
            }
            Err(error) => {
                assert!(
                    error.class().is_final() && Asset::parse("asset", &order.asset).is_err(),
                    "{order:?}: {error}"
                );
                refused += 1;
            }
        }
    }
    println!("{} accepted, {refused} refused, {unasked} never asked", accepted.len());
    assert!(accepted.len() >= 20, "{}", accepted.len());
    let open: Vec<(String, Option<String>)> =
        sqlx::query_as("select distinct state, reason from payment_orders where state <> 'pending'")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    assert_eq!(desk.lock().unwrap().len(), accepted.len(), "each of them moved money once: {open:?}");
    run_once(&app.pool, app.name(), &connection, &Arc::default()).await.unwrap();
    formance.poll(&app).await;
    let (rows, payments) = (formance.client.requests(), formance.kept.payments().len());
    assert_eq!(
        payments,
        accepted.len(),
        "one payment for each key ({rows} requests, {:?})",
        Kind::Transactions
    );
    for reference in &accepted {
        let payment =
            formance.kept.payments().iter().find(|payment| payment.key.identity == *reference).unwrap();
        assert_eq!(payment.status(), PaymentStatus::Succeeded, "{reference}");
        let initiation = formance.kept.initiation(reference).unwrap();
        assert_eq!(initiation.status(), InitiationStatus::Processed, "{reference}");
        assert_eq!(initiation.payments.len(), 1);
    }
}
