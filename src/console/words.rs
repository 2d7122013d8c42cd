//! What is said the same on every page: times, lengths of time, numbers, ids.

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, Render, html};

use crate::health::length;
use serde_json::Value;

use crate::telemetry::labels;

/// A time in UTC, and how far it is from `now`.
pub fn time(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let exact = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    html! {
        time datetime=(exact) title=(exact) { (text) } " " span.ago { "(" (ago(at, now)) ")" }
    }
}

/// The same, or what is said where there is none.
pub fn time_or(at: Option<DateTime<Utc>>, now: DateTime<Utc>, none: &str) -> Markup {
    at.map_or_else(|| html! { (none) }, |at| time(at, now))
}

fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).as_seconds_f64();
    match seconds < 0.0 {
        true => format!("in {}", length(-seconds)),
        false => format!("{} ago", length(seconds)),
    }
}

/// A number that `/metrics` has, too, under this name and these labels.
pub fn measured(
    value: impl std::fmt::Display,
    name: &str,
    of: &[(&str, &str)],
    shown: impl Render,
) -> Markup {
    let of = if of.is_empty() { String::new() } else { labels(of) };
    html! { data value=(value) data-metric={ (name) (of) } { (shown) } }
}

/// An id, whole, with a button to copy it where there is a script.
pub fn id(text: &str) -> Markup {
    html! { code.id data-copy { (text) } }
}

/// A command to type.
pub fn command(text: &str) -> Markup {
    html! { code.command data-copy { (text) } }
}

/// A JSON value as it is: texts without quotes, everything else digit by digit.
pub fn value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Text of a path or a query that means nothing else there.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Where the story of a record is.
pub fn story_path(provider: &str, resource: &str, id: &str) -> String {
    format!(
        "/console/record?provider={}&resource={}&id={}",
        encoded(provider),
        encoded(resource),
        encoded(id)
    )
}

/// A badge of one of the kinds that the style knows: `good`, `warn`, `bad`, or nothing.
pub fn badge(kind: &str, text: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_says_what_it_is_relative_to() {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        for (at, said) in [
            ("2026-03-01T12:00:00Z", "0 s ago"),
            ("2026-03-01T11:58:01Z", "119 s ago"),
            ("2026-03-01T11:00:00Z", "60 min ago"),
            ("2026-02-28T12:00:00Z", "24 h 0 min ago"),
            ("2026-02-01T11:00:00Z", "28 d 1 h ago"),
            ("2026-03-01T12:03:00Z", "in 3 min"),
        ] {
            assert_eq!(ago(at.parse().unwrap(), now), said);
        }
    }

    #[test]
    fn whatever_a_provider_wrote_is_text() {
        let shown =
            html! { (id("<script>alert(1)</script>")) (badge("bad\" onclick=\"x", "&")) }.into_string();
        assert!(!shown.contains("<script>") && !shown.contains("\" onclick"), "{shown}");
        assert_eq!(encoded("a/b?c=d&e é"), "a%2Fb%3Fc%3Dd%26e%20%C3%A9");
    }
}
