//! The endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, put};

use super::{payments, render};
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, long_list, object};

type Bank = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;
/// The ids of an account and a category.
type Place = Path<(String, String)>;

pub fn routes() -> Router<Arc<Standin>> {
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
}

async fn accounts(State(bank): Bank) -> Json {
    let view = bank.view();
    let accounts: Json = view.main_accounts().map(|place| render::account(&view, place)).collect();
    object! { "accounts": accounts }
}

async fn balance(State(bank): Bank, Path(account): Path<String>) -> Answer {
    let view = bank.view();
    Ok(render::balance(&view, find_account(&view, &account)?))
}

async fn savings_goals(State(bank): Bank, Path(account): Path<String>) -> Answer {
    let view = bank.view();
    let account = find_account(&view, &account)?;
    let goals = view.spaces(account).enumerate();
    let goals: Json = goals.map(|(nth, place)| render::savings_goal(&view, nth, place)).collect();
    Ok(object! { "savingsGoalList": goals })
}

async fn savings_goal(State(bank): Bank, Path((account, goal)): Place) -> Answer {
    let view = bank.view();
    let account = find_account(&view, &account)?;
    let goal = view.spaces(account).enumerate().find(|(_, place)| view.accounts[*place].id == goal);
    let (nth, place) = goal.ok_or(Refusal::NotFound("Savings goal"))?;
    Ok(render::savings_goal(&view, nth, place))
}

async fn payees(State(bank): Bank) -> Json {
    let view = bank.view();
    let payees: Json = render::payees(&view).collect();
    object! { "payees": payees }
}

async fn changed_items(State(bank): Bank, Path(place): Place, asked: Asked) -> Result<Response, Refusal> {
    let since_us = time(&asked, "changesSince")?;
    feed_items(&bank, &place, |visible| visible.updated_at_us() >= since_us)
}

async fn items_between(State(bank): Bank, Path(place): Place, asked: Asked) -> Result<Response, Refusal> {
    let min_us = time(&asked, "minTransactionTimestamp")?;
    let max_us = time(&asked, "maxTransactionTimestamp")?;
    feed_items(&bank, &place, |visible| (min_us..=max_us).contains(&render::transaction_us(visible.item)))
}

fn feed_items(
    bank: &Standin,
    (account, category): &(String, String),
    is_asked_for: impl Fn(&Visible<'_>) -> bool,
) -> Result<Response, Refusal> {
    let view = bank.view();
    let mut rows = view.records_of(find_category(&view, account, category)?);
    rows.retain(is_asked_for);
    rows.sort_by_key(|visible| Reverse((render::transaction_us(visible.item), visible.item.number)));
    Ok(long_list("feedItems", rows.iter().map(|visible| render::feed_item(&view, visible))))
}

async fn feed_item(
    State(bank): Bank,
    Path((account, category, id)): Path<(String, String, String)>,
) -> Answer {
    let view = bank.view();
    let place = find_category(&view, &account, &category)?;
    let visible = view.record_of(place, &id).ok_or(Refusal::NotFound("Feed item"))?;
    Ok(render::feed_item(&view, &visible))
}

fn find_account(view: &View<'_>, id: &str) -> Result<usize, Refusal> {
    let place = view.find_account(id).filter(|place| view.main_accounts().contains(place));
    place.ok_or(Refusal::NotFound("Account"))
}

/// The position of the account or the savings goal with this category.
pub fn find_category(view: &View<'_>, account: &str, category: &str) -> Result<usize, Refusal> {
    let account = find_account(view, account)?;
    let mut places = view.spaces(account).chain([account]);
    let place = places.find(|&place| render::category_uid(view, place) == category);
    place.ok_or(Refusal::NotFound("Category"))
}

/// A time, which has to be given, once, and as more than a day.
fn time(asked: &Asked, field: &'static str) -> Result<i64, Refusal> {
    let bad = |message: &str| Refusal::BadRequest { field, message: message.to_owned() };
    if asked.others(&[]).filter(|(name, _)| *name == field).count() > 1 {
        return Err(bad("is given more than once"));
    }
    match asked.time(field)? {
        None => Err(bad("is missing")),
        Some(given) if given.is_date => Err(bad("is a day and no time")),
        Some(given) => Ok(given.at_us),
    }
}
