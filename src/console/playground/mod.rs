//! The playground: a provider file tried on an answer that somebody has at hand, and what Formance would see of it. It
//! runs in the workshop, and what it writes is taken back.

mod shown;

use axum::extract::{Form, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use chrono::{SecondsFormat, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::page;
use super::session::Session;
use super::words::encoded;
use crate::config::FileText;
use crate::encryption;
use crate::http::{ApiError, SharedState};
use crate::store::{StoreError, quarantine, raw_records};
use crate::sync::served_alone;
use crate::verbs::remap::DryRun;
use crate::verbs::{self, Failure, On, Verb as _, entry};
use crate::workshop::{SAMPLE_ROWS, Streams, WorkshopError};
use tributary_domain::{Origin, ProviderName};
use tributary_manifest::Sample;

use shown::{forms, row_of};
pub use shown::{mistakes, shown};

/// The largest form, in bytes: a file and a sample, with every byte escaped.
pub const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

const HERE: (&str, &str) = ("/console/playground", "Playground");

/// What is tried.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Tried {
    /// A provider whose file is taken, where none is pasted.
    provider: String,
    file: String,
    stream: String,
    sample: String,
    /// `answer` or `rows`.
    kind: String,
    parent: String,
    /// `$now`; the time that it is, if it is left empty.
    now: String,
}

/// A record that is here, to begin with.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Wanted {
    /// Of the quarantine, by its id.
    quarantine: String,
    /// Or one that was kept, by its provider, stream and position.
    provider: String,
    stream: String,
    kept: String,
}

impl Wanted {
    /// Where the playground begins with the record of the quarantine of this id.
    pub fn quarantined(id: i64) -> String {
        format!("{}?quarantine={id}", HERE.0)
    }

    /// Where it begins with a record that was kept.
    pub fn kept(provider: &str, stream: &str, position: i64) -> String {
        format!("{}?provider={}&stream={}&kept={position}", HERE.0, encoded(provider), encoded(stream))
    }

    /// What is tried first; nothing where no record is wanted.
    async fn load(&self, state: &SharedState) -> Result<Tried, Failed> {
        let (pool, keys) = (&state.pool, encryption::keyring());
        let gone = || PageError::not_found("This record is not here any more, or none that a mapping takes.");
        if let Ok(id) = self.quarantine.parse() {
            let found = quarantine::find(pool, &keys, id).await.map_err(unread)?;
            let found = found.ok_or_else(|| Failed::Page(gone()))?;
            let origin = found.record.origin().ok_or_else(|| Failed::Page(gone()))?;
            return Ok(Tried::of(&found.provider, origin));
        }
        let (Ok(provider), Ok(position)) = (self.provider.parse::<ProviderName>(), self.kept.parse()) else {
            return Ok(Tried::default());
        };
        let found =
            raw_records::find(pool, &keys, &provider, &self.stream, position).await.map_err(unread)?;
        let found = found.ok_or_else(|| Failed::Page(gone()))?;
        Ok(Tried::of(provider.as_str(), &found.origin))
    }
}

/// That its key is missing is said; else it is no fault of who asks.
fn unread(error: StoreError) -> Failed {
    match error {
        StoreError::Sealed(why) => Failed::Said(why),
        other => Failed::Page(other.into()),
    }
}

impl Tried {
    /// A record of `provider` as it came.
    fn of(provider: &str, origin: &Origin) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let record = text(&origin.record);
        // a list is one of rows
        let is_list = record.trim_start().starts_with('[');
        Self {
            provider: provider.to_owned(),
            file: String::new(),
            stream: origin.stream.clone(),
            sample: if is_list { format!("[{record}]") } else { record },
            kind: "rows".to_owned(),
            parent: text(&origin.parent),
            now: origin.asked_at.clone(),
        }
    }

    /// The file that is meant, or what to write.
    fn file(&self, state: &SharedState) -> Result<FileText, String> {
        if !self.file.trim().is_empty() {
            return Ok(FileText::new(&self.file, None));
        }
        let served = self.provider.parse().ok().and_then(|name| state.providers.get(&name));
        let served = served.ok_or("paste a provider file, or choose a provider whose file runs")?;
        Ok(served.file.clone())
    }

    fn sample(&self) -> Sample {
        let or_null = |text: &str| if text.trim().is_empty() { "null".to_owned() } else { text.to_owned() };
        Sample {
            text: self.sample.clone(),
            is_answer: self.kind != "rows",
            parent: or_null(&self.parent),
            now: match self.now.trim() {
                "" => Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
                then => then.to_owned(),
            },
        }
    }
}

pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let content = match session.may(entry(DryRun::NAME)) {
        false => html! { p.note { "It takes the role operator, approver or admin to try provider files." } },
        true => match wanted.load(&state).await {
            Ok(tried) => forms(&state, &tried),
            Err(Failed::Said(why)) => html! { (mistakes(&why)) (forms(&state, &Tried::default())) },
            Err(Failed::Page(error)) => return Err(error),
        },
    };
    Ok(page::still(&session, HERE.0, HERE.1, content))
}

pub async fn sample(
    State(state): State<SharedState>,
    session: Session,
    Form(tried): Form<Tried>,
) -> Result<Response, PageError> {
    session.require(entry(DryRun::NAME))?;
    let came = match try_sample(&state, &tried).await {
        Ok(came) => came,
        Err(Failed::Said(why)) => mistakes(&why),
        Err(Failed::Page(error)) => return Err(error),
    };
    let content = html! { (came) (forms(&state, &tried)) };
    Ok(page::still(&session, HERE.0, HERE.1, content))
}

/// Gives the file back that was worked on here, to be put among the others.
pub async fn file(
    State(state): State<SharedState>,
    session: Session,
    Form(tried): Form<Tried>,
) -> Result<Response, PageError> {
    session.require(entry(DryRun::NAME))?;
    if tried.file.trim().is_empty() {
        let content = html! { (mistakes("there is no file below to download")) (forms(&state, &tried)) };
        return Ok(page::still(&session, HERE.0, HERE.1, content));
    }
    let headers = [
        (CONTENT_TYPE, "application/yaml; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"provider.yaml\""),
    ];
    // browsers send the lines of a form with CRLF
    Ok((headers, tried.file.replace("\r\n", "\n")).into_response())
}

pub async fn remap(
    State(state): State<SharedState>,
    session: Session,
    Form(tried): Form<Tried>,
) -> Result<Response, PageError> {
    session.require(entry(DryRun::NAME))?;
    let previewed = async {
        let provider =
            tried.provider.parse().map_err(|_| "choose the provider whose records are mapped again")?;
        let stream = Some(tried.stream.trim().to_owned()).filter(|stream| !stream.is_empty());
        let verb = DryRun { provider, stream, file: Some(tried.file.clone()), folder: None };
        let declared = state.declared();
        Ok(verbs::perform(&verb, On::answering(&state.pool, &declared), &session.actor()).await?)
    };
    let came = match previewed.await {
        Ok(preview) => html! { h2 { "If these records were mapped again" } (shown(&preview)) },
        Err(Failed::Said(why)) => mistakes(&why),
        Err(Failed::Page(error)) => return Err(error),
    };
    Ok(page::still(&session, HERE.0, HERE.1, html! { (came) (forms(&state, &tried)) }))
}

/// Why there is nothing to show: what is wrong with what was given, or with what it takes.
pub enum Failed {
    Said(String),
    Page(PageError),
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self::Said(why)
    }
}

impl From<&str> for Failed {
    fn from(why: &str) -> Self {
        Self::Said(why.to_owned())
    }
}

impl From<WorkshopError> for Failed {
    fn from(error: WorkshopError) -> Self {
        match error {
            WorkshopError::Unavailable(why) => {
                tracing::error!(why, "a provider file cannot be tried");
                Self::Page(ApiError::Internal.into())
            }
            other => Self::Said(other.to_string()),
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(why) | Failure::NotFound(why) | Failure::Refused(why) => Self::Said(why),
            other => Self::Page(ApiError::from(other).into()),
        }
    }
}

async fn try_sample(state: &SharedState, tried: &Tried) -> Result<Markup, Failed> {
    let file = tried.file(state)?;
    let Streams { streams, .. } = file.streams().await?;
    let known: Vec<&str> =
        streams.iter().filter(|(_, resource)| resource.is_some()).map(|(name, _)| name.as_str()).collect();
    let stream = match (tried.stream.trim(), &known[..]) {
        ("", [only]) => only,
        ("", _) => return Err(format!("say which stream the sample is of: {}", known.join(", ")).into()),
        (stream, _) => stream,
    };
    let rows = file.map_sample(stream, tried.sample()).await?;
    let records = rows.iter().filter_map(|row| row.becomes.as_ref().ok()).flatten().cloned();
    let records = records.filter_map(|part| part.record().ok()).collect();
    let served = match served_alone(&state.pool, records).await {
        Ok(served) => served,
        Err(StoreError::Failed(why)) => {
            vec![("Nothing: the database refuses a record".to_owned(), why.to_string())]
        }
        Err(error) => return Err(Failed::Page(error.into())),
    };
    Ok(html! {
        h2 { "What the rows become" }
        @if rows.is_empty() { (page::empty(html! { "The sample has no rows where the stream looks for them." })) }
        @if rows.len() == SAMPLE_ROWS { p.note { "The first " (SAMPLE_ROWS) " rows." } }
        @for (n, row) in rows.iter().enumerate() { (row_of(n + 1, row)) }
        h2 { "What Formance would see" }
        @if served.is_empty() { p { "Nothing." } }
        @for (what, json) in &served {
            h3 { (what) }
            pre data-copy { (json) }
        }
    })
}
