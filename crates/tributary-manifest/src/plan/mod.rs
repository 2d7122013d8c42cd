//! A manifest made ready to run: checked, its filters compiled, its streams in order.

mod asks;
mod body;
mod compile;
mod facts;
mod hazards;
mod pager;
mod position;
mod request;
mod strategy;
mod template;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use tributary_domain::{Resource, Status};

pub use super::manifest::ManifestError;
pub use asks::Asks;
pub use facts::PageFacts;
pub use pager::{NextSource, PageEnd, Pager, PagerKind, Step};
pub use position::{Position, Report, Walk};
pub use request::{RequestError, RequestTemplate, RequestTemplateError};
pub use strategy::{Delta, Events, Strategy};
pub use template::encode;

use super::client::Rules;
use super::jq::Filter;
use super::manifest::{Manifest, field};
use super::writing::ReadAs;

/// A stream ready to run.
#[derive(Debug)]
pub struct Stream {
    pub name: String,
    pub request: RequestTemplate,
    /// What it has instead of the answer to a request.
    pub values: Option<Vec<String>>,
    pub rules: Rules,
    /// How the report is made that `request` fetches.
    pub report: Option<ReportPlan>,
    /// How answers are read, where they are no JSON.
    pub read_as: Option<Arc<ReadAs>>,
    /// Statuses with which an answer without a body is an empty list.
    pub empty: Arc<[u16]>,
    pub pager: Pager,
    pub records: Filter,
    /// Whether an answer lists records; where none, it has to hold the list.
    pub list_when: Option<Filter>,
    pub detail: Option<Lookup>,
    pub identity: Option<IdentityPlan>,
    /// What records become; `None` for a stream that only feeds others.
    pub output: Option<Output>,
    /// The stream whose records are this one's partitions.
    pub parent: Option<Parent>,
    pub strategy: Strategy,
    pub tracking: Option<Tracking>,
    /// Whether a later stream needs the records of this one.
    pub is_parent: bool,
    /// The place among the streams of the one whose answers it shares, and before the stream itself.
    pub shares: Option<usize>,
    /// Whether a stream that shares its answers is needed by others.
    pub feeds_a_parent: bool,
    /// Whether a stream that shares its answers counts equal records in a walk.
    pub feeds_a_count: bool,
    /// In which lines of its file what it says stands, by field.
    pub lines: BTreeMap<String, usize>,
}

/// A request for one record.
#[derive(Debug)]
pub struct Lookup {
    pub request: RequestTemplate,
    /// The record in the answer.
    pub record: Filter,
}

/// How a report is made and waited for.
#[derive(Debug)]
pub struct ReportPlan {
    pub create: RequestTemplate,
    pub id: Filter,
    pub poll: RequestTemplate,
    pub ready: Filter,
    pub failed: Option<Filter>,
    pub url: Option<Filter>,
    pub every: std::time::Duration,
    pub within: TimeDelta,
}

/// What makes a record one and the same for ever.
#[derive(Debug)]
pub struct IdentityPlan {
    /// The record's own id, where it has one.
    pub id: Filter,
    /// What else distinguishes records.
    pub fields: Filter,
}

/// Which records may still change, and how that is found out.
#[derive(Debug)]
pub struct Tracking {
    pub key: Filter,
    pub open: Filter,
    /// The time by which the API filters, where the stream is read by windows.
    pub at: Option<Filter>,
    pub by: TrackedBy,
}

impl Tracking {
    /// Whether records are missed where they would have to be listed.
    pub fn by_absence(&self) -> bool {
        matches!(self.by, TrackedBy::Absence)
    }
}

#[derive(Debug)]
pub enum TrackedBy {
    /// Asking for each of them.
    Refresh { lookup: Box<Lookup>, every: TimeDelta, give_up: TimeDelta },
    /// Missing it where it would have to be listed.
    Absence,
    /// The provider, which says what it removed.
    Removal,
}

/// What the records of a stream become.
#[derive(Debug)]
pub struct Output {
    pub resource: Resource,
    pub map: Filter,
    /// Whether `map` was made of the fields of a file, which reasons then name.
    pub by_fields: bool,
    pub status_map: Option<BTreeMap<String, Status>>,
    /// Whether records are kept as they came.
    pub keeps_raw: bool,
}

/// How a stream is divided.
#[derive(Debug)]
pub struct Parent {
    /// Its place among the streams, before the stream itself.
    pub index: usize,
    /// The partition's name, from the parent's record.
    pub key: Arc<Filter>,
}

impl Stream {
    /// How an open record is asked for again.
    pub fn refresh_lookup(&self) -> Option<&Lookup> {
        match &self.tracking.as_ref()?.by {
            TrackedBy::Refresh { lookup, .. } => Some(lookup),
            TrackedBy::Absence | TrackedBy::Removal => None,
        }
    }

    /// Whether it is read by what changed since a token.
    pub fn is_delta(&self) -> bool {
        matches!(self.strategy, Strategy::Delta(_))
    }

    /// Whether a position is kept for its partitions.
    pub fn keeps_position(&self) -> bool {
        self.output.is_some() && (self.report.is_some() || !self.is_one_answer())
    }

    /// Whether one answer is everything, each time.
    fn is_one_answer(&self) -> bool {
        matches!(self.strategy, Strategy::Snapshot) && matches!(self.pager.kind, PagerKind::Single)
    }

    /// Whether a run that was killed goes on at its page. Not where others need all records of a
    /// walk, or equal records are counted in it.
    pub fn resumes(&self) -> bool {
        let whole = self.is_parent || self.feeds_a_parent || self.feeds_a_count;
        !whole && self.identity.is_none()
    }

    /// Whether its position may only move once all that depend on it were read: what they would
    /// miss now, they would miss for ever.
    pub fn waits_for_children(&self) -> bool {
        (self.is_parent || self.feeds_a_parent) && !matches!(self.strategy, Strategy::Snapshot)
    }
}

/// Checks and compiles the streams of `manifest`.
pub fn streams(manifest: &Manifest) -> Result<Vec<Stream>, ManifestError> {
    let functions = manifest.definitions().map_err(ManifestError::Field)?;
    Filter::compile("", "functions", &functions, ".")
        .map_err(|error| ManifestError::Field(format!("functions: {}", error.message)))?;
    if manifest.streams.is_empty() {
        return Err(ManifestError::Field("streams: lists none".to_owned()));
    }
    let mut streams: Vec<Stream> = Vec::with_capacity(manifest.streams.len());
    for described in &manifest.streams {
        let stream = compile::stream(described, &functions, manifest.keep_raw.is_some(), &streams)?;
        if let Some(index) = stream.parent.as_ref().map(|parent| parent.index) {
            streams[index].is_parent = true;
            if let Some(giver) = streams[index].shares {
                streams[giver].feeds_a_parent = true;
            }
        }
        if let Some(giver) = stream.shares {
            streams[giver].feeds_a_count |= stream.identity.is_some();
        }
        streams.push(stream);
    }
    let useless = streams.iter().find(|stream| stream.output.is_none() && !stream.is_parent);
    match useless {
        Some(stream) => Err(field(
            &stream.name,
            "resource",
            "is missing, and no later stream is read for_each of its records",
        )),
        None => Ok(streams),
    }
}

/// Everything that is wrong with the streams of `manifest`.
pub fn check(manifest: &Manifest) -> Vec<ManifestError> {
    let functions = match manifest.definitions() {
        Ok(functions) => functions,
        Err(error) => return vec![ManifestError::Field(error)],
    };
    let mut errors = Vec::new();
    let mut streams: Vec<Stream> = Vec::with_capacity(manifest.streams.len());
    for described in &manifest.streams {
        match compile::stream(described, &functions, manifest.keep_raw.is_some(), &streams) {
            Ok(stream) => streams.push(stream),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        errors.extend(self::streams(manifest).err());
    }
    errors
}

#[cfg(test)]
mod tests;
