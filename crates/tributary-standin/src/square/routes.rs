//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::render;
use crate::kit::times::{DAY_US, Given};
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;
type Render = fn(&View<'_>, &Visible<'_>) -> Json;

/// The most rows of a page; who asks for more gets as many.
const MOST: usize = 100;
/// Disputes come in pages of this size, whatever is asked for.
const DISPUTES_PER_PAGE: usize = 10;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/v2/locations", get(locations))
        .route("/v2/payments", get(payments))
        .route("/v2/payments/{id}", get(payment))
        .route("/v2/refunds", get(refunds))
        .route("/v2/refunds/{id}", get(refund))
        .route("/v2/disputes", get(disputes))
        .route("/v2/disputes/{id}", get(dispute))
        .route("/v2/payouts", get(payouts))
        .route("/v2/payouts/{id}", get(payout))
        .route("/v2/payouts/{id}/payout-entries", get(payout_entries))
        .route("/v2/bank-accounts", get(bank_accounts))
}

async fn locations(State(shared): Shared) -> Answer {
    let view = shared.view();
    Ok(object! { "locations": view.accounts.iter().map(render::location).collect::<Json>() })
}

/// Of the main location unless another is named.
async fn payments(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let location = asked.text("location_id").or(view.accounts.first().map(|account| account.id.as_str()));
    let rows = view
        .records(&["payment"])
        .into_iter()
        .filter(|visible| Some(visible.account().id.as_str()) == location);
    let rows = Window::of(&asked, view.now_us())?.rows(rows);
    answer(&shared, &asked, "payments", rows, MOST, |visible| render::payment(&view, visible))
}

/// Of all locations unless one is named.
async fn refunds(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let of_location = of_location(&asked);
    let has_status =
        |visible: &Visible<'_>| asked.text("status").is_none_or(|status| status == visible.status());
    let rows =
        view.records(&["refund"]).into_iter().filter(|visible| of_location(visible) && has_status(visible));
    let rows = Window::of(&asked, view.now_us())?.rows(rows);
    answer(&shared, &asked, "refunds", rows, MOST, |visible| render::refund(&view, visible))
}

/// All there are: neither a time nor a number of rows can be asked for.
async fn disputes(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let of_location = of_location(&asked);
    let states: Option<Vec<&str>> = asked.text("states").map(|states| states.split(',').collect());
    let has_state =
        |visible: &Visible<'_>| states.as_ref().is_none_or(|states| states.contains(&visible.status()));
    let rows =
        view.records(&["dispute"]).into_iter().filter(|visible| of_location(visible) && has_state(visible));
    let window =
        Window { begin_us: i64::MIN, end_us: i64::MAX, updated: None, by_update: false, ascends: false };
    let rows = window.rows(rows);
    answer(&shared, &asked, "disputes", rows, DISPUTES_PER_PAGE, |visible| render::dispute(&view, visible))
}

/// Of the main location unless another is named.
async fn payouts(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let location = asked.text("location_id").or(view.accounts.first().map(|account| account.id.as_str()));
    let has_status =
        |visible: &Visible<'_>| asked.text("status").is_none_or(|status| status == visible.status());
    let rows = view.records(&["payout"]).into_iter();
    let rows = rows.filter(|visible| Some(visible.account().id.as_str()) == location && has_status(visible));
    let window = Window { updated: None, by_update: false, ..Window::of(&asked, view.now_us())? };
    answer(&shared, &asked, "payouts", window.rows(rows), MOST, |visible| render::payout(&view, visible))
}

async fn payout_entries(State(shared): Shared, Path(id): Path<String>) -> Answer {
    let view = shared.view();
    let visible = view.record(&["payout"], &id).ok_or(Refusal::NotFound("payout"))?;
    Ok(object! { "payout_entries": render::payout_entries(&visible) })
}

fn one(shared: &Standin, kind: &'static str, id: &str, render: Render) -> Answer {
    let view = shared.view();
    let visible = view.record(&[kind], id).ok_or(Refusal::NotFound(kind))?;
    Ok(Json::Object(vec![(kind, render(&view, &visible))]))
}

async fn payment(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "payment", &id, render::payment)
}

async fn refund(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "refund", &id, render::refund)
}

async fn dispute(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "dispute", &id, render::dispute)
}

async fn payout(State(shared): Shared, Path(id): Path<String>) -> Answer {
    one(&shared, "payout", &id, render::payout)
}

async fn bank_accounts(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let limit = asked.number("limit", 1)?.unwrap_or(1_000).min(1_000);
    let start = match cursor(&asked)? {
        Some((_, last)) => last + 1,
        None => 0,
    };
    let page = shared.named_page(&asked.path, view.beneficiaries.len(), start, limit);
    let next = page.next.and_then(|next| next.checked_sub(1)).map(|last| cursor_after(0, last));
    let rows: Vec<Json> = view.beneficiaries[page.rows].iter().map(render::bank_account).collect();
    Ok(object! { "bank_accounts": (!rows.is_empty()).then_some(rows), "cursor": next }.without_nulls())
}

fn of_location(asked: &Asked) -> impl Fn(&Visible<'_>) -> bool {
    let location = asked.text("location_id").map(str::to_owned);
    move |visible| location.as_ref().is_none_or(|location| *location == visible.account().id)
}

/// Which rows are asked for, and in which order. Beginnings are part of their window, ends are
/// not.
struct Window {
    begin_us: i64,
    end_us: i64,
    updated: Option<(i64, i64)>,
    by_update: bool,
    ascends: bool,
}

/// The rows of a list in its order, each with the time that it goes by.
type Rows<'a> = (Vec<(i64, Visible<'a>)>, bool);

impl Window {
    fn of(asked: &Asked, now_us: i64) -> Result<Self, Refusal> {
        let time = |field| Ok::<_, Refusal>(asked.time(field)?.map(|given: Given| given.at_us));
        let choice = |field: &'static str, allowed: [&str; 2]| match asked.text(field) {
            Some(text) if !allowed.contains(&text) => {
                Err(Refusal::BadRequest { field, message: format!("{text:?} is not one of {allowed:?}") })
            }
            text => Ok(text == Some(allowed[1])),
        };
        let (begin, end) = (time("updated_at_begin_time")?, time("updated_at_end_time")?);
        Ok(Self {
            begin_us: time("begin_time")?.unwrap_or(now_us - 365 * DAY_US),
            end_us: time("end_time")?.unwrap_or(i64::MAX),
            updated: (begin.is_some() || end.is_some())
                .then(|| (begin.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX))),
            by_update: choice("sort_field", ["CREATED_AT", "UPDATED_AT"])?,
            ascends: choice("sort_order", ["DESC", "ASC"])?,
        })
    }

    fn rows<'a>(&self, all: impl Iterator<Item = Visible<'a>>) -> Rows<'a> {
        let takes = |visible: &Visible<'_>| {
            (self.begin_us..self.end_us).contains(&visible.created_at_us())
                && self.updated.is_none_or(|(begin, end)| (begin..end).contains(&visible.updated_at_us()))
        };
        let time = |visible: &Visible<'_>| {
            if self.by_update { visible.updated_at_us() } else { visible.created_at_us() }
        };
        let mut rows: Vec<_> = all.filter(takes).map(|visible| (time(&visible), visible)).collect();
        rows.sort_by_key(|(at_us, visible)| (*at_us, visible.item.number));
        if !self.ascends {
            rows.reverse();
        }
        (rows, self.ascends)
    }
}

/// The page after the cursor. It remembers the last row by its time, so that a row that changes
/// meanwhile does not lose the place.
fn answer(
    shared: &Standin,
    asked: &Asked,
    name: &'static str,
    (rows, ascends): Rows<'_>,
    most: usize,
    render: impl Fn(&Visible<'_>) -> Json,
) -> Answer {
    let limit = asked.number("limit", 1)?.unwrap_or(most).min(most);
    let key = |(at_us, visible): &(i64, Visible<'_>)| (*at_us, visible.item.number);
    let start = match cursor(asked)? {
        Some(last) if ascends => rows.partition_point(|row| key(row) <= last),
        Some(last) => rows.partition_point(|row| key(row) >= last),
        None => 0,
    };
    let page = shared.named_page(&asked.path, rows.len(), start, limit);
    let last = page.next.and_then(|next| next.checked_sub(1)).map(|last| key(&rows[last]));
    let body: Vec<Json> = rows[page.rows].iter().map(|(_, visible)| render(visible)).collect();
    let body = (!body.is_empty()).then_some(body);
    let answer = Json::Object(Vec::new()).with(name, body);
    Ok(answer.with("cursor", last.map(|(at_us, number)| cursor_after(at_us, number))).without_nulls())
}

fn cursor_after(at_us: i64, number: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("{at_us}:{number}"))
}

fn cursor(asked: &Asked) -> Result<Option<(i64, usize)>, Refusal> {
    let read = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (at_us, number) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Some((at_us.parse().ok()?, number.parse().ok()?))
    };
    let bad = || Refusal::BadRequest { field: "cursor", message: "not a cursor of this list".to_owned() };
    asked.text("cursor").map(|text| read(text).ok_or_else(bad)).transpose()
}
