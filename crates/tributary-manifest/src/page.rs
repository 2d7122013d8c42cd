//! What a run hands over, and to whom.

use std::collections::BTreeMap;
use std::convert::Infallible;

use chrono::{DateTime, Utc};

use tributary_domain::{Origin, Record, Resource};

use super::cage::CageError;
use super::client::ClientError;
use super::jq::FilterError;
use super::request::RequestError;

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

    /// Whether an answer of this stream was ever seen to tell a next page by `next`, in whichever
    /// partition and run.
    fn next_seen(
        &mut self,
        stream: &str,
        next: &str,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Notes for good that an answer of this stream told a next page by `next`.
    fn saw_next(&mut self, stream: &str, next: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes warnings that come with no page.
    fn warn(
        &mut self,
        stream: &str,
        partition: &str,
        warnings: Warnings,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Commits the records of `page`, what is open of them and, where it has one, its cursor: all
    /// or nothing, in one database transaction.
    fn page(&mut self, page: Page) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Shows each page to a function and keeps nothing: each run reads from the beginning.
pub struct EachPage<F>(pub F);

impl<F: FnMut(Page) + Send> PageSink for EachPage<F> {
    type Error = Infallible;

    async fn cursor(&mut self, _: &str, _: &str) -> Result<Option<serde_json::Value>, Infallible> {
        Ok(None)
    }

    async fn open_records(&mut self, _: &str, _: Resource, _: &str) -> Result<Vec<OpenRecord>, Infallible> {
        Ok(Vec::new())
    }

    async fn next_seen(&mut self, _: &str, _: &str) -> Result<bool, Infallible> {
        Ok(false)
    }

    async fn saw_next(&mut self, _: &str, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    async fn warn(&mut self, _: &str, _: &str, _: Warnings) -> Result<(), Infallible> {
        Ok(())
    }

    async fn page(&mut self, page: Page) -> Result<(), Infallible> {
        self.0(page);
        Ok(())
    }
}

/// A piece of what one request answered, at most [`Page::MOST_RECORDS`] records.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub stream: String,
    pub resource: Resource,
    /// Which account, category, ... of the stream; empty where it has only one.
    pub partition: String,
    pub records: Vec<MappedRecord>,
    /// Whether the partition was never read to its end before: what it brings is history.
    pub history: bool,
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
    /// What was odd about the records of this answer, and how often; told with its first page.
    pub warnings: Warnings,
    /// The records as they came, in order; empty unless the manifest says `keep_raw`.
    pub raw: Vec<Origin>,
}

impl Page {
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
    /// When it was seen open for the first and for the last time; told by the sink.
    pub first_seen: Option<DateTime<Utc>>,
    pub checked_at: Option<DateTime<Utc>>,
}

/// A record of the provider after its mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum MappedRecord {
    /// What it became, or one part of it.
    Canonical(Record),
    /// A record that has no place in Formance as it is: what the provider sent, and why.
    Unmappable { origin: Origin, reason: String },
}

/// Something odd that does not stop a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Warning {
    #[error("status {0:?} is not in the status_map and was taken as OTHER")]
    UnmappedStatus(String),
    #[error("a record has no time that could move the cursor")]
    NoCursor,
    #[error("an event has no id that could move the mark")]
    NoMark,
    #[error("a record that is only named in the list is not there")]
    NotThere,
    #[error("an open record is not there any more and is not asked for again")]
    Gone,
    #[error("a record is open for longer than `give_up` and is not asked for again")]
    GivenUp,
    #[error("a pending record is not listed any more and is served as CANCELLED")]
    Vanished,
    #[error("a partition was skipped: {0}")]
    Skipped(String),
    #[error("a walk began anew: {0}")]
    BegunAnew(String),
    #[error("a record has no place in Formance as it is and went to quarantine")]
    Refused,
}

impl Warning {
    /// What kind of warning it is: one of a few words, whatever a provider says.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnmappedStatus(_) => "unmapped_status",
            Self::NoCursor => "no_cursor",
            Self::NoMark => "no_mark",
            Self::NotThere => "not_there",
            Self::Gone => "gone",
            Self::GivenUp => "given_up",
            Self::Vanished => "vanished",
            Self::Skipped(_) => "partition_skipped",
            Self::BegunAnew(_) => "walk_begun_anew",
            Self::Refused => "quarantined",
        }
    }
}

/// How often each warning occurred.
pub type Warnings = BTreeMap<Warning, u64>;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunReport {
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// Records handed over that have their canonical form.
    pub records: u64,
    /// Records handed over that have none.
    pub unmappable: u64,
    pub warnings: Warnings,
    /// What could not be read.
    pub failures: Vec<Failure>,
}

/// A partition of a stream that could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{stream}{}: {error}", in_partition(.partition))]
pub struct Failure {
    pub stream: String,
    pub partition: String,
    pub error: ReadError,
}

impl Failure {
    /// The status that the provider refused with, itself or when it was asked for a token.
    pub fn refusal(&self) -> Option<u16> {
        let ReadError::Client(error) = &self.error else { return None };
        match error {
            ClientError::Refused { status, .. } => Some(*status),
            // a token that is refused is refused for what we are, whatever the status
            ClientError::NoToken(why) if matches!(**why, ClientError::Refused { .. }) => Some(401),
            _ => None,
        }
    }

    /// Whether what was asked for is not on the cassette that answers.
    pub fn ends_cassette(&self) -> bool {
        matches!(self.error, ReadError::Client(ClientError::NotRecorded { .. }))
    }
}

fn in_partition(partition: &str) -> String {
    if partition.is_empty() { String::new() } else { format!(" ({partition})") }
}

/// Why a partition of a stream could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the cursor that was kept cannot be read: {0}")]
    Cursor(String),
    #[error("{0}")]
    Paging(String),
    #[error("not read, since {0} could not be read")]
    Parent(String),
    #[error(transparent)]
    Cage(#[from] CageError),
}

/// How many failures the text of an error spells out; the report has them all.
const LISTED_FAILURES: usize = 20;

impl RunError<Infallible> {
    /// What a run did into a sink that cannot fail, be it all of it or not.
    pub fn report(self) -> RunReport {
        match self {
            Self::Incomplete(report) => report,
            Self::Sink(never) => match never {},
        }
    }
}

/// Why a run did not succeed. Whatever it handed over before stays valid.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E: std::error::Error + 'static> {
    /// What was read could not be kept; the run ended there.
    #[error("what was read could not be kept")]
    Sink(#[source] E),
    /// Something could not be read; everything else was.
    #[error("not everything could be read: {}", listed(&.0.failures))]
    Incomplete(RunReport),
}

fn listed(failures: &[Failure]) -> String {
    let mut listed: Vec<String> = failures.iter().take(LISTED_FAILURES).map(Failure::to_string).collect();
    if let Some(more) = failures.len().checked_sub(LISTED_FAILURES).filter(|more| *more > 0) {
        listed.push(format!("and {more} more"));
    }
    listed.join("; ")
}
