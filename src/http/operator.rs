//! Who operates: by the key of an operator as bearer token, or by the cookie of a session. Either is asked of the database
//! with every request, so that one that was revoked opens nothing any more, on all instances.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use uuid::Uuid;

use super::auth::{bearer, id_within, new_key};
use super::client::Client;
use super::{ApiError, SharedState};
use crate::store::operators::{self, Open};
use crate::verbs::Actor;
use tributary_domain::{ApiKeyDigest, Role};

const KEY_PREFIX: &str = "tro_";

/// After so long without a page that somebody asked for, a session ends. `proven_operator` of the schema says the same.
const IDLE: Duration = Duration::from_secs(3600);

/// By https, a cookie that no other host and no plain page can have set.
const SECURE: &str = "__Host-tributary";
/// By plain http, as to one's own machine.
const PLAIN: &str = "tributary-session";

/// A new key of an operator: its id, and the secret text, of which only the digest is to be kept.
pub fn new_operator_key() -> (Uuid, String) {
    new_key(KEY_PREFIX)
}

/// The id within the key of an operator.
pub fn operator_key_id(key: &str) -> Option<Uuid> {
    id_within(KEY_PREFIX, key)
}

/// The secret text of a new link.
pub fn new_link() -> String {
    new_key("trl_").1
}

/// Whether the request came by https, as far as a trusted proxy says so.
pub fn is_https(parts: &Parts) -> bool {
    parts.extensions.get::<Client>().is_some_and(|client| client.https)
}

/// The text that the cookie of a session holds.
pub fn session_text(headers: &HeaderMap, https: bool) -> Option<&str> {
    cookie(headers, if https { SECURE } else { PLAIN })
}

/// The text of the cookie of this name.
pub fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// The cookie of a session of this text; without one, what takes the cookie away.
pub fn session_cookie(text: Option<&str>, https: bool) -> HeaderValue {
    let (name, secure) = if https { (SECURE, "; Secure") } else { (PLAIN, "") };
    let (text, age) = text.map_or(("", "; Max-Age=0"), |text| (text, ""));
    let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::try_from(cookie).expect("its text is of letters and digits")
}

/// The session whose cookie the request carries, if it is open, and what proves it.
pub async fn session(
    parts: &Parts,
    state: &SharedState,
) -> Result<Option<(Open, Role, ApiKeyDigest)>, ApiError> {
    let Some(proof) = session_text(&parts.headers, is_https(parts)).map(ApiKeyDigest::of) else {
        return Ok(None);
    };
    let Some(open) = operators::session(&state.pool, &proof, IDLE).await? else { return Ok(None) };
    let role = role(&open.role)?;
    Ok(Some((open, role, proof)))
}

fn role(name: &str) -> Result<Role, ApiError> {
    name.parse().map_err(|error| {
        tracing::error!(error, "this release does not know the role of an operator");
        ApiError::Internal
    })
}

/// Whether a request was sent by a page of the address that it asks. Browsers say so in headers that no page can set; they
/// leave out `Sec-Fetch-Site` where they were led by plain http to another machine than their own, and then `Origin` has
/// to be that address.
pub fn is_own_page(headers: &HeaderMap, host: Option<&str>) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let of_origin = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    matches!((of_origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

/// The address that a request asks, as the client calls it.
pub fn asked_host<'a>(headers: &'a HeaderMap, uri: &'a axum::http::Uri) -> Option<&'a str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(|authority| authority.as_str()))
}

/// An operator who asks the admin API.
pub struct Operator(pub Actor);

impl FromRequestParts<SharedState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, ApiError> {
        let actor = match bearer(parts) {
            Some(key) => by_key(parts, state, key).await?,
            None => by_session(parts, state).await?,
        };
        if let Actor::Operator { name, .. } = &actor {
            tracing::Span::current().record("key", format!("operator:{name}"));
        }
        Ok(Self(actor))
    }
}

async fn by_key(parts: &Parts, state: &SharedState, key: &str) -> Result<Actor, ApiError> {
    state.limits.operators().take()?;
    let (id, proof) = (operator_key_id(key), ApiKeyDigest::of(key));
    let found = match id {
        Some(id) => operators::of_key(&state.pool, id, &proof).await?,
        None => None,
    };
    let Some(found) = found else {
        state.security.refused(parts, "no valid key of an operator", id);
        return Err(ApiError::NoOperator);
    };
    let role = role(&found.role)?;
    Ok(Actor::Operator { name: found.operator, role, proof })
}

/// A page of another site cannot send the cookie; that it is asked for besides costs nothing.
async fn by_session(parts: &Parts, state: &SharedState) -> Result<Actor, ApiError> {
    let open = session(parts, state).await?;
    let Some((open, role, proof)) = open else {
        state.security.refused(parts, "nobody who operates", None);
        return Err(ApiError::NoOperator);
    };
    if !parts.method.is_safe() && !is_own_page(&parts.headers, asked_host(&parts.headers, &parts.uri)) {
        state.security.refused(parts, "a request of another site", None);
        return Err(ApiError::Refused {
            status: 403,
            title: "Forbidden",
            detail: "a session is for pages of the console; a program sends the key of an operator".into(),
        });
    }
    Ok(Actor::Operator { name: open.operator, role, proof })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn a_cookie_is_taken_only_under_the_name_that_goes_with_how_it_came() {
        let headers = |cookies| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookies))]);
        let plain = headers("a=b; tributary-session=x; c=d");
        assert_eq!((session_text(&plain, false), session_text(&plain, true)), (Some("x"), None));
        let secure = headers("__Host-tributary=y");
        assert_eq!((session_text(&secure, false), session_text(&secure, true)), (None, Some("y")));
        let cookie = session_cookie(Some("y"), true);
        assert_eq!(cookie, "__Host-tributary=y; Path=/; HttpOnly; SameSite=Strict; Secure");
        let gone = session_cookie(None, false);
        assert_eq!(gone, "tributary-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }

    #[test]
    fn only_a_page_of_this_origin_sends_forms() {
        for (site, origin, own) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("http://console:8081"), true),
            // as another application on the same domain, or what is typed
            (Some("same-site"), Some("http://console:8081"), false),
            (Some("cross-site"), Some("http://console:8081"), false),
            (Some("none"), None, false),
            (None, Some("http://console:8081"), true),
            (None, Some("https://console:8081"), true),
            (None, Some("http://console"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("null"), false),
            (None, None, false),
        ] {
            let told = [("sec-fetch-site", site), ("origin", origin)];
            let headers = told.into_iter().filter_map(|(name, value)| {
                Some((HeaderName::from_static(name), HeaderValue::from_static(value?)))
            });
            assert_eq!(is_own_page(&headers.collect(), Some("console:8081")), own, "{site:?} {origin:?}");
        }
        assert!(!is_own_page(&HeaderMap::new(), None), "whoever names no host is nobody's page");
    }
}
