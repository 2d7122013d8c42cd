//! The endpoints.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use chrono::DateTime;
use futures::stream;
use serde::Deserialize;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::Starling;
use super::directory::Account;
use super::guard::{ApiError, guard};
use super::payments;
use super::render::{self, FeedItemsBody};
use super::state::Listing;
use super::types::{self, Accounts, Balance, Millis, Payees, SavingsGoal, SavingsGoals};
use super::uids;

type Bank = State<Arc<Starling>>;

/// The API under `/api/v2`. Every request needs the token; unknown paths and ids are 404, a
/// parameter that is missing or no RFC 3339 time is 400, each with the bank's error body.
pub fn router(state: Arc<Starling>) -> Router {
    let feed = "/api/v2/feed/account/{account}/category/{category}";
    Router::new()
        .route("/api/v2/accounts", get(accounts))
        .route("/api/v2/accounts/{account}/balance", get(balance))
        .route("/api/v2/account/{account}/savings-goals", get(savings_goals))
        .route("/api/v2/account/{account}/savings-goals/{goal}", get(savings_goal))
        .route("/api/v2/payees", get(payees))
        .route("/api/v2/payments/local/account/{account}/category/{category}", put(payments::pay))
        .route(feed, get(changed_items))
        .route(&format!("{feed}/transactions-between"), get(items_between))
        .route(&format!("{feed}/{{item}}"), get(feed_item))
        .fallback(|| async { ApiError::NotFound("Resource") })
        .layer(from_fn_with_state(Arc::clone(&state), guard))
        .with_state(state)
}

/// Serves the API on `listener` until `shutdown` resolves and open requests are answered.
///
/// # Errors
/// Whatever the listener fails with.
pub async fn serve(
    listener: TcpListener,
    state: Arc<Starling>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(state)).with_graceful_shutdown(shutdown).await
}

async fn accounts(State(bank): Bank) -> Json<Accounts> {
    let account = |account: &Account| types::Account {
        account_uid: account.uid,
        default_category: bank.directory.categories[usize::from(account.default_category)].uid,
        currency: account.currency.code,
        created_at: Millis(account.created_at_ms),
    };
    Json(Accounts { accounts: bank.directory.accounts.iter().map(account).collect() })
}

async fn balance(State(bank): Bank, Path(account): Path<String>) -> Result<Json<Balance>, ApiError> {
    let account = find_account(&bank, &account)?;
    Ok(Json(render::balance(account, bank.read().sums(account.default_category))))
}

async fn savings_goals(
    State(bank): Bank,
    Path(account): Path<String>,
) -> Result<Json<SavingsGoals>, ApiError> {
    let account = find_account(&bank, &account)?;
    let savings_goal_list = account.goals.iter().filter_map(|&category| goal_body(&bank, category)).collect();
    Ok(Json(SavingsGoals { savings_goal_list }))
}

async fn savings_goal(
    State(bank): Bank,
    Path((account, goal)): Path<(String, String)>,
) -> Result<Json<SavingsGoal>, ApiError> {
    let category = find_category(&bank, &account, &goal)?;
    goal_body(&bank, category).map(Json).ok_or(ApiError::NotFound("Savings goal"))
}

async fn payees(State(bank): Bank) -> Response {
    Json(Payees { payees: &bank.directory.payees }).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Since {
    changes_since: Option<String>,
}

async fn changed_items(
    State(bank): Bank,
    Path((account, category)): Path<(String, String)>,
    query: Result<Query<Since>, QueryRejection>,
) -> Result<Response, ApiError> {
    let category = find_category(&bank, &account, &category)?;
    let Query(query) = query.map_err(garbled)?;
    let since_ms = time("changesSince", query.changes_since.as_deref(), Rounding::Up)?;
    let listing = bank.read().changes_since(category, since_ms);
    Ok(feed_items(bank, listing))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Between {
    min_transaction_timestamp: Option<String>,
    max_transaction_timestamp: Option<String>,
}

async fn items_between(
    State(bank): Bank,
    Path((account, category)): Path<(String, String)>,
    query: Result<Query<Between>, QueryRejection>,
) -> Result<Response, ApiError> {
    let category = find_category(&bank, &account, &category)?;
    let Query(query) = query.map_err(garbled)?;
    let min_ms = time("minTransactionTimestamp", query.min_transaction_timestamp.as_deref(), Rounding::Up)?;
    let max_ms = time("maxTransactionTimestamp", query.max_transaction_timestamp.as_deref(), Rounding::Down)?;
    let listing = bank.read().transactions_between(category, min_ms, max_ms);
    Ok(feed_items(bank, listing))
}

async fn feed_item(
    State(bank): Bank,
    Path((account, category, item)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    let category = find_category(&bank, &account, &category)?;
    let not_found = || ApiError::NotFound("Feed item");
    let index =
        parse_uid(&item).and_then(|uid| uids::item_index(bank.directory.seed, uid)).ok_or_else(not_found)?;
    let item = bank.read().item(category, index).ok_or_else(not_found)?;
    let reference = bank.reference(index);
    Ok(Json(render::feed_item(&bank.directory, index, &item, reference)).into_response())
}

/// The books are free again when the text is written: it may take long to send.
fn feed_items(bank: Arc<Starling>, listing: Listing) -> Response {
    bank.faults.count_shown_late(listing.kept_back);
    let body = Body::from_stream(stream::iter(FeedItemsBody::new(bank, listing.items)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn goal_body(bank: &Starling, category: u16) -> Option<SavingsGoal> {
    let entry = &bank.directory.categories[usize::from(category)];
    let currency = bank.directory.owner(category).currency;
    let goal = entry.goal.as_ref()?;
    Some(render::savings_goal(entry.uid, goal, currency, bank.read().sums(category)))
}

fn find_account<'a>(bank: &'a Starling, account: &str) -> Result<&'a Account, ApiError> {
    parse_uid(account).and_then(|uid| bank.directory.account(uid)).ok_or(ApiError::NotFound("Account"))
}

pub(super) fn find_category(bank: &Starling, account: &str, category: &str) -> Result<u16, ApiError> {
    let account = find_account(bank, account)?;
    let category = parse_uid(category).and_then(|uid| bank.directory.category(account.uid, uid));
    category.ok_or(ApiError::NotFound("Category"))
}

/// An id that is no UUID names nothing: that is a 404, not a 400.
fn parse_uid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

/// Such as a parameter that is given twice.
fn garbled(rejection: QueryRejection) -> ApiError {
    ApiError::BadRequest(rejection.body_text())
}

/// Which whole millisecond stands for a time between two.
#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

fn time(name: &str, given: Option<&str>, rounding: Rounding) -> Result<i64, ApiError> {
    let text = given.ok_or_else(|| ApiError::BadRequest(format!("{name} is missing")))?;
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| ApiError::BadRequest(format!("{name} is not an RFC 3339 time")))?;
    let between_two = time.timestamp_subsec_nanos() % 1_000_000 > 0;
    let up = i64::from(matches!(rounding, Rounding::Up) && between_two);
    Ok(time.timestamp_millis() + up)
}
