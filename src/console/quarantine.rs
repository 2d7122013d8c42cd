//! Records that no page may hold: those that are here for the same fault are one group, which is replayed or discarded
//! as a whole.

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::health;
use super::page::{self, empty, field, table};
use super::playground::{self, Failed};
use super::session::Session;
use super::words::{badge, command, time};
use crate::config::FileText;
use crate::encryption;
use crate::http::SharedState;
use crate::http::quarantine::{discard_group, replay_group};
use crate::store::StoreError;
use crate::store::quarantine::{self, Action, Group, Quarantined, Which};
use crate::sync::preview_replay;

/// How many groups are shown, the largest.
const GROUPS: u32 = 100;
/// How many replays and discards of a group, the latest.
const ACTIONS: u32 = 20;
/// One that was not committed to for so long has been stopped: no batch takes longer.
const STOPPED: TimeDelta = TimeDelta::seconds(90);

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
    let groups = quarantine::groups(&state.pool, which, GROUPS).await?;
    let shown: u64 = groups.iter().map(|group| group.count.max(0).unsigned_abs()).sum();
    let content = html! {
        @if groups.is_empty() {
            (empty(html! { "Nothing is in quarantine" @if let Some(name) = &provider { " of " (name) } ": every record that came could be served." }))
        } @else {
            p {
                (count) " records are here, and Formance has none of them. Mend the provider file, or ask the provider; then have "
                "a group tried again, here or by " (command("tributary quarantine replay --group GROUP")) "."
            }
            (table("Records by fault, the most first", &HEADS, groups.iter().map(|group| row(group, session.now))))
            @if count > shown {
                p.note { "And " (count - shown) " more, of other faults: " (command("tributary quarantine groups --limit 1000")) }
            }
        }
    };
    Ok(page::live(&session, "/console/quarantine", "Quarantine", content))
}

const HEADS: [&str; 8] = [
    "Fault",
    "#Records",
    "Provider",
    "Resource",
    "First seen",
    "Last seen",
    "Latest reason",
    "Samples, the latest",
];

fn row(group: &Group, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { a href=(path_of(&group.group)) { (group.fault) } }
        td.number { (group.count) }
        td { (group.provider) }
        td { (group.resource) @if let Some(stream) = &group.stream { " (" (stream) ")" } }
        td { (time(group.first_seen, now)) }
        td { (time(group.last_seen, now)) }
        td { (group.latest_reason) }
        td { (samples(group)) }
    }
}

fn samples(group: &Group) -> Markup {
    html! { @for id in &group.samples { a href={ "/console/quarantine/" (id) } { (id) } " " } }
}

fn path_of(group: &str) -> String {
    format!("/console/quarantine/groups/{}", super::words::encoded(group))
}

/// A group: what is in it, what was done with it, and what can be.
pub async fn group(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let group = quarantine::group(&state.pool, &id).await?;
    let actions = quarantine::actions(&state.pool, Some(&id), ACTIONS).await?;
    if group.is_none() && actions.is_empty() {
        return Err(PageError::not_found(
            "No record of this group is in quarantine, and nothing was done with it.",
        ));
    }
    let goes_on = actions.iter().any(|action| is_at_work(action, session.now));
    let content = html! {
        @match &group {
            Some(group) => dl {
                (field("Fault", html! { (group.fault) }))
                (field("Records", html! { (group.count) }))
                (field("Provider", html! { (group.provider) }))
                (field("Resource", html! { (group.resource) }))
                (field("Stream", html! { (group.stream.as_deref().unwrap_or("none: they were pushed")) }))
                (field("First seen", time(group.first_seen, session.now)))
                (field("Last seen", time(group.last_seen, session.now)))
                (field("Latest reason", html! { (group.latest_reason) }))
                (field("Samples, the latest", samples(group)))
            },
            None => (empty(html! { "No record of this group is left in quarantine." })),
        }
        @if !actions.is_empty() {
            h2 { "What was done" }
            (table("Replays and discards, the latest first", &ACTION_HEADS,
                actions.iter().map(|action| action_row(action, session.now))))
        }
    };
    let forms = match &group {
        Some(group) if session.may_operate() => forms(group),
        Some(_) => {
            html! { p.note { "Whoever has the role operator or admin can have it replayed or discarded." } }
        }
        None => html! {},
    };
    let here = ("/console/quarantine", "A group of the quarantine");
    Ok(page::live_above(&session, here, content, forms, goes_on))
}

fn forms(group: &Group) -> Markup {
    html! {
        h2 { "Preview" }
        p { "What a replay would do: nothing is written." }
        (preview_form(&group.group, ""))
        h2 { "Try again" }
        p { "What succeeds is written, and leaves the quarantine with it; the rest stays, with its reason of now." }
        form method="post" action={ (path_of(&group.group)) "/replay" } {
            button { "Replay " (group.count) " records" }
        }
        h2 { "Discard" }
        p { "They are deleted for good. Who did so and why is kept, and which records they were." }
        form method="post" action={ (path_of(&group.group)) "/discard" } {
            label for="why" { "Why, in a few words" }
            input #why name="why" required maxlength="500";
            button { "Discard " (group.count) " records" }
        }
    }
}

const ACTION_HEADS: [&str; 8] =
    ["Began", "What", "Who", "#Records", "#Freed", "#Stay", "#Discarded", "State"];

fn is_at_work(action: &Action, now: DateTime<Utc>) -> bool {
    action.ended_at.is_none() && now - action.moved_at < STOPPED
}

fn action_row(action: &Action, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (time(action.started_at, now)) }
        td { (action.action) @if let Some(why) = &action.why { ": " (why) } }
        td { (action.actor) }
        td.number { (action.total) }
        td.number { (action.freed) }
        td.number { (action.stayed) }
        td.number { (action.discarded) }
        td {
            @if let Some(ended) = action.ended_at { (badge("good", "done")) " " (time(ended, now)) }
            @else if is_at_work(action, now) { (badge("", "goes on")) }
            @else { (badge("warn", "stopped")) " do it again for the rest" }
        }
    }
}

#[derive(Deserialize)]
pub struct PreviewForm {
    #[serde(default)]
    file: String,
}

/// What a replay of the group would do, by the file that runs or by the one that was pasted.
pub async fn preview(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
    Form(form): Form<PreviewForm>,
) -> Result<Response, PageError> {
    session.operates()?;
    let gone = || PageError::not_found("No record of this group is in quarantine.");
    let group = quarantine::group(&state.pool, &id).await?.ok_or_else(gone)?;
    let named = health::named(&group.provider)?.ok_or_else(gone)?;
    let file = match (form.file.trim().is_empty(), state.providers.get(&named)) {
        (false, _) => FileText::new(&form.file, None),
        (true, Some(served)) => served.file.clone(),
        (true, None) => {
            return Err(PageError::not_found("No file declares the provider of this group: paste one."));
        }
    };
    let chosen = quarantine::Chosen::Group(&id);
    let previewed = preview_replay(&state.pool, &named, chosen, &file, playground::BOUNDS).await;
    let came = match previewed.map_err(Failed::from) {
        Ok(preview) => playground::shown(&preview),
        Err(Failed::Said(why)) => playground::mistakes(&why),
        Err(Failed::Page(error)) => return Err(error),
    };
    let content = html! {
        p { a href=(path_of(&id)) { "The group" } ": " (group.fault) }
        (came)
        (preview_form(&id, &form.file))
    };
    Ok(page::still(&session, "/console/quarantine", "If this group were replayed", content))
}

fn preview_form(group: &str, file: &str) -> Markup {
    html! {
        form.tall method="post" action={ (path_of(group)) "/preview" } {
            label for="file" { "With this provider file; empty for the one that runs" }
            textarea #file name="file" rows="8" spellcheck="false" { (file) }
            button { "Preview" }
        }
    }
}

pub async fn replay(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    session.operates()?;
    replay_group(&state, &id, &session.actor()).await?;
    Ok(Redirect::to(&path_of(&id)).into_response())
}

#[derive(Deserialize)]
pub struct DiscardForm {
    #[serde(default)]
    why: String,
}

pub async fn discard(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
    Form(form): Form<DiscardForm>,
) -> Result<Response, PageError> {
    session.operates()?;
    discard_group(&state, &id, &session.actor(), &form.why).await?;
    Ok(Redirect::to(&path_of(&id)).into_response())
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let gone = || PageError::not_found("This record is not in quarantine: it was replayed or discarded.");
    let number: i64 = id.parse().map_err(|_| gone())?;
    let content = match quarantine::find(&state.pool, &encryption::keyring(), number).await {
        Ok(record) => content(&record.ok_or_else(gone)?, session.now),
        // that its key is missing is no fault of the record
        Err(StoreError::Sealed(why)) => html! { p.bad { (why) } },
        Err(error) => return Err(error.into()),
    };
    Ok(page::still(&session, "/console/quarantine", &format!("Record {number} of the quarantine"), content))
}

fn content(record: &Quarantined, now: DateTime<Utc>) -> Markup {
    html! {
        dl {
            (field("Provider", html! { (record.provider) }))
            (field("Resource", html! { (record.resource) }))
            (field("First seen", time(record.first_seen, now)))
            (field("Last seen", time(record.last_seen, now)))
            (field("Attempts", html! { (record.attempts) }))
            (field("Of the same fault", html! { a href=(path_of(&record.group)) { "its group" } }))
            @if let Some(origin) = record.record.origin() {
                (field("Stream", html! { (origin.stream) }))
                (field("Partition", html! { @if origin.partition.is_empty() { "all" } @else { code { (origin.partition) } } }))
            }
        }
        h2 { "Why" }
        p.bad { (record.reason) }
        h2 { "As it came" }
        pre data-copy { (String::from_utf8_lossy(record.record.raw())) }
        p { (command(&format!("tributary quarantine replay --id {}", record.id))) " tries it again." }
    }
}
