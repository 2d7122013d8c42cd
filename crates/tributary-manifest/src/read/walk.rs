//! Walks through one partition to its end, from where the last run stood.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Utc;
use jaq_json::Val;

use super::ahead::Ahead;
use super::ask::{Fetched, Wanted};
use super::follow_up::Listed;
use super::hand_over::Pages;
use super::mapping::{Occurrences, Reading};
use super::page::PageSink;
use super::partition::Partition;
use super::report::{ReadError, Warning};
use super::run::{Deferred, Run};
use crate::jq;
use crate::plan::{PageFacts, Position, Step, Strategy, Stream, Walk};
use crate::wire::ClientError;

/// How often a walk of one partition may begin anew because the API lost its place.
const MOST_RESETS: u32 = 3;
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
    /// Pages without a record, up to the last one.
    empty: u32,
    /// Whether the next page is the first after what an earlier run read.
    resumed: bool,
    resets: u32,
}

impl Course {
    fn new(stream: &Stream, mut position: Position) -> Self {
        let kept = position.walk.take();
        let resumed = kept.is_some();
        let walk = kept.unwrap_or_else(|| stream.begin(&position, Utc::now()));
        Self {
            asked: position.clone(),
            position,
            listed: Listed::by(&walk),
            walk,
            occurrences: Occurrences::new(),
            tokens: HashSet::new(),
            empty: 0,
            resumed,
            resets: 0,
        }
    }

    /// Whether `error` is that the API lost the place, and the walk may begin anew for it.
    fn may_begin_anew(&self, error: &ReadError) -> bool {
        lost_its_place(error, self.resumed) && self.resets < MOST_RESETS
    }

    fn begin_anew(&mut self, stream: &Stream) {
        (self.resumed, self.resets) = (false, self.resets + 1);
        self.tokens.clear();
        self.empty = 0;
        self.occurrences.clear();
        self.walk = stream.begin(&self.position, Utc::now());
        self.listed = Listed::by(&self.walk);
    }

    fn pass(&mut self, facts: PageFacts) {
        self.resumed = false;
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
        self.listed.until = next.until;
        self.tokens.clear();
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
        let mut course = Course::new(stream, position);
        let mut ahead = None;
        for more in (0..self.most.pages).rev() {
            let page = self.next_page(index, stream, partition, &mut course, ahead.take()).await?;
            let (mut reading, step, old) = match page {
                Ok(Some(page)) => page,
                Ok(None) => continue,
                Err(error) => return Ok(Err(error)),
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
    ) -> Result<Result<Option<(Reading, Step, bool)>, ReadError>, S::Error> {
        let next_known = self.next_known(index, stream).await?;
        let wanted = Wanted { stream, partition, position: &course.asked, walk: &course.walk, next_known };
        let read = match ahead {
            Some(read) => read,
            None => self.reader.page(wanted, &mut course.occurrences).await,
        };
        let Fetched { mut reading, facts, step, old, names_next } = match read {
            Ok(fetched) => fetched,
            Err(error) if course.may_begin_anew(&error) => {
                let warning = Warning::BegunAnew(error.to_string());
                self.warn(stream, partition, [(warning, 1)].into()).await?;
                course.begin_anew(stream);
                return Ok(Ok(None));
            }
            Err(error) => return Ok(Err(error)),
        };
        if names_next && !next_known {
            self.note_next(index, stream).await?;
        }
        course.pass(facts);
        reading.open.iter_mut().for_each(|open| open.checked_at = Some(course.listed.begun_at));
        Ok(Ok(Some((reading, step, old))))
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

/// Whether an API that was asked to go on from where an earlier run stood does not know the place
/// any more, or says that the walk has to begin anew.
fn lost_its_place(error: &ReadError, resumed: bool) -> bool {
    match error {
        ReadError::Client(ClientError::ResetPaging { .. }) => true,
        ReadError::Client(ClientError::Refused { status, .. }) => resumed && (400..500).contains(status),
        ReadError::Paging(_) => resumed,
        _ => false,
    }
}
