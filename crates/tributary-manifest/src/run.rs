//! One run: every stream in order, every partition of it, whatever happens to the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::Utc;
use jaq_json::Val;

use super::client::ClientError;
use super::engine::{Connection, scope};
use super::follow_up::Listed;
use super::page::{Failure, MappedRecord, Page, PageSink, ReadError, RunError, RunReport, Warning, Warnings};
use super::pager::Step;
use super::plan::{Strategy, Stream};
use super::position::{Position, Walk};
use super::reading::{self, Occurrences, Partition, Reading};
use super::selection::Selection;
use super::walk::Fetched;

/// How often a walk of one partition may begin anew because the API lost its place.
const MOST_RESETS: u32 = 3;

/// What a stream gave to those that depend on it.
struct ReadStream {
    records: Vec<Val>,
    /// Whether all of its partitions could be read.
    complete: bool,
}

/// A position that moves once all that depend on its stream were read.
struct Deferred {
    index: usize,
    partition: Partition,
    position: serde_json::Value,
}

/// How much of each stream a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    pub partitions: usize,
    /// Of each partition; records that are still open are not asked for again after fewer than
    /// there are.
    pub pages: usize,
}

impl Default for Most {
    /// Everything.
    fn default() -> Self {
        Self { partitions: usize::MAX, pages: usize::MAX }
    }
}

/// One run.
pub struct Run<'a, S> {
    pub(super) connection: &'a Connection,
    pub(super) sink: &'a mut S,
    /// What is read; everything, where none.
    selection: Option<&'a Selection>,
    most: Most,
    report: RunReport,
    /// By place in the list of streams; only of those that others depend on.
    read: HashMap<usize, ReadStream>,
    deferred: Vec<Deferred>,
    /// Streams of which something could not be read, or was not selected.
    partial: HashSet<usize>,
    /// Whether an answer of a stream ever told a next page, by place; only of those looked at.
    next_seen: HashMap<usize, bool>,
    sent_before: u64,
    /// Requests that pages already told of.
    counted: u64,
}

/// Where in a stream the pages are.
pub struct Pages {
    /// Whether none was handed over yet.
    first: bool,
    last_partition: bool,
    /// Whether everything before could be read.
    complete: bool,
    /// Whether the partition was never read to its end before.
    history: bool,
}

impl<'a, S: PageSink> Run<'a, S> {
    /// A run of `connection` into `sink`, not begun yet.
    pub fn new(connection: &'a Connection, sink: &'a mut S) -> Self {
        let sent = connection.client.sent();
        Self {
            connection,
            sink,
            selection: None,
            most: Most::default(),
            report: RunReport::default(),
            read: HashMap::new(),
            deferred: Vec::new(),
            partial: HashSet::new(),
            next_seen: HashMap::new(),
            sent_before: sent,
            counted: sent,
        }
    }

    /// Reads only what is selected.
    pub fn only(mut self, selection: &'a Selection) -> Self {
        self.selection = Some(selection);
        self
    }

    /// Reads no more than `most` of each stream.
    pub fn at_most(mut self, most: Most) -> Self {
        self.most = most;
        self
    }

    /// Reads every selected stream once.
    pub async fn finish(mut self) -> Result<RunReport, RunError<S::Error>> {
        for index in 0..self.connection.streams.len() {
            let name = &self.connection.streams[index].name;
            if !self.selection.is_none_or(|selection| selection.is_whole(name)) {
                self.partial.insert(index);
            }
            if self.selection.is_none_or(|selection| selection.includes(name)) {
                self.stream(index).await.map_err(RunError::Sink)?;
            }
        }
        self.move_parents().await.map_err(RunError::Sink)?;
        self.report.requests = self.connection.client.sent() - self.sent_before;
        if self.report.failures.is_empty() { Ok(self.report) } else { Err(RunError::Incomplete(self.report)) }
    }

    async fn stream(&mut self, index: usize) -> Result<(), S::Error> {
        let stream = Arc::clone(&self.connection.streams[index]);
        let (mut partitions, mut complete) = self.partitions(index, &stream).await;
        if let Some(selection) = self.selection {
            selection.retain(&stream.name, &mut partitions);
            complete &= selection.is_whole(&stream.name);
        }
        if partitions.len() > self.most.partitions {
            partitions.truncate(self.most.partitions);
            complete = false;
        }
        let mut records = Vec::new();
        let mut pages = Pages { first: true, last_partition: false, complete, history: false };
        if partitions.is_empty() && complete {
            pages.last_partition = true;
            let nowhere = Partition { key: String::new(), record: Val::Null };
            self.hand_over(&stream, &nowhere, Reading::default(), None, &mut pages, true).await?;
        }
        for (place, partition) in partitions.iter().enumerate() {
            pages.last_partition = place + 1 == partitions.len();
            match self.partition(index, &stream, partition, &mut pages, &mut records).await? {
                Ok(()) => {}
                Err(ReadError::Client(ClientError::SkipPartition { reason, .. })) => {
                    self.warn(&stream, partition, [(Warning::Skipped(reason), 1)].into()).await?;
                    self.hand_over(&stream, partition, Reading::default(), None, &mut pages, true).await?;
                }
                Err(error) => {
                    pages.complete = false;
                    self.fail(index, &stream, &partition.key, error);
                }
            }
        }
        if stream.is_parent {
            self.read.insert(index, ReadStream { records, complete: pages.complete });
        }
        Ok(())
    }

    /// Walks through one partition to its end.
    async fn partition(
        &mut self,
        index: usize,
        stream: &Arc<Stream>,
        partition: &Partition,
        pages: &mut Pages,
        records: &mut Vec<Val>,
    ) -> Result<Result<(), ReadError>, S::Error> {
        let mut position = match self.position(stream, partition).await? {
            Ok(position) => position,
            Err(error) => return Ok(Err(error)),
        };
        pages.history = stream.keeps_position() && !position.complete;
        let mut resumed = position.walk.is_some();
        let mut walk = position.walk.take().unwrap_or_else(|| stream.begin(&position, Utc::now()));
        let asked = position.clone();
        let mut listed = Listed { begun_at: walk.begun_at, from: walk.from, until: walk.until };
        let (mut occurrences, mut tokens, mut resets) = (Occurrences::new(), HashSet::new(), 0);
        let mut read = 0;
        loop {
            if read == self.most.pages {
                pages.complete = false;
                return Ok(Ok(()));
            }
            read += 1;
            let next_seen = self.next_seen(index, stream).await?;
            let page =
                self.connection.page(stream, partition, &asked, &walk, next_seen, &mut occurrences).await;
            let Fetched { mut reading, facts, step, old, tells_next } = match page {
                Ok(fetched) => fetched,
                Err(error) if lost_its_place(&error, resumed) && resets < MOST_RESETS => {
                    let warning = Warning::BegunAnew(error.to_string());
                    self.warn(stream, partition, [(warning, 1)].into()).await?;
                    (resumed, resets) = (false, resets + 1);
                    tokens.clear();
                    occurrences.clear();
                    walk = stream.begin(&position, Utc::now());
                    listed = Listed { begun_at: walk.begun_at, from: walk.from, until: walk.until };
                    continue;
                }
                Err(error) => return Ok(Err(error)),
            };
            resumed = false;
            if tells_next && !next_seen {
                self.saw_next(index, stream).await?;
            }
            walk.newest = walk.newest.max(facts.times.map(|(_, latest)| latest));
            walk.fingerprint = Some(facts.fingerprint);
            position.mark = facts.mark.or(position.mark);
            reading.open.iter_mut().for_each(|open| open.checked_at = Some(listed.begun_at));
            records.append(&mut reading.parents);
            if let (Step::Go(token), false) = (step, old) {
                if !tokens.insert(token.clone()) {
                    return Ok(Err(ReadError::Paging("the pages go in a circle".to_owned())));
                }
                walk.token = Some(token);
                let cursor = kept(stream, &position, Some(&walk));
                self.hand_over(stream, partition, reading, cursor, pages, false).await?;
                continue;
            }
            position.watermark = stream.close(position.watermark, &walk);
            if let Some(next) = stream.next_walk(&walk) {
                let cursor = kept(stream, &position, Some(&next));
                self.hand_over(stream, partition, reading, cursor, pages, false).await?;
                listed.until = next.until;
                tokens.clear();
                walk = next;
                continue;
            }
            position.complete = true;
            let cursor = kept(stream, &position, None);
            if stream.waits_for_children() {
                let (partition, position) = (partition.clone(), position.to_json());
                self.deferred.push(Deferred { index, partition, position });
            }
            let last = stream.tracking.is_none();
            self.hand_over(stream, partition, reading, cursor, pages, last).await?;
            if last {
                return Ok(Ok(()));
            }
            return self.follow_up(stream, partition, listed, pages).await;
        }
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

    /// Moves the positions of streams that waited for those that depend on them.
    async fn move_parents(&mut self) -> Result<(), S::Error> {
        for Deferred { index, partition, position } in std::mem::take(&mut self.deferred) {
            if self.is_whole(index) {
                let stream = Arc::clone(&self.connection.streams[index]);
                // its end was told already
                let mut pages =
                    Pages { first: false, last_partition: false, complete: false, history: false };
                self.hand_over(&stream, &partition, Reading::default(), Some(position), &mut pages, false)
                    .await?;
            }
        }
        Ok(())
    }

    /// Whether the stream and all that depend on it could be read.
    fn is_whole(&self, index: usize) -> bool {
        let streams = &self.connection.streams;
        let children = (0..streams.len())
            .filter(|child| streams[*child].parent.as_ref().is_some_and(|parent| parent.index == index));
        !self.partial.contains(&index) && children.into_iter().all(|child| self.is_whole(child))
    }

    /// The partitions of a stream that can be told, and whether these are all.
    async fn partitions(&mut self, index: usize, stream: &Arc<Stream>) -> (Vec<Partition>, bool) {
        let Some(parent) = &stream.parent else {
            return (vec![Partition { key: String::new(), record: Val::Null }], true);
        };
        let read = self.read.get(&parent.index).expect("a parent is read before its children");
        let (records, complete) = (read.records.clone(), read.complete);
        if records.is_empty() && !complete {
            let parent = self.connection.streams[parent.index].name.clone();
            self.fail(index, stream, "", ReadError::Parent(parent));
            return (Vec::new(), false);
        }
        let key = Arc::clone(&parent.key);
        let scope = scope(Utc::now(), Val::Null);
        let named = self
            .connection
            .evaluate(move |deadline| Ok(reading::partitions(&key, records, &scope, deadline)))
            .await;
        let (partitions, nameless) = match named {
            Ok((partitions, nameless)) => (partitions, nameless.into_iter().map(ReadError::Filter).collect()),
            Err(error) => (Vec::new(), vec![error]),
        };
        let complete = complete && nameless.is_empty();
        for error in nameless {
            self.fail(index, stream, "", error);
        }
        (partitions, complete)
    }

    /// Whether an answer of the stream ever told a next page; asked of the sink once in a run.
    async fn next_seen(&mut self, index: usize, stream: &Stream) -> Result<bool, S::Error> {
        let Some(next) = stream.pager.next_text() else { return Ok(false) };
        if let Some(seen) = self.next_seen.get(&index) {
            return Ok(*seen);
        }
        let seen = self.sink.next_seen(&stream.name, next).await?;
        self.next_seen.insert(index, seen);
        Ok(seen)
    }

    async fn saw_next(&mut self, index: usize, stream: &Stream) -> Result<(), S::Error> {
        let Some(next) = stream.pager.next_text() else { return Ok(()) };
        self.sink.saw_next(&stream.name, next).await?;
        self.next_seen.insert(index, true);
        Ok(())
    }

    /// Tells of `warnings` that come with no page.
    async fn warn(
        &mut self,
        stream: &Stream,
        partition: &Partition,
        warnings: Warnings,
    ) -> Result<(), S::Error> {
        self.count(&[], &warnings);
        self.sink.warn(&stream.name, &partition.key, warnings).await
    }

    fn fail(&mut self, index: usize, stream: &Stream, partition: &str, error: ReadError) {
        let failure = Failure { stream: stream.name.clone(), partition: partition.to_owned(), error };
        tracing::debug!(provider = self.connection.provider.as_str(), %failure, "not read");
        self.partial.insert(index);
        self.report.failures.push(failure);
    }

    /// Hands what one answer brought over in pages, the cursor with the last of them; `ends` says
    /// that the partition was read to its end.
    pub(super) async fn hand_over(
        &mut self,
        stream: &Stream,
        partition: &Partition,
        reading: Reading,
        mut cursor: Option<serde_json::Value>,
        pages: &mut Pages,
        ends: bool,
    ) -> Result<(), S::Error> {
        let Reading { mut records, open, closed, raw, mut warnings, .. } = reading;
        let Some(output) = &stream.output else {
            // it hands over no pages that its warnings could come with
            return if warnings.is_empty() { Ok(()) } else { self.warn(stream, partition, warnings).await };
        };
        let (mut open, mut closed, mut raw) = (Some(open), Some(closed), Some(raw));
        self.count(&records, &warnings);
        loop {
            let rest = records.split_off(records.len().min(Page::MOST_RECORDS));
            let last = rest.is_empty();
            let sent = self.connection.client.sent();
            let page = Page {
                stream: stream.name.clone(),
                resource: output.resource,
                partition: partition.key.clone(),
                records: std::mem::replace(&mut records, rest),
                history: pages.history,
                open: if last { open.take().unwrap_or_default() } else { Vec::new() },
                closed: if last { closed.take().unwrap_or_default() } else { Vec::new() },
                cursor: if last { cursor.take() } else { None },
                first_of_stream: std::mem::take(&mut pages.first),
                end_of_stream: last && ends && pages.last_partition && pages.complete,
                requests: sent - std::mem::replace(&mut self.counted, sent),
                warnings: std::mem::take(&mut warnings),
                raw: if last { raw.take().unwrap_or_default() } else { Vec::new() },
            };
            self.sink.page(page).await?;
            if last {
                return Ok(());
            }
        }
    }

    fn count(&mut self, records: &[MappedRecord], warnings: &Warnings) {
        let canonical = records.iter().filter(|record| matches!(record, MappedRecord::Canonical(_))).count();
        self.report.records += canonical as u64;
        self.report.unmappable += (records.len() - canonical) as u64;
        for (warning, times) in warnings {
            *self.report.warnings.entry(warning.clone()).or_default() += times;
        }
    }
}

/// What is kept with a page: the walk that goes on, or the position it has reached.
fn kept(stream: &Stream, position: &Position, walk: Option<&Walk>) -> Option<serde_json::Value> {
    let may_stand_still = walk.is_some() && !stream.resumes();
    if !stream.keeps_position() || stream.waits_for_children() || may_stand_still {
        return None;
    }
    Some(Position { walk: walk.cloned(), ..position.clone() }.to_json())
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

#[cfg(test)]
mod ends_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk_tests;
