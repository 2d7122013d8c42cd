//! `POST /ingest/files`: statement files of a bank, posted.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Ingest};
use super::body::{self, Buffered};
use super::{ApiError, ServedProvider, SharedState, error::ErrorBody, push};
use crate::statements::{Files, Incoming, TakeError, Taken, Taking, take};
use crate::store;
use crate::store::quarantine;
use crate::store::statement_files;
use crate::store::statements::Told;
use tributary_domain::ProviderName;

/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most files in one call.
const FILES_MAX: usize = 100;
/// How much of a form that is too large is read and thrown away, in bytes.
const DISCARDED_MAX_BYTES: usize = 1024 * 1024 * 1024;
/// How many characters of a name are kept.
const NAME_MAX: usize = 200;

/// What became of the files of a call. Given only after they are committed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FilesAnswer {
    files: Vec<FileAnswer>,
}

/// What became of a file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAnswer {
    pub name: String,
    /// Of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Whether the same bytes were taken before: then nothing changes, and `statements` is what became of them then.
    pub known: bool,
    pub statements: Vec<StatementAnswer>,
    /// Records that were not there before: accounts, balances and transactions.
    pub created: u64,
    /// Records whose content changed.
    pub updated: u64,
    /// Records as they were already.
    pub unchanged: u64,
    /// Records that no page may hold.
    pub quarantined: u64,
    /// What does not follow on what is there: it is published nevertheless.
    pub warnings: Vec<String>,
}

/// What became of a statement.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementAnswer {
    pub account: String,
    pub currency: String,
    pub number: Option<String>,
    pub closing_day: Option<NaiveDate>,
    pub entries: i32,
    /// `published`; `put_aside`, with the reason; `waiting` for its other pages; `joined`, published with those; `test`.
    pub state: String,
    pub reason: Option<String>,
    /// The sum that is missing, in minor units.
    pub missing: Option<String>,
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
    let posted = parts(&headers, &query, body.bytes.clone()).await?;
    let incoming = read_all(&files, posted, "push").await?;
    let decides = !caller.served.pulled;
    let taking = Taking { provider: &caller.provider, files: &files, decides, backfill };
    let mut answers = Vec::with_capacity(incoming.len());
    for file in &incoming {
        answers.push(take_one(&state, taking, file).await?);
    }
    Ok(Json(FilesAnswer { files: answers }))
}

/// Reads files that somebody posts from `source`: if one cannot be read, none is to be taken.
async fn read_all(
    files: &Arc<Files>,
    posted: Vec<(String, Bytes)>,
    source: &'static str,
) -> Result<Vec<Incoming>, ApiError> {
    let mut incoming = Vec::with_capacity(posted.len());
    for (name, bytes) in posted {
        incoming.push(read_aside(Arc::clone(files), name, bytes, source).await?);
    }
    Ok(incoming)
}

/// The files of a form that an operator sends; they take room in memory until this is dropped.
pub struct Form {
    pub incoming: Vec<Incoming>,
    _body: Buffered,
}

/// Reads the files of a form whole. A body that is too large is read to its end and thrown away, up to a limit: a
/// browser shows no answer before it has sent everything.
pub async fn read_form(
    state: &SharedState,
    files: &Arc<Files>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Form, ApiError> {
    let announced = body.size_hint().lower();
    if announced > BODY_MAX_BYTES as u64 {
        body::discard(body, DISCARDED_MAX_BYTES).await;
        let megabytes = BODY_MAX_BYTES / (1024 * 1024);
        return Err(ApiError::TooLarge(format!(
            "these files are larger than {megabytes} MiB together, and none of them was taken: send fewer at a time; one \
             that is larger by itself has to be split by the bank"
        )));
    }
    let body = body::read(body, BODY_MAX_BYTES, state.limits.pushes()).await?;
    let posted = parts(headers, "", body.bytes.clone()).await?;
    Ok(Form { incoming: read_all(files, posted, "console").await?, _body: body })
}

/// Takes one of the files that an operator sent, in a transaction of its own.
pub async fn take_posted(
    state: &SharedState,
    (provider, served, files): (&ProviderName, &ServedProvider, &Files),
    file: &Incoming,
) -> Result<FileAnswer, ApiError> {
    let taking = Taking { provider, files, decides: !served.pulled, backfill: false };
    take_one(state, taking, file).await
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
    let name = called(&named.map_or_else(String::new, |(_, name)| name.into_owned()));
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
        // a browser sends such a part where no file was chosen
        let is_none = field.file_name() == Some("");
        let name = called(field.file_name().or(field.name()).unwrap_or_default());
        let bytes = field.bytes().await.map_err(invalid)?;
        if !(is_none && bytes.is_empty()) {
            files.push((name, bytes));
        }
    }
    if files.is_empty() {
        return Err(ApiError::Invalid("the form has no file".to_owned()));
    }
    Ok(files)
}

/// What a file is called here: its name means nothing, and is shown and printed as it is.
fn called(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
    if shown.trim().is_empty() { "posted".to_owned() } else { shown }
}

/// Reads a file on a thread of its own: large ones take a while.
async fn read_aside(
    files: Arc<Files>,
    name: String,
    bytes: Bytes,
    source: &str,
) -> Result<Incoming, ApiError> {
    let called = name.clone();
    let source = source.to_owned();
    let read = move || Incoming::read(&files, name, source, bytes.to_vec());
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
    if taken.known {
        statement_files::repeated(&mut transaction, taking.provider, &file.sha256).await?;
    }
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

/// A digest as it is shown.
pub fn hex(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(file: &Incoming, taken: Taken) -> FileAnswer {
    let tally = taken.tally();
    FileAnswer {
        name: file.name.clone(),
        sha256: hex(&file.sha256),
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
