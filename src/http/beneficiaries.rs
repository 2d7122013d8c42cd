//! `GET /beneficiaries`.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::{CreatedAtFrom, ListParams, Metadata};
use super::{ApiError, SharedState, error::ErrorBody, listing};

/// Somebody to pay to, as served.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Beneficiary {
    /// The provider's id, in a URL-safe form.
    id: String,
    owner_name: String,
    /// The provider's date where it ascends along the feed, else the time of publication.
    created_at: chrono::DateTime<chrono::Utc>,
    #[schema(required = false)]
    metadata: Metadata,
}

/// Beneficiaries, oldest first; each appears once.
#[utoipa::path(get, path = "/beneficiaries", tag = "connector", params(ListParams, CreatedAtFrom),
    responses((status = 200, body = [Beneficiary]), (status = "default", body = ErrorBody)))]
async fn get_beneficiaries(State(state): State<SharedState>, request: Request) -> Result<Response, ApiError> {
    listing::list(&state, &listing::BENEFICIARIES, request).await
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(get_beneficiaries))
}
