//! `/_healthcheck` and `/_info`: what Formance's own services answer, so that whatever watches a stack can watch this
//! one in the same way. Neither takes a key, and neither says more than `/healthz` and the description do.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::SharedState;

/// Where health is asked for as of Formance's services.
pub const HEALTHCHECK: &str = "/_healthcheck";
/// Where the version is.
pub const INFO: &str = "/_info";

/// What is running.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Info {
    /// The version of the program.
    version: &'static str,
    /// Whether it is a build for debugging.
    debug: bool,
}

/// Whether the process is up, as `/healthz`.
///
/// An object of checks, of which there are none: the database is not asked, since a restart would not bring it
/// back; `/readyz` asks it.
#[utoipa::path(get, path = "/_healthcheck", tag = "operations", security(()),
    responses((status = 200, description = "The process is up", body = BTreeMap<String, String>)))]
async fn healthcheck() -> Json<BTreeMap<String, String>> {
    Json(BTreeMap::new())
}

/// The version, as Formance's services tell theirs.
#[utoipa::path(get, path = "/_info", tag = "operations", security(()),
    responses((status = 200, description = "What is running", body = Info)))]
async fn info() -> Json<Info> {
    Json(Info { version: env!("CARGO_PKG_VERSION"), debug: cfg!(debug_assertions) })
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(healthcheck)).routes(routes!(info))
}
