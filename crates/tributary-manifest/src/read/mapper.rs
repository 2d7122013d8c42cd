//! Maps records without asking for any: what a file would make of them, whatever its variables are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_domain::Resource;

use super::extract;
use super::mapping::{self, Occurrences};
use super::page::MappedRecord;
use super::remap::RemapError;
use crate::cage::Cage;
use crate::jq::{self, FilterError, Scope};
use crate::manifest::Manifest;
use crate::plan::{self, ManifestError, Stream};

/// The streams of a provider, and the cage that their filters run in.
pub struct Mapper {
    pub(super) streams: Vec<Arc<Stream>>,
    pub(super) cage: Arc<Cage>,
}

/// An answer, or rows of one, as somebody has them at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// JSON.
    pub text: String,
    /// Whether it is a whole answer, in which the stream looks for its rows; else a row, or a list of rows.
    pub is_answer: bool,
    /// The record of `each` that it was read for, JSON; `null` without one.
    pub parent: String,
    /// `$now`, as RFC 3339.
    pub now: String,
}

/// A row, and what it becomes: records, or for each why it is none; or why the stream fails at it.
#[derive(Debug, PartialEq)]
pub struct SampleRow {
    /// JSON.
    pub row: String,
    pub becomes: Result<Vec<MappedRecord>, String>,
}

impl Mapper {
    /// Of `manifest`, whose variables need not be filled in; the filters of one sample have `deadline` to end. The error
    /// names the field that is wrong.
    pub fn new(manifest: &Manifest, deadline: Duration) -> Result<Self, ManifestError> {
        let streams = plan::streams(manifest)?.into_iter().map(Arc::new).collect();
        Ok(Self { streams, cage: Arc::new(Cage::with_deadline(deadline)) })
    }

    /// The names of the streams, and what their records become; nothing of one that only feeds others.
    pub fn streams(&self) -> impl Iterator<Item = (&str, Option<Resource>)> {
        let resource = |stream: &Stream| stream.output.as_ref().map(|output| output.resource);
        self.streams.iter().map(move |stream| (stream.name.as_str(), resource(stream)))
    }

    pub(super) fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// What the records of `stream` become.
    pub fn resource_of(&self, stream: &str) -> Result<Resource, RemapError> {
        let found = self.stream(stream).ok_or_else(|| RemapError::NoStream(stream.to_owned()))?;
        let output = found.output.as_ref();
        Ok(output.ok_or_else(|| RemapError::NoResource(stream.to_owned()))?.resource)
    }

    /// What up to `most` rows of `sample` become in `stream`. The error says why they could not be tried.
    pub async fn map_sample(
        &self,
        stream: &str,
        sample: Sample,
        most: usize,
    ) -> Result<Vec<SampleRow>, String> {
        self.resource_of(stream).map_err(|error| error.to_string())?;
        let stream = Arc::clone(self.stream(stream).ok_or("there is no such stream")?);
        let parse = |what: &str, text: &str| {
            jq::parse(text.as_bytes()).map_err(|error| format!("{what} cannot be read: {error}"))
        };
        let given = parse("the sample", &sample.text)?;
        let mut scope = Scope::at(chrono::Utc::now(), parse("the parent", &sample.parent)?);
        scope.now = jaq_json::Val::from(sample.now);
        let mapped = self.cage.run(move |deadline| {
            let rows = match (sample.is_answer, given) {
                (true, answer) => extract::rows(&stream, &answer, &scope, deadline)?.0,
                (false, jaq_json::Val::Arr(rows)) => rows.iter().cloned().collect(),
                (false, row) => vec![row],
            };
            Ok(map_rows(&stream, rows.into_iter().take(most), &scope, deadline))
        });
        mapped.await.map_err(|error| error.to_string())
    }
}

fn map_rows(
    stream: &Stream,
    rows: impl Iterator<Item = jaq_json::Val>,
    scope: &Scope,
    deadline: Instant,
) -> Vec<SampleRow> {
    let mut occurrences = Occurrences::new();
    let mut mapped = Vec::new();
    for row in rows {
        let text = String::from_utf8_lossy(&jq::to_json(&row)).into_owned();
        let reading = mapping::map(stream, "", vec![row], scope, false, &mut occurrences, deadline);
        let becomes = reading.map(|reading| reading.records).map_err(|error: FilterError| error.to_string());
        mapped.push(SampleRow { row: text, becomes });
    }
    mapped
}
