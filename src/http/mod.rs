//! The HTTP side: the connector API, the push API, and what an operator looks at. One file
//! per resource; [`app`] and [`operator_app`] are pure constructors, so that tests call them without
//! a port.

mod accounts;
mod admin;
mod auth;
mod balances;
mod beneficiaries;
mod body;
mod browser;
mod client;
mod error;
mod files;
mod limits;
mod listing;
mod observe;
mod openapi;
mod operations;
mod operator;
mod payments;
mod probes;
mod push;
mod security;
mod serving;
mod transactions;
mod version;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use sqlx::PgPool;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

pub use admin::NO_NUL;
pub use auth::{new_api_key, new_key};
pub use client::{Client, ForwardedHeader, Trusted};
pub use error::ApiError;
pub use files::{FileAnswer, hex, read_form, take_posted};
pub use limits::RequestLimits;
pub use openapi::openapi;
pub use operations::DatabaseSeen;
pub use operator::{
    asked_host, cookie, is_https, is_own_page, new_link, new_operator_key, operator_key_id, session,
    session_cookie, session_text,
};
pub use security::SecurityLog;
pub use serving::{
    ConnectionLimits, Draining, Handed, Listening, OPERATOR, Patience, Serving, SocketError, Stop,
};

use crate::config::{FileKey, FileText};
use crate::feed::Polls;
use crate::health::Group;
#[cfg(feature = "oidc")]
use crate::oidc::SignOn;
use crate::payments::Payments;
use crate::statements::Files;
use crate::store::Readers;
use crate::supervision::Parts;
use crate::telemetry::Metrics;
use crate::verbs::{self, Declared};
use tributary_domain::{FormanceVersion, PaymentLimit, ProviderName, RequestLimit, Resource};
use tributary_manifest::{CompiledProvider, Webhook};

/// What the API knows of a provider.
#[derive(Debug, Clone)]
pub struct ServedProvider {
    /// What its Formance understands.
    pub formance: FormanceVersion,
    /// Keys that its file declares.
    pub keys: Vec<FileKey>,
    /// What each of its keys may ask.
    pub limit: RequestLimit,
    /// And how many payments it may order.
    pub payment_limit: PaymentLimit,
    /// Whether anything may be read from the provider: then what is pushed decides about no payment.
    pub pulled: bool,
    /// What may be pushed.
    pub pushed: Vec<Resource>,
    /// How its statement files are read; `None` where it has none.
    pub files: Option<Arc<Files>>,
    /// What the provider calls, if its manifest says how.
    pub webhook: Option<Arc<Webhook>>,
    /// Its file, to be tried on records.
    pub file: FileText,
    /// What is read together; none of a provider that is pushed.
    pub groups: Vec<Group>,
    /// What its records are mapped by; none of a provider that is pushed.
    pub compiled: Option<Arc<CompiledProvider>>,
}

/// What all handlers share.
pub struct AppState {
    pub pool: PgPool,
    /// What reads pages.
    pub readers: Readers,
    pub providers: HashMap<ProviderName, Arc<ServedProvider>>,
    /// Who pays.
    pub payments: Payments,
    /// What was asked so far, by key.
    pub limits: RequestLimits,
    /// And which pages were served.
    pub polls: Polls,
    /// Which proxies are believed as to who asks.
    pub trusted: Trusted,
    /// Through whom people sign in at the console, if through anybody.
    #[cfg(feature = "oidc")]
    pub single_sign_on: Option<Arc<SignOn>>,
    /// Where refusals are written.
    pub security: SecurityLog,
    /// Whether the process is about to end.
    pub draining: Draining,
    /// How what goes on behind the API does.
    pub parts: Parts,
    /// Whether the database is there.
    pub database: DatabaseSeen,
    /// What `/metrics` shows; `None` where nothing records (tests).
    pub metrics: Option<Metrics>,
}

impl AppState {
    /// Of `providers`, with nothing asked, nothing behind it, and nothing recorded. Pages are read on half as many
    /// connections as the pool may have, besides those.
    pub fn new(pool: PgPool, providers: HashMap<ProviderName, ServedProvider>, payments: Payments) -> Self {
        Self {
            readers: Readers::beside(&pool, pool.options().get_max_connections().div_ceil(2)),
            pool,
            providers: providers.into_iter().map(|(name, served)| (name, Arc::new(served))).collect(),
            payments,
            limits: RequestLimits::default(),
            polls: Polls::default(),
            trusted: Trusted::default(),
            #[cfg(feature = "oidc")]
            single_sign_on: None,
            security: SecurityLog::default(),
            draining: Draining::default(),
            parts: Parts::default(),
            database: DatabaseSeen::default(),
            metrics: None,
        }
    }
}

impl AppState {
    /// The providers as verbs know them.
    pub fn declared(&self) -> Declared {
        let of = |(name, served): (&ProviderName, &Arc<ServedProvider>)| {
            let of = verbs::OfFile {
                compiled: served.compiled.clone(),
                file: Some(served.file.clone()),
                files: served.files.clone(),
                has_api: served.pulled,
            };
            (name.clone(), of)
        };
        self.providers.iter().map(of).collect()
    }
}

/// State as the handlers take it.
pub type SharedState = Arc<AppState>;

/// The routes for everybody that are described in `/openapi.json`.
fn described_public() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .merge(accounts::router())
        .merge(balances::router())
        .merge(beneficiaries::router())
        .merge(transactions::router())
        .merge(payments::router())
        .merge(push::router())
        .merge(files::router())
        .merge(webhooks::router())
        .merge(probes::router())
}

/// All that is described there.
fn described() -> OpenApiRouter<SharedState> {
    described_public().merge(admin::router())
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

/// The listener for everybody: the connector, push and webhook APIs.
pub fn app(state: SharedState) -> Router {
    let (api, _) = described_public().split_for_parts();
    layered(api.merge(operations::public()), state)
}

/// The listener for operators: metrics, readiness with its reasons, the admin API, and the routes of `console`.
pub fn operator_app(state: SharedState, console: fn(&SharedState) -> Router<SharedState>) -> Router {
    let (api, _) = admin::router().split_for_parts();
    let console = console(&state);
    layered(api.merge(operations::for_operators()).merge(console), state)
        .layer(axum::middleware::map_response(browser::confine))
}

fn layered(routes: Router<SharedState>, state: SharedState) -> Router {
    routes
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(axum::middleware::map_response(error::in_our_words))
        .layer(axum::middleware::from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn(observe::record))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state), client::identify))
        // outside of the log's span, which handlers add to
        .layer(axum::middleware::from_fn(observe::trace))
        .with_state(state)
}
