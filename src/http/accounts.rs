//! `GET /accounts`.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::{CreatedAtFrom, ListParams, Metadata};
use super::{ApiError, SharedState, error::ErrorBody, listing};

/// An account at the provider, as served.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The provider's id, in a URL-safe form.
    id: String,
    account_name: String,
    /// The provider's date where it ascends along the feed, else the time of publication.
    created_at: chrono::DateTime<chrono::Utc>,
    #[schema(required = false)]
    metadata: Metadata,
}

/// Accounts, oldest first; each appears once.
#[utoipa::path(get, path = "/accounts", tag = "connector", params(ListParams, CreatedAtFrom),
    responses((status = 200, body = [Account]), (status = "default", body = ErrorBody)))]
async fn get_accounts(State(state): State<SharedState>, request: Request) -> Result<Response, ApiError> {
    listing::list(&state, &listing::ACCOUNTS, request).await
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(get_accounts))
}
