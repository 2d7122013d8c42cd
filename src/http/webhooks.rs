//! `POST /webhooks/{provider}`: the provider tells that something happened. It is never believed
//! as to what: the streams that its manifest names are read at the next opportunity.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use chrono::Utc;
use metrics::counter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiError, SharedState, error::ErrorBody};
use crate::domain::ProviderName;
use crate::provider::Call;
use crate::store::{self, sync_tasks};

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// What filters do not see: it may be the shared secret.
const HIDDEN: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Takes a call of the provider, which proves itself as its manifest says.
#[utoipa::path(post, path = "/webhooks/{provider}", tag = "webhooks", security(()),
    params(("provider" = String, Path, description = "the provider's name")),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-www-form-urlencoded"))),
    responses((status = 202, description = "What it concerns is read at the next opportunity"),
              (status = "default", body = ErrorBody)))]
async fn take_webhook(
    State(state): State<SharedState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    // whether there is such a provider is nobody's business either
    let known = name.parse::<ProviderName>().ok();
    let known = known.and_then(|name| state.providers.get_key_value(&name));
    let (provider, webhook) = known
        .and_then(|(provider, served)| Some((provider, served.webhook.as_ref()?)))
        .ok_or(ApiError::Unproven)?;
    let count = |outcome: &'static str| {
        counter!("tributary_webhooks_total", "provider" => provider.to_string(), "outcome" => outcome)
            .increment(1);
    };
    let body = body.inspect_err(|_| count("refused"))?;
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let shown = headers.iter().filter(|(name, _)| !HIDDEN.contains(name));
    let shown = shown.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let call = Call { body: &body, header: &header, headers: shown.collect() };
    if let Err(why) = webhook.prove(&call, Utc::now()) {
        count("refused");
        tracing::warn!(%provider, %why, "a webhook was refused");
        return Err(ApiError::Unproven);
    }
    let mut transaction = store::begin(&state.pool).await?;
    // in one order, so that two calls at once do not wait for each other
    for triggered in webhook.triggered(&call).await {
        let partition = triggered.partition.as_deref();
        if !sync_tasks::ask(&mut transaction, provider, &triggered.stream, partition).await? {
            tracing::warn!(%provider, stream = triggered.stream, "a webhook asks for a stream that nobody reads yet");
        }
    }
    transaction.commit().await?;
    count("accepted");
    Ok(StatusCode::ACCEPTED)
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(take_webhook)).layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
}
