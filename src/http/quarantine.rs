//! `/admin/v1/quarantine/…`: what is here for the same fault, and its replay or discard in the background. The console's
//! forms call the same functions.

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::{ApiError, SharedState, error::ErrorBody};
use crate::config::FileText;
use crate::store::quarantine::{self, Action, Actor, Begun, Chosen, Group, Kind, Which};
use crate::sync::{Bounds, Preview, PreviewError, Replayer, go_on_discarding, preview_replay};
use crate::workshop::WorkshopError;
use tributary_domain::ProviderName;

/// The largest body, in bytes: it says why.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// And where it carries a file.
const PREVIEW_MAX_BYTES: usize = 1024 * 1024;
/// How much a preview looks at.
const BOUNDS: Bounds = Bounds { records: 2_000, time: std::time::Duration::from_secs(20) };
/// How many groups are given, the largest.
const GROUPS: u32 = 1_000;
/// How many replays and discards are given of a group, the latest.
const ACTIONS: u32 = 20;

/// A group of the quarantine, and what was done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GroupAnswer {
    /// `null` where no record is left in it.
    group: Option<Group>,
    /// Its latest replays and discards, the newest first.
    actions: Vec<Action>,
}

/// Why records are discarded.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardOrder {
    /// In 1 to 500 characters: it is kept with them.
    reason: String,
}

/// What a group is tried with.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewOrder {
    /// A provider file; without it, the one that runs.
    #[serde(default)]
    file: Option<String>,
}

/// What goes on in the background.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Started {
    /// Its number among the actions of the group.
    action: i64,
    /// How many records there are.
    records: u64,
}

impl From<Begun> for Started {
    fn from(begun: Begun) -> Self {
        Self { action: begun.action, records: begun.total }
    }
}

fn gone() -> ApiError {
    ApiError::NotFound("no record of this group is in quarantine: it was replayed or discarded".to_owned())
}

/// Has the records of a group tried again in the background, for `actor`. 404 where there are none.
pub async fn replay_group(state: &SharedState, group: &str, actor: &str) -> Result<Begun, ApiError> {
    let actor = Actor { name: actor, why: None };
    let begun = quarantine::begin(&state.pool, Kind::Replay, Chosen::Group(group), actor).await?;
    let begun = begun.ok_or_else(gone)?;
    let (state, group) = (SharedState::clone(state), group.to_owned());
    tokio::spawn(async move {
        let mapping = |(name, served): (&ProviderName, &std::sync::Arc<super::ServedProvider>)| {
            Some((name.clone(), served.compiled.clone()?))
        };
        let replayer = Replayer::new(&state.pool, state.providers.iter().filter_map(mapping).collect());
        if let Err(error) = replayer.go_on(Chosen::Group(&group), begun, &|_| {}).await {
            tracing::error!(%error, group, "a replay of the quarantine was stopped: replay the group again for the rest");
        }
    });
    Ok(begun)
}

/// Has the records of a group discarded in the background, for `actor` and the reason `why`. 400 without one, 404 where
/// there are no records.
pub async fn discard_group(
    state: &SharedState,
    group: &str,
    actor: &str,
    why: &str,
) -> Result<Begun, ApiError> {
    let why = quarantine::why(why).map_err(ApiError::Invalid)?;
    let actor = Actor { name: actor, why: Some(why) };
    let begun = quarantine::begin(&state.pool, Kind::Discard, Chosen::Group(group), actor).await?;
    let begun = begun.ok_or_else(gone)?;
    let (state, group) = (SharedState::clone(state), group.to_owned());
    tokio::spawn(async move {
        let done = go_on_discarding(&state.pool, Chosen::Group(&group), begun, &|_| {});
        if let Err(error) = done.await {
            tracing::error!(%error, group, "a discard of the quarantine was stopped: discard the group again for the rest");
        }
    });
    Ok(begun)
}

/// The group of this id, if it is one of `provider`.
async fn own(state: &SharedState, provider: &ProviderName, group: &str) -> Result<Group, ApiError> {
    let found = quarantine::group(&state.pool, group).await?;
    found.filter(|found| found.provider == provider.as_str()).ok_or_else(gone)
}

/// The records in quarantine of the key's provider, those of the same fault as one group, the largest first.
#[utoipa::path(get, path = "/admin/v1/quarantine/groups", tag = "admin",
    responses((status = 200, body = [Group]), (status = "default", body = ErrorBody)))]
async fn list_groups(
    State(state): State<SharedState>,
    Admin(caller): Admin,
) -> Result<Json<Vec<Group>>, ApiError> {
    let which = Which { provider: Some(&caller.provider), resource: None };
    Ok(Json(quarantine::groups(&state.pool, which, GROUPS).await?))
}

/// A group, with how far its replays and discards have come.
#[utoipa::path(get, path = "/admin/v1/quarantine/groups/{group}", tag = "admin", params(("group" = String, Path)),
    responses((status = 200, body = GroupAnswer), (status = "default", body = ErrorBody)))]
async fn show_group(
    State(state): State<SharedState>,
    Admin(caller): Admin,
    Path(group): Path<String>,
) -> Result<Json<GroupAnswer>, ApiError> {
    let found = quarantine::group(&state.pool, &group).await?;
    let mut actions = quarantine::actions(&state.pool, Some(&group), ACTIONS).await?;
    actions.retain(|action| action.provider.as_deref() == Some(caller.provider.as_str()));
    let found = found.filter(|found| found.provider == caller.provider.as_str());
    match found.is_none() && actions.is_empty() {
        true => Err(gone()),
        false => Ok(Json(GroupAnswer { group: found, actions })),
    }
}

/// Has the records of a group tried again in the background. Where that is stopped before its end, doing it again does
/// the rest; nothing is written twice.
#[utoipa::path(post, path = "/admin/v1/quarantine/groups/{group}/replay", tag = "admin",
    params(("group" = String, Path)),
    responses((status = 202, body = Started), (status = "default", body = ErrorBody)))]
async fn order_replay(
    State(state): State<SharedState>,
    Admin(caller): Admin,
    Path(group): Path<String>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    own(&state, &caller.provider, &group).await?;
    let begun = replay_group(&state, &group, &caller.key).await?;
    Ok((StatusCode::ACCEPTED, Json(begun.into())))
}

/// What a replay of a group would do. Nothing is written.
#[utoipa::path(post, path = "/admin/v1/quarantine/groups/{group}/preview", tag = "admin",
    params(("group" = String, Path)), request_body = Option<PreviewOrder>,
    responses((status = 200, body = Preview), (status = "default", body = ErrorBody)))]
async fn order_preview(
    State(state): State<SharedState>,
    Admin(caller): Admin,
    Path(group): Path<String>,
    body: axum::body::Bytes,
) -> Result<Json<Preview>, ApiError> {
    own(&state, &caller.provider, &group).await?;
    let order = match body.trim_ascii().is_empty() {
        true => PreviewOrder::default(),
        false => serde_json::from_slice(&body).map_err(|error| {
            ApiError::Invalid(format!("the body has to be {{\"file\": \"…\"}}, or nothing: {error}"))
        })?,
    };
    let file = order.file.map_or_else(|| caller.served.file.clone(), |file| FileText::new(&file, None));
    match preview_replay(&state.pool, &caller.provider, Chosen::Group(&group), &file, BOUNDS).await {
        Ok(preview) => Ok(Json(preview)),
        Err(PreviewError::Store(error)) => Err(error.into()),
        Err(PreviewError::Workshop(WorkshopError::Unavailable(why))) => {
            tracing::error!(why, "a provider file cannot be tried");
            Err(ApiError::Internal)
        }
        Err(PreviewError::Workshop(error)) => Err(ApiError::Invalid(error.to_string())),
    }
}

/// Has the records of a group deleted for good in the background. Who did so and why is kept, and which records they were.
#[utoipa::path(post, path = "/admin/v1/quarantine/groups/{group}/discard", tag = "admin",
    params(("group" = String, Path)), request_body = DiscardOrder,
    responses((status = 202, body = Started), (status = "default", body = ErrorBody)))]
async fn order_discard(
    State(state): State<SharedState>,
    Admin(caller): Admin,
    Path(group): Path<String>,
    body: axum::body::Bytes,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    own(&state, &caller.provider, &group).await?;
    let order: DiscardOrder = serde_json::from_slice(&body)
        .map_err(|error| ApiError::Invalid(format!("the body has to be {{\"reason\": \"…\"}}: {error}")))?;
    let begun = discard_group(&state, &group, &caller.key, &order.reason).await?;
    Ok((StatusCode::ACCEPTED, Json(begun.into())))
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list_groups))
        .routes(routes!(show_group))
        .routes(routes!(order_replay))
        .routes(routes!(order_discard))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(order_preview))
                .layer(DefaultBodyLimit::max(PREVIEW_MAX_BYTES)),
        )
}
