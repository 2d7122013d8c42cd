//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::{payments, render};
use crate::kit::times::Given;
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;
type Render = fn(&View<'_>, &Visible<'_>) -> Json;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 50;
const MOST: usize = 100;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/transaction", get(transactions))
        .route("/transaction/{id}", get(transaction))
        .route("/transfer", get(transfers).post(payments::transfer))
        .route("/transfer/{code}", get(transfer))
        .route("/transfer/verify/{reference}", get(payments::verify))
        .route("/refund", get(refunds))
        .route("/refund/{id}", get(refund))
        .route("/dispute", get(disputes))
        .route("/dispute/{id}", get(dispute))
        .route("/transferrecipient", get(recipients))
        .route("/balance", get(balance))
        .route("/balance/ledger", get(ledger))
}

async fn transactions(State(shared): Shared, asked: Asked) -> Answer {
    let status = asked.text("status");
    list(&shared, &asked, "Transactions retrieved", &["transaction"], status, render::transaction)
}

/// Pending ones, unless others are asked for.
async fn transfers(State(shared): Shared, asked: Asked) -> Answer {
    let status = asked.text("status").or(Some("pending"));
    list(&shared, &asked, "Transfers retrieved", &["transfer"], status, render::transfer)
}

async fn refunds(State(shared): Shared, asked: Asked) -> Answer {
    list(&shared, &asked, "Refunds retrieved", &["refund"], None, render::refund)
}

async fn disputes(State(shared): Shared, asked: Asked) -> Answer {
    let status = asked.text("status");
    list(&shared, &asked, "Disputes retrieved", &["dispute"], status, render::dispute)
}

/// The records of a kind, newest first. `from` is part of the window, `to` is not; a day stands
/// for its first moment, at both ends.
fn list(
    shared: &Standin,
    asked: &Asked,
    message: &str,
    kinds: &[&str],
    status: Option<&str>,
    render: Render,
) -> Answer {
    let view = shared.view();
    let (from, to) = (asked.time("from")?, asked.time("to")?);
    let at = |given: Given| given.at_us;
    let window = from.map_or(i64::MIN, at)..to.map_or(i64::MAX, at);
    let mut rows = view.records(kinds);
    rows.retain(|visible| {
        let shown = visible.status().split(", ").next();
        window.contains(&visible.created_at_us()) && (status.is_none() || shown == status)
    });
    rows.sort_by_key(|visible| std::cmp::Reverse((visible.created_at_us(), visible.item.number)));
    let keys: Vec<usize> = rows.iter().map(|visible| visible.item.number).collect();
    let mut answer = paged(shared, asked, message, &keys, |row| render(&view, &rows[row]))?;
    if kinds == ["transaction"] && asked.text("use_cursor") != Some("true") {
        let volume_minor: i64 = rows.iter().map(|visible| visible.item.amount_minor).sum();
        answer = in_meta(answer, "total_volume", volume_minor.into());
    }
    if kinds == ["refund"] {
        let failed = rows.iter().filter(|visible| visible.status() == "failed").count();
        answer = in_meta(answer, "failedRefundCount", failed.into());
    }
    Ok(answer)
}

fn in_meta(answer: Json, name: &'static str, value: Json) -> Json {
    let Json::Object(mut members) = answer else {
        return answer;
    };
    for (member, meta) in &mut members {
        if *member == "meta" {
            *meta = meta.clone().with(name, value.clone());
        }
    }
    Json::Object(members)
}

pub(super) fn fetched(message: &str, data: Json) -> Json {
    object! { "status": true, "message": message, "data": data }
}

fn one(shared: &Standin, kind: &'static str, id: &str, render: Render) -> Answer {
    let view = shared.view();
    let visible = view.record(&[kind], id).ok_or(Refusal::NotFound(kind))?;
    Ok(fetched("Retrieved", render(&view, &visible)))
}

async fn transaction(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "transaction", &id, render::transaction)
}

async fn refund(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "refund", &id, render::refund)
}

async fn dispute(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "dispute", &id, render::dispute)
}

/// By its id or by its code.
async fn transfer(State(shared): Shared, Path(code): Path<String>) -> Answer {
    let view = shared.view();
    let by_code =
        || view.records(&["transfer"]).into_iter().find(|visible| render::transfer_code(visible) == code);
    let visible = view.record(&["transfer"], &code).or_else(by_code).ok_or(Refusal::NotFound("transfer"))?;
    Ok(fetched("Transfer retrieved", render::transfer(&view, &visible)))
}

async fn recipients(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let keys: Vec<usize> = (0..view.beneficiaries.len()).rev().collect();
    let body = |row: usize| render::recipient(&view, &view.beneficiaries[keys[row]]);
    paged(&shared, &asked, "Recipients retrieved", &keys, body)
}

async fn balance(State(shared): Shared) -> Answer {
    let view = shared.view();
    let body = |(number, account): (usize, &crate::kit::Account)| {
        object! { "currency": account.currency.code, "balance": view.balance(number).booked_minor }
    };
    Ok(fetched("Balances retrieved", view.accounts.iter().enumerate().map(body).collect()))
}

async fn ledger(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let visible = view.records(&["transaction", "transfer", "refund", "dispute"]);
    let mut bookings: Vec<_> = visible
        .iter()
        .flat_map(|visible| visible.bookings().into_iter().map(move |booking| (visible, booking)))
        .collect();
    bookings.sort_by_key(|(visible, booking)| (booking.at_us, visible.item.number));
    let mut balances: Vec<i64> = view.accounts.iter().map(|account| account.opening_minor).collect();
    let mut rows = Vec::with_capacity(bookings.len());
    for (visible, booking) in &bookings {
        balances[visible.item.account] += booking.signed_minor;
        rows.push(render::ledger_row(visible, booking, balances[visible.item.account]));
    }
    rows.reverse();
    let keys: Vec<usize> = (0..rows.len()).rev().collect();
    paged(&shared, &asked, "Balance ledger retrieved", &keys, |row| rows[row].clone())
}

/// The page of this number (from 1), or with `use_cursor` the page after the row that `next`
/// tells of. The keys of the rows descend.
fn paged(
    shared: &Standin,
    asked: &Asked,
    message: &str,
    keys: &[usize],
    body: impl Fn(usize) -> Json,
) -> Answer {
    let asked_for = asked.number("per_page", 1)?.or(asked.number("perPage", 1)?);
    let per_page = asked_for.unwrap_or(USUAL).min(MOST);
    let (page, meta) = if asked.text("use_cursor") == Some("true") {
        let start = match asked.text("next") {
            Some(next) => {
                let last = next.strip_prefix("next_").and_then(|text| text.parse::<usize>().ok());
                let message = "is no cursor of this list".to_owned();
                let last = last.ok_or(Refusal::BadRequest { field: "next", message })?;
                keys.partition_point(|&key| key >= last)
            }
            None => 0,
        };
        let page = shared.named_page(&asked.path, keys.len(), start, per_page);
        let last = page.next.and_then(|next| next.checked_sub(1));
        let next = last.map(|last| format!("next_{}", keys[last]));
        let meta = object! { "next": next, "previous": Json::Null, "perPage": per_page };
        (page, meta)
    } else {
        let number = asked.number("page", 1)?.unwrap_or(1);
        let page =
            shared.counted_page(&asked.path, keys.len(), (number - 1).saturating_mul(per_page), per_page);
        // a number everywhere but here, where it is text
        let per_page_shown = match asked.path.as_str() {
            "/refund" => Json::from(per_page.to_string()),
            _ => Json::from(per_page),
        };
        let meta = object! {
            "total": keys.len(),
            "skipped": (number - 1).saturating_mul(per_page).min(keys.len()),
            "perPage": per_page_shown,
            "page": number,
            "pageCount": keys.len().div_ceil(per_page),
        };
        (page, meta)
    };
    let rows: Json = page.rows.map(body).collect();
    Ok(object! { "status": true, "message": message, "data": rows, "meta": meta })
}
