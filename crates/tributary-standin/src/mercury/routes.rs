//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};

use super::lives::ALL;
use super::{payments, render};
use crate::kit::times::{DAY_US, Given};
use crate::kit::{Asked, Json, Page, Refusal, Standin, Visible, object};

type Bank = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// The most rows of a page, and as many as there are where a client does not say.
const MOST: usize = 1_000;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/api/v1/accounts", get(accounts))
        .route("/api/v1/account/{account}", get(account))
        .route("/api/v1/account/{account}/transactions", get(account_transactions).post(payments::send_money))
        .route("/api/v1/account/{account}/transaction/{id}", get(transaction))
        .route("/api/v1/transactions", get(transactions))
        .route("/api/v1/recipients", get(recipients))
        .route("/api/v1/transfer", post(payments::transfer))
}

async fn accounts(State(bank): Bank, asked: Asked) -> Answer {
    let view = bank.view();
    let ids: Vec<&str> = view.accounts.iter().map(|account| account.id.as_str()).collect();
    let (page, links) = cursor_page(&bank, &asked, &ids)?;
    let body = |number: usize| render::account(&view.accounts[number], view.balance(number));
    Ok(object! { "accounts": page.rows.map(body).collect::<Json>(), "page": links })
}

async fn account(State(bank): Bank, Path(id): Path<String>) -> Answer {
    let view = bank.view();
    let number = view.find_account(&id).ok_or(Refusal::NotFound("account"))?;
    Ok(render::account(&view.accounts[number], view.balance(number)))
}

async fn recipients(State(bank): Bank, asked: Asked) -> Answer {
    let view = bank.view();
    let ids: Vec<&str> = view.beneficiaries.iter().map(|one| one.id.as_str()).collect();
    let (page, links) = cursor_page(&bank, &asked, &ids)?;
    let total = ids.len();
    let body: Json = view.beneficiaries[page.rows].iter().map(render::recipient).collect();
    Ok(object! { "recipients": body, "total": total, "page": links })
}

/// The transactions of one account, newest first unless asked otherwise, of the last 30 days
/// unless asked otherwise. Clients count for themselves.
async fn account_transactions(State(bank): Bank, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = bank.view();
    let account = view.find_account(&id).ok_or(Refusal::NotFound("account"))?;
    let days_back = Given { at_us: view.now_us() - 30 * DAY_US, is_date: false };
    let filter = Filter::of(&asked, Some(days_back))?;
    let is_ascending = asked.text("order") == Some("asc");
    let (limit, offset) = (asked.limit("limit", 500, MOST)?, asked.number("offset", 0)?.unwrap_or(0));
    let mut rows = view.records_of(account);
    rows.retain(|visible| filter.takes(visible));
    rows.sort_by_key(|visible| (visible.created_at_us(), visible.item.number));
    if !is_ascending {
        rows.reverse();
    }
    let page = bank.counted_page(&asked.path, rows.len(), offset, limit);
    let total = rows.len();
    let body: Json = rows[page.rows].iter().map(|visible| render::transaction(&view, visible)).collect();
    Ok(object! { "total": total, "transactions": body })
}

/// The transactions of all accounts, oldest first unless asked otherwise, by cursor.
async fn transactions(State(bank): Bank, asked: Asked) -> Answer {
    let view = bank.view();
    let filter = Filter::of(&asked, None)?;
    let accounts: Option<Vec<&str>> = asked.text("accountId").map(|ids| ids.split(',').collect());
    let mut rows = view.records(ALL);
    rows.retain(|visible| {
        let is_of_account = accounts.as_ref().is_none_or(|ids| ids.contains(&visible.account().id.as_str()));
        is_of_account && filter.takes(visible)
    });
    rows.sort_by_key(|visible| (visible.created_at_us(), visible.item.number));
    if asked.text("order") == Some("desc") {
        rows.reverse();
    }
    let ids: Vec<&str> = rows.iter().map(Visible::id).collect();
    let (page, links) = cursor_page(&bank, &asked, &ids)?;
    let body: Json = rows[page.rows].iter().map(|visible| render::transaction(&view, visible)).collect();
    Ok(object! { "transactions": body, "page": links })
}

async fn transaction(State(bank): Bank, Path((account, id)): Path<(String, String)>) -> Answer {
    let view = bank.view();
    let account = view.find_account(&account).ok_or(Refusal::NotFound("account"))?;
    view.record_of(account, &id)
        .map(|visible| render::transaction(&view, &visible))
        .ok_or(Refusal::NotFound("transaction"))
}

/// Which transactions are asked for. Both ends are included; a day as the end is meant as a whole.
struct Filter<'a> {
    start_us: i64,
    end_us: i64,
    posted_start_us: Option<i64>,
    posted_end_us: Option<i64>,
    statuses: Option<Vec<&'a str>>,
}

impl<'a> Filter<'a> {
    fn of(asked: &'a Asked, default_start: Option<Given>) -> Result<Self, Refusal> {
        Ok(Self {
            start_us: asked.time("start")?.or(default_start).map_or(i64::MIN, |given| given.at_us),
            end_us: asked.time("end")?.map_or(i64::MAX, Given::end_us),
            posted_start_us: asked.time("postedStart")?.map(|given| given.at_us),
            posted_end_us: asked.time("postedEnd")?.map(Given::end_us),
            statuses: asked.text("status").map(|statuses| statuses.split(',').collect()),
        })
    }

    fn takes(&self, visible: &Visible<'_>) -> bool {
        let posted_us = visible.reached_at_us(&["sent"]);
        (self.start_us..=self.end_us).contains(&visible.created_at_us())
            && self.posted_start_us.is_none_or(|start| posted_us.is_some_and(|at| at >= start))
            && self.posted_end_us.is_none_or(|end| posted_us.is_some_and(|at| at <= end))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&visible.status()))
    }
}

/// The page after the row `start_after`, or from the row `start_at` on, of a list with these ids.
/// The next page is named by the last row of this one.
fn cursor_page(bank: &Standin, asked: &Asked, ids: &[&str]) -> Result<(Page, Json), Refusal> {
    let find = |field: &'static str| {
        let place = |id: &str| {
            let place = ids.iter().position(|&one| one == id);
            place.ok_or_else(|| Refusal::BadRequest { field, message: format!("{id:?} is not in the list") })
        };
        asked.text(field).map(place).transpose()
    };
    let start = match (find("start_after")?, find("start_at")?) {
        (Some(_), Some(_)) => {
            let message = "cannot be combined with start_at".to_owned();
            return Err(Refusal::BadRequest { field: "start_after", message });
        }
        (Some(last), None) => last + 1,
        (None, first) => first.unwrap_or(0),
    };
    let page = bank.named_page(&asked.path, ids.len(), start, asked.limit("limit", MOST, MOST)?);
    let next = page.next.and_then(|next| next.checked_sub(1)).map(|last| ids[last]);
    let previous = page.rows.start.checked_sub(1).map(|_| ids[page.rows.start.min(ids.len() - 1)]);
    let links = object! { "nextPage": next, "previousPage": previous }.without_nulls();
    Ok((page, links))
}
