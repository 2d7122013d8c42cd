//! Forms come from pages of this console.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::PageError;
use crate::http::{Client, SharedState, asked_host, is_own_page};

/// Refuses whatever changes something and was not sent by a page of this origin.
pub async fn refuse_foreign(State(state): State<SharedState>, request: Request, next: Next) -> Response {
    let host = asked_host(request.headers(), request.uri());
    if request.method().is_safe() || is_own_page(request.headers(), host) {
        return next.run(request).await;
    }
    let client = request.extensions().get::<Client>();
    state.security.refused_from(client, request.uri().path(), "a form of another site", None);
    let detail = "This form was not sent by a page of this console. Open the page at the console's own address, and \
                  send it from there.";
    PageError::forbidden(detail).into_response()
}
