//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};

use super::lives::TRANSFERS;
use super::{payments, render};
use crate::kit::payments::bad;
use crate::kit::times::{DAY_US, Given};
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;

/// The longest statement.
const LONGEST_US: i64 = 469 * DAY_US;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/v2/profiles", get(profiles))
        .route("/v4/profiles/{profile}/balances", get(balances))
        .route("/v1/profiles/{profile}/balance-statements/{balance}/statement.json", get(statement))
        .route("/v2/accounts", get(recipients))
        .route("/v1/transfers", get(transfers).post(payments::transfer))
        .route("/v1/transfers/{id}", get(transfer))
        .route("/v3/profiles/{profile}/quotes", post(payments::quote))
        .route("/v3/profiles/{profile}/transfers/{id}/payments", post(payments::fund))
}

async fn profiles(State(shared): Shared) -> Json {
    render::profiles(&shared.view())
}

/// The positions of a profile's accounts.
fn accounts_of(view: &View<'_>, profile: &str) -> Vec<usize> {
    let is_its = |account: &usize| render::profile_of(*account).to_string() == profile;
    (0..view.accounts.len()).filter(is_its).collect()
}

async fn balances(State(shared): Shared, Path(profile): Path<String>, asked: Asked) -> Answer {
    let types = asked.text("types").ok_or_else(|| bad("types", "is required"))?;
    let view = shared.view();
    let accounts =
        if types.split(',').any(|one| one == "STANDARD") { accounts_of(&view, &profile) } else { vec![] };
    let body = |number: usize| render::balance(&view.accounts[number], view.balance(number));
    Ok(accounts.into_iter().map(body).collect())
}

/// The lines of a stretch of time, both ends included, newest first.
async fn statement(
    State(shared): Shared,
    Path((profile, balance)): Path<(String, String)>,
    asked: Asked,
) -> Answer {
    let view = shared.view();
    let account =
        view.find_account(&balance).filter(|account| accounts_of(&view, &profile).contains(account));
    let account = account.ok_or(Refusal::NotFound("balance"))?;
    if asked.text("currency") != Some(view.accounts[account].currency.code) {
        return Err(bad("currency", "is not that of the balance"));
    }
    let start_us = asked.time("intervalStart")?.map_or(i64::MIN, |given| given.at_us);
    let end_us = asked.time("intervalEnd")?.map_or(i64::MAX, Given::end_us);
    if asked.text("intervalStart").is_some() && end_us.saturating_sub(start_us) > LONGEST_US {
        return Err(bad("intervalEnd", "is more than 469 days behind the start"));
    }
    let visible = view.records_of(account);
    let bookings = |visible| Visible::bookings(visible).into_iter().map(move |booking| (visible, booking));
    let mut lines: Vec<_> = visible.iter().flat_map(bookings).collect();
    lines.sort_by_key(|(visible, booking)| (booking.at_us, visible.item.number));
    let mut running_minor = view.accounts[account].opening_minor;
    let mut rows = Vec::new();
    for (visible, booking) in &lines {
        running_minor += booking.signed_minor;
        if (start_us..=end_us).contains(&booking.at_us) {
            rows.push(render::line(visible, booking, running_minor));
        }
    }
    rows.reverse();
    Ok(
        object! { "accountHolder": object! { "type": "BUSINESS" }, "bankDetails": Json::Null, "transactions": rows },
    )
}

/// Of a profile and, if asked for, of a currency that they are paid in; newest first. Clients count for
/// themselves.
async fn transfers(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let accounts = accounts_of(&view, asked.text("profile").unwrap_or_default());
    let start_us = asked.time("createdDateStart")?.map_or(i64::MIN, |given| given.at_us);
    let end_us = asked.time("createdDateEnd")?.map_or(i64::MAX, Given::end_us);
    let (limit, offset) = (asked.limit("limit", 100, 1_000)?, asked.number("offset", 0)?.unwrap_or(0));
    let currency = asked.text("sourceCurrency");
    let mut rows = view.records(TRANSFERS);
    rows.retain(|visible| {
        accounts.contains(&visible.item.account)
            && currency.is_none_or(|code| visible.account().currency.code == code)
            && (start_us..=end_us).contains(&visible.created_at_us())
    });
    rows.sort_by_key(|visible| std::cmp::Reverse((visible.created_at_us(), visible.item.number)));
    let page = shared.counted_page(&asked.path, rows.len(), offset, limit);
    Ok(rows[page.rows].iter().map(|visible| render::transfer(&view, visible)).collect())
}

async fn transfer(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(TRANSFERS, &id).ok_or(Refusal::NotFound("transfer"))?;
    Ok(render::transfer(&view, &visible))
}

/// Those of a profile by id; the first profile has all. A page begins with the id that names it.
async fn recipients(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let is_first = asked.text("profileId") == Some(render::profile_of(0).to_string().as_str());
    let rows = if is_first { view.beneficiaries.as_slice() } else { &[] };
    let place = |id: &str| {
        let place = rows.iter().position(|one| one.id == id);
        place.ok_or_else(|| bad("seekPosition", format!("{id:?} is not in the list")))
    };
    let start = asked.text("seekPosition").map(place).transpose()?.unwrap_or(0);
    let page = shared.named_page(&asked.path, rows.len(), start, asked.limit("size", 20, 100)?);
    let next = page.next.map(|next| Json::number(rows[next].id.clone()));
    let content: Json = rows[page.rows].iter().map(render::recipient).collect();
    let size = rows.len();
    Ok(object! { "content": content, "seekPositionForNext": next, "size": size })
}
