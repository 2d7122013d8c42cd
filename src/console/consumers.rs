//! Who polls, how far they came, and what to type where Formance has paused a schedule.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::act::action;
use super::error::PageError;
use super::page::{self, empty, table};
use super::session::Session;
use super::words::{badge, command, id, time, time_or};
use crate::health::length;
use crate::http::SharedState;
use crate::store::consumers::{self, Consumer};

pub async fn list(State(state): State<SharedState>, session: Session) -> Result<Response, PageError> {
    let consumers = consumers::list(&state.pool, None).await?;
    let content = html! {
        @if consumers.is_empty() {
            (empty(html! {
                "Nobody has polled. " (command("tributary keys create --provider acme --name formance --scope connector"))
                " makes a key, and " (command("tributary formance install-config --provider acme --endpoint URL"))
                " what Formance installs."
            }))
        } @else {
            (table("Consumers, by provider", &HEADS, consumers.iter().map(|consumer| row(consumer, session.now))))
        }
        @for consumer in consumers.iter().filter(|consumer| consumer.silent) { (silent(consumer, &session)) }
    };
    Ok(page::live(&session, "/console/consumers", "Consumers", content))
}

const HEADS: [&str; 9] = [
    "Consumer",
    "Provider",
    "Feed",
    "State",
    "Last poll",
    "Every",
    "#Delivered up to",
    "#Behind, entries",
    "#For",
];

fn row(consumer: &Consumer, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (id(&consumer.key)) }
        td { (consumer.provider) }
        td { (consumer.feed) }
        td { (badge(if consumer.silent { "bad" } else { "" }, consumer.state())) }
        td { (time(consumer.polled_at, now)) " from " (time_or(consumer.asked_from, now, "the beginning")) }
        td { (consumer.period_seconds.map_or("not known yet".to_owned(), length)) }
        td.number { (consumer.position) " of " (consumer.position + consumer.lag_entries) }
        td.number { (consumer.lag_entries) }
        td.number { (length(consumer.lag_seconds)) }
    }
}

/// What to type for a consumer that polls no more.
fn silent(consumer: &Consumer, session: &Session) -> Markup {
    let Consumer { provider, feed, key, .. } = consumer;
    let resume = format!("fctl payments connectors update-config generic {provider}.json --connector-id ID");
    html! {
        h2 { (key) " does not poll " (feed) " any more" }
        p {
            "It has not for two of its periods. Perhaps Formance has paused its schedule after answers that it takes for final: "
            "see first what it was refused with. Then an update of the connector's configuration, with the same content, resumes it:"
        }
        p { (command(&resume)) }
        p {
            "One that is not to come back: "
            (action(session, "consumers forget", "Forget it", &[("provider", provider), ("key", key)], "/console/consumers"))
            (command(&format!("tributary consumers forget {provider} {key}")))
        }
    }
}
