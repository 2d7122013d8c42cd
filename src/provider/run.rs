//! One run: every stream in order, every partition of it, whatever happens to the others.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use jaq_json::Val;

use super::engine::{Connection, scope};
use super::page::{Failure, MappedRecord, Page, PageSink, ReadError, RunError, RunReport, Warnings};
use super::plan::Stream;
use super::reading::{self, Partition, Reading};
use super::selection::Selection;

/// What a stream gave to those that depend on it.
struct ReadStream {
    records: Vec<Val>,
    /// Whether all of its partitions could be read.
    complete: bool,
}

/// One run.
pub struct Run<'a, S> {
    connection: &'a Connection,
    sink: &'a mut S,
    /// What is read; everything, where none.
    selection: Option<&'a Selection>,
    report: RunReport,
    /// By place in the list of streams; only of those that others depend on.
    read: HashMap<usize, ReadStream>,
    sent_before: u64,
    /// Requests that pages already told of.
    counted: u64,
}

impl<'a, S: PageSink> Run<'a, S> {
    /// A run of `connection` into `sink`, not begun yet.
    pub fn new(connection: &'a Connection, sink: &'a mut S) -> Self {
        let sent = connection.client.sent();
        Self {
            connection,
            sink,
            selection: None,
            report: RunReport::default(),
            read: HashMap::new(),
            sent_before: sent,
            counted: sent,
        }
    }

    /// Reads only what is selected.
    pub fn only(mut self, selection: &'a Selection) -> Self {
        self.selection = Some(selection);
        self
    }

    /// Reads every selected stream once.
    pub async fn finish(mut self) -> Result<RunReport, RunError<S::Error>> {
        for index in 0..self.connection.streams.len() {
            let name = &self.connection.streams[index].name;
            if self.selection.is_none_or(|selection| selection.includes(name)) {
                self.stream(index).await.map_err(RunError::Sink)?;
            }
        }
        self.report.requests = self.connection.client.sent() - self.sent_before;
        if self.report.failures.is_empty() { Ok(self.report) } else { Err(RunError::Incomplete(self.report)) }
    }

    async fn stream(&mut self, index: usize) -> Result<(), S::Error> {
        let stream = Arc::clone(&self.connection.streams[index]);
        let (mut partitions, mut complete) = self.partitions(&stream).await;
        if let Some(selection) = self.selection {
            selection.retain(&stream.name, &mut partitions);
            complete &= selection.is_whole(&stream.name);
        }
        let mut records = Vec::new();
        let mut pages = Pages { first: true, last_partition: false };
        if partitions.is_empty() && complete {
            pages.last_partition = true;
            self.hand_over(&stream, "", Reading::default(), None, &mut pages, true).await?;
        }
        for (place, partition) in partitions.iter().enumerate() {
            pages.last_partition = place + 1 == partitions.len();
            let stored = match &stream.incremental {
                Some(_) => self.sink.cursor(&stream.name, &partition.key).await?,
                None => None,
            };
            match self.connection.read(&stream, partition, stored).await {
                Ok((mut reading, cursor)) => {
                    records.append(&mut reading.raw);
                    self.hand_over(&stream, &partition.key, reading, cursor, &mut pages, complete).await?;
                }
                Err(error) => {
                    complete = false;
                    self.fail(&stream, &partition.key, error);
                }
            }
        }
        if stream.is_parent {
            self.read.insert(index, ReadStream { records, complete });
        }
        Ok(())
    }

    /// The partitions of a stream that can be told, and whether these are all.
    async fn partitions(&mut self, stream: &Arc<Stream>) -> (Vec<Partition>, bool) {
        let Some(parent) = &stream.parent else {
            return (vec![Partition { key: String::new(), record: Val::Null }], true);
        };
        let read = self.read.get(&parent.index).expect("a parent is read before its children");
        let (records, complete) = (read.records.clone(), read.complete);
        if records.is_empty() && !complete {
            let parent = self.connection.streams[parent.index].name.clone();
            self.fail(stream, "", ReadError::Parent(parent));
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
            self.fail(stream, "", error);
        }
        (partitions, complete)
    }

    fn fail(&mut self, stream: &Stream, partition: &str, error: ReadError) {
        let failure = Failure { stream: stream.name.clone(), partition: partition.to_owned(), error };
        tracing::debug!(provider = self.connection.provider.as_str(), %failure, "not read");
        self.report.failures.push(failure);
    }

    /// Hands the records of one answer over in pages, the cursor with the last of them.
    async fn hand_over(
        &mut self,
        stream: &Stream,
        partition: &str,
        reading: Reading,
        mut cursor: Option<serde_json::Value>,
        pages: &mut Pages,
        complete: bool,
    ) -> Result<(), S::Error> {
        let Some(output) = &stream.output else { return Ok(()) };
        let mut records = reading.records;
        let mut warnings = reading.warnings;
        self.count(&records, &warnings);
        loop {
            let rest = records.split_off(records.len().min(Page::MOST_RECORDS));
            let last = rest.is_empty();
            let sent = self.connection.client.sent();
            let page = Page {
                stream: stream.name.clone(),
                resource: output.resource,
                partition: partition.to_owned(),
                records: std::mem::replace(&mut records, rest),
                cursor: if last { cursor.take() } else { None },
                first_of_stream: std::mem::take(&mut pages.first),
                end_of_stream: last && pages.last_partition && complete,
                requests: sent - std::mem::replace(&mut self.counted, sent),
                warnings: std::mem::take(&mut warnings),
                raw: Vec::new(),
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

/// Where in a stream the pages are.
struct Pages {
    /// Whether none was handed over yet.
    first: bool,
    last_partition: bool,
}

#[cfg(test)]
mod tests;
