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
use super::session::LONGEST;
use crate::http::{SharedState, is_https, new_key, operator_key_id, session_cookie, session_text};
use crate::store::operators;
use tributary_domain::ApiKeyDigest;

pub const SESSION_PREFIX: &str = "trs_";

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
    pub fn path(&self) -> &str {
        own_path(&self.next)
    }
}

/// A page of the console, whatever was written.
pub fn own_path(written: &str) -> &str {
    let plain = written.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let known = written == "/console" || ["/console/", "/console?"].iter().any(|p| written.starts_with(p));
    if plain && known { written } else { "/console" }
}

pub async fn form(State(state): State<SharedState>, Query(next): Query<Next>) -> Response {
    page::bare("Sign in", ways(&state, next.path(), None)).into_response()
}

#[cfg(feature = "oidc")]
use super::single_sign_on::link as single_sign_on;
#[cfg(not(feature = "oidc"))]
fn single_sign_on(_: &SharedState, _: &str) -> Markup {
    html! {}
}

/// What to sign in by.
fn ways(state: &SharedState, next: &str, refused: Option<&str>) -> Markup {
    html! {
        @if let Some(why) = refused {
            p.bad role="alert" { (why) }
        }
        (single_sign_on(state, next))
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
    let id = operator_key_id(key);
    let (_, text) = new_key(SESSION_PREFIX);
    let session = ApiKeyDigest::of(&text);
    let opened = match id {
        Some(id) => {
            operators::open_by_key(&state.pool, (id, &ApiKeyDigest::of(key)), &session, LONGEST).await?
        }
        None => false,
    };
    if let (true, Some(id)) = (opened, id) {
        return Ok(signed_in(&parts, id, &text, form.next.path()));
    }
    state.security.refused(&parts, "no valid key of an operator", id);
    let refused = "This key opens nothing: it was revoked, has expired, or is not whole.";
    let again = page::bare("Sign in", ways(&state, form.next.path(), Some(refused)));
    Ok((StatusCode::UNAUTHORIZED, again).into_response())
}

/// Gives the browser its session, and leads on.
fn signed_in(parts: &Parts, operator: Uuid, session: &str, next: &str) -> Response {
    tracing::info!(target: "tributary::security", operator = %operator, "an operator signed in");
    ([(SET_COOKIE, session_cookie(Some(session), is_https(parts)))], Redirect::to(next)).into_response()
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
    let (_, text) = new_key(SESSION_PREFIX);
    let (token, session) = (ApiKeyDigest::of(&link.token), ApiKeyDigest::of(&text));
    let operator = operators::open_by_link(&state.pool, &token, &session, LONGEST).await?;
    let Some(operator) = operator else {
        state.security.refused(&parts, "a link that is used or over", None);
        return Err(PageError::forbidden(
            "This link was used already, or its time is over. `tributary operators link NAME` makes another one.",
        ));
    };
    Ok(signed_in(&parts, operator, &text, "/console"))
}

/// Ends the session, whose cookie goes with it.
pub async fn out(State(state): State<SharedState>, parts: Parts) -> Result<Response, PageError> {
    let https = is_https(&parts);
    if let Some(text) = session_text(&parts.headers, https) {
        operators::end_session(&state.pool, &ApiKeyDigest::of(text)).await?;
    }
    Ok(([(SET_COOKIE, session_cookie(None, https))], Redirect::to("/console/sign-in")).into_response())
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
