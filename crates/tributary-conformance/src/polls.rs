//! Polls a list as Formance does, with both forms of its loop, and keeps what came.

use std::collections::HashMap;

use super::options::Options;
use super::probe::Probe;
use super::reading::{VersionKey, version_key};
use tributary_formance::{
    CallError, En1095State, Fetch, Fetched, GoTime, Kind, Progress, Row, State, Watermark, storage,
};

/// How a poll ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It took the last page for the end of the data.
    #[default]
    Drained,
    /// It had as many rows as it may read.
    Truncated,
    /// Formance would go on asking for this page for ever; this reader does not.
    GaveUp(String),
    /// Formance would have failed, and asks for the same page at its next poll.
    Stuck(String),
}

/// What one form of the loop got.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The form's name.
    pub form: &'static str,
    /// How often each version came.
    pub got: HashMap<VersionKey, u32>,
    /// A version that came more than once.
    pub twice: Option<VersionKey>,
    /// Where the loop stands.
    pub watermark: GoTime,
    /// How the last poll ended.
    pub ending: Ending,
    /// Polls so far.
    pub polls: u32,
    /// Requests and rows of the first poll.
    pub first: (u64, usize),
}

impl Polled {
    /// Whether a version that did not come never will: a loop that took the list for read had its
    /// chance, one that was stopped may still get what lies above its watermark.
    pub fn has_missed(&self, key: &VersionKey) -> bool {
        let may_still_come = self.ending != Ending::Drained && key.at >= self.watermark;
        !may_still_come && !self.got.contains_key(key)
    }
}

/// Both forms of the loop on one list.
pub struct Pollers {
    released: Poller<State>,
    rewrite: Poller<En1095State>,
}

impl Pollers {
    /// Two loops that have seen nothing of `kind` yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            released: Poller::new(kind, "the loop of v3.4"),
            rewrite: Poller::new(kind, "the loop of EN-1095"),
        }
    }

    /// One poll with each.
    pub async fn poll(&mut self, probe: &mut Probe<'_>, options: &Options) {
        self.released.poll(probe, options).await;
        self.rewrite.poll(probe, options).await;
    }

    /// What they got.
    pub fn into_polled(self) -> Vec<Polled> {
        vec![self.released.polled, self.rewrite.polled]
    }
}

struct Poller<S> {
    kind: Kind,
    state: S,
    polled: Polled,
}

/// Requests that a poll may take for 100 rows, beyond which its cost is a failure anyway.
const REQUESTS_PER_PAGE: u64 = 15;
/// Requests that a poll may take however few rows there are.
const REQUESTS_AT_LEAST: u64 = 100;

impl<S: Watermark> Poller<S> {
    fn new(kind: Kind, form: &'static str) -> Self {
        Self { kind, state: S::default(), polled: Polled { form, ..Polled::default() } }
    }

    /// One poll: calls until there is no more.
    async fn poll(&mut self, probe: &mut Probe<'_>, options: &Options) {
        let begun = probe.requests();
        let mut rows = 0;
        self.polled.ending = loop {
            match self.call(probe, begun).await {
                Err(ending) => break ending,
                Ok(fetched) => {
                    rows += fetched.rows.len();
                    self.take(&fetched);
                    self.state = fetched.state;
                    if !fetched.has_more {
                        break Ending::Drained;
                    }
                }
            }
            if self.polled.got.len() >= options.max_rows {
                break Ending::Truncated;
            }
        };
        self.polled.watermark = self.state.time();
        self.polled.polls += 1;
        if self.polled.polls == 1 {
            self.polled.first = (probe.requests() - begun, rows);
        }
    }

    fn take(&mut self, fetched: &Fetched<S>) {
        for row in &fetched.rows {
            let key = version_key(row);
            let times = self.polled.got.entry(key.clone()).or_default();
            *times += 1;
            if *times == 2 {
                self.polled.twice.get_or_insert(key);
            }
        }
    }

    /// One call of the loop, as [`tributary_formance::Client`] makes it, but with requests that
    /// are counted and measured, and an end.
    async fn call(&self, probe: &mut Probe<'_>, begun: u64) -> Result<Fetched<S>, Ending> {
        let mut fetch = Fetch::new(self.kind, super::reading::PAGE_SIZE, self.state.clone());
        let mut last_body = Vec::new();
        loop {
            let request = fetch.request();
            let query = request.query.as_deref().unwrap_or_default();
            let target = format!("{}?{query}", request.path);
            if probe.requests() - begun > self.allowed_requests() {
                return Err(Ending::GaveUp(format!(
                    "gave up after {} requests, at GET {target}",
                    self.allowed_requests()
                )));
            }
            let reply =
                probe.get(&target).await.map_err(|why| Ending::Stuck(format!("GET {target}: {why}")))?;
            let answer = reply.answer();
            if answer.body == last_body && answer.body.len() > b"[]".len() {
                return Err(Ending::GaveUp(format!("GET {target} answered the page before it once more")));
            }
            let progress = fetch.answer(&answer).map_err(|error| stuck(&target, &error))?;
            match progress {
                Progress::Ask(next) => fetch = next,
                Progress::Done(fetched) => {
                    accept(&fetched.rows).map_err(|error| stuck(&target, &error))?;
                    return Ok(fetched);
                }
            }
            last_body = answer.body;
        }
    }

    fn allowed_requests(&self) -> u64 {
        let pages = self.polled.got.len() as u64 / super::reading::PAGE_SIZE as u64;
        REQUESTS_AT_LEAST + REQUESTS_PER_PAGE * pages
    }
}

fn accept(rows: &[Row]) -> Result<(), CallError> {
    storage::check(rows).map_err(CallError::Storage)
}

fn stuck(target: &str, error: &CallError) -> Ending {
    Ending::Stuck(format!("GET {target}: {error}"))
}
