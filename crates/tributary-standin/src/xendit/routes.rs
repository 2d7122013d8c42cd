//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::lives::ALL;
use super::{payouts, render};
use crate::kit::payments::bad;
use crate::kit::times::Given;
use crate::kit::{Asked, Json, Refusal, Standin, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 10;
const MOST: usize = 50;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/balance", get(balance))
        .route("/transactions", get(transactions))
        .route("/transactions/{id}", get(transaction))
        .route("/v2/payouts", get(payouts::by_reference).post(payouts::create))
        .route("/v2/payouts/{id}", get(payouts::by_id))
}

/// Of one currency: who has several has to say which.
async fn balance(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let code = asked.text("currency").unwrap_or(view.accounts[0].currency.code);
    let account = view.find_account(code).ok_or_else(|| bad("currency", "has no balance"))?;
    let digits = view.accounts[account].currency.shortest(view.balance(account).booked_minor);
    Ok(object! { "balance": Json::number(digits) })
}

/// Newest first by creation, whatever they are filtered by; both ends of a window are in it.
async fn transactions(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let code = asked.text("currency").ok_or_else(|| bad("currency", "is required: there are several"))?;
    let account = view.find_account(code).ok_or_else(|| bad("currency", "has no balance"))?;
    let window = |gte, lte| -> Result<_, Refusal> {
        let start_us = asked.time(gte)?.map_or(i64::MIN, |given| given.at_us);
        Ok(start_us..=asked.time(lte)?.map_or(i64::MAX, Given::end_us))
    };
    let (created, updated) =
        (window("created[gte]", "created[lte]")?, window("updated[gte]", "updated[lte]")?);
    let mut rows = view.records(ALL);
    rows.retain(|visible| {
        visible.item.account == account
            && created.contains(&visible.created_at_us())
            && updated.contains(&visible.updated_at_us())
    });
    rows.sort_by_key(|visible| std::cmp::Reverse((visible.created_at_us(), visible.item.number)));
    let place = |id: &str| {
        let place = rows.iter().position(|visible| visible.id() == id);
        place.ok_or_else(|| bad("after_id", format!("{id:?} is not in the list")))
    };
    let start = asked.text("after_id").map(place).transpose()?.map_or(0, |last| last + 1);
    let page = shared.named_page(&asked.path, rows.len(), start, asked.limit("limit", USUAL, MOST)?);
    let links: Json =
        rows[page.rows.clone()].last().filter(|_| page.next.is_some()).map(next).into_iter().collect();
    let data: Json = rows[page.rows].iter().map(|visible| render::transaction(&view, visible)).collect();
    Ok(object! { "has_more": page.next.is_some(), "data": data, "links": links })
}

fn next(last: &Visible<'_>) -> Json {
    object! { "href": format!("/transactions?after_id={}", last.id()), "rel": "next", "method": "GET" }
}

async fn transaction(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(ALL, &id).ok_or(Refusal::NotFound("transaction"))?;
    Ok(render::transaction(&view, &visible))
}
