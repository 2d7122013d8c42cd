//! The API keys, and who may look at this console: all but their secrets, which nobody has.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::act::action;
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
    let content = html! {
        h2 { "API keys" }
        p { (action(&session, "keys create", "Make an API key", &[], HERE)) }
        @if keys.is_empty() {
            (empty(html! {
                "There is none in the database. "
                (command("tributary keys create --provider acme --name formance --scope connector")) " makes one."
            }))
        } @else {
            (table("API keys, by provider", &KEYS, keys.iter().map(|key| key_row(key, &session))))
        }
        @if in_files > 0 { p.note { "Provider files bring " (in_files) " more." } }
        h2 { "Operators" }
        p { (action(&session, "operators create", "Make an operator", &[], HERE)) }
        (table("Who may look at this console", &OPERATORS, operators.iter().map(|operator| operator_row(operator, &session))))
        p.note { "Approvers, and links for them, are made by the owner of the database alone: " (command("tributary operators create NAME --role approver")) }
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

const HERE: &str = "/console/keys";

const KEYS: [&str; 9] =
    ["Name", "Provider", "Scope", "State", "Last used", "Expires", "Created", "Id", "To do"];

fn key_row(key: &ApiKey, session: &Session) -> Markup {
    let (now, key_id) = (session.now, key.id.to_string());
    let named = [("name", key.name.as_str()), ("provider", key.provider.as_str())];
    html! {
        th scope="row" { (key.name) }
        td { (key.provider) }
        td { (key.scope) }
        td { (state(key.state())) }
        td { (time_or(key.last_used_at, now, "never")) }
        td { (time_or(key.expires_at, now, "never")) }
        td { (time(key.created_at, now)) }
        td { (id(&key_id)) }
        td {
            @if key.state() == "valid" { (action(session, "keys rotate", "Rotate", &named, HERE)) }
            @if key.revoked_at.is_none() { (action(session, "keys revoke", "Revoke", &[("key", &key_id)], HERE)) }
        }
    }
}

const OPERATORS: [&str; 8] =
    ["Name", "Role", "Signs in by", "State", "Last signed in", "Expires", "Created", "To do"];

fn operator_row(operator: &Operator, session: &Session) -> Markup {
    let now = session.now;
    let named = [("name", operator.name.as_str())];
    html! {
        th scope="row" { (operator.name) }
        td { (operator.role) }
        td {
            @match (&operator.issuer, &operator.subject) {
                (Some(issuer), Some(subject)) => { (issuer) " as " (subject) }
                _ => "key",
            }
        }
        td { (state(operator.state())) }
        td { (time_or(operator.last_used_at, now, "never")) }
        td { (time_or(operator.expires_at, now, "never")) }
        td { (time(operator.created_at, now)) }
        td {
            @if operator.revoked_at.is_none() {
                @if operator.role != "approver" && operator.issuer.is_none() { (action(session, "operators link", "Make a link", &named, HERE)) }
                (action(session, "operators revoke", "Revoke", &named, HERE))
            }
        }
    }
}
