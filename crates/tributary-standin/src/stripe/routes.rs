//! The endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::lives::LINES;
use super::{events, payments, render};
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 10;
const MOST: usize = 100;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/v1/account", get(business))
        .route("/v1/accounts/{id}/external_accounts", get(bank_accounts))
        .route("/v1/balance", get(balance))
        .route("/v1/balance_transactions", get(lines))
        .route("/v1/refunds", get(refunds))
        .route("/v1/refunds/{id}", get(refund))
        .route("/v1/payouts", get(payouts).post(payments::create))
        .route("/v1/payouts/{id}", get(payout))
        .route("/v1/events", get(all_events))
}

async fn business(State(shared): Shared) -> Json {
    render::business(&shared.view())
}

async fn bank_accounts(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = shared.view();
    if id != render::business_id(view.seed()) {
        return Err(Refusal::NotFound("account"));
    }
    let ids: Vec<&str> = view.beneficiaries.iter().rev().map(|one| one.id.as_str()).collect();
    let newest = view.beneficiaries.len();
    listed(&shared, &asked, &ids, |row| {
        render::bank_account(view.seed(), &view.beneficiaries[newest - 1 - row])
    })
}

async fn balance(State(shared): Shared) -> Json {
    let view = shared.view();
    let available = |(n, account)| render::balance(account, view.balance(n));
    let pending = |(n, account)| {
        let rows = view.items.iter().filter(|item| item.account == n && LINES.contains(&item.kind.name));
        let rows = rows.filter(|item| item.current().status == "pending");
        render::pending(account, rows.map(|item| item.signed_minor()).sum())
    };
    object! {
        "object": "balance",
        "available": view.accounts.iter().enumerate().map(available).collect::<Json>(),
        "livemode": false,
        "pending": view.accounts.iter().enumerate().map(pending).collect::<Json>(),
    }
}

async fn lines(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let mut kinds = LINES.to_vec();
    kinds.extend(["refund", "payout"]);
    let mut rows = view.records(&kinds);
    window(&asked, &mut rows)?;
    let ids: Vec<String> = rows.iter().map(|visible| render::line_id(&view, visible)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    listed(&shared, &asked, &ids, |row| render::line(&view, &rows[row]))
}

async fn refunds(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let with_charge = asked.text("expand[]") == Some("data.charge");
    list(&shared, &asked, &view, &["refund"], |visible| render::refund(&view, visible, with_charge))
}

async fn refund(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = shared.view();
    let visible = view.record(&["refund"], &id).ok_or(Refusal::NotFound("refund"))?;
    Ok(render::refund(&view, &visible, asked.text("expand[]") == Some("charge")))
}

async fn payouts(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    list(&shared, &asked, &view, &["payout"], |visible| render::payout(&view, visible, visible.upto))
}

async fn payout(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(&["payout"], &id).ok_or(Refusal::NotFound("payout"))?;
    Ok(render::payout(&view, &visible, visible.upto))
}

async fn all_events(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    if asked.text("type") != Some("payout.*") {
        let message = "only payout.* is told of here".to_owned();
        return Err(Refusal::BadRequest { field: "type", message });
    }
    let events = events::all(&view);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    listed(&shared, &asked, &ids, |row| events[row].render(&view))
}

/// The records of these kinds that were created in the window.
fn list(
    shared: &Standin,
    asked: &Asked,
    view: &View<'_>,
    kinds: &[&str],
    body: impl Fn(&Visible<'_>) -> Json,
) -> Answer {
    let mut rows = view.records(kinds);
    window(asked, &mut rows)?;
    let ids: Vec<&str> = rows.iter().map(Visible::id).collect();
    listed(shared, asked, &ids, |row| body(&rows[row]))
}

/// Leaves what was created in the window, both ends included, newest first.
fn window(asked: &Asked, rows: &mut Vec<Visible<'_>>) -> Result<(), Refusal> {
    let second = |field: &'static str| -> Result<Option<i64>, Refusal> {
        let bad = || Refusal::BadRequest { field, message: "Invalid timestamp".to_owned() };
        asked.text(field).map(|text| text.parse().map_err(|_| bad())).transpose()
    };
    let window = second("created[gte]")?.unwrap_or(i64::MIN)..=second("created[lte]")?.unwrap_or(i64::MAX);
    rows.retain(|visible| window.contains(&render::time(visible.created_at_us())));
    rows.sort_by_key(|visible| Reverse((visible.created_at_us(), visible.item.number)));
    Ok(())
}

/// The page of a list, newest first: behind the row `starting_after`, or right before the row
/// `ending_before`, which is where newer ones are.
fn listed(shared: &Standin, asked: &Asked, ids: &[&str], body: impl Fn(usize) -> Json) -> Answer {
    let limit = asked.limit("limit", USUAL, MOST)?;
    let find = |field: &'static str| {
        let place = |id: &str| ids.iter().position(|&one| one == id).ok_or(Refusal::NotFound("row"));
        asked.text(field).map(place).transpose()
    };
    let (rows, has_more) = match (find("starting_after")?, find("ending_before")?) {
        (Some(_), Some(_)) => {
            let message = "cannot be combined with ending_before".to_owned();
            return Err(Refusal::BadRequest { field: "starting_after", message });
        }
        (None, Some(place)) => {
            // counted from the cursor towards the newest
            let page = shared.named_page(&asked.path, place, 0, limit);
            (place - page.rows.end..place - page.rows.start, page.next.is_some())
        }
        (after, None) => {
            let start = after.map_or(0, |place| place + 1);
            let page = shared.named_page(&asked.path, ids.len(), start, limit);
            (page.rows, page.next.is_some())
        }
    };
    Ok(object! {
        "object": "list",
        "data": rows.map(body).collect::<Json>(),
        "has_more": has_more,
        "url": asked.path.as_str(),
    })
}
