//! The stand-in's promises, checked through its router (no port) and against its ledger.

mod answers;
mod balances;
mod determinism;
mod errors;
mod faults;
mod lives;
mod network;
mod shapes;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use super::{Clock, Ledger, LedgerItem, Starling, StarlingConfig, router};

const TOKEN: &str = "token-of-the-test";

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

/// A bank of 5 accounts and 2,000 items whose clock stands at [`noon`].
fn config() -> StarlingConfig {
    StarlingConfig { items: 2_000, clock: Clock::manual(noon()), ..StarlingConfig::new(7, TOKEN) }
}

fn bank() -> Arc<Starling> {
    open(config())
}

fn open(config: StarlingConfig) -> Arc<Starling> {
    Arc::new(Starling::new(config).unwrap())
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn items(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()["feedItems"].as_array().unwrap().clone()
    }
}

async fn ask(bank: &Arc<Starling>, path: &str, authorization: Option<&str>) -> Result<Answer, axum::Error> {
    let mut request = Request::get(path);
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = router(Arc::clone(bank)).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await?.to_vec()).unwrap();
    Ok(Answer { status: head.status, headers: head.headers, text })
}

async fn get(bank: &Arc<Starling>, path: &str) -> Answer {
    ask(bank, path, Some(&format!("Bearer {TOKEN}"))).await.unwrap()
}

fn feed(account: Uuid, category: Uuid) -> String {
    format!("/api/v2/feed/account/{account}/category/{category}")
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

async fn changes_since(bank: &Arc<Starling>, category: &(Uuid, Uuid), since: DateTime<Utc>) -> Vec<Value> {
    let feed = feed(category.0, category.1);
    get(bank, &format!("{feed}?changesSince={}", stamp(since))).await.items()
}

/// Every feed there is, as (account, category).
fn categories(ledger: &Ledger) -> Vec<(Uuid, Uuid)> {
    let of_account = |account: &super::LedgerAccount| {
        let goals = account.goals.iter().map(|goal| goal.uid);
        let account_uid = account.uid;
        std::iter::once(account.default_category)
            .chain(goals)
            .map(move |uid| (account_uid, uid))
            .collect::<Vec<_>>()
    };
    ledger.accounts.iter().flat_map(of_account).collect()
}

fn of_category<'a>(ledger: &'a Ledger, category: &(Uuid, Uuid)) -> impl Iterator<Item = &'a LedgerItem> {
    ledger.items.iter().filter(move |item| (item.account, item.category) == *category)
}

/// The facts of an item that both the API and the ledger tell, in one comparable line.
fn line_of_ledger(item: &LedgerItem) -> String {
    let (amount, currency, direction) = (item.amount_minor, item.currency, item.direction);
    let settled = item.settled_at.map_or("-".to_owned(), stamp);
    let (time, updated) = (stamp(item.transaction_time), stamp(item.updated_at));
    let status = item.status.as_str();
    format!("{} {status} {amount} {currency} {direction:?} {time} {settled} {updated}", item.uid)
        .to_uppercase()
}

fn line_of_answer(item: &Value) -> String {
    let text = |field: &str| item[field].as_str().unwrap_or("-").to_owned();
    let fields = [
        text("feedItemUid"),
        text("status"),
        item["amount"]["minorUnits"].as_i64().unwrap().to_string(),
        item["amount"]["currency"].as_str().unwrap().to_owned(),
        text("direction"),
        text("transactionTime"),
        text("settlementTime"),
        text("updatedAt"),
    ];
    fields.join(" ").to_uppercase()
}

/// Sorted, so that lists in different orders can be compared.
fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines
}
