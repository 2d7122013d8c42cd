//! The form that posts files, and what became of them: as `POST /ingest/files` has it, by the same functions.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::json;

use super::super::error::PageError;
use super::super::page::{self, table};
use super::super::session::Session;
use super::super::words::{badge, encoded};
use super::{HERE, provider_path};
use crate::http::{ApiError, FileAnswer, SharedState, hex, read_form, take_posted};
use crate::verbs::{self, OPERATE, On};
use tributary_domain::ProviderName;

/// As the audit calls it.
const UPLOAD: &str = "statement upload";

/// Whether whoever has signed in may upload files.
pub fn may(session: &Session) -> bool {
    OPERATE.contains(&session.role)
}

pub fn form(provider: &ProviderName) -> Markup {
    html! {
        form method="post" enctype="multipart/form-data" action={ (HERE) "/" (encoded(provider.as_str())) } {
            label for="file" { "Files of " (provider) ", 64 MiB together at most" }
            input #file type="file" name="file" multiple required;
            button { "Upload" }
        }
        p.note {
            "They can be dropped onto the field. Whatever can be read is taken as if the bank had sent it; the same file again changes "
            "nothing. Years of history: " code { "tributary statement import " (provider) " FOLDER" } "."
        }
    }
}

/// Takes the files of a form, one after the other, and says what became of each.
pub async fn upload(
    State(state): State<SharedState>,
    session: Session,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageError> {
    if !may(&session) {
        let why = format!("Your role is {}, and may not upload files.", session.role.as_str());
        return Err(PageError::forbidden(&why));
    }
    let unknown = || PageError::not_found("No provider of this name reads statement files.");
    let provider: ProviderName = provider.parse().map_err(|_| unknown())?;
    let served = state.providers.get(&provider).cloned().ok_or_else(unknown)?;
    let files = served.files.clone().ok_or_else(unknown)?;
    let posted = match read_form(&state, &files, &headers, body).await {
        Ok(posted) => posted,
        Err(error) => return Ok(told(&session, &provider, &[], Some(error))),
    };
    let declared = verbs::Declared::new();
    let on = On::answering(&state.pool, &declared);
    // names may tell of persons, and the audit is never erased
    let digests: Vec<String> = posted.incoming.iter().map(|file| hex(&file.sha256)).collect();
    let what = (UPLOAD, provider.as_str(), json!({"sha256": digests}));
    verbs::note(on, &session.actor(), what).await.map_err(ApiError::from)?;
    let mut answers = Vec::with_capacity(posted.incoming.len());
    for file in &posted.incoming {
        match take_posted(&state, (&provider, &served, &files), file).await {
            Ok(answer) => answers.push(answer),
            Err(error) => return Ok(told(&session, &provider, &answers, Some(error))),
        }
    }
    Ok(told(&session, &provider, &answers, None))
}

/// What became of the files that were taken, and why no more of them were.
fn told(
    session: &Session,
    provider: &ProviderName,
    answers: &[FileAnswer],
    failed: Option<ApiError>,
) -> Response {
    let failed = failed.map(ApiError::parts);
    let status = failed.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let content = html! {
        @if let Some((_, _, why)) = &failed {
            p.bad role="alert" { (why) }
            @if !answers.is_empty() {
                p { "Those below were taken. Send all of them again: what was taken is known, and changes nothing." }
            }
        }
        @for answer in answers { (taken(answer)) }
        @if failed.is_some() { (form(provider)) }
        p { a href=(provider_path(provider.as_str())) { "All statements of " (provider) } }
    };
    (status, page::still(session, HERE, "What became of the files", content)).into_response()
}

const TAKEN: [&str; 5] = ["Account", "Number", "Closes", "#Entries", "What became of it"];

fn taken(answer: &FileAnswer) -> Markup {
    let short: String = answer.sha256.chars().take(12).collect();
    html! {
        h2 { (answer.name) }
        p {
            @if answer.known { (badge("", "known")) " The same bytes were taken before: nothing changed. This is what became of them then. " }
            (answer.created) " records created, " (answer.updated) " updated, " (answer.unchanged) " unchanged"
            @if answer.quarantined > 0 { ", " a href="/console/quarantine" { (answer.quarantined) " in quarantine" } }
            ". SHA-256 " code title=(answer.sha256) { (short) }
        }
        @for warning in &answer.warnings { p.warn { (warning) } }
        (table(&format!("Statements of {}", answer.name), &TAKEN, answer.statements.iter().map(|statement| html! {
            th scope="row" { (statement.account) " " (statement.currency) }
            td { (statement.number.as_deref().unwrap_or("none")) }
            td { @if let Some(day) = statement.closing_day { (day) } }
            td.number { (statement.entries) }
            td { (super::shown::why(&statement.state, statement.reason.as_deref(), statement.missing.as_deref(), false)) }
        })))
    }
}
