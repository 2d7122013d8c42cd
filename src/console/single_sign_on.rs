//! Signing in through an OpenID provider: a link leads there, and the provider sends the browser back. What the browser
//! holds meanwhile is a cookie that other sites' links carry, too (`SameSite=Lax`), as the way back is one; the session's is
//! not, and so whoever came back is led on by a page, from which the next request is one of this site.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::page;
use super::session::LONGEST;
use super::sign_in::{Next, SESSION_PREFIX, own_path};
use super::words::encoded;
use crate::config::CALLBACK;
use crate::http::{ApiError, SharedState, cookie, is_https, new_key, session_cookie};
use crate::oidc::{Attempt, Person, SignOn, SignOnError};
use crate::store::operators::{self, Named};
use crate::store::{StoreError, operator_sign_ins};
use tributary_domain::{ApiKeyDigest, OperatorName, Role};

const BEGIN: &str = "/console/sso";
/// How long somebody may take at the provider.
const LASTS: Duration = Duration::from_secs(600);
/// By https, a cookie that no other host can have set.
const SECURE: &str = "__Host-tributary-sign-in";
/// By plain http, as to one's own machine.
const PLAIN: &str = "tributary-sign-in";

pub fn router() -> Router<SharedState> {
    Router::new().route(BEGIN, get(begin)).route(CALLBACK, get(back))
}

/// The way to the provider, on the page to sign in at.
pub fn link(state: &SharedState, next: &str) -> Markup {
    html! {
        @if let Some(on) = &state.single_sign_on {
            p { a.act href={ (BEGIN) "?next=" (encoded(next)) } { "Sign in with " (on.config().name) } }
            p.note { "Or with the key of an operator:" }
        }
    }
}

fn configured(state: &SharedState) -> Result<&SignOn, PageError> {
    let on = state.single_sign_on.as_deref();
    on.ok_or_else(|| {
        PageError::not_found("Single sign-on is not set up here: TRIBUTARY_OIDC_ISSUER would be.")
    })
}

/// The cookie of an attempt of this text; without one, what takes the cookie away.
fn attempt_cookie(text: Option<&str>, https: bool) -> HeaderValue {
    let (name, secure) = if https { (SECURE, "; Secure") } else { (PLAIN, "") };
    let (text, age) = text.map_or(("", 0), |text| (text, LASTS.as_secs()));
    let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}");
    HeaderValue::try_from(cookie).expect("its text is of letters and digits")
}

/// Whether somebody has followed a link of this console, or typed the address: no other site begins it for them, and no
/// browser in advance.
fn is_wanted(headers: &HeaderMap) -> bool {
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let by_site = said("sec-fetch-site").is_none_or(|site| ["same-origin", "none"].contains(&site));
    by_site && said("sec-purpose").or_else(|| said("purpose")).is_none_or(|why| !why.contains("prefetch"))
}

async fn begin(
    State(state): State<SharedState>,
    Query(next): Query<Next>,
    parts: Parts,
) -> Result<Response, PageError> {
    let on = configured(&state)?;
    if !is_wanted(&parts.headers) {
        state.security.refused(&parts, "a sign-in that another site began", None);
        return Err(PageError::forbidden("Signing in begins at the console's own page: /console/sign-in."));
    }
    state.limits.sign_ins().take()?;
    let attempt = Attempt::begin();
    let to = on.begin(&attempt).await.map_err(|error| refused(&state, &parts, error))?;
    operator_sign_ins::begin(&state.pool, &attempt.digest(), next.path(), LASTS).await?;
    let cookie = attempt_cookie(Some(attempt.text()), is_https(&parts));
    Ok(([(SET_COOKIE, cookie)], Redirect::to(to.as_str())).into_response())
}

/// What a provider sends a browser back with.
#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

async fn back(
    State(state): State<SharedState>,
    query: Result<Query<Back>, QueryRejection>,
    parts: Parts,
) -> Result<Response, PageError> {
    let on = configured(&state)?;
    state.limits.sign_ins().take()?;
    let https = is_https(&parts);
    let answer = match query {
        Ok(Query(back)) => come_back(&state, &parts, on, back).await,
        Err(_) => {
            Err(not_ours(&state, &parts, "what came back cannot be read", "It has no state, or several."))
        }
    };
    // it was for this attempt alone, whatever came of it
    let taken_away = AppendHeaders([(SET_COOKIE, attempt_cookie(None, https))]);
    Ok((taken_away, answer).into_response())
}

async fn come_back(
    state: &SharedState,
    parts: &Parts,
    on: &SignOn,
    back: Back,
) -> Result<Response, PageError> {
    let shown = cookie(&parts.headers, if is_https(parts) { SECURE } else { PLAIN }).map(Attempt::shown);
    let Some(attempt) = shown.filter(|attempt| attempt.is_of_state(&back.state)) else {
        let why = format!(
            "It was not begun in this browser, or another one was begun after it. The console is at {}console.",
            on.config().console
        );
        return Err(not_ours(state, parts, "a sign-in that this browser did not begin", &why));
    };
    let Some(next) = operator_sign_ins::take(&state.pool, &attempt.digest()).await? else {
        let why = "It was used already, or its ten minutes are over.";
        return Err(not_ours(state, parts, "a sign-in that is used or over", why));
    };
    if back.iss.is_some_and(|iss| iss != on.config().issuer) {
        return Err(not_ours(
            state,
            parts,
            "a sign-in by another issuer",
            "Another provider answered than was asked.",
        ));
    }
    let Some(code) = back.code.filter(|_| back.error.is_none()) else {
        let error: String =
            back.error.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
        let why = format!("{} signs you in with nothing ({error}).", on.config().name);
        return Err(not_ours(state, parts, "a sign-in that the provider refused", &why));
    };
    let person = on.finish(&attempt, code).await.map_err(|error| refused(state, parts, error))?;
    let Some(role) = person.role else {
        operators::end_sessions_of(&state.pool, &on.config().issuer, &person.subject).await?;
        return Err(without_role(state, parts, on, &person));
    };
    open(state, parts, on, &person, role, &next).await
}

/// Gives the browser its session, and leads on.
async fn open(
    state: &SharedState,
    parts: &Parts,
    on: &SignOn,
    person: &Person,
    role: Role,
    next: &str,
) -> Result<Response, PageError> {
    let (_, text) = new_key(SESSION_PREFIX);
    let called = OperatorName::beginning(&person.called);
    let named = Named { issuer: &on.config().issuer, subject: &person.subject, called: &called, role };
    let opened = operators::open_by_name(&state.pool, named, &ApiKeyDigest::of(&text), LONGEST).await;
    let Some(operator) = opened.map_err(|error| untrusted(state, parts, error))? else {
        state.security.refused(parts, &format!("a person who was revoked: {called}"), None);
        return Err(PageError::forbidden(&format!(
            "{called}, you were revoked here. The owner of the database can let you in again: `tributary operators restore`."
        )));
    };
    tracing::info!(target: "tributary::security", operator = %operator, by = on.config().issuer, "an operator signed in");
    let next = own_path(next);
    let content = html! {
        p role="status" { "You are signed in. " a href=(next) { "Go on" } }
    };
    let onward = HeaderValue::try_from(format!("0; url={next}")).expect("a path of the console is plain");
    let headers = AppendHeaders([(SET_COOKIE, session_cookie(Some(&text), is_https(parts)))]);
    Ok((headers, [("refresh", onward)], page::bare("Signed in", content)).into_response())
}

/// Why nobody is signed in, where the person can do nothing but begin again.
fn not_ours(state: &SharedState, parts: &Parts, logged: &str, why: &str) -> PageError {
    state.security.refused(parts, logged, None);
    PageError::forbidden(&format!("You are not signed in. {why} Begin again at /console/sign-in."))
}

fn without_role(state: &SharedState, parts: &Parts, on: &SignOn, person: &Person) -> PageError {
    let called = OperatorName::beginning(&person.called);
    state.security.refused(parts, &format!("a person without a role: {called}"), None);
    let groups = &on.config().groups;
    PageError::forbidden(&format!(
        "{called}, {} knows you, but none of your groups (its claim {}) gives you a role here. Have somebody put you into one \
         of those that TRIBUTARY_OIDC_ROLES names, then sign in again.",
        on.config().name,
        groups.claim
    ))
}

/// What the database refuses, as a page that says so.
fn untrusted(state: &SharedState, parts: &Parts, error: StoreError) -> PageError {
    match error.refusal() {
        Some(why) => {
            state.security.refused(parts, "a provider that the owner of the database does not trust", None);
            PageError::forbidden(&format!("You are not signed in: {why}"))
        }
        None => error.into(),
    }
}

fn refused(state: &SharedState, parts: &Parts, error: SignOnError) -> PageError {
    state.security.refused(parts, &format!("no single sign-on: {error}"), None);
    match error {
        SignOnError::Unavailable(why) => ApiError::Unavailable(why).into(),
        SignOnError::Refused(why) => PageError::forbidden(&why),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn the_cookie_of_an_attempt_comes_back_with_the_browser_and_is_for_this_host() {
        let cookie = attempt_cookie(Some("x"), true);
        assert_eq!(cookie, "__Host-tributary-sign-in=x; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600");
        let gone = attempt_cookie(None, false);
        assert_eq!(gone, "tributary-sign-in=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn nothing_but_a_person_at_the_console_begins_a_sign_in() {
        for (name, value, wanted) in [
            ("accept", "*/*", true),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-purpose", "prefetch;prerender", false),
            ("purpose", "prefetch", false),
        ] {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(is_wanted(&headers), wanted, "{name}: {value}");
        }
    }
}
