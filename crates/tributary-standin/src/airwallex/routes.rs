//! The endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};

use super::lives::MOVEMENTS;
use super::{payments, render};
use crate::kit::times::SECOND_US;
use crate::kit::{Asked, Json, Refusal, Standin, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;
/// Pages behind this one are refused.
const LAST_PAGE: usize = 2_000;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/api/v1/balances/current", get(balances))
        .route("/api/v1/financial_transactions", get(movements))
        .route("/api/v1/financial_transactions/{id}", get(movement))
        .route("/api/v1/transfers", get(transfers))
        .route("/api/v1/transfers/{id}", get(transfer))
        .route("/api/v1/transfers/create", post(payments::create))
        .route("/api/v1/beneficiaries", get(beneficiaries))
}

async fn balances(State(shared): Shared) -> Json {
    let view = shared.view();
    view.accounts.iter().enumerate().map(|(n, account)| render::balance(account, view.balance(n))).collect()
}

async fn beneficiaries(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let count = view.beneficiaries.len();
    paged(&shared, &asked, count, |row| render::beneficiary(&view.beneficiaries[count - 1 - row]))
}

async fn movements(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let mut kinds = MOVEMENTS.to_vec();
    kinds.push("transfer");
    let mut rows = view.records(&kinds);
    window(&asked, &mut rows)?;
    rows.retain(|visible| asked.text("currency").is_none_or(|code| code == visible.account().currency.code));
    paged(&shared, &asked, rows.len(), |row| render::movement(&view, &rows[row]))
}

async fn movement(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(MOVEMENTS, &id).ok_or(Refusal::NotFound("financial transaction"))?;
    Ok(render::movement(&view, &visible))
}

async fn transfers(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let mut rows = view.records(&["transfer"]);
    window(&asked, &mut rows)?;
    rows.retain(|visible| {
        let is_of = |key: &str| view.note(visible.item).is_some_and(|note| note.key == key);
        asked.text("status").is_none_or(|status| status == visible.status())
            && asked.text("request_id").is_none_or(is_of)
    });
    paged(&shared, &asked, rows.len(), |row| render::transfer(&view, &rows[row]))
}

async fn transfer(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(&["transfer"], &id).ok_or(Refusal::NotFound("transfer"))?;
    Ok(render::transfer(&view, &visible))
}

/// Leaves what was created in the window, both ends included, newest first. Times are those that the
/// API shows: whole seconds.
fn window(asked: &Asked, rows: &mut Vec<Visible<'_>>) -> Result<(), Refusal> {
    let from_us = asked.time("from_created_at")?.map_or(i64::MIN, |given| given.at_us);
    let to_us = asked.time("to_created_at")?.map_or(i64::MAX, |given| given.end_us());
    let shown = |visible: &Visible<'_>| visible.created_at_us().div_euclid(SECOND_US) * SECOND_US;
    rows.retain(|visible| (from_us..=to_us).contains(&shown(visible)));
    rows.sort_by_key(|visible| Reverse((visible.created_at_us(), visible.item.number)));
    Ok(())
}

/// The page of this number, from 0.
fn paged(shared: &Standin, asked: &Asked, all: usize, body: impl Fn(usize) -> Json) -> Answer {
    let size = asked.limit("page_size", USUAL, MOST)?;
    let number = asked.number("page_num", 0)?.unwrap_or(0);
    if number > LAST_PAGE {
        let message = format!("at most {LAST_PAGE} is allowed");
        return Err(Refusal::BadRequest { field: "page_num", message });
    }
    let page = shared.counted_page(&asked.path, all, number * size, size);
    Ok(object! { "has_more": page.next.is_some(), "items": page.rows.map(body).collect::<Json>() })
}
