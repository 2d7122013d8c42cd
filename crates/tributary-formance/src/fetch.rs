//! One call that fetches the next rows of a list.

use super::decode;
use super::error::CallError;
use super::message::{Answer, Kind, Request};
use super::row::Row;
use super::state::Watermark;

/// A call in progress. It asks for page 1, 2, 3 and so on with one and the same
/// `from`, drops the rows that its state has seen, and ends when it has gathered
/// a page of new rows or a page was short.
///
/// It knows no network: ask [`request`](Self::request), feed what comes back to
/// [`answer`](Self::answer), until that is [`Progress::Done`].
#[derive(Clone, Debug)]
pub struct Fetch<S> {
    kind: Kind,
    page_size: usize,
    state: S,
    page: u64,
    rows: Vec<Row>,
}

/// Where a call stands after an answer.
#[derive(Clone, Debug)]
pub enum Progress<S> {
    /// It wants to ask another page.
    Ask(Fetch<S>),
    /// It has ended.
    Done(Fetched<S>),
}

/// What a successful call brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched<S> {
    /// The new rows, in the order in which they were served.
    pub rows: Vec<Row>,
    /// The state to save once the rows are stored.
    pub state: S,
    /// Whether Formance makes the next call at once instead of at its next poll.
    pub has_more: bool,
}

impl<S: Watermark> Fetch<S> {
    /// Begins a call for `kind` from `state`. Formance's `page_size` is 100.
    pub fn new(kind: Kind, page_size: usize, state: S) -> Self {
        Self { kind, page_size, state, page: 1, rows: Vec::new() }
    }

    /// The request that the call waits for an answer to.
    pub fn request(&self) -> Request {
        self.kind.list(self.page, self.page_size, self.state.time())
    }

    /// Takes the answer to [`request`](Self::request). An error ends the call;
    /// what it has gathered is lost and the old state stays.
    pub fn answer(mut self, answer: &Answer) -> Result<Progress<S>, CallError> {
        let page = answer.decode(|raw| decode::page(self.kind, raw))?;
        let full_page = page.len() >= self.page_size;
        for row in page {
            if !self.state.has_seen(row.id(), row.watermark(self.kind)) {
                self.rows.push(row.into_row(self.kind)?);
            }
        }
        if self.rows.len() < self.page_size && full_page {
            self.page += 1;
            return Ok(Progress::Ask(self));
        }
        self.finish(full_page).map(Progress::Done)
    }

    /// With exactly one page of new rows, only a full last page promises more;
    /// with rows to spare there are more in any case, even after a short page.
    fn finish(mut self, full_page: bool) -> Result<Fetched<S>, CallError> {
        let has_more = full_page || self.rows.len() > self.page_size;
        let state = self.state.close(&mut self.rows, self.page_size);
        state.to_json(self.kind)?;
        Ok(Fetched { rows: self.rows, state, has_more })
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
