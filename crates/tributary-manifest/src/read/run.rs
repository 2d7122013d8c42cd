//! One run: every stream in order, every partition of it, whatever happens to the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use jaq_json::Val;
use tracing::Instrument as _;

use super::hand_over::Pages;
use super::mapping::Reading;
use super::page::PageSink;
use super::partition::{self, Partition};
use super::reader::Reader;
use super::report::{Failure, ReadError, RunError, RunReport, Warning};
use super::selection::Selection;
use super::sharing::Sharer;
use super::walk::Parents;
use crate::jq::Scope;
use crate::plan::Stream;
use crate::wire::ClientError;

/// What a stream gave to those that depend on it.
struct ReadStream {
    records: Vec<Val>,
    /// Whether all of its partitions could be read.
    complete: bool,
}

/// A position that moves once all that depend on its stream were read.
pub struct Deferred {
    /// The place of the stream.
    pub index: usize,
    pub partition: Partition,
    pub position: serde_json::Value,
}

/// How much of each stream a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    pub partitions: usize,
    /// Of each partition; records that are still open are not asked for again after fewer than
    /// there are.
    pub pages: usize,
    /// Where nothing was read yet, windows begin with the newest, or with the last so long where they have
    /// no length of their own; with the oldest, where none.
    pub newest: Option<TimeDelta>,
}

impl Default for Most {
    /// Everything.
    fn default() -> Self {
        Self { partitions: usize::MAX, pages: usize::MAX, newest: None }
    }
}

/// One run of a reader into a sink.
pub struct Run<'a, S> {
    pub(super) reader: &'a Reader,
    pub(super) sink: &'a mut S,
    /// What is read; everything, where none.
    selection: Option<&'a Selection>,
    pub(super) most: Most,
    pub(super) report: RunReport,
    /// By place in the list of streams; only of those that others depend on.
    read: HashMap<usize, ReadStream>,
    pub(super) deferred: Vec<Deferred>,
    /// Streams of which something could not be read, or was not selected.
    partial: HashSet<usize>,
    /// Whether an answer of a stream ever named a next page, by place; only of those read.
    next_known: HashMap<usize, bool>,
    sent_before: u64,
    /// Requests that pages already reported.
    pub(super) counted: u64,
}

impl<'a, S: PageSink> Run<'a, S> {
    /// A run of `reader` into `sink`, not begun yet.
    pub fn new(reader: &'a Reader, sink: &'a mut S) -> Self {
        let sent = reader.client.sent();
        Self {
            reader,
            sink,
            selection: None,
            most: Most::default(),
            report: RunReport::default(),
            read: HashMap::new(),
            deferred: Vec::new(),
            partial: HashSet::new(),
            next_known: HashMap::new(),
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
        for index in 0..self.reader.streams.len() {
            let name = &self.reader.streams[index].name;
            if !self.selection.is_none_or(|selection| selection.is_whole(name)) {
                self.partial.insert(index);
            }
            // one that shares the answers of another is read with it
            let shares = self.reader.streams[index].shares.is_some();
            if !shares && self.selection.is_none_or(|selection| selection.includes(name)) {
                let span = tributary_traces::read_stream(name);
                self.stream(index).instrument(span).await.map_err(RunError::Sink)?;
            }
        }
        self.move_parents().await.map_err(RunError::Sink)?;
        self.report.requests = self.reader.client.sent() - self.sent_before;
        if self.report.failures.is_empty() { Ok(self.report) } else { Err(RunError::Incomplete(self.report)) }
    }

    async fn stream(&mut self, index: usize) -> Result<(), S::Error> {
        let stream = Arc::clone(&self.reader.streams[index]);
        let (mut partitions, mut complete) = self.partitions(index, &stream).await;
        if let Some(selection) = self.selection {
            selection.retain(&stream.name, &mut partitions);
            complete &= selection.is_whole(&stream.name);
        }
        if partitions.len() > self.most.partitions {
            partitions.truncate(self.most.partitions);
            complete = false;
        }
        let mut parents = Parents::default();
        let mut pages = Pages { first: true, last_partition: false, complete, history: false, again: false };
        let sharing = self.reader.sharing(index).into_iter();
        let sharing =
            sharing.map(|(index, stream)| Sharer { index, stream, pages, parents: Parents::default() });
        let mut sharers: Vec<Sharer> = sharing.collect();
        if partitions.is_empty() && complete {
            self.nothing_in(&stream, &Partition::whole(), &mut pages, &mut sharers, true).await?;
        }
        for (place, partition) in partitions.iter().enumerate() {
            let last = place + 1 == partitions.len();
            pages.last_partition = last;
            sharers.iter_mut().for_each(|sharer| sharer.pages.last_partition = last);
            let read = self.partition(index, &stream, partition, &mut pages, &mut parents, &mut sharers);
            match read.instrument(tributary_traces::read_partition(place)).await? {
                Ok(()) => {}
                Err(ReadError::Client(ClientError::SkipPartition { reason, .. })) => {
                    self.warn(&stream, partition, [(Warning::Skipped(reason), 1)].into()).await?;
                    self.nothing_in(&stream, partition, &mut pages, &mut sharers, last).await?;
                }
                Err(error) => {
                    pages.complete = false;
                    self.fail(index, &stream, &partition.key, error);
                }
            }
            if !pages.complete {
                // what is missing of an answer is missing of all that share it
                for sharer in &mut sharers {
                    sharer.pages.complete = false;
                    self.partial.insert(sharer.index);
                }
            }
        }
        if stream.is_parent {
            self.read.insert(index, ReadStream { records: parents.records, complete: pages.complete });
        }
        for Sharer { index, stream, pages, parents } in sharers {
            if stream.is_parent {
                self.read.insert(index, ReadStream { records: parents.records, complete: pages.complete });
            }
        }
        Ok(())
    }

    /// Reports that there is nothing (more) in `partition` of the stream and of those that share its answers;
    /// `last` says that it is their last one.
    async fn nothing_in(
        &mut self,
        stream: &Stream,
        partition: &Partition,
        pages: &mut Pages,
        sharers: &mut [Sharer],
        last: bool,
    ) -> Result<(), S::Error> {
        for sharer in sharers {
            sharer.pages.last_partition = last;
            let sharing = Arc::clone(&sharer.stream);
            self.hand_over(&sharing, partition, Reading::default(), None, &mut sharer.pages, true).await?;
        }
        pages.last_partition = last;
        self.hand_over(stream, partition, Reading::default(), None, pages, true).await
    }

    /// Moves the positions of streams that waited for those that depend on them.
    async fn move_parents(&mut self) -> Result<(), S::Error> {
        for Deferred { index, partition, position } in std::mem::take(&mut self.deferred) {
            if self.is_whole(index) {
                let stream = Arc::clone(&self.reader.streams[index]);
                // its end was reported already
                let mut pages = Pages {
                    first: false,
                    last_partition: false,
                    complete: false,
                    history: false,
                    again: false,
                };
                self.hand_over(&stream, &partition, Reading::default(), Some(position), &mut pages, false)
                    .await?;
            }
        }
        Ok(())
    }

    /// Whether the stream and all that depend on it could be read.
    fn is_whole(&self, index: usize) -> bool {
        let streams = &self.reader.streams;
        let depends = |child: &usize| {
            let parent = streams[*child].parent.as_ref().map(|parent| parent.index);
            parent == Some(index) || streams[*child].shares == Some(index)
        };
        let children = (0..streams.len()).filter(depends);
        !self.partial.contains(&index) && children.into_iter().all(|child| self.is_whole(child))
    }

    /// The partitions of a stream that can be named, and whether these are all.
    async fn partitions(&mut self, index: usize, stream: &Arc<Stream>) -> (Vec<Partition>, bool) {
        let Some(parent) = &stream.parent else { return (vec![Partition::whole()], true) };
        let read = self.read.get(&parent.index).expect("a parent is read before its children");
        let (records, complete) = (read.records.clone(), read.complete);
        if records.is_empty() && !complete {
            let parent = self.reader.streams[parent.index].name.clone();
            self.fail(index, stream, "", ReadError::Parent(parent));
            return (Vec::new(), false);
        }
        let key = Arc::clone(&parent.key);
        let scope = Scope::at(Utc::now(), Val::Null);
        let named = self
            .reader
            .evaluate(&stream.name, move |deadline| {
                Ok(partition::partitions(&key, records, &scope, deadline))
            })
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

    /// Whether an answer of the stream ever named a next page; asked of the sink once in a run.
    pub(super) async fn next_known(&mut self, index: usize, stream: &Stream) -> Result<bool, S::Error> {
        let Some(next) = stream.pager.next_text() else { return Ok(false) };
        if let Some(seen) = self.next_known.get(&index) {
            return Ok(*seen);
        }
        let seen = self.sink.next_known(&stream.name, next).await?;
        self.next_known.insert(index, seen);
        Ok(seen)
    }

    /// Notes that an answer of the stream named a next page.
    pub(super) async fn note_next(&mut self, index: usize, stream: &Stream) -> Result<(), S::Error> {
        let Some(next) = stream.pager.next_text() else { return Ok(()) };
        self.sink.note_next(&stream.name, next).await?;
        self.next_known.insert(index, true);
        Ok(())
    }

    pub(super) fn fail(&mut self, index: usize, stream: &Stream, partition: &str, error: ReadError) {
        let line = error.field(&stream.name).and_then(|field| stream.line_of(&field));
        let failure = Failure { stream: stream.name.clone(), partition: partition.to_owned(), error, line };
        tracing::debug!(provider = self.reader.provider.as_str(), %failure, "not read");
        self.partial.insert(index);
        self.report.failures.push(failure);
    }
}

#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod asks_tests;
#[cfg(test)]
mod delta_tests;
#[cfg(test)]
mod ends_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod keyset_tests;
#[cfg(test)]
mod liar_tests;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod report_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk_tests;
