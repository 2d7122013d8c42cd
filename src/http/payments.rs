//! `POST /payouts` and `POST /transfers`: money out, once for each idempotency key.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use chrono::SecondsFormat;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Orderer;
use super::{ApiError, SharedState, error::ErrorBody};
use crate::payments::{Placed, RefusedOrder};
use crate::store::payment_orders::Order;
use tributary_domain::{PaymentKind, Status};

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// After how long a request with the same idempotency key is answered with the outcome, most of the time.
const BUSY_FOR: Duration = Duration::from_secs(2);

/// What is ordered.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body, which is parsed by hand for exact errors")]
pub struct PaymentOrder {
    /// 1 to 1,000 bytes. The same idempotency key moves money once, for ever.
    #[schema(min_length = 1, max_length = 1000, pattern = "^[^\\u0000]*$")]
    idempotency_key: String,
    /// Integer minor units, above zero.
    #[schema(pattern = "^0*[1-9][0-9]{0,37}$")]
    amount: String,
    /// Such as `GBP/2`.
    #[schema(pattern = "^[A-Z][A-Z0-9]{0,16}(_[A-Z]{1,16})?(/[0-9]{1,6})?$")]
    currency: String,
    /// An account as it is listed.
    #[schema(min_length = 1, pattern = "^([A-Za-z0-9_.:@=+,-]|~[0-9A-F]{2})+$")]
    source_account_id: String,
    /// Of a payout a beneficiary, of a transfer an account, as it is listed.
    #[schema(min_length = 1, pattern = "^([A-Za-z0-9_.:@=+,-]|~[0-9A-F]{2})+$")]
    destination_account_id: String,
    #[schema(max_length = 4096, pattern = "^[^\\u0000]*$")]
    description: Option<String>,
    metadata: Option<super::openapi::Metadata>,
}

/// A payment as it is now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacedPayment {
    /// The id under which it is in `/transactions`, with `relatedTransactionID` = the idempotency key.
    id: String,
    idempotency_key: String,
    amount: String,
    currency: String,
    source_account_id: String,
    destination_account_id: String,
    description: Option<String>,
    status: Status,
    /// When it got this status: later ones have later times.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created_at: String,
    /// With `tributary.reason` where it failed.
    #[schema(value_type = super::openapi::Metadata)]
    metadata: serde_json::Value,
}

impl From<Order> for PlacedPayment {
    fn from(order: Order) -> Self {
        Self {
            id: order.id.to_string(),
            idempotency_key: order.idempotency_key,
            amount: order.amount.to_string(),
            currency: order.asset,
            source_account_id: order.served_source_id,
            destination_account_id: order.served_destination_id,
            description: order.description,
            status: order.status,
            // the same digits as in the feed
            created_at: order.status_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            metadata: order.served_metadata,
        }
    }
}

macro_rules! endpoint {
    ($name:ident, $path:literal, $kind:expr, $what:literal) => {
        #[doc = $what]
        #[utoipa::path(post, path = $path, tag = "connector", request_body = PaymentOrder,
                    responses((status = 201, body = PlacedPayment), (status = "default", body = ErrorBody)))]
        async fn $name(
            State(state): State<SharedState>,
            Orderer(caller): Orderer,
            body: Result<Bytes, BytesRejection>,
        ) -> Result<(StatusCode, Json<PlacedPayment>), ApiError> {
            let body = body?;
            tracing::info!(target: "tributary::security", key = &*caller.key, kind = %$kind, "a payment is ordered");
            match state.payments.place(&caller.provider, $kind, &body, &caller.key).await? {
                Placed::Order(order) => Ok((StatusCode::CREATED, Json((*order).into()))),
                Placed::Unavailable(why) => {
                    Err(ApiError::Unavailable(format!("the order cannot be taken now: {why}")))
                }
                Placed::Busy => Err(ApiError::TooEarly { retry_after: BUSY_FOR }),
                Placed::Refused(RefusedOrder { status, title, detail }) => {
                    Err(ApiError::Refused { status, title, detail })
                }
            }
        }
    };
}

endpoint!(create_payout, "/payouts", PaymentKind::Payout, "Pays a beneficiary.");
endpoint!(create_transfer, "/transfers", PaymentKind::Transfer, "Moves money between accounts.");

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create_payout))
        .routes(routes!(create_transfer))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
}
