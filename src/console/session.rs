//! Who has signed in. A cookie holds a random text, the table `operator_sessions` its digest; who shows it is asked of
//! the database with every page, so that a session that was ended is ended on all instances.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Utc};

use super::error::PageError;
use crate::http::{ApiError, Client, SharedState};
use crate::store::operators;
use tributary_domain::{ApiKeyDigest, Role};

/// After so long without a page that somebody asked for, a session ends.
const IDLE: Duration = Duration::from_secs(3600);
/// And after so long in any case.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// By https, a cookie that no other host and no plain page can have set.
const SECURE: &str = "__Host-tributary";
/// By plain http, as to one's own machine.
const PLAIN: &str = "tributary-session";

/// What the script says with each request of its own.
const FRAGMENT: &str = "tributary-fragment";

/// Somebody who has signed in, and looks at a page.
#[derive(Debug, Clone)]
pub struct Session {
    pub operator: String,
    pub role: Role,
    pub ends_at: DateTime<Utc>,
    /// The database's clock: what the times of the page are relative to.
    pub now: DateTime<Utc>,
    /// Whether the script asks, and only for what changes.
    pub fragment: bool,
}

impl Session {
    /// Whether they may have records replayed or discarded, and try provider files.
    pub fn may_operate(&self) -> bool {
        matches!(self.role, Role::Operator | Role::Admin)
    }

    /// 403 where they may not.
    pub fn operates(&self) -> Result<(), PageError> {
        match self.may_operate() {
            true => Ok(()),
            false => Err(PageError::forbidden(
                "This takes the role operator or admin: `tributary operators create NAME --role operator` makes somebody of it.",
            )),
        }
    }

    /// Who they are in what is kept of what they do.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.operator)
    }
}

impl FromRequestParts<SharedState> for Session {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, PageError> {
        let fragment = parts.headers.contains_key(FRAGMENT);
        let shown = shown(&parts.headers, is_https(parts)).map(ApiKeyDigest::of);
        let open = match &shown {
            Some(digest) => operators::session(&state.pool, digest, IDLE).await?,
            None => None,
        };
        let (Some(open), Some(digest)) = (open, shown) else {
            let next = parts.uri.path_and_query().map_or("/console", |path| path.as_str());
            return Err(match fragment {
                true => PageError::SignedOut,
                false => PageError::SignIn { next: next.to_owned() },
            });
        };
        // a page that is left open does not keep the session open
        if open.is_used_anew && !fragment {
            note_use(state, &digest).await;
        }
        let role = open.role.parse().map_err(|error| {
            tracing::error!(error, "this release does not know the role of an operator");
            ApiError::Internal
        })?;
        Ok(Self { operator: open.operator, role, ends_at: open.ends_at, now: open.now, fragment })
    }
}

/// A database that takes no writes now still shows what it has.
async fn note_use(state: &SharedState, digest: &ApiKeyDigest) {
    if let Err(error) = operators::used(&state.pool, digest).await {
        tracing::debug!(%error, "that a session was used could not be noted");
    }
}

/// Whether the request came by https, as far as a trusted proxy says so.
pub fn is_https(parts: &Parts) -> bool {
    parts.extensions.get::<Client>().is_some_and(|client| client.https)
}

/// The text that the cookie of a session holds.
pub fn shown(headers: &HeaderMap, https: bool) -> Option<&str> {
    let wanted = if https { SECURE } else { PLAIN };
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The cookie of a session of this text; without one, what takes the cookie away.
pub fn cookie(text: Option<&str>, https: bool) -> HeaderValue {
    let (name, secure) = if https { (SECURE, "; Secure") } else { (PLAIN, "") };
    let (text, age) = text.map_or(("", "; Max-Age=0"), |text| (text, ""));
    let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::try_from(cookie).expect("its text is of letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_taken_only_under_the_name_that_goes_with_how_it_came() {
        let headers = |cookies| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookies))]);
        let plain = headers("a=b; tributary-session=x; c=d");
        assert_eq!((shown(&plain, false), shown(&plain, true)), (Some("x"), None));
        let secure = headers("__Host-tributary=y");
        assert_eq!((shown(&secure, false), shown(&secure, true)), (None, Some("y")));
        assert_eq!(cookie(Some("y"), true), "__Host-tributary=y; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(cookie(None, false), "tributary-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
