//! Walks through one partition to its end, from where the last run stood.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jaq_json::Val;
use sha2::{Digest, Sha256};

use super::ahead::Ahead;
use super::ask::{Fetched, Wanted};
use super::follow_up::Listed;
use super::hand_over::Pages;
use super::lost::Start;
use super::mapping::{self, Occurrences, Reading};
use super::page::{MappedRecord, PageSink};
use super::partition::Partition;
use super::report::{ReadError, Warning, Warnings};
use super::run::{Deferred, Run};
use super::seen::Seen;
use crate::jq;
use crate::plan::{PageFacts, Position, Step, Strategy, Stream, Tracking, Walk};

/// How many pages without any record one walk takes one after the other: an API that names a next
/// page each time would be asked for ever.
const MOST_EMPTY: u32 = 1_000;
/// The most records of a stream that others are read for: each takes a request of its own, and all of
/// them are in memory until then.
const MOST_PARENTS: usize = 100_000;
/// And what they may take as JSON, in bytes.
const MOST_PARENTS_BYTES: usize = 256 * 1024 * 1024;

/// What a run has read of a stream that others are read for.
#[derive(Default)]
pub(super) struct Parents {
    pub records: Vec<Val>,
    bytes: usize,
}

impl Parents {
    /// Adds those of a page; an error where they are more than any run can go through.
    pub(super) fn add(&mut self, mut more: Vec<Val>) -> Result<(), ReadError> {
        self.bytes += more.iter().map(|record| jq::to_json(record).len()).sum::<usize>();
        self.records.append(&mut more);
        if self.records.len() <= MOST_PARENTS && self.bytes <= MOST_PARENTS_BYTES {
            return Ok(());
        }
        Err(ReadError::Paging(format!(
            "it lists more records than other streams can be read for (at most {MOST_PARENTS}, of {} MiB): \
             have `records` select those that matter, or ask for fewer",
            MOST_PARENTS_BYTES / (1024 * 1024)
        )))
    }
}

/// How far a partition has come in this run.
pub(super) struct Course {
    position: Position,
    /// The position that is asked from, which stands still meanwhile.
    pub asked: Position,
    pub walk: Walk,
    listed: Listed,
    pub occurrences: Occurrences,
    /// Digests of the tokens of this walk's pages: a token may be long, and pages many.
    tokens: HashSet<[u8; 32]>,
    /// Digests of what the pages of this walk hold, where they are asked for by a number.
    pages: HashSet<[u8; 32]>,
    seen: Seen,
    /// Pages without a record, up to the last one.
    empty: u32,
    /// From where the next page is asked for, until it has come.
    start: Start,
    /// What is odd about the walk; told with its next page.
    told: Warnings,
}

impl Course {
    /// From `position` on; a window begins early enough to show or to miss what is open since `oldest`.
    fn new(stream: &Stream, mut position: Position, oldest: Option<DateTime<Utc>>) -> Self {
        let start = Start::at(stream, &mut position);
        let kept = position.walk.take();
        let walk = kept.unwrap_or_else(|| stream.begin_for(&position, oldest, Utc::now()));
        Self {
            asked: position.clone(),
            position,
            listed: Listed::by(stream, &walk),
            walk,
            occurrences: Occurrences::new(),
            tokens: HashSet::new(),
            pages: HashSet::new(),
            seen: Seen::default(),
            empty: 0,
            start,
            told: Warnings::new(),
        }
    }

    /// Whether a record that cannot be had is put aside: the next run would not ask for it again, or
    /// others have in vain.
    pub(super) fn puts_aside(&self, stream: &Stream) -> bool {
        !stream.keeps_position() || self.start.has_failed_enough()
    }

    /// Begins anew because of `error`, if that is worth it; else what is to be kept of it.
    fn after_failure(&mut self, stream: &Stream, provider: &str, error: &ReadError) -> Failed {
        let Some(warning) = self.start.begin_anew(error, &self.position, provider) else {
            let failed = self.start.failed_again(error);
            return Failed::For(failed.map(|failed| {
                let walk = self.start.is_resumed().then(|| self.walk.clone());
                Position { failed, walk, ..self.position.clone() }.to_json()
            }));
        };
        if matches!(warning, Warning::MarkLost(..)) {
            (self.position.mark, self.asked.mark) = (None, None);
        }
        *self.told.entry(warning).or_default() += 1;
        self.tokens.clear();
        self.pages.clear();
        self.seen.clear();
        self.empty = 0;
        self.occurrences.clear();
        self.walk = stream.begin(&self.position, Utc::now());
        self.listed = Listed::by(stream, &self.walk);
        Failed::BeginsAnew
    }

    /// Looks at the records of a page for what they are not: the same ones as of an earlier page, or two
    /// payments under one id.
    fn check(&mut self, stream: &Stream, fetched: &mut Fetched) -> Result<(), ReadError> {
        if stream.pager.counts()
            && !fetched.old
            && !self.pages.insert(digest(&fetched.reading, &fetched.facts))
        {
            return Err(ReadError::Paging(
                "paging.param: the records of a page came again, as if the API did not know the parameter: what \
                 lies behind them cannot be read"
                    .to_owned(),
            ));
        }
        for mapped in &mut fetched.reading.records {
            let MappedRecord::Canonical(record) = mapped else { continue };
            if let Err(reason) = self.seen.take(record, fetched.sent_at) {
                let shared = Warning::SharedId(reason.clone());
                *fetched.reading.warnings.entry(shared).or_default() += 1;
                *mapped = MappedRecord::Refused { record: record.clone(), reason };
            }
        }
        Ok(())
    }

    fn pass(&mut self, facts: PageFacts) {
        self.start.came();
        self.empty = if facts.count == 0 { self.empty + 1 } else { 0 };
        self.walk.newest = self.walk.newest.max(facts.times.map(|(_, latest)| latest));
        self.walk.fingerprint = Some(facts.fingerprint);
        self.position.mark = facts.mark.or(self.position.mark.take());
    }

    /// Goes on to what follows after a page whose pager says `step`: another page, another window,
    /// or nothing. `false` says that it was the last.
    fn goes_on(&mut self, stream: &Stream, step: Step, old: bool) -> Result<bool, ReadError> {
        if let (Step::Go(token), false) = (step, old) {
            if !self.tokens.insert(token.digest()) {
                return Err(ReadError::Paging("the pages go in a circle".to_owned()));
            }
            if self.empty > MOST_EMPTY {
                return Err(ReadError::Paging(format!(
                    "{MOST_EMPTY} pages in a row hold no record, and yet name a next one"
                )));
            }
            self.walk.token = Some(token);
            return Ok(true);
        }
        self.position.watermark = stream.close(self.position.watermark, &self.walk);
        let Some(next) = stream.next_walk(&self.walk) else {
            self.position.complete = true;
            return Ok(false);
        };
        self.listed.until = Listed::by(stream, &next).until;
        self.tokens.clear();
        self.pages.clear();
        self.empty = 0;
        self.walk = next;
        Ok(true)
    }

    /// What is kept with a page: the walk that `goes_on`, or the position it has reached.
    fn kept(&self, stream: &Stream, goes_on: bool) -> Option<serde_json::Value> {
        let may_stand_still = goes_on && !stream.resumes();
        if !stream.keeps_position() || stream.waits_for_children() || may_stand_still {
            return None;
        }
        let walk = goes_on.then(|| self.walk.clone());
        Some(Position { walk, ..self.position.clone() }.to_json())
    }
}

/// What comes of a page that could not be read.
enum Failed {
    /// The walk begins anew.
    BeginsAnew,
    /// It fails, and this cursor is kept.
    For(Option<serde_json::Value>),
}

/// The next page of a walk, what comes behind it, and whether it is old.
type NextPage = (Reading, Step, bool);

/// Why there is no next page, and the cursor that is kept all the same.
type NoPage = (ReadError, Option<serde_json::Value>);

impl<S: PageSink> Run<'_, S> {
    /// Walks through one partition to its end.
    pub(super) async fn partition(
        &mut self,
        index: usize,
        stream: &Arc<Stream>,
        partition: &Partition,
        pages: &mut Pages,
        parents: &mut Parents,
    ) -> Result<Result<(), ReadError>, S::Error> {
        let position = match self.position(stream, partition).await? {
            Ok(position) => position,
            Err(error) => return Ok(Err(error)),
        };
        pages.history = stream.keeps_position() && !position.complete;
        let oldest = self.oldest_open(stream, partition).await?;
        let mut course = Course::new(stream, position, oldest);
        let mut ahead = None;
        for more in (0..self.most.pages).rev() {
            let page = self.next_page(index, stream, partition, &mut course, ahead.take()).await?;
            let (mut reading, step, old) = match page {
                Ok(Some(page)) => page,
                Ok(None) => continue,
                Err((error, cursor)) => {
                    if cursor.is_some() {
                        self.hand_over(stream, partition, Reading::default(), cursor, pages, false).await?;
                    }
                    return Ok(Err(error));
                }
            };
            if let Err(error) = parents.add(std::mem::take(&mut reading.parents)) {
                return Ok(Err(error));
            }
            let goes_on = match course.goes_on(stream, step, old) {
                Ok(goes_on) => goes_on,
                Err(error) => return Ok(Err(error)),
            };
            let cursor = course.kept(stream, goes_on);
            if goes_on && more > 0 {
                let page = (reading, cursor);
                ahead =
                    self.hand_over_and_read_on(index, stream, partition, page, pages, &mut course).await?;
                continue;
            }
            if goes_on {
                self.hand_over(stream, partition, reading, cursor, pages, false).await?;
                break;
            }
            if stream.waits_for_children() {
                let (partition, position) = (partition.clone(), course.position.to_json());
                self.deferred.push(Deferred { index, partition, position });
            }
            let last = stream.tracking.is_none();
            self.hand_over(stream, partition, reading, cursor, pages, last).await?;
            return match last {
                true => Ok(Ok(())),
                false => self.follow_up(stream, partition, course.listed, pages).await,
            };
        }
        pages.complete = false;
        Ok(Ok(()))
    }

    /// The next page of `course`, read by now where it is `ahead`; `None` where the walk begins anew instead.
    async fn next_page(
        &mut self,
        index: usize,
        stream: &Arc<Stream>,
        partition: &Partition,
        course: &mut Course,
        ahead: Ahead,
    ) -> Result<Result<Option<NextPage>, NoPage>, S::Error> {
        let next_known = self.next_known(index, stream).await?;
        let put_aside = course.puts_aside(stream);
        let Course { asked: position, walk, occurrences, .. } = &mut *course;
        let wanted = Wanted { stream, partition, position, walk, next_known, put_aside };
        let read = match ahead {
            Some(read) => read,
            None => self.reader.page(wanted, occurrences).await,
        };
        let fetched = match read {
            Ok(mut fetched) => course.check(stream, &mut fetched).map(|()| fetched),
            Err(error) => Err(error),
        };
        let Fetched { mut reading, facts, step, old, names_next, .. } = match fetched {
            Ok(fetched) => fetched,
            Err(error) => match course.after_failure(stream, self.reader.provider.as_str(), &error) {
                Failed::BeginsAnew => return Ok(Ok(None)),
                Failed::For(cursor) => return Ok(Err((error, cursor))),
            },
        };
        mapping::add(&mut reading.warnings, std::mem::take(&mut course.told));
        if names_next && !next_known {
            self.note_next(index, stream).await?;
        }
        course.pass(facts);
        reading.open.iter_mut().for_each(|open| open.checked_at = Some(course.listed.begun_at));
        Ok(Ok(Some((reading, step, old))))
    }

    /// Since when something is open that only its absence from the list closes.
    async fn oldest_open(
        &mut self,
        stream: &Stream,
        partition: &Partition,
    ) -> Result<Option<DateTime<Utc>>, S::Error> {
        let by_absence = stream.tracking.as_ref().is_some_and(Tracking::by_absence);
        let Some(output) = stream.output.as_ref().filter(|_| by_absence) else { return Ok(None) };
        let open = self.sink.open_records(&stream.name, output.resource, &partition.key).await?;
        Ok(open.iter().filter_map(|open| open.at).min())
    }

    async fn position(
        &mut self,
        stream: &Stream,
        partition: &Partition,
    ) -> Result<Result<Position, ReadError>, S::Error> {
        if !stream.keeps_position() {
            return Ok(Ok(Position::default()));
        }
        let kept = self.sink.cursor(&stream.name, &partition.key).await?;
        Ok(Position::from_json(kept).map_err(ReadError::Cursor).map(|mut position| {
            if !stream.resumes() || matches!(stream.strategy, Strategy::Events(_)) {
                position.walk = None;
            }
            position
        }))
    }
}

/// What a page holds: its records by their ids, where they have any.
fn digest(reading: &Reading, facts: &PageFacts) -> [u8; 32] {
    let mut ids: Vec<&str> = reading.records.iter().filter_map(MappedRecord::id).collect();
    ids.sort_unstable();
    let mut digest = Sha256::new();
    match ids.is_empty() {
        true => digest.update(&facts.fingerprint),
        false => ids.iter().for_each(|id| {
            digest.update((id.len() as u64).to_be_bytes());
            digest.update(id);
        }),
    }
    digest.finalize().into()
}
