//! What all pages have in common.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use crate::verbs::Access;

/// Where the parts of the console are.
const PLACES: [(&str, &str); 9] = [
    ("/console", "Overview"),
    ("/console/records", "Records"),
    ("/console/quarantine", "Quarantine"),
    ("/console/payments", "Payments"),
    ("/console/statements", "Statements"),
    ("/console/consumers", "Consumers"),
    ("/console/keys", "Keys"),
    ("/console/playground", "Playground"),
    ("/console/audit", "Audit"),
];

/// Markup as an answer.
pub fn html(markup: Markup) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    ([kind], markup.into_string()).into_response()
}

/// A page of what goes on: `content` is fetched anew every few seconds, where there is a script.
pub fn live(session: &Session, here: &str, title: &str, content: Markup) -> Response {
    let content = html! {
        (as_of(session))
        (content)
    };
    match session.fragment {
        true => html(content),
        false => shown(session, here, title, html! { div #live data-refresh { (content) } }),
    }
}

/// As [`live`], with `still` below what changes: forms, in which somebody may be typing. While something `goes_on`, the
/// page is fetched anew where there is no script, too.
pub fn live_above(
    session: &Session,
    (here, title): (&str, &str),
    content: Markup,
    still: Markup,
    goes_on: bool,
) -> Response {
    if session.fragment {
        return live(session, here, title, content);
    }
    let content = html! {
        @if goes_on { noscript { p.note { "It goes on: " a href="" { "look again" } } } }
        div #live data-refresh { (as_of(session)) (content) }
        (still)
    };
    shown(session, here, title, content)
}

fn as_of(session: &Session) -> Markup {
    html! { p.note { "As of " time { (session.now.to_rfc3339_opts(SecondsFormat::Secs, true)) } ". All times are UTC." } }
}

/// A page that stays as it is.
pub fn still(session: &Session, here: &str, title: &str, content: Markup) -> Response {
    shown(session, here, title, content)
}

fn shown(session: &Session, here: &str, title: &str, content: Markup) -> Response {
    let until = session.ends_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let nav = html! {
        nav aria-label="Console" {
            ul {
                @for (path, name) in PLACES {
                    li { a href=(path) aria-current=[(path == here).then_some("page")] { (name) } }
                }
            }
        }
        form.person method="post" action="/console/sign-out" {
            span title={ "Signed in until " (until) } { (session.operator) " (" (session.role.as_str()) ")" }
            button { "Sign out" }
        }
    };
    let done = session.done.and_then(|entry| match entry.access {
        Access::Changes { done, .. } => Some(done),
        _ => None,
    });
    let content = html! {
        @if let Some(done) = done { p.good role="status" { (done) } }
        (content)
    };
    html(layout(title, nav, content))
}

/// A page without anybody who has signed in.
pub fn bare(title: &str, content: Markup) -> Response {
    html(layout(title, html! {}, content))
}

fn layout(title: &str, nav: Markup, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Tributary" }
                link rel="stylesheet" href="/console/console.css";
                link rel="icon" type="image/svg+xml" href="/console/icon.svg";
                script src="/console/console.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header { a.name href="/console" { "Tributary" } (nav) }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

/// A table that scrolls within itself: what it is called, its heads (those that begin with `#` stand over numbers), and
/// its rows.
pub fn table(caption: &str, heads: &[&str], rows: impl IntoIterator<Item = Markup>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    @for head in heads {
                        th scope="col" class=[head.starts_with('#').then_some("number")] { (head.trim_start_matches('#')) }
                    }
                } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

/// What is said where there is nothing, and what to do about it.
pub fn empty(content: Markup) -> Markup {
    html! { p.empty { (content) } }
}

/// A name and what it has.
pub fn field(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}
