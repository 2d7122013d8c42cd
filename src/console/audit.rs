//! What operators did, and what waited for a person.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::error::PageError;
use super::page::{self, empty, table};
use super::session::Session;
use super::words::{command, time, time_or};
use crate::http::SharedState;
use crate::store::notifications::{self, Notification};
use crate::store::operator_audit::{self, Done};

/// How many of each are shown, the latest.
const MOST: u32 = 100;

pub async fn list(State(state): State<SharedState>, session: Session) -> Result<Response, PageError> {
    let done = operator_audit::list(&state.pool, MOST).await?;
    let told = notifications::list(&state.pool, None, MOST).await?;
    let now = session.now;
    let content = html! {
        h2 { "What operators did" }
        @if done.is_empty() {
            (empty(html! { "Nothing yet, here or by a command." }))
        } @else {
            (table("What operators did, the latest first", &DONE, done.iter().map(|done| done_row(done, now))))
            @if done.len() == MOST as usize {
                p.note { "There may be more: " (command("tributary audit list --limit 1000")) }
            }
        }
        h2 { "What waited for a person" }
        @if told.is_empty() {
            (empty(html! { "Nothing. Where TRIBUTARY_NOTIFY_URL is set, what waits for a person is told there." }))
        } @else {
            (table("What waited, the latest first", &TOLD, told.iter().map(|told| told_row(told, now))))
        }
    };
    Ok(page::live(&session, "/console/audit", "Audit", content))
}

const DONE: [&str; 5] = ["At", "Person", "What", "Of", "Login of the database"];

fn done_row(done: &Done, now: DateTime<Utc>) -> Markup {
    html! {
        td { (time(done.at, now)) }
        th scope="row" { (done.person) }
        td { (done.verb) }
        td { (done.subject) }
        td { (done.login) }
    }
}

const TOLD: [&str; 6] = ["Begun", "Kind", "Provider", "What", "Ended", "Told"];

fn told_row(told: &Notification, now: DateTime<Utc>) -> Markup {
    html! {
        td { (time(told.begun_at, now)) }
        td { (told.kind) }
        td { (told.provider) }
        th scope="row" { (told.subject) }
        td { (time_or(told.ended_at, now, "not yet")) }
        td { (time_or(told.delivered_at, now, told.last_error.as_deref().unwrap_or("not sent"))) }
    }
}
