//! What is done about open records once a walk has ended: those that were not listed any more
//! are asked for again, or served as cancelled where the API lists all of a time.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jaq_json::Val;

use tributary_domain::{Origin, Record, Status};

use super::hand_over::Pages;
use super::mapping::{self, Occurrences, Reading, raw};
use super::page::{MappedRecord, OpenRecord, PageSink};
use super::partition::Partition;
use super::report::{ReadError, Warning};
use super::run::Run;
use crate::jq::{self, Scope};
use crate::plan::{Stream, TrackedBy, Walk};

/// Records of so many requests are committed at a time.
const CHUNK: usize = 50;
/// So many open records in a row that cannot be asked for leave the others to the next run.
const MOST_FAILURES: u32 = 3;
/// An open record is asked for again after this part of its age, if that is longer than `every`.
const AGE_PART: i32 = 20;

/// The stretch of time that a walk listed in full; any time, where it is open.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    pub begun_at: DateTime<Utc>,
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}

impl Listed {
    /// What the API is asked to list in `walk` of `stream`.
    pub fn by(stream: &Stream, walk: &Walk) -> Self {
        let (from, until) = stream.asked(walk);
        Self { begun_at: walk.begun_at, from, until }
    }

    /// Whether the walk would have listed `open`, and did not.
    fn misses(&self, open: &OpenRecord) -> bool {
        let windowed = self.from.is_some() || self.until.is_some();
        open.checked_at.is_some_and(|checked_at| checked_at < self.begun_at)
            && match open.at {
                Some(at) => {
                    self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
                }
                None => !windowed,
            }
    }
}

impl<S: PageSink> Run<'_, S> {
    /// Cancels of `reading` and of what is open in `partition` what the provider says that it removed; a
    /// record that is not open stays as it is. The walk began at `begun_at`.
    pub(super) async fn remove(
        &mut self,
        stream: &Arc<Stream>,
        partition: &Partition,
        begun_at: DateTime<Utc>,
        reading: &mut Reading,
    ) -> Result<(), S::Error> {
        let removed: HashSet<String> = std::mem::take(&mut reading.removed).into_iter().collect();
        let Some(output) = &stream.output else { return Ok(()) };
        let mut open = match &stream.tracking {
            Some(_) => self.sink.open_records(&stream.name, output.resource, &partition.key).await?,
            None => Vec::new(),
        };
        // what the same answer lists, too, is as it lists it
        let listed = reading.open.extract_if(.., |open| removed.contains(&open.key));
        let listed: Vec<OpenRecord> = listed.collect();
        open.retain(|open| {
            removed.contains(&open.key) && !listed.iter().any(|listed| listed.key == open.key)
        });
        open.extend(listed);
        let others = removed.len() - open.len();
        let scope = Scope::at(begun_at, partition.record.clone());
        let origin = mapping::origin(stream, &partition.key, &Val::Null, &scope);
        reading.append(vanished(open, &origin, output.keeps_raw, &Warning::Removed));
        if others > 0 {
            *reading.warnings.entry(Warning::NotRemoved).or_default() += others as u64;
        }
        Ok(())
    }

    /// Follows up what is open in `partition` after a walk that listed `listed`: all there is, of a stream that
    /// tells of removals else, where `all` says so. `then` is the cursor that is kept where nothing is left in
    /// doubt.
    pub(super) async fn follow_up(
        &mut self,
        stream: &Arc<Stream>,
        partition: &Partition,
        listed: Listed,
        all: bool,
        then: Option<serde_json::Value>,
        pages: &mut Pages,
    ) -> Result<Result<(), ReadError>, S::Error> {
        let (Some(tracking), Some(output)) = (&stream.tracking, &stream.output) else {
            // where nothing is handed over, nothing is known to be open
            return Ok(Ok(()));
        };
        let mut open = self.sink.open_records(&stream.name, output.resource, &partition.key).await?;
        open.retain(|open| open.checked_at.is_some_and(|checked_at| checked_at < listed.begun_at));
        let reading = match &tracking.by {
            TrackedBy::Removal if !all => Reading::default(),
            TrackedBy::Absence | TrackedBy::Removal => {
                let scope = Scope::at(listed.begun_at, partition.record.clone());
                let origin = mapping::origin(stream, &partition.key, &Val::Null, &scope);
                missing(open, listed, stream.furthest_back(listed.begun_at), &origin, output.keeps_raw)
            }
            TrackedBy::Refresh { every, give_up, .. } => {
                let now = listed.begun_at;
                let (given_up, due) = due(open, now, *every, *give_up);
                let (mut reading, mut failures) = (given_up, Failures::default());
                for chunk in due.chunks(CHUNK) {
                    self.ask_again(stream, partition, chunk, now, &mut reading, &mut failures).await;
                    pages.again = true;
                    self.hand_over(stream, partition, std::mem::take(&mut reading), None, pages, false)
                        .await?;
                    pages.again = false;
                    if failures.too_many() {
                        break;
                    }
                }
                if let Some(error) = failures.first {
                    // what was answered is kept; the rest is asked for by the next run
                    return Ok(Err(error));
                }
                reading
            }
        };
        let then = then.filter(|_| reading.open.is_empty());
        pages.again = true;
        self.hand_over(stream, partition, reading, then, pages, true).await?;
        pages.again = false;
        Ok(Ok(()))
    }

    async fn ask_again(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        open: &[OpenRecord],
        now: DateTime<Utc>,
        reading: &mut Reading,
        failures: &mut Failures,
    ) {
        for open in open {
            match self.ask_for(stream, partition, open, now).await {
                Ok(fresh) => {
                    failures.in_a_row = 0;
                    reading.append(fresh);
                }
                Err(error) => failures.add(error),
            }
            if failures.too_many() {
                return;
            }
        }
    }

    async fn ask_for(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        open: &OpenRecord,
        now: DateTime<Utc>,
    ) -> Result<Reading, ReadError> {
        let record = jq::parse(&open.record).map_err(|error| ReadError::Paging(error.to_string()))?;
        let Some(record) = self.reader.refresh(stream, partition, &record).await? else {
            return Ok(not_had(open, now, Warning::NotFound, Warning::Gone));
        };
        let scope = Scope::at(Utc::now(), partition.record.clone());
        let mut fresh = self
            .reader
            .map(stream, &partition.key, vec![record], scope, false, &mut Occurrences::new())
            .await?;
        let answered = fresh.open.iter().map(|open| &open.key).chain(&fresh.closed);
        if answered.into_iter().any(|key| *key != open.key) {
            return Ok(not_had(open, now, Warning::AnotherCame, Warning::Misnamed));
        }
        // what is open and nameless is an error before; a text that came broken is put aside
        if fresh.open.is_empty() && fresh.closed.is_empty() && stream.identity.is_none() {
            let why = format!("refresh.row: a record without a name came for {:?}", open.key);
            return Err(ReadError::Paging(why));
        }
        fresh.open.iter_mut().for_each(|open| open.checked_at = Some(now));
        Ok(fresh)
    }
}

/// Records that could not be asked for again. One that never can be does not keep the others from it;
/// where none can be, not all of them are tried.
#[derive(Default)]
struct Failures {
    first: Option<ReadError>,
    in_a_row: u32,
}

impl Failures {
    fn add(&mut self, error: ReadError) {
        self.in_a_row += if error.is_of_all() { MOST_FAILURES } else { 1 };
        self.first.get_or_insert(error);
    }

    fn too_many(&self) -> bool {
        self.in_a_row >= MOST_FAILURES
    }
}

/// What becomes of a record that is `open` and did not come at `now` when it was asked for: once is no proof, as
/// with one that a list leaves out. `once` and `twice` tell of it, by its key.
fn not_had(
    open: &OpenRecord,
    now: DateTime<Utc>,
    once: fn(String) -> Warning,
    twice: fn(String) -> Warning,
) -> Reading {
    let mut reading = Reading::default();
    if open.missed_at.is_some_and(|missed_at| missed_at < now) {
        reading.closed.push(open.key.clone());
        reading.warnings.insert(twice(open.key.clone()), 1);
    } else {
        reading.open.push(OpenRecord { missed_at: Some(now), checked_at: Some(now), ..open.clone() });
        reading.warnings.insert(once(open.key.clone()), 1);
    }
    reading
}

/// What is given up, and what is due to be asked for at `now`.
fn due(
    open: Vec<OpenRecord>,
    now: DateTime<Utc>,
    every: TimeDelta,
    give_up: TimeDelta,
) -> (Reading, Vec<OpenRecord>) {
    let (mut reading, mut due) = (Reading::default(), Vec::new());
    for open in open {
        let age = open.first_seen.map_or(TimeDelta::zero(), |first_seen| now - first_seen);
        let unchecked = open.checked_at.map_or(TimeDelta::MAX, |checked_at| now - checked_at);
        if age > give_up {
            reading.closed.push(open.key);
            *reading.warnings.entry(Warning::GivenUp).or_default() += 1;
        } else if unchecked >= every.max(age / AGE_PART) {
            due.push(open);
        }
    }
    (reading, due)
}

/// What becomes of records that are `open` after a walk that `listed`: one that it missed for the first
/// time is noted, as a list may leave out a record once; one that was missed by a walk before is
/// cancelled. One older than `furthest_back`, as far as is ever asked, will not be heard of again.
fn missing(
    open: Vec<OpenRecord>,
    listed: Listed,
    furthest_back: Option<DateTime<Utc>>,
    origin: &Origin,
    keeps_raw: bool,
) -> Reading {
    let (mut noted, mut twice) = (Reading::default(), Vec::new());
    for mut open in open {
        if listed.misses(&open) {
            if open.missed_at.is_some_and(|missed_at| missed_at < listed.begun_at) {
                twice.push(open);
                continue;
            }
            open.missed_at = Some(listed.begun_at);
            noted.open.push(open);
            *noted.warnings.entry(Warning::Missed).or_default() += 1;
        } else if open.at.zip(furthest_back).is_some_and(|(at, furthest)| at < furthest) {
            noted.closed.push(open.key);
            *noted.warnings.entry(Warning::OutOfReach).or_default() += 1;
        }
    }
    noted.append(vanished(twice, origin, keeps_raw, &Warning::Vanished));
    noted
}

/// The records that are gone, as cancelled, each with `warning`. `origin` is where they come from, but
/// for what distinguishes them.
fn vanished(open: Vec<OpenRecord>, origin: &Origin, keeps_raw: bool, warning: &Warning) -> Reading {
    let mut reading = Reading::default();
    for OpenRecord { key, record, canonical, .. } in open {
        let identity = Some(key.clone().into_bytes());
        let origin = Origin { record, identity, vanished: true, ..origin.clone() };
        reading.closed.push(key);
        *reading.warnings.entry(warning.clone()).or_default() += 1;
        let mapped: Vec<_> = canonical.into_iter().map(|record| cancelled(record, &origin)).collect();
        if keeps_raw {
            reading.raw.push(raw(origin, &mapped));
        }
        reading.records.extend(mapped);
    }
    reading
}

/// The transaction that what came from `origin` was mapped to, cancelled. The provider's own time
/// of the last change is left out: it is that of another state.
pub(super) fn cancelled(record: Record, origin: &Origin) -> MappedRecord {
    match record {
        Record::Transaction(mut transaction) => {
            transaction.status = Status::Cancelled;
            transaction.provider_updated_at = None;
            MappedRecord::Canonical(Record::Transaction(transaction))
        }
        Record::Account(_) | Record::Balances(_) | Record::Beneficiary(_) => MappedRecord::Unmappable {
            origin: origin.clone(),
            reason: "it vanished while pending, and what it was mapped to is no transaction".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
