//! A list read from its first page to its end, as a careful reader would: past short pages too.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::options::Options;
use super::probe::{Probe, Reply};
use super::reading::{self, PAGE_SIZE, ServedRow};
use tributary_formance::Kind;

/// Everything that a list held.
#[derive(Debug, Default)]
pub struct Walk {
    /// The rows, in the order in which they were served.
    pub rows: Vec<ServedRow>,
    /// The pages that they came in.
    pub pages: Vec<WalkedPage>,
    /// Pages that were short although rows followed.
    pub short: Vec<ShortPage>,
    /// What came after the last page.
    pub past_end: PastEnd,
    /// Whether it ended because it had read as many rows as it may.
    pub truncated: bool,
    /// Why it could not go on.
    pub broken: Option<String>,
    /// The row that lay farthest ahead of the server's clock when it was served.
    pub ahead: Option<Ahead>,
}

/// One page of a walk.
#[derive(Debug)]
pub struct WalkedPage {
    /// Its number, from 1.
    pub number: u64,
    /// The position of its first row in the walk.
    pub start: usize,
    /// How many rows it had.
    pub len: usize,
    /// The digest of its body.
    pub digest: [u8; 32],
}

/// A page that Formance would have taken for the last one.
#[derive(Debug)]
pub struct ShortPage {
    /// What was asked.
    pub target: String,
    /// How many rows it had.
    pub len: usize,
    /// The page behind it that had rows.
    pub next: u64,
    /// How many rows that one had.
    pub next_len: usize,
}

/// What was seen past the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum PastEnd {
    /// The walk did not come that far.
    #[default]
    Unseen,
    /// 200 and an empty list.
    Empty,
    /// Something else: what was asked, and what came.
    Wrong(String),
}

/// A row ahead of the clock.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// By how much, beyond the whole second of the `Date` header.
    pub by: Duration,
    /// The row.
    pub literal: String,
    /// Whether the server told its clock; else ours was used.
    pub server_clock: bool,
}

/// Reads the list of `kind` from its first page, up to `options.max_rows`.
pub async fn walk(probe: &mut Probe<'_>, kind: Kind, options: &Options) -> Walk {
    let mut walker = Walker { probe, kind, walk: Walk::default(), last_body: None };
    let mut number = 1;
    while let Some(next) = walker.page(number, options.max_rows).await {
        number = next;
    }
    walker.walk
}

struct Walker<'w, 'p> {
    probe: &'w mut Probe<'p>,
    kind: Kind,
    walk: Walk,
    last_body: Option<[u8; 32]>,
}

impl Walker<'_, '_> {
    /// Reads one page; gives the number of the next, `None` at the end.
    async fn page(&mut self, number: u64, max_rows: usize) -> Option<u64> {
        let (reply, rows) = match self.ask(number).await {
            Ok(page) => page,
            Err(why) => {
                self.walk.broken = Some(why);
                return None;
            }
        };
        let digest = digest(&reply);
        if !rows.is_empty() && self.last_body.replace(digest) == Some(digest) {
            self.walk.broken = Some(format!("GET {} answered the page before it once more", reply.target));
            return None;
        }
        let (len, target) = (rows.len(), reply.target.clone());
        if len < PAGE_SIZE {
            return match self.beyond(number, &digest).await {
                Beyond::End => {
                    self.keep(number, &reply, rows);
                    None
                }
                Beyond::Rows { next, next_len } => {
                    self.recheck(number, target, len, next, next_len, (reply, rows)).await
                }
            };
        }
        self.keep(number, &reply, rows);
        if self.walk.rows.len() >= max_rows {
            self.walk.truncated = true;
            return None;
        }
        Some(number + 1)
    }

    /// A short page before rows is a defect, unless the rows were written between the two
    /// requests: then the page is full by now.
    async fn recheck(
        &mut self,
        number: u64,
        target: String,
        len: usize,
        next: u64,
        next_len: usize,
        first: (Reply, Vec<ServedRow>),
    ) -> Option<u64> {
        let (reply, rows) = match self.ask(number).await {
            Ok(again) => again,
            Err(_) => first,
        };
        if rows.len() < PAGE_SIZE {
            self.walk.short.push(ShortPage { target, len, next, next_len });
        }
        self.last_body = Some(digest(&reply));
        self.keep(number, &reply, rows);
        Some(number + 1)
    }

    /// Looks at the two pages behind a short one: a page of which everything was filtered away
    /// hides those behind it.
    async fn beyond(&mut self, number: u64, last: &[u8; 32]) -> Beyond {
        for next in [number + 1, number + 2] {
            match self.ask(next).await {
                Ok((_, rows)) if rows.is_empty() => {}
                Ok((reply, rows)) if digest(&reply) == *last => {
                    let what = format!("GET {} repeated {} rows of the last page", reply.target, rows.len());
                    self.walk.past_end = PastEnd::Wrong(what);
                    return Beyond::End;
                }
                Ok((_, rows)) => return Beyond::Rows { next, next_len: rows.len() },
                Err(why) => {
                    self.walk.past_end = PastEnd::Wrong(why);
                    return Beyond::End;
                }
            }
        }
        self.walk.past_end = PastEnd::Empty;
        Beyond::End
    }

    async fn ask(&mut self, number: u64) -> Result<(Reply, Vec<ServedRow>), String> {
        let target = reading::target(self.kind, number, PAGE_SIZE, None);
        let reply = self.probe.get(&target).await.map_err(|why| format!("GET {target}: {why}"))?;
        if !reply.is_success() {
            return Err(format!("GET {target}: status {}", reply.status));
        }
        let rows = reading::rows(self.kind, &reply.body).map_err(|why| format!("GET {target}: {why}"))?;
        Ok((reply, rows))
    }

    fn keep(&mut self, number: u64, reply: &Reply, rows: Vec<ServedRow>) {
        let page = WalkedPage { number, start: self.walk.rows.len(), len: rows.len(), digest: digest(reply) };
        self.walk.pages.push(page);
        for seen in &rows {
            let ahead = ahead(seen, reply);
            if ahead.as_ref().map(|ahead| ahead.by) > self.walk.ahead.as_ref().map(|ahead| ahead.by) {
                self.walk.ahead = ahead;
            }
        }
        self.walk.rows.extend(rows);
    }
}

enum Beyond {
    End,
    Rows { next: u64, next_len: usize },
}

fn digest(reply: &Reply) -> [u8; 32] {
    Sha256::digest(&reply.body).into()
}

/// By how much a row lies ahead of the clock at the time of the answer; `Date` has whole
/// seconds, so the second that it names is over at the latest.
fn ahead(seen: &ServedRow, reply: &Reply) -> Option<Ahead> {
    let now = i128::from(reply.date.unwrap_or(reply.arrived)) + 1;
    let nanos = seen.ok()?.watermark.unix_nanos() - now * 1_000_000_000;
    let by = Duration::from_nanos(u64::try_from(nanos.min(i128::from(u64::MAX))).ok()?);
    Some(Ahead { by, literal: seen.literal.clone(), server_clock: reply.date.is_some() })
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
