//! Whoever has a key that pushes records, and lies about orders with it: each lie is refused, whatever
//! the order is at just then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::TestApp;
use crate::support::till::Till;

/// A kind of lie, and whether it may be what is known already.
type Lie = (&'static str, bool, fn(&Order) -> Value);

/// What an order is known by, also to a liar.
#[derive(sqlx::FromRow)]
struct Order {
    id: String,
    idempotency_key: String,
    kind: String,
    asset: String,
    amount: i64,
    provider_key: String,
    provider_payment_id: Option<String>,
}

const LIES: [Lie; 9] = [
    ("it failed", true, |order| json!({"status": "FAILED", "orderReference": order.provider_key})),
    ("it was cancelled", true, |order| json!({"status": "CANCELLED", "orderReference": order.provider_key})),
    ("it succeeded", true, |order| json!({"status": "SUCCEEDED", "orderReference": order.provider_key})),
    (
        "it failed, by the bank's id",
        true,
        |order| json!({"status": "FAILED", "orderReference": order.provider_payment_id}),
    ),
    (
        "another amount failed",
        false,
        |order| json!({"status": "FAILED", "orderReference": order.provider_key, "amount": (order.amount + 1).to_string()}),
    ),
    (
        "another amount succeeded",
        false,
        |order| json!({"status": "SUCCEEDED", "orderReference": order.provider_key, "amount": "1"}),
    ),
    ("another asset succeeded", false, |order| {
        let asset = if order.asset == "JPY" { "CHF/2" } else { "JPY" };
        json!({"status": "SUCCEEDED", "orderReference": order.provider_key, "currency": asset})
    }),
    ("it has the order's id", false, |order| json!({"id": order.id, "status": "FAILED"})),
    (
        "a child says that it failed",
        false,
        |order| json!({"status": "FAILED", "relatedTransactionID": order.idempotency_key}),
    ),
];

/// How often each lie was refused.
#[derive(Default)]
pub struct Lies(Mutex<BTreeMap<&'static str, u64>>);

impl Lies {
    /// Tells every lie about one order after the other, until `stop`.
    pub async fn tell(self: Arc<Self>, till: Arc<Till>, app: TestApp, stop: CancellationToken) {
        let mut rng = SmallRng::seed_from_u64(666);
        let mut told = 0_usize;
        while !stop.is_cancelled() {
            let pause = Duration::from_millis(rng.random_range(1..15));
            if let Some(order) = any_order(&till, &mut rng).await {
                told += 1;
                self.push(&app, &order, told).await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn push(&self, app: &TestApp, order: &Order, number: usize) {
        let lies = LIES.iter().enumerate().map(|(place, (name, may_be_known, words))| {
            let mut record = json!({"id": format!("lie-{number}-{place}"), "type": order.kind,
                "currency": order.asset, "amount": order.amount.to_string(),
                "createdAt": chrono::Utc::now().to_rfc3339()});
            record.as_object_mut().unwrap().extend(words(order).as_object().unwrap().clone());
            (*name, *may_be_known, record)
        });
        // without a name that the order has, it says nothing of the order
        let lies: Vec<_> =
            lies.filter(|(_, _, record)| !record.get("orderReference").is_some_and(Value::is_null)).collect();
        let body: Vec<&Value> = lies.iter().map(|(_, _, record)| record).collect();
        let body = serde_json::to_vec(&body).unwrap();
        let (status, answer) = app.post("/ingest/transactions", "application/json", body).await;
        if status.is_server_error() {
            // a busy database
            return;
        }
        if status == StatusCode::FORBIDDEN && answer["Title"] == "Not pushed" {
            // its file takes no lie at all
            return;
        }
        assert!(status.is_success(), "{status} {answer}");
        assert_eq!((&answer["created"], &answer["updated"]), (&json!(0), &json!(0)), "{answer}");
        let refused = answer["quarantined"].as_array().unwrap().iter().map(|entry| entry["index"].as_u64());
        let refused: Vec<Option<u64>> = refused.collect();
        for (place, (name, may_be_known, record)) in lies.iter().enumerate() {
            let is_refused = refused.contains(&Some(place as u64));
            assert!(is_refused || *may_be_known, "{name}: {answer}: {record}");
            *self.0.lock().unwrap().entry(name).or_default() += u64::from(is_refused);
        }
    }

    /// Each kind of lie was told and refused, and none is among what is served.
    pub async fn were_all_refused(&self, till: &Till) {
        let counts = self.0.lock().unwrap().clone();
        println!("lies that were refused: {counts:?}");
        let told = |name: &&str| counts.get(*name).is_some_and(|count| *count > 0);
        let never: Vec<_> = LIES.iter().map(|(name, ..)| name).filter(|name| !told(name)).collect();
        assert!(never.is_empty(), "never told and refused: {never:?}");
        let served = "select (select count(*) from transactions where id like 'lie-%')
                       + (select count(*) from unmatched_records where id like 'lie-%')
                       + (select count(*) from payment_orders where record_id like 'lie-%' or reason like '%lie-%')";
        let served: i64 = sqlx::query_scalar(served).fetch_one(&till.app.pool).await.unwrap();
        assert_eq!(served, 0);
    }
}

async fn any_order(till: &Till, rng: &mut SmallRng) -> Option<Order> {
    let orders: Vec<Order> = sqlx::query_as(
        "select id::text, idempotency_key, kind, asset, amount::bigint as amount, provider_key, provider_payment_id
         from payment_orders order by $1 and status <> 'PENDING', created_at desc limit 20",
    )
    // every other time of one that is open
    .bind(rng.random_range(0..2) == 0)
    .fetch_all(&till.app.pool)
    .await
    .ok()?;
    let place = (!orders.is_empty()).then(|| rng.random_range(0..orders.len()))?;
    orders.into_iter().nth(place)
}
