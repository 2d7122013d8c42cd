//! The HTTP side: the connector API, the push API, and what an operator looks at. One file
//! per resource; [`app`] is a pure constructor, so that tests call it without a port.

mod accounts;
mod admin;
mod auth;
mod balances;
mod beneficiaries;
mod body;
mod error;
mod limits;
mod listing;
mod observe;
mod openapi;
mod operations;
mod payments;
mod push;
mod serving;
mod transactions;
mod version;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

pub use auth::new_api_key;
pub use error::ApiError;
pub use limits::RequestLimits;
pub use openapi::openapi;
pub use serving::{ConnectionLimits, Draining, Listening, Patience, Serving, SocketError, Stop};

use crate::payments::Payments;
use tributary_domain::{ApiKeyDigest, FormanceVersion, ProviderName, RequestLimit, Scope};
use tributary_manifest::Webhook;

/// What the API knows of a provider.
#[derive(Debug, Clone)]
pub struct ServedProvider {
    /// What its Formance understands.
    pub formance: FormanceVersion,
    /// Keys that its file declares.
    pub keys: Vec<(Scope, ApiKeyDigest)>,
    /// What each of its API keys may ask.
    pub limit: RequestLimit,
    /// Whether anything may be read from the provider: then what is pushed decides about no payment.
    pub pulled: bool,
    /// What the provider calls, if its manifest says how.
    pub webhook: Option<Arc<Webhook>>,
}

/// What all handlers share.
pub struct AppState {
    pub pool: PgPool,
    pub providers: HashMap<ProviderName, ServedProvider>,
    /// Who pays.
    pub payments: Payments,
    /// What was asked so far, by key.
    pub limits: RequestLimits,
    /// Whether the process is about to end.
    pub draining: Draining,
    /// Renders `/metrics`; `None` where nothing records (tests).
    pub metrics: Option<PrometheusHandle>,
}

/// State as the handlers take it.
pub type SharedState = Arc<AppState>;

/// The routes that are described in `/openapi.json`.
fn described() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .merge(accounts::router())
        .merge(balances::router())
        .merge(beneficiaries::router())
        .merge(transactions::router())
        .merge(payments::router())
        .merge(push::router())
        .merge(webhooks::router())
        .merge(admin::router())
}

/// Method and path of everything that is served, as labels of metrics name them.
pub fn routes() -> Vec<(&'static str, String)> {
    let (_, document) = described().split_for_parts();
    let described = document.paths.paths.into_iter().flat_map(|(path, item)| {
        let methods = [("GET", item.get.is_some()), ("POST", item.post.is_some())];
        methods.into_iter().filter(|(_, there)| *there).map(move |(method, _)| (method, path.clone()))
    });
    described.chain(operations::PATHS.map(|path| ("GET", path.to_owned()))).collect()
}

/// The whole API.
pub fn app(state: SharedState) -> Router {
    let (api, _) = described().split_for_parts();
    api.merge(operations::router())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(axum::middleware::map_response(error::in_our_words))
        .layer(axum::middleware::from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn(observe::record))
        .with_state(state)
}
