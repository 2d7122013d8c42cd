//! `GET /transactions`.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::{ListParams, Metadata, UpdatedAtFrom};
use super::{ApiError, SharedState, error::ErrorBody, listing};
use tributary_domain::{Status, TransactionType};

/// One version of a transaction: a state that it went through, as served.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    id: String,
    #[serde(rename = "relatedTransactionID")]
    #[schema(required = false)]
    related_transaction_id: Option<String>,
    created_at: chrono::DateTime<chrono::Utc>,
    /// When this version was published: unique and ascending along the feed.
    updated_at: chrono::DateTime<chrono::Utc>,
    /// UMN, for example USD/2.
    currency: String,
    #[serde(rename = "type")]
    kind: TransactionType,
    status: Status,
    /// Integer minor units.
    amount: String,
    #[serde(rename = "sourceAccountID")]
    #[schema(required = false)]
    source_account_id: Option<String>,
    #[serde(rename = "destinationAccountID")]
    #[schema(required = false)]
    destination_account_id: Option<String>,
    #[schema(required = false)]
    metadata: Metadata,
}

/// Versions of transactions, in the order of their publication.
#[utoipa::path(get, path = "/transactions", tag = "connector", params(ListParams, UpdatedAtFrom),
    responses((status = 200, body = [Transaction]), (status = "default", body = ErrorBody)))]
async fn get_transactions(State(state): State<SharedState>, request: Request) -> Result<Response, ApiError> {
    listing::list(&state, &listing::TRANSACTIONS, request).await
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(get_transactions))
}
