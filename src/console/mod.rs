//! The console: what operators look at in a browser. Pages are made here, on the server, of what the same functions
//! give that the commands print; a script only fetches them anew. What is done here are verbs (`verbs`), by forms.

mod act;
mod assets;
mod audit;
mod consumers;
mod error;
mod guard;
mod keys;
mod overview;
mod page;
mod payments;
mod playground;
mod provider;
mod quarantine;
mod records;
mod served;
mod session;
mod sign_in;
#[cfg(feature = "oidc")]
mod single_sign_on;
mod statements;
mod story;
mod throughput;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{any, get, post};

use crate::http::SharedState;

pub use crate::http::{new_link, new_operator_key};
pub use sign_in::link_path;

use error::PageError;

/// The largest form, in bytes: a key.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// The pages that show something, to whoever has signed in.
pub const SCREENS: [&str; 15] = [
    "/console",
    "/console/providers/{provider}",
    "/console/records",
    "/console/record",
    "/console/quarantine",
    "/console/quarantine/{id}",
    "/console/quarantine/groups/{group}",
    "/console/payments",
    "/console/payments/{id}",
    "/console/consumers",
    "/console/keys",
    "/console/playground",
    "/console/statements",
    "/console/statements/{provider}/{statement}",
    "/console/audit",
];

/// The routes of the console. A form that another site sends is refused before any of them sees it.
pub fn router(state: &SharedState) -> Router<SharedState> {
    let [
        overview,
        provider,
        records,
        record,
        quarantine,
        refused,
        group,
        payments,
        order,
        consumers,
        keys,
        playground,
        listed,
        statement,
        audit,
    ] = SCREENS;
    let router = Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route(overview, get(overview::show))
        .route(provider, get(provider::show))
        .route(records, get(records::search))
        .route(record, get(story::show))
        .route(quarantine, get(quarantine::list))
        .route(refused, get(quarantine::show))
        .route(group, get(quarantine::group))
        .route(payments, get(payments::list))
        .route(order, get(payments::show))
        .route(consumers, get(consumers::list))
        .route(keys, get(keys::list))
        .route(playground, get(playground::show))
        .route(listed, get(statements::list))
        .route(statement, get(statements::show))
        .route("/console/statements/{provider}", post(statements::upload))
        .route(audit, get(audit::list))
        .merge(playground_forms())
        .merge(act::router())
        .route("/console/sign-in", get(sign_in::form).post(sign_in::by_key))
        .route("/console/link", get(sign_in::link_form).post(sign_in::by_link))
        .route("/console/sign-out", post(sign_in::out))
        .route("/console/console.css", get(assets::style))
        .route("/console/console.js", get(assets::script))
        .route("/console/icon.svg", get(assets::icon))
        .route("/console/{*rest}", any(not_found));
    #[cfg(feature = "oidc")]
    let router = router.merge(single_sign_on::router());
    router
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(from_fn_with_state(state.clone(), guard::refuse_foreign))
}

/// The forms that carry a file: they may be longer than the others.
fn playground_forms() -> Router<SharedState> {
    Router::new()
        .route("/console/playground/sample", post(playground::sample))
        .route("/console/playground/file", post(playground::file))
        .route("/console/playground/remap", post(playground::remap))
        .route("/console/quarantine/groups/{group}/preview", post(quarantine::preview))
        .layer(DefaultBodyLimit::max(playground::BODY_MAX_BYTES))
}

async fn not_found() -> PageError {
    PageError::not_found("There is no such page.")
}
