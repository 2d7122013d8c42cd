//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};

use super::{payments, render};
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// The kinds of records that are the first leg of a transaction.
const FIRST_LEGS: &[&str] = &["topup", "payment", "card_payment", "card_refund", "transfer", "exchange"];

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/api/1.0/accounts", get(accounts))
        .route("/api/1.0/accounts/{id}", get(account))
        .route("/api/1.0/transactions", get(transactions))
        .route("/api/1.0/transaction/{id}", get(transaction))
        .route("/api/1.0/counterparties", get(counterparties))
        .route("/api/1.0/pay", post(payments::pay))
        .route("/api/1.0/transfer", post(payments::transfer))
}

async fn accounts(State(shared): Shared) -> Json {
    let view = shared.view();
    let body = |number: usize| render::account(&view.accounts[number], view.balance(number));
    (0..view.accounts.len()).map(body).collect()
}

async fn account(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let number = view.find_account(&id).ok_or(Refusal::NotFound("account"))?;
    Ok(render::account(&view.accounts[number], view.balance(number)))
}

/// Whether a transaction has a leg in an account.
fn touches(view: &View<'_>, visible: &Visible<'_>, account: &str) -> bool {
    let twin = visible.item.twin.map(|twin| view.items[twin].account);
    [Some(visible.item.account), twin].into_iter().flatten().any(|number| view.accounts[number].id == account)
}

/// Newest first. `from` is part of the window of times of creation, `to` is not.
async fn transactions(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let from_us = asked.time("from")?.map_or(i64::MIN, |given| given.at_us);
    let to_us = asked.time("to")?.map_or(i64::MAX, |given| given.at_us);
    let count = asked.limit("count", 100, 1_000)?;
    let mut rows = view.records(FIRST_LEGS);
    rows.retain(|visible| {
        let kind = match visible.item.kind.name {
            "payment" => "transfer",
            kind => kind,
        };
        (from_us..to_us).contains(&visible.created_at_us())
            && asked.text("type").is_none_or(|wanted| wanted == kind)
            && asked.text("account").is_none_or(|account| touches(&view, visible, account))
    });
    rows.sort_by_key(|visible| std::cmp::Reverse((visible.created_at_us(), visible.item.number)));
    let page = shared.counted_page(&asked.path, rows.len(), 0, count);
    Ok(rows[page.rows].iter().map(|visible| render::transaction(&view, visible)).collect())
}

async fn transaction(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let rows = view.records(FIRST_LEGS);
    let visible = rows.iter().find(|visible| render::transaction_id(view.seed(), visible.item.number) == id);
    visible.map(|visible| render::transaction(&view, visible)).ok_or(Refusal::NotFound("transaction"))
}

/// Newest first, those created before a time.
async fn counterparties(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let before_us = asked.time("created_before")?.map_or(i64::MAX, |given| given.at_us);
    let limit = asked.limit("limit", 1_000, 1_000)?;
    let rows = view.beneficiaries.iter().rev().filter(|one| one.created_at_us < before_us);
    Ok(rows.take(limit).map(render::counterparty).collect())
}
