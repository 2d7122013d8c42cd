//! Signing in, by a key or by a link that works once, and out.

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::error::PageError;
use super::page;
use super::session::{self, LONGEST, cookie, is_https};
use crate::http::{SharedState, id_within, new_key};
use crate::store::operators;
use tributary_domain::ApiKeyDigest;

const KEY_PREFIX: &str = "tro_";

/// A new key of an operator: its id, and the secret text, of which only the digest is to be kept.
pub fn new_operator_key() -> (Uuid, String) {
    new_key(KEY_PREFIX)
}

/// The secret text of a new link.
pub fn new_link() -> String {
    new_key("trl_").1
}

/// Where a link of this text leads. It is in the query, which no log has.
pub fn link_path(text: &str) -> String {
    format!("/console/link?token={text}")
}

#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

impl Next {
    /// A page of the console, whatever was written.
    fn path(&self) -> &str {
        let plain = self.next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let known =
            self.next == "/console" || ["/console/", "/console?"].iter().any(|p| self.next.starts_with(p));
        if plain && known { &self.next } else { "/console" }
    }
}

pub async fn form(Query(next): Query<Next>) -> Response {
    page::bare("Sign in", key_form(next.path(), None)).into_response()
}

fn key_form(next: &str, refused: Option<&str>) -> Markup {
    html! {
        @if let Some(why) = refused {
            p.bad role="alert" { (why) }
        }
        form method="post" action="/console/sign-in" {
            input type="hidden" name="next" value=(next);
            label for="key" { "Your key" }
            input #key type="password" name="key" required autocomplete="current-password" autofocus
                spellcheck="false";
            button { "Sign in" }
        }
        p.note {
            "You have none yet? Whoever has the login of the database's owner types "
            code { "tributary operators create NAME --role viewer" } "."
        }
    }
}

#[derive(Deserialize)]
pub struct KeyForm {
    #[serde(default)]
    key: String,
    #[serde(flatten)]
    next: Next,
}

pub async fn by_key(
    State(state): State<SharedState>,
    parts: Parts,
    Form(form): Form<KeyForm>,
) -> Result<Response, PageError> {
    state.limits.sign_ins().take()?;
    let key = form.key.trim();
    let id = id_within(KEY_PREFIX, key);
    let found = match id {
        Some(id) => operators::find_valid(&state.pool, id).await?,
        None => None,
    };
    let operator = found.filter(|operator| ApiKeyDigest::of(key).is(&operator.digest));
    let Some(operator) = operator else {
        state.security.refused(&parts, "no valid key of an operator", id);
        let refused = "This key opens nothing: it was revoked, has expired, or is not whole.";
        return Ok((
            StatusCode::UNAUTHORIZED,
            page::bare("Sign in", key_form(form.next.path(), Some(refused))),
        )
            .into_response());
    };
    open(&state, &parts, operator.id, form.next.path()).await
}

/// Opens a session, and leads on.
async fn open(state: &SharedState, parts: &Parts, operator: Uuid, next: &str) -> Result<Response, PageError> {
    let (_, text) = new_key("trs_");
    if !operators::open_session(&state.pool, &ApiKeyDigest::of(&text), operator, LONGEST).await? {
        return Err(PageError::forbidden(
            "The key of this operator was revoked or has expired; `tributary operators list` shows whose is valid.",
        ));
    }
    tracing::info!(target: "tributary::security", operator = %operator, "an operator signed in");
    Ok(([(SET_COOKIE, cookie(Some(&text), is_https(parts)))], Redirect::to(next)).into_response())
}

#[derive(Deserialize)]
pub struct Link {
    #[serde(default)]
    token: String,
}

/// A button, as whatever looks at a link in advance would use it up.
pub async fn link_form(Query(link): Query<Link>) -> Response {
    let content = html! {
        p { "This link signs you in once." }
        form method="post" action="/console/link" {
            input type="hidden" name="token" value=(link.token);
            button autofocus { "Sign in" }
        }
    };
    page::bare("Sign in", content).into_response()
}

pub async fn by_link(
    State(state): State<SharedState>,
    parts: Parts,
    Form(link): Form<Link>,
) -> Result<Response, PageError> {
    state.limits.sign_ins().take()?;
    let operator = operators::take_link(&state.pool, &ApiKeyDigest::of(&link.token)).await?;
    let Some(operator) = operator else {
        state.security.refused(&parts, "a link that is used or over", None);
        return Err(PageError::forbidden(
            "This link was used already, or its time is over. `tributary operators link NAME` makes another one.",
        ));
    };
    open(&state, &parts, operator, "/console").await
}

/// Ends the session, whose cookie goes with it.
pub async fn out(State(state): State<SharedState>, parts: Parts) -> Result<Response, PageError> {
    let https = is_https(&parts);
    if let Some(text) = session::shown(&parts.headers, https) {
        operators::end_session(&state.pool, &ApiKeyDigest::of(text)).await?;
    }
    Ok(([(SET_COOKIE, cookie(None, https))], Redirect::to("/console/sign-in")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_goes_on_to_a_page_of_the_console_and_nowhere_else() {
        let path = |next: &str| Next { next: next.to_owned() }.path().to_owned();
        assert_eq!(path("/console/payments?state=held"), "/console/payments?state=held");
        for elsewhere in [
            "",
            "https://evil.example",
            "//evil.example",
            "/consoles",
            "/console\\x",
            "/console/\r\nx",
            "/metrics",
        ] {
            assert_eq!(path(elsewhere), "/console", "{elsewhere:?}");
        }
    }
}
