//! From an answer to canonical records. Runs on a blocking thread: nothing here waits.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use chrono::{DateTime, Utc};
use jaq_json::Val;

use crate::domain::{Resource, Status, parse_record};

use super::incremental::{self, UpdatedWindow};
use super::jq::{self, Filter, FilterError, Limits, Scope};
use super::page::{MappedRecord, RawRecord, Warning, Warnings};
use super::plan::{Output, Stream};

/// The most records in one answer.
const MOST_RECORDS: usize = 1_000_000;
/// The most canonical records that one record becomes.
pub(super) const MOST_MAPPED: usize = 1_000;
/// How much of a status that is not in the table is kept, in characters.
const STATUS_CHARS: usize = 64;

/// What an answer holds.
#[derive(Debug, Default)]
pub struct Reading {
    pub records: Vec<MappedRecord>,
    /// The time of the newest change in it.
    pub newest: Option<DateTime<Utc>>,
    /// The records as they came, for a stream that others depend on.
    pub raw: Vec<Val>,
    pub warnings: Warnings,
}

/// A place of a stream that is read by itself.
#[derive(Debug, Clone)]
pub struct Partition {
    pub key: String,
    /// The parent's record, or null.
    pub record: Val,
}

/// Reads the records of `answer`. A record that cannot be mapped does not stop the others;
/// an answer of which the records cannot be found does.
pub fn read(stream: &Stream, answer: Val, scope: &Scope, deadline: Instant) -> Result<Reading, FilterError> {
    let records = stream.records.run(answer, scope, Limits { outputs: MOST_RECORDS, deadline })?;
    let mut reading = Reading::default();
    for record in &records {
        if Instant::now() > deadline {
            return Err(stream.records.error("reading the records took too long".to_owned()));
        }
        let limits = Limits { outputs: MOST_MAPPED, deadline };
        if let Some(window) = &stream.incremental {
            match changed_at(window, record, scope, limits) {
                Some(changed_at) => reading.newest = reading.newest.max(Some(changed_at)),
                None => *reading.warnings.entry(Warning::NoCursor).or_default() += 1,
            }
        }
        if let Some(output) = &stream.output {
            map(output, record, scope, limits, &mut reading);
        }
    }
    if stream.is_parent {
        reading.raw = records;
    }
    Ok(reading)
}

/// The partitions that the `records` of a parent stand for, each key once, and why others have
/// no key.
pub fn partitions(
    key: &Filter,
    records: Vec<Val>,
    scope: &Scope,
    deadline: Instant,
) -> (Vec<Partition>, Vec<FilterError>) {
    let mut seen = HashSet::new();
    let (mut partitions, mut nameless) = (Vec::new(), Vec::new());
    for record in records {
        let named = key.run_one(record.clone(), scope, Limits { outputs: 1, deadline });
        match named.map(|name| text(&name).filter(|name| !name.is_empty())) {
            Ok(Some(name)) if seen.insert(name.clone()) => partitions.push(Partition { key: name, record }),
            Ok(Some(_)) => {}
            Ok(None) => nameless.push(key.error("yields something else than a text".to_owned())),
            Err(error) => nameless.push(error),
        }
    }
    (partitions, nameless)
}

fn changed_at(window: &UpdatedWindow, record: &Val, scope: &Scope, limits: Limits) -> Option<DateTime<Utc>> {
    let time = window.cursor.run_one(record.clone(), scope, limits).ok()?;
    incremental::instant(&text(&time)?)
}

/// Adds what `record` becomes to `reading`.
pub(super) fn map(output: &Output, record: &Val, scope: &Scope, limits: Limits, reading: &mut Reading) {
    let unmappable = |reason: String| MappedRecord::Unmappable { raw: raw(record, scope), reason };
    match output.map.run(record.clone(), scope, limits) {
        Err(error) => reading.records.push(unmappable(error.to_string())),
        Ok(mapped) => {
            for mut canonical in mapped {
                if let Some(status_map) = &output.status_map {
                    translate_status(status_map, &mut canonical, &mut reading.warnings);
                }
                reading.records.push(match checked(output.resource, &canonical) {
                    Ok(json) => MappedRecord::Canonical(json),
                    Err(reason) => unmappable(reason),
                });
            }
        }
    }
}

/// A record as it came, to be mapped again.
pub(super) fn raw(record: &Val, scope: &Scope) -> RawRecord {
    let now = text(&scope.now).unwrap_or_default();
    RawRecord { record: jq::to_json(record), parent: jq::to_json(&scope.parent), now }
}

fn checked(resource: Resource, canonical: &Val) -> Result<Vec<u8>, String> {
    let json = jq::to_json(canonical);
    parse_record(resource, &json).map_err(|error| error.to_string())?;
    Ok(json)
}

/// Puts Formance's status in the place of the provider's.
fn translate_status(status_map: &BTreeMap<String, Status>, canonical: &mut Val, warnings: &mut Warnings) {
    let Val::Obj(members) = canonical else { return };
    let key = Val::from("status".to_owned());
    let Some(provider_status) = members.get(&key).and_then(text) else { return };
    let status = status_map.get(&provider_status).copied().unwrap_or_else(|| {
        let shown = provider_status.chars().take(STATUS_CHARS).collect();
        *warnings.entry(Warning::UnmappedStatus(shown)).or_default() += 1;
        Status::Other
    });
    jaq_json::Rc::make_mut(members).insert(key, Val::from(status.as_str().to_owned()));
}

fn text(value: &Val) -> Option<String> {
    match value {
        Val::TStr(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}
