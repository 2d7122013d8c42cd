//! What a look at a provider saw, for people or for machines.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::trial::with_place;
use crate::cli::table::{self, Output, numbers, words};
use tributary_manifest::language::Node;
use tributary_manifest::{MappedRecord, RecordPage, RunReport};

/// What was read of a stream.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    stream: String,
    partitions: BTreeSet<String>,
    pages: u64,
    rows: u64,
    not_mapped: u64,
}

/// What a look saw.
pub struct Seen<'a> {
    pub file: &'a Node,
    /// How many rows of a page are shown.
    pub rows_shown: usize,
    /// Whether windows began with the oldest.
    pub oldest: bool,
    pub output: Output,
    pub tallies: Vec<Tally>,
    /// For machines: the rows that are shown to people otherwise.
    pub rows: Vec<Value>,
}

impl Seen<'_> {
    fn for_machines(&self) -> bool {
        self.output == Output::Json
    }

    /// Shows `page`, and counts it.
    pub fn take(&mut self, page: &RecordPage) {
        if page.again && page.records.is_empty() && page.warnings.is_empty() {
            return;
        }
        if !self.for_machines() {
            self.print(page);
        }
        let shown = page.records.iter().take(self.rows_shown);
        let shown: Vec<Value> = shown
            .map(|record| {
                let (row, why) = self.told(&page.stream, record);
                json!({ "stream": page.stream, "partition": page.partition, "row": row, "notMapped": why })
            })
            .collect();
        self.rows.extend(shown);
        let place = self.tallies.iter().position(|tally| tally.stream == page.stream);
        let place = place.unwrap_or_else(|| {
            self.tallies.push(Tally { stream: page.stream.clone(), ..Tally::default() });
            self.tallies.len() - 1
        });
        let tally = &mut self.tallies[place];
        tally.partitions.insert(page.partition.clone());
        tally.pages += u64::from(!page.again);
        tally.rows += page.records.len() as u64;
        let refused = |record: &&MappedRecord| !matches!(record, MappedRecord::Canonical(_));
        tally.not_mapped += page.records.iter().filter(refused).count() as u64;
    }

    /// A record as JSON text would have it, and why it is none, with the line of the file.
    fn told(&self, stream: &str, record: &MappedRecord) -> (Value, Option<String>) {
        match record {
            MappedRecord::Canonical(record) => (record.to_json(), None),
            MappedRecord::Unmappable { origin, reason } => {
                let row = String::from_utf8_lossy(&origin.record).into_owned();
                (row.into(), Some(with_place(self.file, stream, reason)))
            }
            MappedRecord::Refused { record, reason } => (record.to_json(), Some(reason.clone())),
        }
    }

    fn print(&self, page: &RecordPage) {
        let partition =
            if page.partition.is_empty() { String::new() } else { format!(" of {}", page.partition) };
        let again = if page.again { ", asked for again by `refresh`, or missed" } else { "" };
        println!("= {}{partition}: {} {}{again}", page.stream, page.records.len(), page.resource.as_str());
        for record in page.records.iter().take(self.rows_shown) {
            match self.told(&page.stream, record) {
                (row, None) => println!("  {row}"),
                (row, Some(why)) => {
                    println!("  NOT MAPPED: {}", why.replace('\n', "\n  "));
                    println!("    {}", row.as_str().map_or(row.to_string(), str::to_owned));
                }
            }
        }
        if page.records.len() > self.rows_shown {
            println!("  and {} more (--rows shows more)", page.records.len() - self.rows_shown);
        }
        for (warning, count) in &page.warnings {
            println!("  warning, {count} times: {warning}");
        }
        if let Some(cursor) = &page.cursor {
            println!("  goes on from {cursor}");
        }
    }

    /// How many rows became no record.
    pub fn not_mapped(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.not_mapped).sum()
    }

    /// Says how it ended, as a table or as one document.
    pub fn print_end(&self, report: &RunReport) {
        let failures = report.failures.iter();
        let failures: Vec<String> = failures
            .map(|failure| with_place(self.file, &failure.stream, &failure.error.to_string()))
            .collect();
        let of = |n: usize| &report.failures[n];
        if self.for_machines() {
            let streams: Vec<Value> = self.tallies.iter().map(|tally| json!(tally)).collect();
            let failures: Vec<Value> = failures
                .iter()
                .enumerate()
                .map(|(n, why)| json!({ "stream": of(n).stream, "partition": of(n).partition, "why": why }))
                .collect();
            let warnings: Vec<Value> = report
                .warnings
                .iter()
                .map(|(warning, count)| json!({ "warning": warning.to_string(), "count": count }))
                .collect();
            return table::json(&json!({
                "requests": report.requests, "streams": streams, "rows": self.rows, "warnings": warnings, "failures": failures,
            }));
        }
        println!();
        let columns = [
            words("STREAM"),
            numbers("PARTITIONS"),
            numbers("PAGES"),
            numbers("ROWS"),
            numbers("NOT MAPPED"),
        ];
        table::print(
            &columns,
            self.tallies.iter().map(|tally| {
                let counts = [tally.partitions.len() as u64, tally.pages, tally.rows, tally.not_mapped];
                std::iter::once(tally.stream.clone()).chain(counts.map(|count| count.to_string()))
            }),
        );
        println!("{} requests", report.requests);
        for (warning, count) in &report.warnings {
            println!("warning, {count} times: {warning}");
        }
        for (n, why) in failures.iter().enumerate() {
            println!("not read: {}{}: {why}", of(n).stream, of_partition(&of(n).partition));
        }
        let quiet = self.tallies.iter().filter(|tally| tally.rows == 0).map(|tally| tally.stream.as_str());
        let quiet: Vec<&str> = quiet.collect();
        if !quiet.is_empty() && !self.oldest {
            println!("nothing recent in {}: --oldest begins with the oldest", quiet.join(", "));
        }
    }
}

fn of_partition(partition: &str) -> String {
    if partition.is_empty() { String::new() } else { format!(" ({partition})") }
}
