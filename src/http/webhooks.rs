//! `POST /webhooks/{provider}`: the provider reports that something happened. It is never believed
//! as to what: the streams that its manifest names are read at the next opportunity.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use chrono::Utc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Buffered};
use super::{ApiError, SharedState, error::ErrorBody, observe};
use crate::store::{self, sync_tasks};
use tributary_domain::ProviderName;
use tributary_manifest::{Call, Unproven};

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 1024 * 1024;
/// How long it may take to arrive: providers send it at once, and give up early themselves.
const BODY_LIMIT: Duration = Duration::from_secs(10);
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
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    // whether there is such a provider is nobody's business either
    let known = path.ok().and_then(|Path(name)| name.parse::<ProviderName>().ok());
    let known = known.and_then(|name| state.providers.get_key_value(&name));
    let (provider, webhook) = known
        .and_then(|(provider, served)| Some((provider, served.webhook.as_ref()?)))
        .ok_or(ApiError::Unproven)?;
    let count = |outcome| observe::webhook(provider, outcome);
    let refused = |why: Unproven| {
        count("refused");
        tracing::warn!(%provider, %why, "a webhook was refused");
        ApiError::Unproven
    };
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    // a stranger's body is not worth reading
    webhook.may_be_proven(&header).map_err(refused)?;
    let body = read(body, &state).await.inspect_err(|_| count("refused"))?;
    let shown = headers.iter().filter(|(name, _)| !HIDDEN.contains(name));
    let shown = shown.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let call = Call { body: &body.bytes, header: &header, headers: shown.collect() };
    webhook.prove(&call, Utc::now()).map_err(refused)?;
    let mut transaction = store::begin(&state.pool).await?;
    // in one order, so that two calls at once do not wait for each other
    for triggered in webhook.triggered(&call).await {
        let partition = triggered.partition.as_deref();
        if !sync_tasks::ask(&mut transaction, provider, &triggered.stream, partition).await? {
            tracing::warn!(%provider, stream = triggered.stream, "a webhook asks for a stream that no instance reads yet");
        }
    }
    transaction.commit().await?;
    count("accepted");
    Ok(StatusCode::ACCEPTED)
}

async fn read(body: Body, state: &SharedState) -> Result<Buffered, ApiError> {
    let reading = body::read(body, BODY_MAX_BYTES, state.limits.webhooks());
    let late =
        |_| ApiError::Unavailable(format!("the body did not arrive within {} s", BODY_LIMIT.as_secs()));
    tokio::time::timeout(BODY_LIMIT, reading).await.map_err(late)?
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(take_webhook))
}
