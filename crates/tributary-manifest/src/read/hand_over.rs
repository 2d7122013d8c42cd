//! Hands what was read to the sink, in pages.

use super::mapping::Reading;
use super::page::{MappedRecord, PageSink, RecordPage};
use super::partition::Partition;
use super::report::Warnings;
use super::run::Run;
use crate::plan::Stream;

/// Where in a stream the pages are.
#[derive(Debug, Clone, Copy)]
pub struct Pages {
    /// Whether none was handed over yet.
    pub first: bool,
    pub last_partition: bool,
    /// Whether everything before could be read.
    pub complete: bool,
    /// Whether the partition was never read to its end before.
    pub history: bool,
    /// Whether they are of records that were followed up, and not listed.
    pub again: bool,
}

impl<S: PageSink> Run<'_, S> {
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
            let rest = records.split_off(records.len().min(RecordPage::MOST_RECORDS));
            let last = rest.is_empty();
            let sent = self.reader.client.sent();
            let page = RecordPage {
                stream: stream.name.clone(),
                resource: output.resource,
                partition: partition.key.clone(),
                records: std::mem::replace(&mut records, rest),
                history: pages.history,
                again: pages.again,
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

    /// Tells of `warnings` that come with no page.
    pub(super) async fn warn(
        &mut self,
        stream: &Stream,
        partition: &Partition,
        warnings: Warnings,
    ) -> Result<(), S::Error> {
        self.count(&[], &warnings);
        self.sink.warn(&stream.name, &partition.key, warnings).await
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
