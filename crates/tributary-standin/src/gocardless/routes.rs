//! The endpoints.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;

use super::render;
use crate::kit::{Asked, Json, Refusal, Standin, View, Visible, object};

type Shared = State<Arc<Standin>>;
type Answer = Result<Json, Refusal>;
type Render = fn(&View<'_>, &Visible<'_>) -> Json;

/// Rows of a page where a client does not say, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;

/// A kind of record as the API has it.
struct Resource {
    /// Its list, and the member that holds its rows.
    name: &'static str,
    kinds: &'static [&'static str],
    render: Render,
}

const PAYMENTS: Resource = Resource { name: "payments", kinds: &["payment"], render: render::payment };
const REFUNDS: Resource =
    Resource { name: "refunds", kinds: &["refund", "sole_refund"], render: render::refund };
const PAYOUTS: Resource = Resource { name: "payouts", kinds: &["payout"], render: render::payout };

pub fn routes() -> Router<Arc<Standin>> {
    let mut router = Router::new()
        .route("/creditors", get(creditors))
        .route("/balances", get(balances))
        .route("/creditor_bank_accounts", get(bank_accounts));
    for resource in [&PAYMENTS, &REFUNDS, &PAYOUTS] {
        let list = move |State(shared): Shared, asked: Asked| async move { list(&shared, &asked, resource) };
        let one = move |State(shared): Shared, Path(id): Path<String>| async move {
            let view = shared.view();
            let visible = view.record(resource.kinds, &id).ok_or(Refusal::NotFound(resource.kinds[0]))?;
            Answer::Ok(Json::Object(vec![(resource.name, (resource.render)(&view, &visible))]))
        };
        router = router
            .route(&format!("/{}", resource.name), get(list))
            .route(&format!("/{}/{{id}}", resource.name), get(one));
    }
    router
}

async fn creditors(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let ids: Vec<&str> = view.accounts.iter().map(|account| account.id.as_str()).collect();
    paged(&shared, &asked, "creditors", &ids, |row| render::creditor(&view.accounts[row]))
}

async fn balances(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let message = "is required".to_owned();
    let id = asked.text("creditor").ok_or(Refusal::BadRequest { field: "creditor", message })?;
    let number = view.find_account(id).ok_or(Refusal::NotFound("creditor"))?;
    let rows = render::balances(&view.accounts[number], &view, number);
    Ok(object! { "balances": rows, "meta": meta(None, asked.limit("limit", USUAL, MOST)?) })
}

async fn bank_accounts(State(shared): Shared, asked: Asked) -> Answer {
    let view = shared.view();
    let ids: Vec<&str> = view.beneficiaries.iter().map(|one| one.id.as_str()).collect();
    let body = |row: usize| {
        render::bank_account(&view.beneficiaries[row], &view.accounts[row % view.accounts.len()])
    };
    paged(&shared, &asked, "creditor_bank_accounts", &ids, body)
}

/// Newest first; both ends of the window belong to it.
fn list(shared: &Standin, asked: &Asked, resource: &Resource) -> Answer {
    let view = shared.view();
    let from_us = asked.time("created_at[gte]")?.map_or(i64::MIN, |given| given.at_us);
    let to_us = asked.time("created_at[lte]")?.map_or(i64::MAX, |given| given.at_us);
    let mut rows = view.records(resource.kinds);
    rows.retain(|visible| {
        (from_us..=to_us).contains(&visible.created_at_us())
            && asked.text("status").is_none_or(|status| status == visible.status())
    });
    rows.sort_by_key(|visible| Reverse((visible.created_at_us(), visible.item.number)));
    let ids: Vec<&str> = rows.iter().map(Visible::id).collect();
    paged(shared, asked, resource.name, &ids, |row| (resource.render)(&view, &rows[row]))
}

/// The page behind the row that `after` names.
fn paged(
    shared: &Standin,
    asked: &Asked,
    name: &'static str,
    ids: &[&str],
    body: impl Fn(usize) -> Json,
) -> Answer {
    let limit = asked.limit("limit", USUAL, MOST)?;
    let start = match asked.text("after") {
        Some(after) => {
            let message = "is no id of this list".to_owned();
            let place = ids.iter().position(|id| *id == after);
            place.ok_or(Refusal::BadRequest { field: "after", message })? + 1
        }
        None => 0,
    };
    let page = shared.named_page(&asked.path, ids.len(), start, limit);
    let next = page.next.and_then(|next| next.checked_sub(1)).map(|last| ids[last]);
    let rows: Json = page.rows.map(body).collect();
    Ok(Json::Object(vec![(name, rows), ("meta", meta(next, limit))]))
}

fn meta(after: Option<&str>, limit: usize) -> Json {
    object! { "cursors": object! { "before": Json::Null, "after": after }, "limit": limit }
}
