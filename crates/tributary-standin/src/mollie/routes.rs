//! The endpoints.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::render::{self, Movement, link};
use crate::kit::{Asked, Fsp as _, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;
type Render = fn(&View<'_>, &Visible<'_>, &str) -> Json;

pub fn routes() -> Router<Arc<Standin>> {
    Router::new()
        .route("/v2/payments", get(|State(shared): Shared, asked: Asked| async move { list(&shared, &asked, &PAYMENTS, None) }))
        .route("/v2/payments/{id}", get(payment))
        .route("/v2/payments/{id}/refunds", get(refunds_of))
        .route("/v2/payments/{payment}/refunds/{id}", get(refund))
        .route("/v2/payments/{id}/chargebacks", get(chargebacks_of))
        .route("/v2/refunds", get(|State(shared): Shared, asked: Asked| async move { list(&shared, &asked, &REFUNDS, None) }))
        .route("/v2/chargebacks", get(|State(shared): Shared, asked: Asked| async move { list(&shared, &asked, &CHARGEBACKS, None) }))
        .route("/v2/payouts", get(|State(shared): Shared, asked: Asked| async move { list(&shared, &asked, &PAYOUTS, None) }))
        .route("/v2/payouts/{id}", get(payout))
        .route("/v2/balances", get(balances))
        .route("/v2/balances/{id}", get(balance))
        .route("/v2/balances/{id}/transactions", get(movements))
}

/// A list of records.
struct Resource {
    kind: &'static str,
    embedded: &'static str,
    render: Render,
    sorts: bool,
}

static PAYMENTS: Resource =
    Resource { kind: "payment", embedded: "payments", render: render::payment, sorts: true };
static REFUNDS: Resource =
    Resource { kind: "refund", embedded: "refunds", render: render::refund, sorts: false };
static CHARGEBACKS: Resource =
    Resource { kind: "chargeback", embedded: "chargebacks", render: render::chargeback, sorts: false };
static PAYOUTS: Resource =
    Resource { kind: "payout", embedded: "payouts", render: render::payout, sorts: true };

fn list(shared: &Standin, asked: &Asked, resource: &Resource, parent: Option<&str>) -> Answer {
    let view = shared.view();
    let mut rows = view.records(&[resource.kind]);
    if let Some(id) = parent {
        let payment = view.record(&["payment"], id).ok_or(Refusal::NotFound("payment"))?;
        rows.retain(|visible| visible.item.parent == Some(payment.item.number));
    }
    if let Some(balance) = asked.text("balanceId").filter(|_| resource.kind == "payout") {
        rows.retain(|visible| visible.account().id == balance);
    }
    if !(resource.sorts && asked.text("sort") == Some("asc")) {
        rows.reverse();
    }
    let ids: Vec<&str> = rows.iter().map(Visible::id).collect();
    paged(shared, asked, resource.embedded, &ids, |row| (resource.render)(&view, &rows[row], &asked.origin))
}

fn one(shared: &Standin, asked: &Asked, resource: &Resource, id: &str) -> Answer {
    let view = shared.view();
    let visible = view.record(&[resource.kind], id).ok_or(Refusal::NotFound(resource.kind))?;
    Ok((resource.render)(&view, &visible, &asked.origin))
}

async fn payment(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    one(&shared, &asked, &PAYMENTS, &id)
}

async fn refund(State(shared): Shared, Path((_, id)): Path<(String, String)>, asked: Asked) -> Answer {
    one(&shared, &asked, &REFUNDS, &id)
}

async fn payout(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    one(&shared, &asked, &PAYOUTS, &id)
}

async fn refunds_of(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    list(&shared, &asked, &REFUNDS, Some(&id))
}

async fn chargebacks_of(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    list(&shared, &asked, &CHARGEBACKS, Some(&id))
}

async fn balances(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let ids: Vec<&str> = view.accounts.iter().map(|account| account.id.as_str()).collect();
    let body = |row: usize| render::balance(&view.accounts[row], view.balance(row), &asked.origin);
    paged(&shared, &asked, "balances", &ids, body)
}

/// `primary` is another name of the first balance.
fn find_balance(view: &View<'_>, id: &str) -> Result<usize, Refusal> {
    let found = if id == "primary" { Some(0) } else { view.find_account(id) };
    found.ok_or(Refusal::NotFound("balance"))
}

async fn balance(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = shared.view();
    let number = find_balance(&view, &id)?;
    Ok(render::balance(&view.accounts[number], view.balance(number), &asked.origin))
}

async fn movements(State(shared): Shared, Path(id): Path<String>, asked: Asked) -> Answer {
    let view = shared.view();
    let account = find_balance(&view, &id)?;
    let kinds = ["payment", "refund", "chargeback", "payout"];
    let mut rows: Vec<Movement<'_>> = Vec::new();
    for visible in view.records(&kinds).into_iter().filter(|visible| visible.item.account == account) {
        rows.extend(visible.bookings().into_iter().map(|booking| {
            let id = super::Mollie.id("movement", view.seed(), booking.number);
            Movement { id, visible, booking }
        }));
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.booking.at_us, row.visible.item.number)));
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    paged(&shared, &asked, "balance_transactions", &ids, |row| render::movement(&view, &rows[row]))
}

/// The page that starts with the row `from`, with links to itself and to the next.
fn paged(
    shared: &Standin,
    asked: &Asked,
    embedded: &'static str,
    ids: &[&str],
    body: impl Fn(usize) -> Json,
) -> Answer {
    let limit = asked.limit("limit", 50, 250)?;
    let start = match asked.text("from") {
        Some(from) => ids.iter().position(|&id| id == from).ok_or(Refusal::NotFound("row to start from"))?,
        None => 0,
    };
    let page = shared.named_page(&asked.path, ids.len(), start, limit);
    let here = |from: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.others(&["from", "limit"]));
        query.append_pair("from", from).append_pair("limit", &limit.to_string());
        link(format!("{}{}?{}", asked.origin, asked.path, query.finish()))
    };
    let count = page.rows.len();
    let links = object! {
        "self": ids.get(start).map(|from| here(from)),
        "previous": start.checked_sub(limit).map(|from| here(ids[from])),
        "next": page.next.map(|from| here(ids[from])),
    };
    let rows: Json = page.rows.map(body).collect();
    Ok(
        object! { "count": count, "_embedded": Json::Object(Vec::new()).with(embedded, rows), "_links": links },
    )
}
