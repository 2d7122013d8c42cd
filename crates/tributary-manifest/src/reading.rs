//! From an answer to canonical records. Runs on a blocking thread: nothing here waits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use chrono::{DateTime, Utc};
use jaq_json::Val;
use sha2::{Digest, Sha256};

use tributary_domain::{Origin, Record, Resource, Status, parse_record};

use super::jq::{self, Filter, FilterError, Limits, Scope};
use super::page::{MappedRecord, OpenRecord, Warning, Warnings};
use super::pager::{Kind, Next, Stop};
use super::plan::{Output, Strategy, Stream, Tracking};
use super::time::instant;
use super::yielded::{boolean, holds, token_of};

/// The most records in one answer.
const MOST_RECORDS: usize = 1_000_000;
/// The most canonical records that one record becomes.
pub(super) const MOST_MAPPED: usize = 1_000;
/// How much of a status that is not in the table is kept, in characters.
const STATUS_CHARS: usize = 64;

/// What an answer holds, before its records are mapped.
#[derive(Debug)]
pub struct Extract {
    pub records: Vec<Val>,
    pub facts: PageFacts,
}

/// What tells how to go on after a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageFacts {
    pub count: usize,
    /// The earliest and the latest time of its records, by which the API filters or sorts.
    pub times: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Records without such a time.
    pub undated: u64,
    /// The token or URL of the next page that the body tells.
    pub next: Option<String>,
    /// Whether the rule of `stop` says that this is the last page.
    pub stop: bool,
    /// Whether the answer says that there is another page; `None` where it is not asked.
    pub more: Option<bool>,
    /// The earliest and the latest time by which a keyset goes on.
    pub keys: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The id of the last event that has one.
    pub mark: Option<String>,
    /// Events without an id.
    pub unmarked: u64,
    /// The same for pages of the same records only.
    pub fingerprint: String,
}

/// The mapped records of a page.
#[derive(Debug, Default)]
pub struct Reading {
    pub records: Vec<MappedRecord>,
    /// Records that may still change.
    pub open: Vec<OpenRecord>,
    /// The keys of those that no longer do.
    pub closed: Vec<String>,
    /// The records as they came, for a stream that others depend on.
    pub parents: Vec<Val>,
    /// The records as they came, to be kept; for a stream that keeps them.
    pub raw: Vec<Origin>,
    pub warnings: Warnings,
}

/// How often records of equal fields were seen in a walk, by these fields.
pub type Occurrences = HashMap<String, u32>;

/// A place of a stream that is read by itself.
#[derive(Debug, Clone)]
pub struct Partition {
    pub key: String,
    /// The parent's record, or null.
    pub record: Val,
}

/// Finds the records of `answer` and what tells how to go on.
pub fn extract(
    stream: &Stream,
    answer: Val,
    scope: &Scope,
    deadline: Instant,
) -> Result<Extract, FilterError> {
    let one = Limits { outputs: 1, deadline };
    let mut facts = PageFacts::default();
    if let Kind::Cursor { next: Next::Body(next), .. } | Kind::NextUrl { next: Next::Body(next) } =
        &stream.pager.kind
    {
        facts.next = token_of(next, &next.run_one(answer.clone(), scope, one)?)?;
    }
    if let Stop::When(stop) = &stream.pager.stop {
        facts.stop = match stop.run_one(answer.clone(), scope, one)? {
            // what is not there does not end anything
            Val::Null => false,
            told => boolean(stop, &told)?,
        };
    }
    if let Some(more) = &stream.pager.more {
        // null is no answer: a misspelt filter would prove the end of every walk
        facts.more = Some(boolean(more, &more.run_one(answer.clone(), scope, one)?)?);
    }
    let records = stream.records.run(answer, scope, Limits { outputs: MOST_RECORDS, deadline })?;
    let mut digest = Sha256::new();
    for record in &records {
        if Instant::now() > deadline {
            return Err(stream.records.error("reading the records took too long".to_owned()));
        }
        digest.update(jq::to_json(record));
        digest.update(b"\n");
        look_at(stream, record, scope, one, &mut facts);
    }
    facts.count = records.len();
    facts.fingerprint = hex(&digest.finalize()[..16]);
    Ok(Extract { records, facts })
}

fn look_at(stream: &Stream, record: &Val, scope: &Scope, limits: Limits, facts: &mut PageFacts) {
    let cursor = match &stream.strategy {
        Strategy::Window(window) => Some(&window.cursor),
        Strategy::Descending(descending) => Some(&descending.cursor),
        Strategy::Events(events) => {
            let mark = events.mark.run_one(record.clone(), scope, limits);
            match mark.and_then(|id| token_of(&events.mark, &id)) {
                Ok(Some(mark)) => facts.mark = Some(mark),
                // one that cannot be told is read all the same, and once more in the next run
                Ok(None) | Err(_) => facts.unmarked += 1,
            }
            None
        }
        Strategy::Snapshot => None,
    };
    if let Some(cursor) = cursor {
        match time(cursor, record, scope, limits) {
            Some(at) => facts.times = Some(widened(facts.times, at)),
            None => facts.undated += 1,
        }
    }
    if let Kind::Keyset { field, .. } = &stream.pager.kind
        && let Some(at) = time(field, record, scope, limits)
    {
        facts.keys = Some(widened(facts.keys, at));
    }
}

fn widened(
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    at: DateTime<Utc>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    range.map_or((at, at), |(earliest, latest)| (earliest.min(at), latest.max(at)))
}

/// Maps `records` of `partition`. One that cannot be mapped does not stop the others.
pub fn map(
    stream: &Stream,
    partition: &str,
    records: Vec<Val>,
    scope: &Scope,
    occurrences: &mut Occurrences,
    deadline: Instant,
) -> Result<Reading, FilterError> {
    let mut reading = Reading::default();
    for record in &records {
        if Instant::now() > deadline {
            return Err(stream.records.error("mapping the records took too long".to_owned()));
        }
        let limits = Limits { outputs: MOST_MAPPED, deadline };
        let mut scope = scope.clone();
        if let Some(identity) = &stream.identity {
            scope.identity = Val::from(identity.of(record, &scope, limits, occurrences)?);
        }
        let before = reading.records.len();
        if let Some(output) = &stream.output {
            let origin = || origin(stream, partition, record, &scope);
            if output.keeps_raw {
                reading.raw.push(origin());
            }
            let (mapped, warnings) = output.map_one(record, &scope, limits, origin);
            reading.records.extend(mapped);
            add(&mut reading.warnings, warnings);
        }
        if let Some(tracking) = &stream.tracking {
            let key = tracking.key_of(record, &scope, limits)?;
            if holds(&tracking.open.run_one(record.clone(), &scope, limits)?) {
                let canonical = reading.records[before..].iter().filter_map(|mapped| match mapped {
                    MappedRecord::Canonical(record) => Some(record.clone()),
                    MappedRecord::Unmappable { .. } => None,
                });
                let at = tracking.at.as_ref().and_then(|at| time(at, record, &scope, limits));
                let (canonical, record) = (canonical.collect(), jq::to_json(record));
                reading.open.push(OpenRecord {
                    key,
                    record,
                    canonical,
                    at,
                    first_seen: None,
                    checked_at: None,
                });
            } else {
                reading.closed.push(key);
            }
        }
    }
    if stream.is_parent {
        reading.parents = records;
    }
    Ok(reading)
}

impl Tracking {
    fn key_of(&self, record: &Val, scope: &Scope, limits: Limits) -> Result<String, FilterError> {
        let key = self.key.run_one(record.clone(), scope, limits)?;
        token_of(&self.key, &key)?
            .ok_or_else(|| self.key.error("yields nothing that names a record".to_owned()))
    }
}

/// What makes a record one and the same for ever.
#[derive(Debug)]
pub struct IdentityPlan {
    pub id: Filter,
    pub fields: Filter,
}

impl IdentityPlan {
    /// The record's own id or else a digest of its fields and of how many equal ones came before
    /// it in this walk.
    fn of(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
        occurrences: &mut Occurrences,
    ) -> Result<String, FilterError> {
        if let Some(id) = token_of(&self.id, &self.id.run_one(record.clone(), scope, limits)?)? {
            return Ok(id);
        }
        let fields = jq::to_json(&self.fields.run_one(record.clone(), scope, limits)?);
        let fields = hex(&Sha256::digest(fields)[..16]);
        let occurrence = occurrences.entry(fields.clone()).or_default();
        *occurrence += 1;
        Ok(format!("{fields}-{occurrence}"))
    }
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
        match named.and_then(|name| token_of(key, &name)) {
            Ok(Some(name)) if seen.insert(name.clone()) => partitions.push(Partition { key: name, record }),
            Ok(Some(_)) => {}
            Ok(None) => nameless.push(key.error("yields nothing that names a partition".to_owned())),
            Err(error) => nameless.push(error),
        }
    }
    (partitions, nameless)
}

fn time(filter: &Filter, record: &Val, scope: &Scope, limits: Limits) -> Option<DateTime<Utc>> {
    instant(&text(&filter.run_one(record.clone(), scope, limits).ok()?)?)
}

/// Where `record` comes from, with what its mapping sees in `scope`.
pub(super) fn origin(stream: &Stream, partition: &str, record: &Val, scope: &Scope) -> Origin {
    Origin {
        stream: stream.name.clone(),
        partition: partition.to_owned(),
        record: jq::to_json(record),
        parent: jq::to_json(&scope.parent),
        asked_at: text(&scope.now).unwrap_or_default(),
        identity: text(&scope.identity).map(String::into_bytes),
        vanished: false,
    }
}

impl Output {
    /// What `record` becomes, and what is odd about it. `origin` tells where it comes from, for what
    /// has no place.
    pub(super) fn map_one(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
        origin: impl Fn() -> Origin,
    ) -> (Vec<MappedRecord>, Warnings) {
        let mut warnings = Warnings::new();
        let unmappable = |reason: String| MappedRecord::Unmappable { origin: origin(), reason };
        let mapped = match self.map.run(record.clone(), scope, limits) {
            Err(error) => vec![unmappable(error.to_string())],
            Ok(mapped) => mapped
                .into_iter()
                .map(|mut canonical| {
                    if let Some(status_map) = &self.status_map {
                        translate_status(status_map, &mut canonical, &mut warnings);
                    }
                    match parse(self.resource, &canonical) {
                        Ok(record) => MappedRecord::Canonical(record),
                        Err(reason) => unmappable(reason),
                    }
                })
                .collect(),
        };
        (mapped, warnings)
    }
}

fn parse(resource: Resource, canonical: &Val) -> Result<Record, String> {
    parse_record(resource, &jq::to_json(canonical)).map_err(|error| error.to_string())
}

/// Adds `others` to `warnings`.
pub(super) fn add(warnings: &mut Warnings, others: Warnings) {
    for (warning, times) in others {
        *warnings.entry(warning).or_default() += times;
    }
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

pub(super) fn text(value: &Val) -> Option<String> {
    match value {
        Val::TStr(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// A text that is not empty, or an integer.
pub(super) fn token(value: &Val) -> Option<String> {
    match value {
        Val::Num(number @ (jaq_json::Num::Int(_) | jaq_json::Num::BigInt(_))) => Some(number.to_string()),
        value => text(value).filter(|text| !text.is_empty()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
