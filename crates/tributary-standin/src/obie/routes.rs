//! The endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::lives::DROPPED;
use super::render;
use crate::kit::times::{Given, date};
use crate::kit::{Asked, Json, Refusal, Standin, View, object};

type Bank = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// Rows of a page. Clients have no say in it.
const PAGE_ROWS: usize = 25;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/open-banking/v3.1/aisp/accounts", get(accounts))
        .route("/open-banking/v3.1/aisp/accounts/{account}/balances", get(balances))
        .route("/open-banking/v3.1/aisp/accounts/{account}/transactions", get(transactions))
        .route("/open-banking/v3.1/aisp/accounts/{account}/beneficiaries", get(beneficiaries))
}

/// What surrounds every list.
fn answer(asked: &Asked, name: &'static str, rows: Json, next: Option<String>, pages: usize) -> Json {
    let data = Json::Object(vec![(name, rows)]);
    let link = |from: Option<String>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.others(&["after"])).extend_pairs(from.map(|from| ("after", from)));
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", asked.origin, asked.path)
    };
    let own = link(asked.text("after").map(str::to_owned));
    let links = object! { "Self": own, "Next": next.map(|next| link(Some(next))) }.without_nulls();
    object! { "Data": data, "Links": links, "Meta": object! { "TotalPages": pages } }
}

fn find(view: &View<'_>, id: &str) -> Result<usize, Refusal> {
    view.find_account(id).ok_or(Refusal::NotFound("account"))
}

async fn accounts(State(bank): Bank, asked: Asked) -> Json {
    let view = bank.view();
    answer(&asked, "Account", view.accounts.iter().map(render::account).collect(), None, 1)
}

async fn balances(State(bank): Bank, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = bank.view();
    let number = find(&view, &id)?;
    let rows = render::balances(&view.accounts[number], view.balance(number), view.now_us());
    Ok(answer(&asked, "Balance", rows, None, 1))
}

async fn beneficiaries(State(bank): Bank, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = bank.view();
    let account = &view.accounts[find(&view, &id)?];
    let rows = view.beneficiaries.iter().map(|one| render::beneficiary(account, one)).collect();
    Ok(answer(&asked, "Beneficiary", rows, None, 1))
}

/// Newest first. Both ends of the window belong to it; a page goes on behind a row.
async fn transactions(State(bank): Bank, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = bank.view();
    let account = find(&view, &id)?;
    let from_us = time(&asked, "fromBookingDateTime")?.unwrap_or(i64::MIN);
    let to_us = time(&asked, "toBookingDateTime")?.unwrap_or(i64::MAX);
    let mut rows = view.records_of(account);
    rows.retain(|visible| {
        visible.status() != DROPPED && (from_us..=to_us).contains(&render::booking_day_us(visible))
    });
    rows.sort_by_key(|visible| Reverse((render::booking_day_us(visible), visible.item.number)));
    let start = match asked.text("after") {
        Some(text) => {
            let (day, number) = after(text)?;
            rows.partition_point(|visible| {
                (render::booking_day_us(visible), visible.item.number) >= (day, number)
            })
        }
        None => 0,
    };
    let page = bank.named_page(&asked.path, rows.len(), start, PAGE_ROWS);
    let last = page.next.and_then(|next| next.checked_sub(1)).map(|last| &rows[last]);
    let next =
        last.map(|visible| format!("{}_{}", date(render::booking_day_us(visible)), visible.item.number));
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let body = rows[page.rows].iter().map(|visible| render::transaction(visible, account % 2 == 0)).collect();
    Ok(answer(&asked, "Transaction", body, next, pages))
}

/// The day and the number of the row that a page goes on behind.
fn after(text: &str) -> Result<(i64, usize), Refusal> {
    let parts = text.split_once('_');
    let place = parts.and_then(|(day, number)| Some((Given::parse(day)?.at_us, number.parse().ok()?)));
    let message = "names no row of this list".to_owned();
    place.ok_or(Refusal::BadRequest { field: "after", message })
}

/// A time as the bank takes it, in microseconds: whatever zone it names is ignored.
fn time(asked: &Asked, field: &'static str) -> Result<Option<i64>, Refusal> {
    let read = |text: &str| {
        let zoneless = text.get(..19).map_or_else(|| text.to_owned(), |time| format!("{time}Z"));
        let message = format!("{text:?} is no time");
        Given::parse(&zoneless).map(|given| given.at_us).ok_or(Refusal::BadRequest { field, message })
    };
    asked.text(field).map(read).transpose()
}
