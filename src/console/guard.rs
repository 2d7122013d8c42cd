//! Forms come from pages of this console. A browser says where a request comes from, in headers that no page can set.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::PageError;
use crate::http::{Client, SharedState};

/// Refuses whatever changes something and was not sent by a page of this origin.
pub async fn refuse_foreign(State(state): State<SharedState>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if request.method().is_safe() || is_own(request.headers(), host) {
        return next.run(request).await;
    }
    let client = request.extensions().get::<Client>();
    state.security.refused_from(client, request.uri().path(), "a form of another site", None);
    let detail = "This form was not sent by a page of this console. Open the page at the console's own address, and \
                  send it from there.";
    PageError::forbidden(detail).into_response()
}

/// Whether a request with these headers was sent by a page of `host`. Browsers leave out `Sec-Fetch-Site` where they
/// were led by plain http to another machine than their own; then `Origin` has to be the address that they ask.
fn is_own(headers: &HeaderMap, host: Option<&str>) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let of_origin = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    matches!((of_origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

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
            assert_eq!(is_own(&headers.collect(), Some("console:8081")), own, "{site:?} {origin:?}");
        }
        assert!(!is_own(&HeaderMap::new(), None), "whoever names no host is nobody's page");
    }
}
