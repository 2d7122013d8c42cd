//! The playground: a provider file tried on an answer that somebody has at hand, and what Formance would see of it. It
//! runs in the workshop, and what it writes is taken back.

use axum::extract::{Form, State};
use axum::response::Response;
use chrono::{SecondsFormat, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::page::{self, table};
use super::session::Session;
use crate::config::FileText;
use crate::http::{ApiError, SharedState};
use crate::store::StoreError;
use crate::sync::{Preview, served_alone};
use crate::verbs::remap::DryRun;
use crate::verbs::{self, ANSWERED, Failure, On, Verb as _, entry};
use crate::workshop::{Became, Row, SAMPLE_ROWS, Streams, WorkshopError};
use tributary_manifest::Sample;

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
}

impl Tried {
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
            now: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }
}

pub async fn show(State(state): State<SharedState>, session: Session) -> Response {
    let content = match session.may(entry(DryRun::NAME)) {
        true => forms(&state, &Tried::default()),
        false => html! { p.note { "Whoever is no viewer can try provider files here." } },
    };
    page::still(&session, HERE.0, HERE.1, content)
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

pub async fn remap(
    State(state): State<SharedState>,
    session: Session,
    Form(tried): Form<Tried>,
) -> Result<Response, PageError> {
    let previewed = async {
        let provider =
            tried.provider.parse().map_err(|_| "choose the provider whose records are mapped again")?;
        let stream = Some(tried.stream.trim().to_owned()).filter(|stream| !stream.is_empty());
        let verb = DryRun { provider, stream, file: Some(tried.file.clone()), folder: None };
        let declared = state.declared();
        Ok(verbs::perform(&verb, On::answering(&state.pool, &declared), &session.actor()).await?)
    };
    session.require(entry(DryRun::NAME))?;
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
            Failure::Invalid(why) | Failure::NotFound(why) => Self::Said(why),
            other => Self::Page(ApiError::from(other).into()),
        }
    }
}

/// What is wrong, line by line.
pub fn mistakes(why: &str) -> Markup {
    html! { div.bad role="alert" { h2 { "What is wrong" } pre { (why) } } }
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

fn row_of(n: usize, row: &Row) -> Markup {
    html! {
        h3 { "Row " (n) }
        pre { (row.row) }
        @match &row.becomes {
            Err(why) => p.bad { "The stream fails: " (why) },
            Ok(parts) if parts.is_empty() => p.note { "It becomes nothing." },
            Ok(parts) => @for part in parts {
                @match part {
                    Became::Refused(why) => p.bad { "It would be in quarantine: " (why) },
                    Became::Record { resource, record, .. } => {
                        p { (resource) }
                        pre data-copy { (format!("{record:#}")) }
                    }
                }
            },
        }
    }
}

/// What a preview says.
pub fn shown(preview: &Preview) -> Markup {
    let differences =
        preview.examples.iter().flat_map(|example| example.fields.iter().map(move |field| (example, field)));
    html! {
        p {
            (preview.tried) " of " (preview.total) " records were tried, and nothing was written: " (preview.taken)
            " would be taken (" (preview.created) " created, " (preview.updated) " updated, " (preview.unchanged)
            " unchanged, " (preview.superseded) " superseded)."
        }
        @if preview.tried < preview.total {
            p.note { "A page tries no more than " (ANSWERED.records) " records; the command tries all." }
        }
        @if !preview.refused.is_empty() {
            (table("What would be in quarantine, the most first", &["Fault", "#Records", "Reason of the first"],
                preview.refused.iter().map(|refusal| html! {
                    th scope="row" { (refusal.fault) }
                    td.number { (refusal.count) }
                    td { (refusal.reason) }
                })))
        }
        @if !preview.examples.is_empty() {
            (table("The first changes of what is published", &["Record", "Field", "Now", "Then"],
                differences.map(|(example, field)| html! {
                    th scope="row" { (example.resource) " " code { (example.id) } @if example.is_new { " (new)" } }
                    td { (field.name) }
                    td { (field.now.as_deref().unwrap_or("–")) }
                    td { (field.then.as_deref().unwrap_or("–")) }
                })))
        }
    }
}

fn forms(state: &SharedState, tried: &Tried) -> Markup {
    let mut names: Vec<&str> = state.providers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    html! {
        h2 { "Try a file" }
        p.note {
            "It runs in a process of its own, without any variable of the environment, and asks nobody. Nothing is kept: "
            "neither the file, nor the sample, nor what comes of them."
        }
        form.tall method="post" action="/console/playground/sample" {
            label for="provider" { "The file of" }
            select #provider name="provider" {
                option value="" { "(pasted below)" }
                @for name in &names { option value=(name) selected[*name == tried.provider] { (name) } }
            }
            label for="file" { "Or a provider file" }
            textarea #file name="file" rows="16" spellcheck="false" { (tried.file) }
            label for="stream" { "The stream (or the only one)" }
            input #stream name="stream" value=(tried.stream);
            label for="kind" { "What the sample is" }
            select #kind name="kind" {
                option value="answer" { "a whole answer" }
                option value="rows" selected[tried.kind == "rows"] { "a row, or a list of rows" }
            }
            label for="sample" { "The sample, as JSON" }
            textarea #sample name="sample" rows="12" spellcheck="false" { (tried.sample) }
            label for="parent" { "The record of `each` that it was read for, as JSON, if there is one" }
            input #parent name="parent" value=(tried.parent);
            button { "Try it" }
            button formaction="/console/playground/remap" { "Show what mapping the kept records again would change" }
        }
    }
}
