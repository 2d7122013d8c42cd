//! What a run did, what was odd, and what could not be read.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::cage::CageError;
use crate::jq::FilterError;
use crate::plan::RequestError;
use crate::wire::ClientError;

/// Something odd that does not stop a record.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum Warning {
    #[error(
        "status {0:?} is in no list of `statuses`: a new record was taken as OTHER, a known one kept its status"
    )]
    UnmappedStatus(String),
    #[error("a record has no time that could move the cursor")]
    NoCursor,
    #[error("an event has no id that could move the mark")]
    NoMark,
    #[error("the record at {0} is only named in the list, and answered with 404 or 410")]
    NotThere(String),
    #[error("the open record {0:?} was answered with 404 or 410; the next run asks for it once more")]
    NotFound(String),
    #[error(
        "the open record {0:?} was answered with 404 or 410 in two runs and is not asked for again: its status stays \
         what it was"
    )]
    Gone(String),
    #[error(
        "another record came where the open record {0:?} was asked for; the next run asks for it once more"
    )]
    AnotherCame(String),
    #[error(
        "another record came in two runs where the open record {0:?} was asked for, and it is not asked for again: its \
         status stays what it was, until a list shows it again (look it up at the provider)"
    )]
    Misnamed(String),
    #[error("a record is open for longer than `give_up` and is not asked for again")]
    GivenUp,
    #[error(
        "a pending record is not listed any more; it is served as CANCELLED if the next run misses it, too"
    )]
    Missed,
    #[error("a pending record was not listed in two runs and is served as CANCELLED")]
    Vanished,
    #[error("a pending record is older than what the API still lists, so that nothing more is heard of it")]
    OutOfReach,
    #[error("a partition was skipped: {0}")]
    #[strum(serialize = "partition_skipped")]
    Skipped(String),
    #[error("a walk began anew: {0}")]
    #[strum(serialize = "walk_begun_anew")]
    BegunAnew(String),
    #[error(
        "the event from which to go on is not known any more ({0}), so the events are read from the first that is still \
         listed: what others named meanwhile may be missing; `tributary sync {1} --full` reads all other streams again"
    )]
    MarkLost(String, String),
    #[error(
        "the token from which to go on is not known any more ({0}), so everything is read anew, and once more in the next \
         run: what was removed meanwhile shows by not being listed twice"
    )]
    TokenLost(String),
    #[error("a report is not ready yet; the next run goes on with it")]
    ReportNotReady,
    #[error("the provider removed a pending record; it is served as CANCELLED")]
    Removed,
    #[error("the provider removed a record that was not pending; it stays as it was")]
    NotRemoved,
    #[error(
        "an id is blank, so that a record is known by its text alone (`identity`): under an id it would be another one"
    )]
    BlankId,
    #[error("one id names several payments: {0}")]
    SharedId(String),
    #[error(
        "how many requests are left cannot be read in the header {0:?}, which is not heeded: say so in `limits`"
    )]
    UnreadLimit(String),
    #[error("an answer was no JSON and was repaired: {0}")]
    Repaired(String),
    #[error("a record that differs from what is kept is older by the provider's time, and was dropped")]
    #[strum(serialize = "older")]
    Older,
    #[error(
        "a known payment came with another amount or asset than before: Formance keeps what it saw first"
    )]
    Amended,
    #[error("a record that Formance would reject went to quarantine")]
    #[strum(serialize = "quarantined")]
    Refused,
}

impl Warning {
    /// Every kind that there is.
    pub const KINDS: &'static [&'static str] = <Self as strum::VariantNames>::VARIANTS;

    /// What kind of warning it is: one of a few words, whatever a provider says.
    pub fn kind(&self) -> &'static str {
        self.into()
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
#[error("{stream}{}: {error}{}", in_partition(.partition), in_line(*.line))]
pub struct Failure {
    pub stream: String,
    pub partition: String,
    pub error: ReadError,
    /// The line of the file that it is about, where that is known.
    pub line: Option<usize>,
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

fn in_line(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(" (line {line} of the file that describes it)"))
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
    #[error("the stored cursor cannot be read ({0}); `tributary sync` with --full and --stream forgets it")]
    Cursor(String),
    #[error("{0}")]
    Paging(String),
    /// A record that a list only names, in the answer to the request for it.
    #[error(
        "detail: the answer is not the record that is asked for: {0}; if three runs in a row get no other, it goes to \
         quarantine"
    )]
    Detail(String),
    #[error("not read, since {0} could not be read")]
    Parent(String),
    #[error(transparent)]
    Cage(#[from] CageError),
    /// Of one window, which is as short as it can be where this is told.
    #[error("{0}")]
    TooMuch(String),
}

impl ReadError {
    /// Whether it is that there is too much in what was asked for.
    pub(super) fn is_too_much(&self) -> bool {
        matches!(
            self,
            Self::TooMuch(_)
                | Self::Client(
                    ClientError::TooMuch { .. }
                        | ClientError::TooLarge { .. }
                        | ClientError::TooCostly { .. }
                )
        )
    }

    /// The field of `stream` that its text begins with.
    pub(super) fn field(&self, stream: &str) -> Option<String> {
        match self {
            Self::Filter(error) if error.stream == stream => Some(error.field.to_owned()),
            Self::Paging(text) => Some(text.split_once(": ")?.0.to_owned()),
            _ => None,
        }
    }

    /// Whether it says nothing of what was asked for: any other request would fail like it.
    pub(super) fn is_of_all(&self) -> bool {
        match self {
            Self::Client(error) => matches!(
                error,
                ClientError::AskedToWait { .. }
                    | ClientError::NoToken(_)
                    | ClientError::Shared(_)
                    | ClientError::NotRecorded { .. }
                    | ClientError::Rules(_)
                    | ClientError::Refused { status: 401 | 403 | 429, .. }
            ),
            Self::Cage(_) | Self::Parent(_) => true,
            Self::Filter(_)
            | Self::Request(_)
            | Self::Cursor(_)
            | Self::Paging(_)
            | Self::TooMuch(_)
            | Self::Detail(_) => false,
        }
    }
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
    #[error("what was read could not be stored")]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(error: ReadError) -> Failure {
        Failure { stream: "feed".to_owned(), partition: String::new(), error, line: None }
    }

    fn refused(status: u16) -> ClientError {
        ClientError::Refused { request: "GET /feed".to_owned(), status, excerpt: String::new() }
    }

    fn filter(stream: &str) -> ReadError {
        ReadError::Filter(FilterError {
            stream: stream.to_owned(),
            field: "rows",
            message: "finds no list".to_owned(),
        })
    }

    #[test]
    fn a_failure_says_where_it_was() {
        let paging = || ReadError::Paging("page: a circle".to_owned());
        assert_eq!(failure(paging()).to_string(), "feed: page: a circle");
        let placed = Failure { partition: "acc_1".to_owned(), line: Some(7), ..failure(paging()) };
        assert_eq!(placed.to_string(), "feed (acc_1): page: a circle (line 7 of the file that describes it)");
    }

    #[test]
    fn the_text_of_a_run_spells_out_twenty_failures() {
        let of = |count: usize| {
            let failures = vec![failure(ReadError::Parent("accounts".to_owned())); count];
            RunError::<Infallible>::Incomplete(RunReport { failures, ..RunReport::default() })
        };
        let (twenty, more) = (of(20).to_string(), of(22).to_string());
        assert_eq!((twenty.matches("feed: ").count(), more.matches("feed: ").count()), (20, 20));
        assert!(more.len() > twenty.len() && more.ends_with("and 2 more"), "{more}");
        assert_eq!(of(22).report().failures.len(), 22, "the report has them all");
    }

    #[test]
    fn a_refusal_is_that_of_the_provider_and_a_refused_token_is_a_401() {
        let token = |error| ReadError::Client(ClientError::NoToken(Box::new(error)));
        let lost = ClientError::NotRecorded { request: "GET /feed".to_owned() };
        for (error, status, ends) in [
            (ReadError::Client(refused(403)), Some(403), false),
            (token(refused(400)), Some(401), false),
            (token(lost.clone()), None, false),
            (ReadError::Client(lost), None, true),
            (ReadError::Paging("page: a circle".to_owned()), None, false),
        ] {
            let failure = failure(error);
            assert_eq!((failure.refusal(), failure.ends_cassette()), (status, ends), "{failure}");
        }
    }

    #[test]
    fn an_error_names_the_field_that_it_is_about() {
        let paging = ReadError::Paging("page.next: names the next page twice: wrong".to_owned());
        assert_eq!(paging.field("feed").as_deref(), Some("page.next"));
        assert_eq!(ReadError::Paging("a circle".to_owned()).field("feed"), None);
        assert_eq!(filter("feed").field("feed").as_deref(), Some("rows"));
        assert_eq!(filter("accounts").field("feed"), None, "which is a field of another stream");
        assert_eq!(ReadError::Parent("accounts".to_owned()).field("feed"), None);
    }

    #[test]
    fn some_errors_say_that_any_other_request_would_fail_too_and_some_that_a_shorter_window_would_not() {
        let of_all = [refused(401), refused(403), refused(429)].map(ReadError::Client);
        for error in of_all.into_iter().chain([ReadError::Parent("accounts".to_owned())]) {
            assert!(error.is_of_all() && !error.is_too_much(), "{error}");
        }
        for error in [ReadError::Client(refused(404)), filter("feed"), ReadError::Detail("{}".to_owned())] {
            assert!(!error.is_of_all() && !error.is_too_much(), "{error}");
        }
        let large = ClientError::TooLarge { request: "GET /feed".to_owned(), limit: 1 };
        for error in [ReadError::TooMuch("100 records".to_owned()), ReadError::Client(large)] {
            assert!(!error.is_of_all() && error.is_too_much(), "{error}");
        }
    }
}
