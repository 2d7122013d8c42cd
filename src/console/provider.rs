//! One provider: what is read when, what the provider wants none of now, and the latest runs with their errors.

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::act::action;
use super::error::PageError;
use super::overview::{groups, judged};
use super::page::{self, empty, table};
use super::served;
use super::session::Session;
use super::statements::provider_path;
use super::words::{badge, command, time, time_or};
use crate::health::Health;
use crate::http::SharedState;
use crate::store::request_log::ClosedLane;
use crate::store::sync_runs::{self, Run, RunStream, RunWarning};
use crate::store::sync_tasks::{self, Due};
use tributary_domain::ProviderName;

/// How many runs are shown, the latest, and how many partitions that are due.
const RUNS: u32 = 20;
const DUE: u32 = 100;

/// A run with what went wrong or was odd in it.
struct Told {
    run: Run,
    streams: Vec<RunStream>,
    warnings: Vec<RunWarning>,
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let known = name.parse::<ProviderName>().ok().filter(|name| state.providers.contains_key(name));
    let name = known.ok_or_else(|| {
        PageError::not_found(
            "This instance serves no provider of this name; the overview lists those that it does.",
        )
    })?;
    let health = served::health(&state, std::slice::from_ref(&name)).await?;
    let due = sync_tasks::scheduled(&state.pool, &name, DUE).await?;
    let mut told = Vec::new();
    for run in sync_runs::list(&state.pool, Some(&name), RUNS).await? {
        told.push(Told {
            streams: sync_runs::streams(&state.pool, run.id).await?,
            warnings: match run.warnings {
                0 => Vec::new(),
                _ => sync_runs::warnings(&state.pool, run.id).await?,
            },
            run,
        });
    }
    let reads_files = state.providers.get(&name).is_some_and(|served| served.files.is_some());
    let content = html! {
        @if reads_files { p { a href=(provider_path(name.as_str())) { "Bank statements of " (name) } } }
        @for health in &health { (content(health, &due, &told, &session)) }
    };
    Ok(page::live(&session, "/console", name.as_str(), content))
}

fn content(health: &Health, due: &[Due], told: &[Told], session: &Session) -> Markup {
    let (now, name) = (session.now, health.name.as_str());
    let here = format!("/console/providers/{name}");
    html! {
        (judged(health, now))
        @if !due.is_empty() {
            p {
                @if health.pause.is_some() {
                    (action(session, "resume", "Resume", &[("provider", name)], &here))
                } @else {
                    (action(session, "sync", "Read now", &[("provider", name)], &here))
                    (action(session, "sync", "Read everything anew", &[("provider", name), ("full", "true")], &here))
                    (action(session, "pause", "Pause", &[("provider", name)], &here))
                }
                (action(session, "remap", "Map what was kept again", &[("provider", name)], &here))
            }
        }
        h2 { "Groups of streams" }
        (groups(health, now))
        h2 { "Next" }
        @if due.is_empty() {
            (empty(html! { "Nothing is scheduled: the provider is pushed, or no instance has pulled it yet." }))
        } @else {
            (table("What is read next", &DUE_HEADS, due.iter().map(|due| due_row(health, due, now))))
        }
        h2 { "Closed by the provider" }
        @if health.closed.is_empty() {
            p { "Nothing: the provider takes requests." }
        } @else {
            (table("Requests that the provider wants none of now", &["Requests", "Until", "To ask again at once"],
                health.closed.iter().map(|lane| lane_row(lane, session, &here))))
        }
        h2 { "Runs" }
        @if told.is_empty() {
            (empty(html! { "Nothing was read yet. " (command(&format!("tributary sync {}", health.name))) " reads it now." }))
        } @else {
            ol.steps { @for told in told { li { (run(told, now)) } } }
            p.note { "The latest " (told.len()) ". " (command(&format!("tributary runs --provider {}", health.name))) " lists more." }
        }
    }
}

const DUE_HEADS: [&str; 5] = ["Stream", "Partition", "Schedule", "Next due", "Read now by"];

fn due_row(health: &Health, due: &Due, now: DateTime<Utc>) -> Markup {
    let group = health.groups.iter().find(|group| group.state.group == due.group);
    let holder = group.and_then(|group| group.state.holder.as_deref());
    html! {
        th scope="row" { (due.stream) @if due.stream != due.group { span.note { " with " (due.group) } } }
        td { @if due.partition.is_empty() { "all" } @else { code { (due.partition) } } }
        td { (due.schedule) }
        td { (time_or(due.due_at, now, "when somebody asks")) }
        td { (holder.unwrap_or("nobody")) }
    }
}

fn lane_row(lane: &ClosedLane, session: &Session, here: &str) -> Markup {
    let now = session.now;
    let fields = [("provider", lane.provider.as_str()), ("requests", lane.lane.as_str())];
    let lift = format!("tributary limits lift {} --requests {}", lane.provider, lane.lane);
    html! {
        th scope="row" { code { (lane.lane) } }
        td { (time(lane.closed_until, now)) }
        td { (action(session, "limits lift", "Ask again", &fields, here)) (command(&lift)) }
    }
}

fn run(Told { run, streams, warnings }: &Told, now: DateTime<Utc>) -> Markup {
    let kind = match run.status.as_str() {
        "succeeded" => "good",
        "failed" => "bad",
        _ => "warn",
    };
    let seconds = run.finished_at.map(|end| (end - run.started_at).as_seconds_f64());
    html! {
        (badge(kind, &run.status)) " " strong { (run.stream_group) } " " (time(run.started_at, now))
        @if let Some(seconds) = seconds { ", " (format!("{seconds:.1}")) " s" }
        p {
            (run.requests) " requests: " (run.created) " created, " (run.updated) " updated, " (run.unchanged)
            " unchanged, " (run.quarantined) " quarantined"
        }
        @if let Some(error) = &run.error { p.bad { (error) } }
        @for stream in streams.iter().filter(|stream| stream.error.is_some()) {
            p.bad { strong { (stream.stream) } ": " (stream.error.as_deref().unwrap_or_default()) }
        }
        @for warning in warnings {
            p.warn { strong { (warning.stream) } ": " (warning.kind) ", " (warning.times) " times; the first: " (warning.text) }
        }
        details id={ "run-" (run.id) } {
            summary { "By stream" }
            (table("What each stream brought", &STREAMS, streams.iter().map(stream_row)))
        }
    }
}

const STREAMS: [&str; 6] = ["Stream", "#Requests", "#Created", "#Updated", "#Unchanged", "#Quarantined"];

fn stream_row(stream: &RunStream) -> Markup {
    html! {
        th scope="row" { (stream.stream) }
        @for count in [stream.requests, stream.created, stream.updated, stream.unchanged, stream.quarantined] {
            td.number { (count) }
        }
    }
}
