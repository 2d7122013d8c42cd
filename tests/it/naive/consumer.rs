//! Formance's loop, one page at a time, so that writers can come between two pages.

use std::collections::BTreeMap;

use tributary_formance::{Answer, Fetch, Kind, Progress, Request, Watermark};

/// Past so many requests a poll is taken for one that never ends.
const REQUESTS_MAX: u64 = 200_000;

/// A consumer of `/transactions` and what it got.
pub struct Consumer<S> {
    state: S,
    under_way: Option<Fetch<S>>,
    /// How often each version came, by its record and number.
    got: BTreeMap<(u32, u32), u32>,
    requests: u64,
    pub memory: super::variants::Ends,
}

/// What a consumer got of all that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Versions that came.
    pub delivered: usize,
    /// Versions that never came.
    pub lost: usize,
    /// Records of which the last version never came: Formance is wrong about them for ever.
    pub stale: usize,
    /// Versions that came again.
    pub doubled: usize,
    pub requests: u64,
    /// The walk came to its end, and had the last record by then.
    pub ended: bool,
}

impl<S: Watermark + Default> Consumer<S> {
    pub fn new() -> Self {
        Self {
            state: S::default(),
            under_way: None,
            got: BTreeMap::new(),
            requests: 0,
            memory: Default::default(),
        }
    }

    /// The next request, of the call that is under way or else of a new one.
    pub fn request(&mut self) -> Request {
        self.requests += 1;
        let fetch = || Fetch::new(Kind::Transactions, 100, self.state.clone());
        self.under_way.get_or_insert_with(fetch).request()
    }

    /// Takes the answer; gives whether the poll goes on.
    pub fn answer(&mut self, answer: &Answer) -> bool {
        let fetch = self.under_way.take().expect("a request was made");
        match fetch.answer(answer).expect("an answer that the connector accepts") {
            Progress::Ask(fetch) => self.under_way = Some(fetch),
            Progress::Done(done) => {
                for row in &done.rows {
                    let number = |text: &str| text.parse::<u32>().expect("a number of the workload");
                    let version = (number(&row.reference), number(row.payment().amount.as_str()));
                    *self.got.entry(version).or_default() += 1;
                }
                self.state = done.state;
                return done.has_more && self.requests < REQUESTS_MAX;
            }
        }
        self.requests < REQUESTS_MAX
    }

    /// Compares with how many versions each record has gone through.
    pub fn outcome(&self, versions: &[u32]) -> Outcome {
        let written: usize = versions.iter().map(|count| *count as usize).sum();
        let exist = |&&(record, version): &&(u32, u32)| (1..=versions[record as usize]).contains(&version);
        assert_eq!(self.got.keys().find(|version| !exist(version)), None, "came, but was never committed");
        let came = |record: usize, version: u32| self.got.contains_key(&(record as u32, version));
        let stale = |&(record, &last): &(usize, &u32)| last > 0 && !came(record, last);
        Outcome {
            delivered: self.got.len(),
            lost: written - self.got.len(),
            stale: versions.iter().enumerate().filter(stale).count(),
            doubled: self.got.values().map(|times| *times as usize - 1).sum(),
            requests: self.requests,
            ended: self.requests < REQUESTS_MAX && came(versions.len() - 1, 1),
        }
    }
}
