//! What is done about open records once a walk has ended: those that were not listed any more
//! are asked for again, or served as cancelled where the API lists all of a time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jaq_json::Val;

use tributary_domain::{Origin, Record, Status};

use super::hand_over::Pages;
use super::mapping::{self, Occurrences, Reading};
use super::page::{MappedRecord, OpenRecord, PageSink};
use super::partition::Partition;
use super::report::{ReadError, Warning};
use super::run::Run;
use crate::jq::{self, Scope};
use crate::plan::{Stream, TrackedBy, Walk};

/// Records of so many requests are committed at a time.
const CHUNK: usize = 50;
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
    /// What `walk` is to list.
    pub fn by(walk: &Walk) -> Self {
        Self { begun_at: walk.begun_at, from: walk.from, until: walk.until }
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
    /// Follows up what is open in `partition` after a walk that listed `listed`.
    pub(super) async fn follow_up(
        &mut self,
        stream: &Arc<Stream>,
        partition: &Partition,
        listed: Listed,
        pages: &mut Pages,
    ) -> Result<Result<(), ReadError>, S::Error> {
        let (Some(tracking), Some(output)) = (&stream.tracking, &stream.output) else {
            // where nothing is handed over, nothing is known to be open
            return Ok(Ok(()));
        };
        let mut open = self.sink.open_records(&stream.name, output.resource, &partition.key).await?;
        open.retain(|open| open.checked_at.is_some_and(|checked_at| checked_at < listed.begun_at));
        let reading = match &tracking.by {
            TrackedBy::Absence => {
                open.retain(|open| listed.misses(open));
                let scope = Scope::at(listed.begun_at, partition.record.clone());
                let origin = mapping::origin(stream, &partition.key, &Val::Null, &scope);
                vanished(open, &origin, output.keeps_raw)
            }
            TrackedBy::Refresh { every, give_up, .. } => {
                let now = listed.begun_at;
                let (given_up, due) = due(open, now, *every, *give_up);
                let mut reading = given_up;
                for chunk in due.chunks(CHUNK) {
                    if let Err(error) = self.ask_again(stream, partition, chunk, now, &mut reading).await {
                        // what was answered is kept; the rest is asked for by the next run
                        self.hand_over(stream, partition, reading, None, pages, false).await?;
                        return Ok(Err(error));
                    }
                    self.hand_over(stream, partition, std::mem::take(&mut reading), None, pages, false)
                        .await?;
                }
                reading
            }
        };
        self.hand_over(stream, partition, reading, None, pages, true).await?;
        Ok(Ok(()))
    }

    async fn ask_again(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        open: &[OpenRecord],
        now: DateTime<Utc>,
        reading: &mut Reading,
    ) -> Result<(), ReadError> {
        for open in open {
            let record = jq::parse(&open.record).map_err(|error| ReadError::Paging(error.to_string()))?;
            match self.reader.refresh(stream, partition, &record).await? {
                Some(record) => {
                    let scope = Scope::at(Utc::now(), partition.record.clone());
                    let mut fresh = self
                        .reader
                        .map(stream, &partition.key, vec![record], scope, &mut Occurrences::new())
                        .await?;
                    fresh.open.iter_mut().for_each(|open| open.checked_at = Some(now));
                    reading.append(fresh);
                }
                None => {
                    reading.closed.push(open.key.clone());
                    *reading.warnings.entry(Warning::Gone).or_default() += 1;
                }
            }
        }
        Ok(())
    }
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

/// The records that are not listed any more, as cancelled. `origin` is where they
/// come from, but for what distinguishes them.
fn vanished(open: Vec<OpenRecord>, origin: &Origin, keeps_raw: bool) -> Reading {
    let mut reading = Reading::default();
    for OpenRecord { key, record, canonical, .. } in open {
        let identity = Some(key.clone().into_bytes());
        let origin = Origin { record, identity, vanished: true, ..origin.clone() };
        reading.closed.push(key);
        *reading.warnings.entry(Warning::Vanished).or_default() += 1;
        reading.records.extend(canonical.into_iter().map(|record| cancelled(record, &origin)));
        if keeps_raw {
            reading.raw.push(origin);
        }
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
