//! What a run hands over, and to whom.

use std::convert::Infallible;

use chrono::{DateTime, Utc};

use tributary_domain::{Beneficiary, Origin, RawRecord, Record, Resource};

use super::report::Warnings;

/// Takes what a run reads. Implemented by whoever keeps rows and cursors.
pub trait PageSink: Send {
    type Error: std::error::Error + Send + Sync + 'static;

    /// The cursor last committed for this partition of this stream, `None` where there is none.
    fn cursor(
        &mut self,
        stream: &str,
        partition: &str,
    ) -> impl Future<Output = Result<Option<serde_json::Value>, Self::Error>> + Send;

    /// The records of this partition that were open when they were last seen. `resource` is what
    /// they were mapped to.
    fn open_records(
        &mut self,
        stream: &str,
        resource: Resource,
        partition: &str,
    ) -> impl Future<Output = Result<Vec<OpenRecord>, Self::Error>> + Send;

    /// Whether an answer of this stream ever named a next page by `next`, in whichever
    /// partition and run.
    fn next_known(
        &mut self,
        stream: &str,
        next: &str,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Notes for good that an answer of this stream named a next page by `next`.
    fn note_next(&mut self, stream: &str, next: &str)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes warnings that come with no page.
    fn warn(
        &mut self,
        stream: &str,
        partition: &str,
        warnings: Warnings,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Commits the records of `page`, what is open of them and, where it has one, its cursor: all
    /// or nothing, in one database transaction.
    fn page(&mut self, page: RecordPage) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Shows each page to a function and keeps nothing: each run reads from the beginning.
pub struct EachPage<F>(pub F);

impl<F: FnMut(RecordPage) + Send> PageSink for EachPage<F> {
    type Error = Infallible;

    async fn cursor(&mut self, _: &str, _: &str) -> Result<Option<serde_json::Value>, Infallible> {
        Ok(None)
    }

    async fn open_records(&mut self, _: &str, _: Resource, _: &str) -> Result<Vec<OpenRecord>, Infallible> {
        Ok(Vec::new())
    }

    async fn next_known(&mut self, _: &str, _: &str) -> Result<bool, Infallible> {
        Ok(false)
    }

    async fn note_next(&mut self, _: &str, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    async fn warn(&mut self, _: &str, _: &str, _: Warnings) -> Result<(), Infallible> {
        Ok(())
    }

    async fn page(&mut self, page: RecordPage) -> Result<(), Infallible> {
        self.0(page);
        Ok(())
    }
}

/// A piece of what one request answered, at most [`RecordPage::MOST_RECORDS`] records.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordPage {
    pub stream: String,
    pub resource: Resource,
    /// Which account, category, ... of the stream; empty where it has only one.
    pub partition: String,
    pub records: Vec<MappedRecord>,
    /// Whether the partition was never read to its end before: what it brings is history.
    pub history: bool,
    /// Whether its records were asked for again, one by one (`refresh`), or are missed, and were not listed.
    pub again: bool,
    /// Records that may still change, as they were seen now.
    pub open: Vec<OpenRecord>,
    /// The keys of records that may not change any more.
    pub closed: Vec<String>,
    /// Only with the last page of an answer, so that a run that is killed in between repeats
    /// the answer and skips nothing. `None` leaves the kept cursor as it is.
    pub cursor: Option<serde_json::Value>,
    /// Whether this is the first page of the stream in this run.
    pub first_of_stream: bool,
    /// Whether the stream is complete with this page: never set where a partition of it, or of
    /// the stream that it depends on, could not be read in this run.
    pub end_of_stream: bool,
    /// The requests sent since the page before, of whatever stream.
    pub requests: u64,
    /// What was odd about the records of this answer, and how often; reported with its first page.
    pub warnings: Warnings,
    /// The records as they came, in order, with what each became; empty unless the manifest says `keep_raw`.
    pub raw: Vec<RawRecord>,
}

impl RecordPage {
    /// The most records that one page holds.
    pub const MOST_RECORDS: usize = 5_000;
}

/// A record of the provider that may still change.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRecord {
    /// What identifies it within its partition.
    pub key: String,
    /// The JSON that the provider sent.
    pub record: Vec<u8>,
    /// What it was mapped to.
    pub canonical: Vec<Record>,
    /// The time by which the API filters.
    pub at: Option<DateTime<Utc>>,
    /// When it was seen open for the first and for the last time, as the sink has it.
    pub first_seen: Option<DateTime<Utc>>,
    pub checked_at: Option<DateTime<Utc>>,
    /// Since which walk it is not listed any more, where it would have to be.
    pub missed_at: Option<DateTime<Utc>>,
}

/// A record of the provider after its mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum MappedRecord {
    /// What it became, or one part of it.
    Canonical(Record),
    /// A record that has no place in Formance as it is: what the provider sent, and why.
    Unmappable { origin: Origin, reason: String },
    /// A record that has a form, but is not what it says it is, and why.
    Refused { record: Record, reason: String },
}

impl MappedRecord {
    /// The id that it is kept under; of balances, that of their account.
    pub(super) fn id(&self) -> Option<&str> {
        let (Self::Canonical(record) | Self::Refused { record, .. }) = self else { return None };
        Some(match record {
            Record::Account(account) | Record::Beneficiary(Beneficiary(account)) => account.id.as_str(),
            Record::Balances(balances) => balances.account_id.as_str(),
            Record::Transaction(transaction) => transaction.id.as_str(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_only_shows_pages_shows_each_and_knows_nothing_of_the_run_before() {
        let mut shown = Vec::new();
        let mut sink = EachPage(|page: RecordPage| shown.push(page));
        assert_eq!(sink.cursor("feed", "").await, Ok(None));
        assert_eq!(sink.next_known("feed", ".next").await, Ok(false));
        assert_eq!(sink.open_records("feed", Resource::Accounts, "").await, Ok(vec![]));
        let page = RecordPage {
            stream: "feed".to_owned(),
            resource: Resource::Accounts,
            partition: String::new(),
            records: Vec::new(),
            history: false,
            again: false,
            open: Vec::new(),
            closed: Vec::new(),
            cursor: None,
            first_of_stream: true,
            end_of_stream: true,
            requests: 1,
            warnings: Warnings::new(),
            raw: Vec::new(),
        };
        sink.page(page.clone()).await.unwrap();
        assert_eq!(shown, [page]);
    }
}
