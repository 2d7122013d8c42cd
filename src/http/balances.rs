//! `GET /accounts/{accountId}/balances`.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Reader;
use super::{ApiError, SharedState, error::ErrorBody};
use crate::store::balances;
use tributary_domain::served_id_to_original;

/// The balances of one account at one time.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Balances {
    id: String,
    #[serde(rename = "accountID")]
    account_id: String,
    /// When the provider last confirmed the amounts; grows whenever one changes.
    #[serde(serialize_with = "microseconds")]
    at: DateTime<Utc>,
    balances: Vec<Balance>,
}

/// How much of one asset an account holds.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Balance {
    /// Integer minor units.
    amount: String,
    /// UMN, for example USD/2.
    currency: String,
}

fn microseconds<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// The balances of an account; an account that is known but has none answers an empty list.
#[utoipa::path(get, path = "/accounts/{accountId}/balances", tag = "connector",
    params(("accountId" = String, Path, description = "The account's id as served")),
    responses((status = 200, body = Balances), (status = "default", body = ErrorBody)))]
async fn get_account_balances(
    State(state): State<SharedState>,
    Reader(caller): Reader,
    Path(served_id): Path<String>,
) -> Result<Json<Balances>, ApiError> {
    let unknown = || ApiError::NotFound(format!("there is no account {served_id:?}"));
    let id = served_id_to_original(&served_id).filter(|id| !id.contains('\0')).ok_or_else(unknown)?;
    let found = balances::of_account(&state.pool, &caller.provider, &id).await?.ok_or_else(unknown)?;
    Ok(Json(Balances {
        id: found.served_id.clone(),
        account_id: found.served_id,
        at: found.at,
        balances: found.balances.into_iter().map(|(currency, amount)| Balance { amount, currency }).collect(),
    }))
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(get_account_balances))
}
