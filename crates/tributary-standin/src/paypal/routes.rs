//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::lives::ALL;
use super::render;
use crate::kit::times::{DAY_US, Given, SECOND_US, seconds_bare_offset};
use crate::kit::{Asked, Json, Refusal, Standin, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 100;
const MOST: usize = 500;
/// So many pages at most: of the largest ones, 10,000 rows.
const MOST_PAGES: usize = 20;
/// The longest window.
const LONGEST_US: i64 = 31 * DAY_US;
/// What a refusal is about that says that there are too many rows.
pub const TOO_MANY: &str = "result set";

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/v1/reporting/balances", get(balances))
        .route("/v1/reporting/transactions", get(transactions))
}

async fn balances(State(shared): Shared) -> Json {
    let view = shared.view();
    let rows = view.accounts.iter().enumerate();
    object! {
        "balances": rows.map(|(n, account)| render::balance(account, view.balance(n))).collect::<Json>(),
        "account_id": "6STWC2LSUYYYE",
        "as_of_time": seconds_bare_offset(view.now_us()),
        "last_refresh_time": seconds_bare_offset(view.now_us()),
    }
}

/// What was initiated in the window, both ends included, oldest first. Times are whole seconds.
async fn transactions(State(shared): Shared, asked: Asked) -> Answer {
    let bad = |field: &'static str, message: &str| Refusal::BadRequest { field, message: message.to_owned() };
    let end = |field: &'static str| -> Result<Given, Refusal> {
        asked.time(field)?.ok_or_else(|| bad(field, "is required"))
    };
    let (start_us, end_us) = (end("start_date")?.at_us, end("end_date")?.end_us());
    if end_us < start_us || end_us - start_us > LONGEST_US {
        return Err(bad("end_date", "Date range is greater than 31 days"));
    }
    let view = shared.view();
    let mut rows = view.records(ALL);
    rows.retain(|visible| {
        let at_us = visible.created_at_us().div_euclid(SECOND_US) * SECOND_US;
        (start_us..=end_us).contains(&at_us)
            && asked.text("transaction_id").is_none_or(|id| id == visible.id())
    });
    rows.sort_by_key(|visible| (visible.created_at_us(), visible.item.number));
    let size = asked.limit("page_size", USUAL, MOST)?;
    if rows.len() > size * MOST_PAGES {
        return Err(bad(TOO_MANY, "Result set size is greater than the maximum limit"));
    }
    let number = asked.number("page", 1)?.unwrap_or(1);
    let page = shared.counted_page(&asked.path, rows.len(), (number - 1) * size, size);
    Ok(object! {
        "transaction_details": page.rows.map(|row| render::transaction(&view, &rows[row])).collect::<Json>(),
        "account_number": "6STWC2LSUYYYE",
        "start_date": seconds_bare_offset(start_us),
        "end_date": seconds_bare_offset(end_us),
        "last_refreshed_datetime": seconds_bare_offset(view.now_us()),
        "page": number,
        "total_items": rows.len(),
        "total_pages": rows.len().div_ceil(size),
    })
}
