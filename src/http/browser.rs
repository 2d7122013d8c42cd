//! What a browser is told with every answer for operators: to load nothing from elsewhere, to run nothing that came
//! with the data, and to tell nobody where it has been.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Everything is ours: styles, scripts, pictures, and where forms go.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Adds the headers.
pub async fn confine(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
