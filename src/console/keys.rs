//! The API keys, and who may look at this console: all but their secrets, which nobody has.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::error::PageError;
use super::page::{self, empty, table};
use super::session::Session;
use super::words::{badge, command, id, time, time_or};
use crate::http::SharedState;
use crate::store::api_keys::{self, ApiKey};
use crate::store::operators::{self, Operator};

pub async fn list(State(state): State<SharedState>, session: Session) -> Result<Response, PageError> {
    let keys = api_keys::list(&state.pool, None).await?;
    let operators = operators::list(&state.pool).await?;
    let in_files: usize = state.providers.values().map(|served| served.keys.len()).sum();
    let now = session.now;
    let content = html! {
        h2 { "API keys" }
        @if keys.is_empty() {
            (empty(html! {
                "There is none in the database. "
                (command("tributary keys create --provider acme --name formance --scope connector")) " makes one."
            }))
        } @else {
            (table("API keys, by provider", &KEYS, keys.iter().map(|key| key_row(key, now))))
        }
        @if in_files > 0 { p.note { "Provider files bring " (in_files) " more." } }
        h2 { "Operators" }
        (table("Who may look at this console", &OPERATORS, operators.iter().map(|operator| operator_row(operator, now))))
        p.note { (command("tributary operators create NAME --role viewer")) " makes another one." }
    };
    Ok(page::live(&session, "/console/keys", "Keys", content))
}

fn state(state: &str) -> Markup {
    badge(
        match state {
            "valid" => "good",
            "replaced" => "warn",
            _ => "",
        },
        state,
    )
}

const KEYS: [&str; 8] = ["Name", "Provider", "Scope", "State", "Last used", "Expires", "Created", "Id"];

fn key_row(key: &ApiKey, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (key.name) }
        td { (key.provider) }
        td { (key.scope) }
        td { (state(key.state())) }
        td { (time_or(key.last_used_at, now, "never")) }
        td { (time_or(key.expires_at, now, "never")) }
        td { (time(key.created_at, now)) }
        td { (id(&key.id.to_string())) }
    }
}

const OPERATORS: [&str; 6] = ["Name", "Role", "State", "Last signed in", "Expires", "Created"];

fn operator_row(operator: &Operator, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (operator.name) }
        td { (operator.role) }
        td { (state(operator.state())) }
        td { (time_or(operator.last_used_at, now, "never")) }
        td { (time_or(operator.expires_at, now, "never")) }
        td { (time(operator.created_at, now)) }
    }
}
