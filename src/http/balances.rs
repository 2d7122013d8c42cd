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
use tributary_domain::{ProviderName, RecordId, served_id_to_original};

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

/// The balances of an account; an account that is known but has none answers an empty list. One that is
/// not known is 503: after a restore it comes again with the next sync, while Formance would stop
/// asking for it for good if it were told 404 for long enough.
#[utoipa::path(get, path = "/accounts/{accountId}/balances", tag = "connector",
    params(("accountId" = String, Path, description = "The account's id as served")),
    responses((status = 200, body = Balances), (status = "default", body = ErrorBody)))]
async fn get_account_balances(
    State(state): State<SharedState>,
    Reader(caller): Reader,
    Path(served_id): Path<String>,
) -> Result<Json<Balances>, ApiError> {
    let no_id = || ApiError::NotFound(format!("{served_id:?} is no id of an account"));
    let original = served_id_to_original(&served_id);
    let id = original.and_then(|id| RecordId::parse("accountId", &id).ok()).ok_or_else(no_id)?;
    let found = balances::of_account(&state.pool, &caller.provider, id.as_str()).await?;
    let found = found.ok_or_else(|| match is_as_served(&served_id) {
        true => unknown(&caller.provider, &served_id),
        false => no_id(),
    })?;
    Ok(Json(Balances {
        id: found.served_id.clone(),
        account_id: found.served_id,
        at: found.at,
        balances: found.balances.into_iter().map(|(currency, amount)| Balance { amount, currency }).collect(),
    }))
}

/// Whether an id is written as ids are served: everything else is escaped there.
fn is_as_served(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:@=+,-~".contains(&byte))
}

fn unknown(provider: &ProviderName, served_id: &str) -> ApiError {
    tracing::warn!(%provider, account = served_id, "the balances of an account are asked for that is not there");
    ApiError::Unavailable(format!(
        "there is no account {served_id:?} yet: sync or push it (as after a restore), and ask again"
    ))
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(get_account_balances))
}
