//! The story of one record: what came, what was made of it, when it was served and who has it, and its order.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::error::PageError;
use super::page::{self, empty, field};
use super::payments::audit;
use super::playground;
use super::session::Session;
use super::words::{badge, encoded, id, story_path, time, value};
use crate::encryption;
use crate::http::SharedState;
use crate::payments::told::outcome;
use crate::records::story::{self, Came, OrderStory, Published, Story};
use crate::verbs::remap::DryRun;
use crate::verbs::{Verb as _, entry};
use tributary_domain::ProviderName;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    id: String,
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let missing = || PageError::not_found("There is no such record. Search for it by another of its names.");
    let provider: ProviderName = wanted.provider.parse().map_err(|_| missing())?;
    if wanted.id.contains('\0') {
        return Err(missing());
    }
    let found = story::find(&state.pool, &wanted.id, Some(&provider)).await?;
    let named = |name: &&_| {
        let crate::store::named_records::RecordName { resource, id, .. } = name;
        *resource == wanted.resource && *id == wanted.id
    };
    let name = found.iter().find(named).cloned().ok_or_else(missing)?;
    let story = story::of(&state.pool, &encryption::keyring(), name, session.actor().proof()).await?;
    Ok(page::live(&session, "/console/records", &story.name.id, content(&story, &session)))
}

fn content(story: &Story, session: &Session) -> Markup {
    let now = session.now;
    html! {
        dl {
            (field("Id", id(&story.name.id)))
            (field("Provider", html! { (story.name.provider) }))
            (field("Resource", html! { (story.name.resource) }))
            @if let Some(Value::Object(row)) = &story.now {
                @for (name, held) in row.iter().filter(|(name, held)| !held.is_null() && !["id", "provider"].contains(&&***name)) {
                    (field(&name.replace('_', " "), html! { (value(held)) }))
                }
            }
            @for held in &story.balances {
                (field(&format!("Holds {}", held.asset), html! { (held.amount) " at " (time(held.at, now)) }))
            }
        }
        @if !story.children.is_empty() {
            h2 { "Related" }
            ul { @for child in &story.children {
                li { a href=(story_path(&story.name.provider, "transactions", child)) { (id(child)) } }
            } }
        }
        h2 { "It came from" }
        @if story.came.is_empty() {
            (empty(html! {
                @if story.order.is_some() { "It was ordered here." }
                @else { "Nothing that is kept: it was pushed, or its provider's file does not say " code { "keep_raw" } "." }
            }))
        } @else {
            ol.steps { @for came in &story.came { li { (answer(came, story, session)) } } }
        }
        h2 { "It was published" }
        @if story.versions.is_empty() { (empty(html! { "Not yet." })) }
        ol.steps { @for version in &story.versions { li { (published(version, now)) } } }
        @for waiting in &story.unpublished {
            p.warn {
                "Not published yet, since " (time(waiting.staged_at, now))
                @if let Some(parent) = waiting.parent_id.as_ref().filter(|_| waiting.waits_since.is_some()) {
                    ": it waits for " (id(parent))
                }
            }
            pre { (waiting.body) }
        }
        @if let Some(order) = &story.order { (ordered(order, now)) }
    }
}

fn answer(came: &Came, story: &Story, session: &Session) -> Markup {
    let now = session.now;
    html! {
        strong { (came.stream) }
        @if !came.partition.is_empty() { " of " code { (came.partition) } }
        ", asked for at " (came.asked_at) ", last so at " (time(came.kept_at, now))
        @if came.vanished { ", not listed any more" }
        @match (&came.record, &came.unreadable) {
            (Some(record), _) => {
                pre { (record.get()) }
                @if session.may(entry(DryRun::NAME)) {
                    a.act href=(playground::Wanted::kept(&story.name.provider, &came.stream, came.position)) { "Try it in the playground" }
                }
            },
            (None, why) => p.bad { "Unreadable: " (why.as_deref().unwrap_or_default()) },
        }
    }
}

fn published(Published { version, fetched }: &Published, now: DateTime<Utc>) -> Markup {
    html! {
        "Position " strong { (version.position) } ", " (time(version.published_at, now))
        @if let Some(status) = &version.status { " " (badge("", status)) }
        @if let Some(at) = version.erased_at { ", erased at " (time(at, now)) }
        pre { (version.body) }
        @if !fetched.is_empty() {
            ul { @for fetched in fetched { li {
                code { (fetched.consumer) }
                @if fetched.fetched {
                    " has it, by " (time(fetched.polled_at, now)) " at the latest"
                } @else {
                    " has not fetched it; polled last at " (time(fetched.polled_at, now))
                }
            } } }
        }
    }
}

fn ordered(order: &OrderStory, now: DateTime<Utc>) -> Markup {
    html! {
        h2 { "It was ordered" }
        p {
            a href={ "/console/payments/" (encoded(&order.id.to_string())) } { (id(&order.id.to_string())) }
            " under " (id(&order.idempotency_key)) ": " (badge("", &order.state)) " served as " (order.status)
        }
        ul {
            @for attempt in &order.attempts {
                li {
                    "Attempt " (attempt.attempt) ": " (attempt.status) " at " (time(attempt.ended_at, now)) ": "
                    (attempt.reason.as_deref().unwrap_or("no reason is kept"))
                }
            }
            @for step in &order.steps {
                li { "Step " (step.name) " of attempt " (step.attempt) ": " (outcome(step)) }
            }
        }
        (audit(order.audit.as_deref().unwrap_or_default(), now))
    }
}
