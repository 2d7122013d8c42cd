//! `POST /ingest/files`: statement files of a bank, posted.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Ingest};
use super::{ApiError, SharedState, body, error::ErrorBody, push};
use crate::statements::{Files, Incoming, TakeError, Taken, Taking, take};
use crate::store;
use crate::store::quarantine;
use crate::store::statements::Told;

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most files in one call.
const FILES_MAX: usize = 100;

/// What became of the files of a call. Given only after they are committed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FilesAnswer {
    files: Vec<FileAnswer>,
}

/// What became of a file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAnswer {
    name: String,
    /// Of its bytes, in hexadecimal digits.
    sha256: String,
    /// Whether the same bytes were taken before: then nothing changes, and `statements` is what became of them then.
    known: bool,
    statements: Vec<StatementAnswer>,
    /// Records that were not there before: accounts, balances and transactions.
    created: u64,
    /// Records whose content changed.
    updated: u64,
    /// Records as they were already.
    unchanged: u64,
    /// Records that no page may hold.
    quarantined: u64,
    /// What does not follow on what is there: it is published nevertheless.
    warnings: Vec<String>,
}

/// What became of a statement.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementAnswer {
    account: String,
    currency: String,
    number: Option<String>,
    closing_day: Option<NaiveDate>,
    entries: i32,
    /// `published`; `put_aside`, with the reason; `waiting` for its other pages; `joined`, published with those; `test`.
    state: String,
    reason: Option<String>,
    /// The sum that is missing, in minor units.
    missing: Option<String>,
}

impl From<Told> for StatementAnswer {
    fn from(told: Told) -> Self {
        let Told { account, currency, number, closing_day, entries, state, reason, missing } = told;
        Self { account, currency, number, closing_day, entries, state, reason, missing }
    }
}

#[utoipa::path(post, path = "/ingest/files", tag = "push",
    description = "Takes statement files of a bank: camt, MT940, MT942, BAI2, OFX, or CSV as the provider's file describes \
        it. One that cannot be read has the whole call refused; of one that can, each statement is published or put \
        aside whole.",
    params(("name" = Option<String>, Query, description = "What the file is called, where it is the body"),
        ("backfill" = Option<bool>, Query, description = "`true` marks history")),
    request_body(content((Vec<u8> = "application/octet-stream"), (String = "multipart/form-data"))),
    responses((status = 200, body = FilesAnswer), (status = "default", body = ErrorBody)))]
async fn ingest_files(
    State(state): State<SharedState>,
    Ingest(caller): Ingest,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FilesAnswer>, ApiError> {
    let Some(files) = caller.served.files.clone() else { return Err(no_files(&caller)) };
    let query = query.unwrap_or_default();
    let backfill = push::parse_backfill(&query)?;
    let body = body::read(body, BODY_MAX_BYTES, state.limits.pushes()).await?;
    let mut incoming = Vec::new();
    for (name, bytes) in parts(&headers, &query, body.bytes.clone()).await? {
        incoming.push(read_aside(Arc::clone(&files), name, bytes).await?);
    }
    let decides = !caller.served.pulled;
    let taking = Taking { provider: &caller.provider, files: &files, decides, backfill };
    let mut answers = Vec::with_capacity(incoming.len());
    for file in &incoming {
        answers.push(take_one(&state, taking, file).await?);
    }
    Ok(Json(FilesAnswer { files: answers }))
}

fn no_files(caller: &Caller) -> ApiError {
    ApiError::Refused {
        status: 403,
        title: "Not pushed",
        detail: format!("statement files of {} are not taken: its file has no `files`", caller.provider),
    }
}

/// The files of a body, with their names: those of a form, else the body itself.
async fn parts(headers: &HeaderMap, query: &str, body: Bytes) -> Result<Vec<(String, Bytes)>, ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "name");
    let name = named.map_or_else(|| "posted".to_owned(), |(_, name)| name.into_owned());
    if !content_type.starts_with("multipart/form-data") {
        return Ok(vec![(name, body)]);
    }
    let invalid = |error: multer::Error| ApiError::Invalid(format!("the form cannot be read: {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(invalid)?;
    let stream = futures::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(invalid)? {
        if files.len() == FILES_MAX {
            return Err(ApiError::TooLarge(format!(
                "more than {FILES_MAX} files in one call; send fewer a call"
            )));
        }
        let name = field.file_name().or(field.name()).unwrap_or("posted").to_owned();
        files.push((name, field.bytes().await.map_err(invalid)?));
    }
    if files.is_empty() {
        return Err(ApiError::Invalid("the form has no file".to_owned()));
    }
    Ok(files)
}

/// Reads a file on a thread of its own: large ones take a while.
async fn read_aside(files: Arc<Files>, name: String, bytes: Bytes) -> Result<Incoming, ApiError> {
    let called = name.clone();
    let read = move || Incoming::read(&files, name, "push".to_owned(), bytes.to_vec());
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(incoming)) => Ok(incoming),
        Ok(Err(error)) => {
            Err(ApiError::Invalid(format!("{called}: {error}. Nothing of this call was taken")))
        }
        Err(error) => {
            tracing::error!(%error, "a statement file could not be read");
            Err(ApiError::Internal)
        }
    }
}

async fn take_one(state: &SharedState, taking: Taking<'_>, file: &Incoming) -> Result<FileAnswer, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let mut taken = take(&mut transaction, taking, file).await?;
    if taken.quarantined > 0 && quarantine::is_full(&mut transaction, taking.provider).await? {
        return Err(push::full(taking.provider));
    }
    transaction.commit().await?;
    taken.committed(taking.files);
    for (resource, tally) in &taken.tallies {
        if let Ok(resource) = resource.parse() {
            super::observe::ingested(taking.provider, resource, *tally, 0);
        }
    }
    for told in taken.statements.iter().filter(|told| told.state == "put_aside" && !taken.known) {
        let reason = told.reason.as_deref().unwrap_or_default();
        tracing::warn!(provider = %taking.provider, account = told.account, reason, "a statement was put aside");
    }
    Ok(answer(file, taken))
}

fn answer(file: &Incoming, taken: Taken) -> FileAnswer {
    let tally = taken.tally();
    FileAnswer {
        name: file.name.clone(),
        sha256: file.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        known: taken.known,
        statements: taken.statements.into_iter().map(StatementAnswer::from).collect(),
        created: tally.created,
        updated: tally.updated,
        unchanged: tally.unchanged,
        quarantined: taken.quarantined,
        warnings: taken.warnings.into_iter().map(|(_, text)| text).collect(),
    }
}

impl From<TakeError> for ApiError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Store(error) => error.into(),
            // until an operator has put the provider's file right, nothing can be taken, and nothing is lost
            error => Self::Unavailable(error.to_string()),
        }
    }
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(ingest_files))
}
