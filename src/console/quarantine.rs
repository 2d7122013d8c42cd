//! Records that no page may hold: those that were refused for the same reason are one group.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::act::action;
use super::error::PageError;
use super::health;
use super::page::{self, empty, field, table};
use super::session::Session;
use super::words::{command, time};
use crate::encryption;
use crate::http::SharedState;
use crate::store::StoreError;
use crate::store::quarantine::{self, Quarantined, SameReason, Which};

/// How many groups are shown, the largest.
const GROUPS: u32 = 100;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    provider: String,
}

pub async fn list(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let provider = health::named(&wanted.provider)?;
    let which = Which { provider: provider.as_ref(), resource: None };
    let count = quarantine::count(&state.pool, which).await?;
    let groups = quarantine::reasons(&state.pool, which, GROUPS).await?;
    let shown: u64 = groups.iter().map(|group| group.count.max(0).unsigned_abs()).sum();
    let content = html! {
        @if groups.is_empty() {
            (empty(html! { "Nothing is in quarantine" @if let Some(name) = &provider { " of " (name) } ": every record that came could be served." }))
        } @else {
            p {
                (count) " records are here, and Formance has none of them. Mend the provider file, or ask the provider; then "
                (command("tributary quarantine replay --provider NAME")) " tries them again."
            }
            (table("Records by reason, the most first", &HEADS, groups.iter().map(|group| row(group, session.now))))
            @if count > shown {
                p.note { "And " (count - shown) " more, of other reasons: " (command("tributary quarantine list")) }
            }
        }
    };
    Ok(page::live(&session, "/console/quarantine", "Quarantine", content))
}

const HEADS: [&str; 7] =
    ["Reason", "#Records", "Provider", "Resource", "First seen", "Last seen", "Samples, the latest"];

fn row(group: &SameReason, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (group.reason) }
        td.number { (group.count) }
        td { (group.provider) }
        td { (group.resource) }
        td { (time(group.first_seen, now)) }
        td { (time(group.last_seen, now)) }
        td { @for id in &group.samples { a href={ "/console/quarantine/" (id) } { (id) } " " } }
    }
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gone = || PageError::not_found("This record is not in quarantine: it was replayed or discarded.");
    let number: i64 = id.parse().map_err(|_| gone())?;
    let content = match quarantine::find(&state.pool, &encryption::keyring(), number).await {
        Ok(record) => content(&record.ok_or_else(gone)?, &session),
        // that its key is missing is no fault of the record
        Err(StoreError::Sealed(why)) => html! { p.bad { (why) } },
        Err(error) => return Err(error.into()),
    };
    Ok(page::still(&session, "/console/quarantine", &format!("Record {number} of the quarantine"), content))
}

fn content(record: &Quarantined, session: &Session) -> Markup {
    let (now, id) = (session.now, record.id.to_string());
    let fields = [("ids", id.as_str())];
    html! {
        dl {
            (field("Provider", html! { (record.provider) }))
            (field("Resource", html! { (record.resource) }))
            (field("First seen", time(record.first_seen, now)))
            (field("Last seen", time(record.last_seen, now)))
            (field("Attempts", html! { (record.attempts) }))
            @if let Some(origin) = record.record.origin() {
                (field("Stream", html! { (origin.stream) }))
                (field("Partition", html! { @if origin.partition.is_empty() { "all" } @else { code { (origin.partition) } } }))
            }
        }
        h2 { "Why" }
        p.bad { (record.reason) }
        h2 { "As it came" }
        pre data-copy { (String::from_utf8_lossy(record.record.raw())) }
        p {
            (action(session, "quarantine replay", "Try again", &fields, "/console/quarantine"))
            (action(session, "quarantine discard", "Delete for good", &fields, "/console/quarantine"))
        }
        p { (command(&format!("tributary quarantine replay --id {}", record.id))) " tries it again." }
    }
}
