//! The overview: per provider, whether Formance is up to date with the bank, and each number behind that.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::error::PageError;
use super::page::{self, empty, table};
use super::served;
use super::session::Session;
use super::statements::provider_path;
use super::throughput;
use super::words::{badge, encoded, measured, time, time_or};
use crate::health::verdict::{self, Verdict};
use crate::health::{self, FeedHealth, GroupHealth, Health, length};
use crate::http::SharedState;
use crate::store::StoreError;
use crate::store::consumers::Consumer;
use crate::store::payment_orders;
use crate::store::statements::{self, Alarms};
use tributary_domain::ProviderName;

pub async fn show(State(state): State<SharedState>, session: Session) -> Result<Response, PageError> {
    let names = served::providers(&state);
    let all = served::health(&state, &names).await?;
    let hourly = health::hourly(&state.pool, &names, session.now).await?;
    let abandoned = abandoned(&state).await?;
    let statements = of_statements(&state, &names).await?;
    let content = html! {
        (of_this_instance(&state))
        @if abandoned > 0 {
            p.bad {
                (measured(abandoned, "tributary_abandoned_payments", &[], abandoned))
                " open " a href="/console/payments" { "payments" }
                " are of providers that no file says how to pay at: put the file back, and restart."
            }
        }
        @if all.is_empty() {
            (empty(html! {
                "No provider is served. " code { "tributary manifest new acme" }
                " begins a file; then restart the server."
            }))
        }
        @for health in &all {
                @let hourly = hourly.get(health.name.as_str()).map(Vec::as_slice).unwrap_or_default();
                (provider(health, hourly, statements.get(&health.name), session.now))
            }
    };
    Ok(page::live(&session, "/console", "Overview", content))
}

/// The orders that have not ended and that nobody carries on.
async fn abandoned(state: &SharedState) -> Result<i64, StoreError> {
    let open = payment_orders::open_counts(&state.pool).await?;
    let abandoned = open.iter().filter(|open| !state.payments.carry_on(&open.provider, open.kind));
    Ok(abandoned.map(|open| open.count).sum())
}

/// What is wrong with the bank statements of those that read some.
async fn of_statements(
    state: &SharedState,
    names: &[ProviderName],
) -> Result<HashMap<ProviderName, Alarms>, StoreError> {
    let mut of = HashMap::new();
    for name in names {
        if state.providers.get(name).is_some_and(|served| served.files.is_some()) {
            of.insert(name.clone(), statements::alarms(&state.pool, name).await?);
        }
    }
    Ok(of)
}

/// What of the instance that was asked is down.
fn of_this_instance(state: &SharedState) -> Markup {
    let (essential, others) = state.parts.down();
    html! {
        @for part in essential.iter().chain(&others) {
            p.bad { "The task " (part.to_string()) " of this instance failed and is being restarted; the log says why." }
        }
    }
}

fn provider(health: &Health, hourly: &[i64], statements: Option<&Alarms>, now: DateTime<Utc>) -> Markup {
    let name = health.name.as_str();
    html! {
        section.provider aria-labelledby={ "provider-" (name) } {
            h2 id={ "provider-" (name) } { a href={ "/console/providers/" (encoded(name)) } { (name) } }
            (judged(health, now))
            h3 { "From the provider" }
            (groups(health, now))
            h3 { "Into the feeds" }
            (table(&format!("{name}: feeds"), &FEEDS, health.feeds.iter().map(|feed| feed_row(name, feed, now))))
            (throughput::picture(name, hourly))
            h3 { "To Formance" }
            @if health.consumers.is_empty() {
                (empty(html! {
                    "Nobody has polled. " code { "tributary keys create --provider " (name) " --name formance --scope connector" }
                    " makes a key, and "
                    code { "tributary formance install-config --provider " (name) " --endpoint URL" } " what Formance installs."
                }))
            } @else {
                (table(&format!("{name}: consumers"), &CONSUMERS, health.consumers.iter().map(consumer_row)))
            }
            h3 { "Waiting" }
            (waiting(health, statements))
        }
    }
}

/// The verdict, with what it rests on.
pub fn judged(health: &Health, now: DateTime<Utc>) -> Markup {
    let reasons = verdict::reasons(health, now);
    let (kind, said) = match verdict::on(&reasons) {
        Verdict::UpToDate => ("good", "Formance is up to date"),
        Verdict::CatchingUp => ("warn", "Formance is catching up"),
        Verdict::Behind => ("bad", "Formance is behind"),
    };
    html! {
        p { (badge(kind, said)) }
        @if !reasons.is_empty() {
            ul { @for reason in &reasons { li { (reason.text) } } }
        }
    }
}

/// How each group of streams does.
pub fn groups(health: &Health, now: DateTime<Utc>) -> Markup {
    let name = health.name.as_str();
    if health.groups.is_empty() {
        return html! { p { "Nothing is pulled: what comes is pushed, without a schedule." } };
    }
    let rows = health.groups.iter().map(|group| group_row(name, group, now));
    table(&format!("{name}: groups of streams"), &GROUPS, rows)
}

const GROUPS: [&str; 6] =
    ["Group", "Streams", "Last read to its end", "Every", "#Failed in a row", "Breaker"];

fn group_row(name: &str, group: &GroupHealth, now: DateTime<Utc>) -> Markup {
    let of = [("provider", name), ("group", group.state.group.as_str())];
    let at = group.last_success.map_or(0, |at| at.timestamp());
    let open = group.breaker_is_open();
    html! {
        th scope="row" { (group.state.group) }
        td { (if group.streams.is_empty() { "in no file any more".to_owned() } else { group.streams.join(", ") }) }
        td {
            (measured(at, "tributary_sync_last_success_timestamp_seconds", &of, time_or(group.last_success, now, "never")))
            @if let Some(run) = &group.running {
                "; " span.now { "is being read, " (run.records) " records in " (length((now - run.started_at).as_seconds_f64())) }
            }
        }
        td { (group.period.map_or("only when asked".to_owned(), length)) }
        td.number { (measured(group.state.failures, "tributary_sync_failures_in_a_row", &of, group.state.failures)) }
        td {
            (measured(u8::from(open), "tributary_sync_breaker_open", &of, if open { badge("bad", "open") } else { html! { "closed" } }))
            @if let Some(until) = group.state.paused_until.filter(|_| group.state.paused) {
                " paused until " (time(until, now))
            }
        }
    }
}

const FEEDS: [&str; 6] =
    ["Feed", "#Last position", "Published", "#Not published yet", "#Without their parent", "#Clock behind"];

fn feed_row(name: &str, feed: &FeedHealth, now: DateTime<Utc>) -> Markup {
    let of = [("provider", name), ("feed", feed.feed.as_str())];
    let queued = feed.backlog.as_ref().map_or(0, |backlog| backlog.queued);
    let children = feed.backlog.as_ref().map_or(0, |backlog| backlog.without_parent);
    let head = feed.head.as_ref().filter(|head| head.position > 0);
    html! {
        th scope="row" { (feed.feed.as_str()) }
        td.number { (head.map_or(0, |head| head.position)) }
        td { (time_or(head.map(|head| head.at), now, "nothing yet")) }
        td.number { (measured(queued, "tributary_changes_queued", &of, queued)) }
        td.number { (measured(children, "tributary_changes_waiting_for_parent", &of, children)) }
        td.number { (measured(feed.clock_behind, "tributary_feed_clock_behind_seconds", &of, length(feed.clock_behind))) }
    }
}

const CONSUMERS: [&str; 5] = ["Consumer", "Feed", "#Behind, entries", "#For", "State"];

fn consumer_row(consumer: &Consumer) -> Markup {
    let of =
        [("provider", consumer.provider.as_str()), ("feed", &consumer.feed), ("key", consumer.key.as_str())];
    let silent = u8::from(consumer.silent);
    let kind = if consumer.silent { "bad" } else { "" };
    html! {
        th scope="row" { (consumer.key) }
        td { (consumer.feed) }
        td.number { (measured(consumer.lag_entries, "tributary_consumer_lag_entries", &of, consumer.lag_entries)) }
        td.number { (measured(consumer.lag_seconds, "tributary_consumer_lag_seconds", &of, length(consumer.lag_seconds))) }
        td { (measured(silent, "tributary_consumer_silent", &of, badge(kind, consumer.state()))) }
    }
}

fn waiting(health: &Health, statements: Option<&Alarms>) -> Markup {
    let name = health.name.as_str();
    let orders = health.payments.iter().filter(|(_, count)| *count > 0);
    html! {
        ul {
            li {
                a href={ "/console/quarantine?provider=" (encoded(name)) } { "Quarantine" } ": "
                (measured(health.quarantined, "tributary_quarantine_records", &[("provider", name)], health.quarantined))
                " records"
            }
            @if let Some(Alarms { gaps, late, unbalanced }) = statements {
                @let of = [("provider", name)];
                li {
                    a href=(provider_path(name)) { "Statements" } ": "
                    (measured(gaps, "tributary_statement_gap", &of, gaps)) " gaps, "
                    (measured(late, "tributary_statement_late", &of, late)) " accounts late, "
                    (measured(unbalanced, "tributary_statement_unbalanced", &of, unbalanced))
                    " put aside, without their other pages, or off by a sum"
                }
            }
            @for (state, count) in orders {
                li {
                    a href={ "/console/payments?provider=" (encoded(name)) "&state=" (state.as_str()) } { "Payments " (state.as_str()) }
                    ": "
                    (measured(count, "tributary_open_payments", &[("provider", name), ("state", state.as_str())], count))
                }
            }
            @if health.payments.iter().all(|(_, count)| *count == 0) { li { "No payment is open." } }
        }
    }
}
