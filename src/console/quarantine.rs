//! Records that no page may hold: those that are here for the same fault are one group, which is replayed or discarded
//! as a whole.

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::act::action;
use super::error::PageError;
use super::page::{self, empty, field, table};
use super::playground::{self, Failed};
use super::served;
use super::session::Session;
use super::statements::provider_path;
use super::words::{badge, command, time};
use crate::encryption;
use crate::http::SharedState;
use crate::store::StoreError;
use crate::store::listed_statements;
use crate::store::quarantine::{self, Action, Group, Quarantined, Which};
use crate::verbs::quarantine::Preview;
use crate::verbs::{self, On, Verb as _, entry};

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
    let provider = served::named(&wanted.provider)?;
    let which = Which { provider: provider.as_ref(), resource: None };
    let count = quarantine::count(&state.pool, which).await?;
    let groups = quarantine::groups(&state.pool, which, GROUPS).await?;
    let put_aside = listed_statements::count_put_aside(&state.pool, provider.as_ref()).await?;
    let shown: u64 = groups.iter().map(|group| group.count.max(0).unsigned_abs()).sum();
    let content = html! {
        @if put_aside > 0 {
            p.warn {
                a href=(provider_path(&wanted.provider)) { (put_aside) " bank statements" }
                " were put aside whole, as they do not close: they are no records, and are listed among the statements."
            }
        }
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
    let forms = group.as_ref().map_or_else(|| html! {}, |group| forms(group, &session));
    let here = ("/console/quarantine", "A group of the quarantine");
    Ok(page::live_above(&session, here, content, forms, goes_on))
}

fn forms(group: &Group, session: &Session) -> Markup {
    let (fields, back) = ([("group", group.group.as_str())], path_of(&group.group));
    html! {
        p {
            (action(session, "quarantine replay", "Try all again", &fields, &back))
            (action(session, "quarantine discard", "Delete all for good", &fields, &back))
        }
        @if session.may(entry(Preview::NAME)) {
            h2 { "Preview" }
            p { "What a replay would do: nothing is written." }
            (preview_form(&group.group, ""))
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
        td { (action.person) }
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
    let declared = state.declared();
    let verb = Preview { group: id, file: Some(form.file), folder: None };
    let previewed = verbs::perform(&verb, On::answering(&state.pool, &declared), &session.actor()).await;
    let came = match previewed.map_err(Failed::from) {
        Ok(preview) => playground::shown(&preview),
        Err(Failed::Said(why)) => playground::mistakes(&why),
        Err(Failed::Page(error)) => return Err(error),
    };
    let (id, file) = (verb.group, verb.file.unwrap_or_default());
    let content = html! {
        p { a href=(path_of(&id)) { "The group" } }
        (came)
        (preview_form(&id, &file))
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
        p {
            (action(session, "quarantine replay", "Try again", &fields, "/console/quarantine"))
            (action(session, "quarantine discard", "Delete for good", &fields, "/console/quarantine"))
            @if record.record.origin().is_some() && session.may(entry(Preview::NAME)) {
                a.act href=(playground::Wanted::quarantined(record.id)) { "Try it in the playground" }
            }
        }
        p { (command(&format!("tributary quarantine replay --id {}", record.id))) " tries it again." }
    }
}
