//! `POST /webhooks/{provider}`: the provider reports that something happened. It is never believed
//! as to what: the streams that its manifest names are read at the next opportunity.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Buffered};
use super::client::Client;
use super::{ApiError, SharedState, error::ErrorBody, observe};
use crate::store::{self, sync_tasks};
use tributary_domain::ProviderName;
use tributary_manifest::{Call, Unproven, Webhook};

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// How long it may take to arrive: providers send it at once, and give up early themselves.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// What filters do not see: it may be the shared secret.
const HIDDEN: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Takes a call of the provider, which proves itself as its manifest says.
#[utoipa::path(post, path = "/webhooks/{provider}", tag = "webhooks", security(()),
    params(("provider" = String, Path, description = "the provider's name")),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-www-form-urlencoded"))),
    responses((status = 202, description = "What it concerns is read at the next opportunity; another 2xx, where the provider's file says so"),
              (status = 200, description = "The challenge that it brings, where the provider's file says so", body = String, content_type = "text/plain"),
              (status = "default", body = ErrorBody)))]
async fn take_webhook(
    State(state): State<SharedState>,
    path: Result<Path<String>, PathRejection>,
    client: Option<Extension<Client>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let called = Called::of(&state, path)?;
    let refused = |why: Unproven| called.refused(client.as_deref(), &state, &why);
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    // a stranger's body is not worth reading
    called.webhook.may_be_proven(&header).map_err(refused)?;
    let count = |outcome| observe::webhook(called.provider, outcome);
    state.limits.webhooks_of(called.provider).take().inspect_err(|_| count("refused"))?;
    let body = read(body, &state).await.inspect_err(|_| count("refused"))?;
    let shown = headers.iter().filter(|(name, _)| !HIDDEN.contains(name));
    let shown = shown.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let call = Call { body: &body.bytes, header: &header, query: query.as_deref(), headers: shown.collect() };
    called.webhook.prove(&call, Utc::now()).map_err(refused)?;
    let answer = match called.webhook.echo_of(&call).await {
        Some(challenge) => echoed(challenge),
        None => {
            called.ask_for(&state, &call).await?;
            let status = StatusCode::from_u16(called.webhook.answer());
            status.unwrap_or(StatusCode::ACCEPTED).into_response()
        }
    };
    count("accepted");
    Ok(answer)
}

/// Echoes the challenge with which the provider asks whether this address is its own, where its manifest
/// says of one. It proves nothing, and sets nothing off.
#[utoipa::path(get, path = "/webhooks/{provider}", tag = "webhooks", security(()),
    params(("provider" = String, Path, description = "the provider's name")),
    responses((status = 200, description = "The challenge", body = String, content_type = "text/plain"),
              (status = "default", body = ErrorBody)))]
async fn echo_challenge(
    State(state): State<SharedState>,
    path: Result<Path<String>, PathRejection>,
    client: Option<Extension<Client>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let called = Called::of(&state, path)?;
    let challenge = called.webhook.echo_of_query(query.as_deref());
    let challenge = challenge.map_err(|why| called.refused(client.as_deref(), &state, &why))?;
    state.limits.webhooks_of(called.provider).take()?;
    Ok(echoed(challenge))
}

/// As a text that no browser takes for anything else.
fn echoed(challenge: String) -> Response {
    ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], challenge).into_response()
}

/// A provider that has a webhook.
struct Called<'a> {
    provider: &'a ProviderName,
    webhook: &'a Webhook,
}

impl<'a> Called<'a> {
    fn of(state: &'a SharedState, path: Result<Path<String>, PathRejection>) -> Result<Self, ApiError> {
        // whether there is such a provider is nobody's business either
        let known = path.ok().and_then(|Path(name)| name.parse::<ProviderName>().ok());
        let known = known.and_then(|name| state.providers.get_key_value(&name));
        let called =
            known.and_then(|(provider, served)| Some(Self { provider, webhook: served.webhook.as_deref()? }));
        called.ok_or_else(|| state.limits.unknown().take().err().unwrap_or(ApiError::Unproven))
    }

    /// Counts and logs that a call is not the provider's.
    fn refused(&self, client: Option<&Client>, state: &SharedState, why: &Unproven) -> ApiError {
        observe::webhook(self.provider, "refused");
        let path = format!("/webhooks/{}", self.provider);
        state.security.refused_from(client, &path, &why.to_string(), None);
        ApiError::Unproven
    }

    /// Makes due what `call` concerns.
    async fn ask_for(&self, state: &SharedState, call: &Call<'_>) -> Result<(), ApiError> {
        let mut transaction = store::begin(&state.pool).await?;
        // in one order, so that two calls at once do not wait for each other
        for triggered in self.webhook.triggered(call).await {
            let (provider, partition) = (self.provider, triggered.partition.as_deref());
            if !sync_tasks::ask(&mut transaction, provider, &triggered.stream, partition).await? {
                tracing::warn!(%provider, stream = triggered.stream, "a webhook asks for a stream that no instance reads yet");
            }
        }
        Ok(transaction.commit().await?)
    }
}

async fn read(body: Body, state: &SharedState) -> Result<Buffered, ApiError> {
    let reading = body::read(body, BODY_MAX_BYTES, state.limits.webhooks());
    let late =
        |_| ApiError::Unavailable(format!("the body did not arrive within {} s", BODY_LIMIT.as_secs()));
    tokio::time::timeout(BODY_LIMIT, reading).await.map_err(late)?
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(take_webhook, echo_challenge))
}
