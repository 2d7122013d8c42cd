//! Payouts and transfers: which are in which state, and one of them with all that happened to it.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::act::action;
use super::error::PageError;
use super::page::{self, empty, field, table};
use super::served;
use super::session::Session;
use super::words::{badge, command, id, story_path, time, time_or};
use crate::http::SharedState;
use crate::payments::told::{changes, outcome};
use crate::store::named_records::{self, Attempt};
use crate::store::payment_audit::{self, Audited};
use crate::store::payment_orders::{self, Order, Step};
use crate::store::payment_refusals::{self, KeptRefusal};
use crate::store::{StoreError, unmatched_records};
use tributary_domain::{Amount, OrderState, ProviderName, Role};

/// How many orders are shown, and how many refusals, the newest.
const ORDERS: u32 = 100;
const REFUSALS: u32 = 20;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    provider: String,
    /// A state, or `all`; else all that have not ended.
    #[serde(default)]
    state: String,
}

pub async fn list(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let provider = served::named(&wanted.provider)?;
    let states = match wanted.state.as_str() {
        "" => OrderState::ALL.into_iter().filter(|state| !state.has_ended()).collect(),
        "all" => Vec::new(),
        name => vec![name.parse().map_err(|_| PageError::not_found("There is no such state of an order."))?],
    };
    let orders = payment_orders::list(&state.pool, provider.as_ref(), &states, ORDERS).await?;
    let refusals = payment_refusals::list(&state.pool, provider.as_ref(), REFUSALS).await?;
    let unmatched = unmatched_records::count(&state.pool, provider.as_ref()).await?;
    let limits = limits(&state, provider.as_ref()).await?;
    let content = html! {
        (filter(&wanted))
        (listed(&orders, session.now))
        @if unmatched > 0 {
            p.warn { (unmatched) " records wait until it is known whether they belong to one of the open orders." }
        }
        (limits)
        h2 { "Refused requests" }
        @if refusals.is_empty() {
            p { "No request to pay was refused." }
        } @else {
            (table("Requests to pay that were refused, the newest first", &REFUSED, refusals.iter().map(|one| refusal_row(one, session.now))))
        }
    };
    Ok(page::live(&session, "/console/payments", "Payments", content))
}

const LIMITS: [&str; 7] =
    ["Provider", "Asset", "#A payment", "Persons approve above", "#A day", "#Ordered today", "#Left"];

/// What may be paid, and what of it is left today.
async fn limits(state: &SharedState, only: Option<&ProviderName>) -> Result<Markup, StoreError> {
    let mut limits: Vec<_> =
        state.payments.limits().filter(|(provider, ..)| only.is_none_or(|only| only == *provider)).collect();
    if limits.is_empty() {
        return Ok(html! {});
    }
    limits.sort_by_key(|(provider, asset, _)| (provider.as_str(), *asset));
    let per_day: Vec<_> =
        limits.iter().map(|(provider, asset, limit)| (*provider, *asset, limit.per_day)).collect();
    let days = payment_orders::days(&state.pool, &per_day).await?;
    let amount = |amount: Option<Amount>| amount.map_or("any".to_owned(), |amount| amount.to_string());
    let rows = limits.iter().zip(&days).map(|((provider, asset, limit), day)| {
        html! {
            th scope="row" { (provider) }
            td { (asset) }
            td.number { (amount(limit.per_payment)) }
            td {
                @match limit.require_approval_above {
                    Some(above) => { (limit.approvals.unwrap_or(1)) " above " (above.to_string()) },
                    None => "none",
                }
            }
            td.number { (amount(limit.per_day)) }
            td.number { (day.ordered) }
            td.number { (day.left.as_deref().unwrap_or("any")) }
        }
    });
    Ok(html! {
        h2 { "Limits" }
        (table("What may be paid, in minor units, by days of UTC", &LIMITS, rows))
    })
}

fn filter(wanted: &Wanted) -> Markup {
    let choices = [("", "Open"), ("all", "All")].into_iter();
    let choices = choices.chain(OrderState::ALL.map(|state| (state.as_str(), state.as_str())));
    html! {
        ul.choices aria-label="Which orders" {
            @for (choice, name) in choices {
                li {
                    a href={ "/console/payments?state=" (choice) "&provider=" (super::words::encoded(&wanted.provider)) }
                        aria-current=[(choice == wanted.state).then_some("true")] { (name) }
                }
            }
        }
    }
}

const HEADS: [&str; 8] =
    ["State", "Idempotency key", "#Amount, minor units", "Asset", "Kind", "Provider", "Ordered", "Why"];

fn listed(orders: &[Order], now: DateTime<Utc>) -> Markup {
    html! {
        @if orders.is_empty() {
            (empty(html! { "No order is like that. Formance places them by POST /payouts and /transfers; the provider's file says which it may." }))
        } @else {
            (table("Orders, the newest first", &HEADS, orders.iter().map(|order| row(order, now))))
            @if orders.len() == ORDERS as usize {
                p.note { "There may be more: " (command("tributary payouts list --all --limit 1000")) }
            }
        }
    }
}

fn row(order: &Order, now: DateTime<Utc>) -> Markup {
    html! {
        td { (state_badge(order.state)) (waits(order)) }
        th scope="row" { a href={ "/console/payments/" (order.id) } { (order.idempotency_key) } }
        td.number { (order.amount.to_string()) }
        td { (order.asset) }
        td { (order.kind.to_string()) }
        td { (order.provider) }
        td { (time(order.created_at, now)) }
        td { (order.reason.as_deref().unwrap_or("")) }
    }
}

fn state_badge(state: OrderState) -> Markup {
    let kind = match state {
        OrderState::Parked => "bad",
        OrderState::Held | OrderState::Unknown => "warn",
        OrderState::Succeeded => "good",
        _ => "",
    };
    badge(kind, state.as_str())
}

/// Whom an order waits for.
fn waits(order: &Order) -> Markup {
    html! {
        @match order.state {
            OrderState::Held => {
                " waits for " (order.approvals_needed) " to approve"
                @if let Some(by) = &order.approved_by { ", so far " (by) }
            },
            OrderState::Parked => " waits for a person",
            _ => "",
        }
    }
}

const REFUSED: [&str; 6] = ["Last", "#Status", "#Times", "Provider", "Idempotency key", "Why"];

fn refusal_row(refusal: &KeptRefusal, now: DateTime<Utc>) -> Markup {
    html! {
        td { (time(refusal.last_at, now)) }
        td.number { (refusal.status) }
        td.number { (refusal.times) }
        td { (refusal.provider) }
        td { @if let Some(key) = &refusal.idempotency_key { (id(key)) } }
        td { (refusal.detail) }
    }
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Path(wanted): Path<String>,
) -> Result<Response, PageError> {
    let missing =
        || PageError::not_found("There is no such order; the list of payments has all that there are.");
    let wanted = Uuid::try_parse(&wanted).map_err(|_| missing())?;
    let order = payment_orders::get(&state.pool, wanted).await?.ok_or_else(missing)?;
    let steps = payment_orders::all_steps(&state.pool, &order).await?;
    let attempts = named_records::attempts(&state.pool, order.id).await?;
    let audited = payment_audit::of_order(&state.pool, order.id, session.actor().proof()).await?;
    let now = session.now;
    let content = html! {
        p { (state_badge(order.state)) (waits(&order)) }
        (decide(&order, &session))
        (fields(&order, now))
        h2 { "What happened" }
        (timeline(&order, &attempts, &steps, now))
        (audit(&audited.unwrap_or_default(), now))
    };
    Ok(page::live(&session, "/console/payments", &order.idempotency_key, content))
}

/// What a person may do about it.
fn decide(order: &Order, session: &Session) -> Markup {
    let id = order.id.to_string();
    let here = format!("/console/payments/{id}");
    let act = |verb: &str, label: &str| action(session, verb, label, &[("order", &id)], &here);
    let outcome = |label: &str, outcome: &str| {
        action(session, "payouts resolve", label, &[("order", &id), ("outcome", outcome)], &here)
    };
    let is_persons = matches!(order.state, OrderState::Held | OrderState::Parked | OrderState::Recorded);
    html! {
        p {
            @if order.state == OrderState::Held { (act("payouts approve", "Approve")) }
            @if matches!(order.state, OrderState::Held | OrderState::Recorded) { (act("payouts reject", "Reject")) }
            @if order.state == OrderState::Parked {
                (outcome("Look for it again", "look"))
                (outcome("The money moved", "succeeded"))
                (outcome("No money moved", "failed"))
            }
        }
        @if is_persons && session.role != Role::Approver {
            p.note {
                "Approvers decide about it, after a look at the provider; or a login of one's own in tributary_operator: "
                @match order.state {
                    OrderState::Held => (command(&format!("tributary payouts approve {id}"))),
                    OrderState::Parked => (command(&format!("tributary payouts resolve {id} --outcome look"))),
                    _ => (command(&format!("tributary payouts reject {id} --reason \"…\""))),
                }
            }
        }
    }
}

fn fields(order: &Order, now: DateTime<Utc>) -> Markup {
    let optional =
        |name: &str, text: &Option<String>| html! { @if let Some(text) = text { (field(name, id(text))) } };
    let record = story_path(order.provider.as_str(), "transactions", &order.id.to_string());
    html! {
        dl {
            (field("Id", html! { a href=(record) { (id(&order.id.to_string())) } }))
            (field("Idempotency key", id(&order.idempotency_key)))
            (field("Provider", html! { (order.provider) }))
            (field("Kind", html! { (order.kind.to_string()) }))
            (field("Amount, minor units", html! { (order.amount.to_string()) " " (order.asset) }))
            (field("From", id(&order.source_account_id)))
            (field("To", id(&order.destination_account_id)))
            @if let Some(description) = &order.description { (field("Description", html! { (description) })) }
            (field("Served as", html! { (order.status.as_str()) " since " (time(order.status_at, now)) }))
            @if let Some(reason) = &order.reason { (field("Reason", html! { (reason) })) }
            (field("Attempt", html! { (order.attempt) ", sent " (order.tries) " times" }))
            (field("Provider key", id(&order.provider_key)))
            (optional("Provider's id", &order.provider_payment_id))
            (optional("Provider's reference", &order.provider_reference))
            (optional("Approved by", &order.approved_by))
        }
    }
}

/// What is known without the audit, in its order.
fn timeline(order: &Order, attempts: &[Attempt], steps: &[Step], now: DateTime<Utc>) -> Markup {
    let mut events = vec![(order.created_at, format!("ordered by {}", order.placed_by))];
    for attempt in attempts {
        let reason = attempt.reason.as_deref().unwrap_or("no reason is kept");
        events.extend(attempt.first_sent_at.map(|at| (at, format!("attempt {} was sent", attempt.attempt))));
        events.push((
            attempt.ended_at,
            format!("attempt {} ended as {}: {reason}", attempt.attempt, attempt.status),
        ));
    }
    for step in steps {
        events.push((
            step.asked_at,
            format!("step {} of attempt {}: {}", step.name, step.attempt, outcome(step)),
        ));
    }
    events.extend(order.first_sent_at.map(|at| (at, format!("attempt {} was sent", order.attempt))));
    let again = order.last_sent_at.filter(|last| order.first_sent_at.is_some_and(|first| first != *last));
    events.extend(
        again.map(|at| {
            (at, format!("attempt {} was sent again, {} times in all", order.attempt, order.tries))
        }),
    );
    events.extend(order.replied_at.map(|at| (at, "Formance was answered".to_owned())));
    events.push((order.status_at, format!("served as {}", order.status.as_str())));
    events.sort_by_key(|(at, _)| *at);
    html! {
        ol.steps { @for (at, what) in &events { li { (time(*at, now)) " " (what) } } }
        p.note { "The next answer is due " (time_or(order.answer_by, now, "at no set time")) "." }
    }
}

/// Every change of an order.
pub fn audit(audited: &[Audited], now: DateTime<Utc>) -> Markup {
    html! {
        h2 { "Audit" }
        ol.steps { @for change in audited {
            li {
                (time(change.at, now)) " " strong { (change.actor) } ": " (change.what)
                ul { @for line in changes(change.before.as_ref(), change.after.as_ref()) { li { (line) } } }
            }
        } }
    }
}
