//! Walks through one partition to its end, from where the last run stood.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jaq_json::Val;
use tracing::Instrument as _;

use super::ahead::Ahead;
use super::ask::{Fetched, Wanted};
use super::course::{Course, Failed};
use super::hand_over::Pages;
use super::mapping::{self, Reading};
use super::page::PageSink;
use super::partition::Partition;
use super::report::ReadError;
use super::run::{Deferred, Run};
use super::sharing::{Sharer, position_for_all};
use crate::jq;
use crate::plan::{Position, Step, Strategy, Stream, Tracking};

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
             have `rows` select those that matter, or ask for fewer",
            MOST_PARENTS_BYTES / (1024 * 1024)
        )))
    }
}

/// The next page of a walk, what it holds for the streams that share it, what comes behind it, and whether it is old.
type NextPage = (Reading, Vec<Reading>, Step, bool);

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
        sharers: &mut [Sharer],
    ) -> Result<Result<(), ReadError>, S::Error> {
        let sharing: Vec<Arc<Stream>> = sharers.iter().map(|sharer| Arc::clone(&sharer.stream)).collect();
        let position = match self.position(stream, partition).await? {
            Ok(position) => position,
            Err(error) => return Ok(Err(error)),
        };
        pages.history = stream.keeps_position() && !position.complete;
        let position = position_for_all(stream, position, sharers);
        let mut oldest = self.oldest_open(stream, partition).await?;
        for sharing in &sharing {
            let open = self.oldest_open(sharing, partition).await?;
            oldest = [oldest, open].into_iter().flatten().min();
        }
        let mut course = Course::new(stream, position, oldest, sharing);
        let mut ahead = None;
        for more in (0..self.most.pages).rev() {
            match self.await_report(stream, partition, &mut course, pages).await? {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => match course.after_failure(stream, self.reader.provider.as_str(), &error) {
                    Failed::BeginsAnew => continue,
                    Failed::For(cursor) => {
                        if cursor.is_some() {
                            self.hand_over(stream, partition, Reading::default(), cursor, pages, false)
                                .await?;
                        }
                        return Ok(Err(error));
                    }
                },
            }
            let page = self.next_page(index, stream, partition, &mut course, ahead.take()).await?;
            let (mut reading, shared, step, old) = match page {
                Ok(Some(page)) => page,
                Ok(None) => {
                    if let Some(cursor) = course.to_keep.take() {
                        let cursor = Some(cursor);
                        self.hand_over(stream, partition, Reading::default(), cursor, pages, false).await?;
                    }
                    continue;
                }
                Err((error, cursor)) => {
                    if cursor.is_some() {
                        self.hand_over(stream, partition, Reading::default(), cursor, pages, false).await?;
                    }
                    return Ok(Err(error));
                }
            };
            if !reading.removed.is_empty() {
                self.remove(stream, partition, course.walk.begun_at, &mut reading).await?;
            }
            if let Err(error) = parents.add(std::mem::take(&mut reading.parents)) {
                return Ok(Err(error));
            }
            let goes_on = match course.goes_on(stream, step, old) {
                Ok(goes_on) => goes_on,
                Err(error) => return Ok(Err(error)),
            };
            let cursor = course.kept(stream, goes_on);
            // before the cursor moves, so that a run that is killed in between asks for them again
            let ends = !goes_on;
            if let Err(error) = self.hand_over_shared(partition, shared, sharers, ends).await? {
                return Ok(Err(error));
            }
            // one of another window has to be made first
            let is_there = stream.report.is_none() || course.walk.report.is_some();
            if goes_on && more > 0 && is_there {
                let page = (reading, cursor);
                ahead =
                    self.hand_over_and_read_on(index, stream, partition, page, pages, &mut course).await?;
                continue;
            }
            if goes_on {
                self.hand_over(stream, partition, reading, cursor, pages, false).await?;
                continue;
            }
            if stream.waits_for_children() {
                let (partition, position) = (partition.clone(), course.position.to_json());
                self.deferred.push(Deferred { index, partition, position });
            }
            self.follow_up_shared(partition, course.listed, sharers).await?;
            let last = stream.tracking.is_none();
            // one that was removed while no token was known is found by its absence, which takes two walks
            let doubtful = course.lists_all_again(stream) && !pages.history;
            let (now, then) = if doubtful { (course.without_token(), cursor) } else { (cursor, None) };
            self.hand_over(stream, partition, reading, now, pages, last).await?;
            return match last {
                true => Ok(Ok(())),
                false => self.follow_up(stream, partition, course.listed, doubtful, then, pages).await,
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
        let Course { asked: position, walk, counted, sharing, .. } = &mut *course;
        let (position, walk, sharing) = (&*position, &*walk, &**sharing);
        let wanted = Wanted { stream, partition, position, walk, next_known, put_aside, sharing };
        let read = match ahead {
            Some(read) => read,
            None => {
                let span = tributary_traces::read_page(&stream.name);
                self.reader.page(wanted, counted).instrument(span).await
            }
        };
        let fetched = match read {
            Ok(mut fetched) => course.check(stream, &mut fetched).map(|()| fetched),
            Err(error) => Err(error),
        };
        let Fetched { mut reading, mut shared, mut facts, step, old, names_next, .. } = match fetched {
            Ok(fetched) => fetched,
            Err(error) => match course.after_failure(stream, self.reader.provider.as_str(), &error) {
                Failed::BeginsAnew => return Ok(Ok(None)),
                Failed::For(cursor) => return Ok(Err((course.explained(stream, error), cursor))),
            },
        };
        mapping::add(&mut reading.warnings, std::mem::take(&mut course.told));
        if names_next && !next_known {
            self.note_next(index, stream).await?;
        }
        reading.removed = std::mem::take(&mut facts.removed);
        course.pass(stream, facts);
        for reading in [&mut reading].into_iter().chain(&mut shared) {
            reading.open.iter_mut().for_each(|open| open.checked_at = Some(course.listed.begun_at));
        }
        Ok(Ok(Some((reading, shared, step, old))))
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
        let mut kept = self.sink.cursor(&stream.name, &partition.key).await?;
        if let (None, Some(span)) = (&kept, self.most.newest) {
            kept = stream.newest(Utc::now(), span).map(|position| position.to_json());
        }
        Ok(Position::from_json(kept).map_err(ReadError::Cursor).map(|mut position| {
            if !stream.resumes() || matches!(stream.strategy, Strategy::Events(_)) {
                // but which report it reads, from its beginning on
                position.walk = position.walk.filter(|walk| walk.report.is_some());
                if let Some(walk) = &mut position.walk {
                    (walk.token, walk.fingerprint) = (None, None);
                }
            }
            position
        }))
    }
}
