//! How far a walk through one partition has come: what it goes on with, and what is kept of it.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::ask::Fetched;
use super::follow_up::Listed;
use super::lost::Start;
use super::mapping::Reading;
use super::numbered::Numbered;
use super::page::MappedRecord;
use super::report::{ReadError, Warning, Warnings};
use super::seen::Seen;
use super::sharing::Counted;
use crate::plan::{PageFacts, Position, Step, Stream, TrackedBy, Walk};

/// How many pages without any record one walk takes one after the other: an API that names a next
/// page each time would be asked for ever.
const MOST_EMPTY: u32 = 1_000;
/// How far a partition has come in this run.
pub(super) struct Course {
    pub position: Position,
    /// The position that is asked from, which stands still meanwhile.
    pub asked: Position,
    pub walk: Walk,
    pub listed: Listed,
    pub counted: Counted,
    /// Digests of the tokens of this walk's pages: a token may be long, and pages many.
    tokens: HashSet<[u8; 32]>,
    /// The pages of this walk, where they are asked for by a number.
    pages: Numbered,
    seen: Seen,
    /// That of each stream that shares the answers.
    seen_by_sharers: Vec<Seen>,
    /// Pages without a record, up to the last one.
    empty: u32,
    /// How many records the walk has to bring, by its latest answer.
    total: Option<u64>,
    /// From where the next page is asked for, until it has come.
    start: Start,
    /// What is odd about the walk; told with its next page.
    pub told: Warnings,
    /// `counted` as it was before this window.
    before_window: Counted,
    /// What is kept before the next page is asked for.
    pub to_keep: Option<serde_json::Value>,
    /// The streams that share its answers.
    pub sharing: Vec<Arc<Stream>>,
}

impl Course {
    /// From `position` on; a window begins early enough to show or to miss what is open since `oldest`.
    pub(super) fn new(
        stream: &Stream,
        mut position: Position,
        oldest: Option<DateTime<Utc>>,
        sharing: Vec<Arc<Stream>>,
    ) -> Self {
        let sharers = sharing.len();
        let start = Start::at(stream, &mut position);
        let kept = position.walk.take();
        let walk = kept.unwrap_or_else(|| stream.begin_for(&position, oldest, Utc::now()));
        Self {
            asked: position.clone(),
            position,
            listed: Listed::by(stream, &walk),
            walk,
            counted: Counted::of(sharers),
            tokens: HashSet::new(),
            pages: Numbered::default(),
            seen: Seen::default(),
            seen_by_sharers: (0..sharers).map(|_| Seen::default()).collect(),
            empty: 0,
            total: None,
            start,
            told: Warnings::new(),
            before_window: Counted::of(sharers),
            to_keep: None,
            sharing,
        }
    }

    /// Whether a record that cannot be had is put aside: the next run would not ask for it again, or
    /// others have in vain.
    pub(super) fn puts_aside(&self, stream: &Stream) -> bool {
        !stream.keeps_position() || self.start.has_failed_enough()
    }

    /// Begins anew because of `error`, if that is worth it; else what is to be kept of it.
    pub(super) fn after_failure(&mut self, stream: &Stream, provider: &str, error: &ReadError) -> Failed {
        if error.is_too_much() && self.halve(stream) {
            return Failed::BeginsAnew;
        }
        let Some(warning) = self.start.begin_anew(error, &self.position, provider) else {
            let failed = self.start.failed_again(error);
            return Failed::For(failed.map(|failed| {
                let walk = self.start.is_resumed().then(|| self.walk.clone());
                Position { failed, walk, ..self.position.clone() }.to_json()
            }));
        };
        if matches!(warning, Warning::MarkLost(..) | Warning::TokenLost(_)) {
            (self.position.mark, self.asked.mark) = (None, None);
        }
        *self.told.entry(warning).or_default() += 1;
        self.tokens.clear();
        self.pages.clear();
        self.seen.clear();
        self.seen_by_sharers.iter_mut().for_each(Seen::clear);
        self.empty = 0;
        self.counted.clear();
        self.walk = stream.begin(&self.position, Utc::now());
        self.listed = Listed::by(stream, &self.walk);
        Failed::BeginsAnew
    }

    /// Goes on with half of the window, from its first page on, where it can be halved.
    fn halve(&mut self, stream: &Stream) -> bool {
        let Some(halved) = stream.halved(&self.walk) else { return false };
        self.start.came();
        self.tokens.clear();
        self.pages.clear();
        self.empty = 0;
        self.counted.clone_from(&self.before_window);
        self.walk = halved;
        self.listed.until = Listed::by(stream, &self.walk).until;
        // a run that is killed does not begin with what is too much again
        self.to_keep = self.kept(stream, true);
        true
    }

    /// `error`, or where it is that a window holds too much which cannot be halved, that.
    pub(super) fn explained(&self, stream: &Stream, error: ReadError) -> ReadError {
        let window = self.walk.from.zip(self.walk.until);
        match (stream.halving(), window) {
            (Some(_), Some((from, until))) if error.is_too_much() => ReadError::TooMuch(format!(
                "the window from {from} to {until} is as short as one can be, and still holds too much for the API ({error}); \
                 ask for less of it at once, or let `halve.shortest` be shorter"
            )),
            _ => error,
        }
    }

    /// Looks at the records of a page for what they are not: the same ones as of an earlier page, or two
    /// payments under one id.
    pub(super) fn check(&mut self, stream: &Stream, fetched: &mut Fetched) -> Result<(), ReadError> {
        if stream.pager.counts() && !fetched.old {
            self.pages.check(&stream.pager, &fetched.reading, &fetched.facts).map_err(ReadError::Paging)?;
        }
        let rows = self.walk.rows + fetched.facts.count as u64;
        if stream.capped_at().is_some_and(|most| rows >= most) {
            return Err(ReadError::TooMuch(format!(
                "a window has {rows} records, of which the API gives no more: others may be missing"
            )));
        }
        tell_apart(&mut self.seen, &mut fetched.reading, fetched.sent_at);
        for (seen, reading) in self.seen_by_sharers.iter_mut().zip(&mut fetched.shared) {
            tell_apart(seen, reading, fetched.sent_at);
        }
        Ok(())
    }

    pub(super) fn pass(&mut self, stream: &Stream, facts: PageFacts) {
        self.start.came();
        self.total = facts.total;
        if stream.capped_at().is_some() || stream.pager.total.is_some() {
            self.walk.rows += facts.count as u64;
        }
        self.empty = if facts.count == 0 { self.empty + 1 } else { 0 };
        self.walk.newest = self.walk.newest.max(facts.times.map(|(_, latest)| latest));
        self.walk.fingerprint = Some(facts.fingerprint);
        if stream.is_delta() {
            // where nothing changed since a token, and the answer has no body, the token stays good
            let same = self.position.mark.clone().filter(|_| facts.bodiless);
            self.walk.next_mark = facts.mark.or(self.walk.next_mark.take()).or(same);
        } else {
            self.position.mark = facts.mark.or(self.position.mark.take());
        }
    }

    /// Goes on to what follows after a page whose pager says `step`: another page, another window,
    /// or nothing. `false` says that it was the last.
    pub(super) fn goes_on(&mut self, stream: &Stream, step: Step, old: bool) -> Result<bool, ReadError> {
        if let (Step::Go(token), false) = (step, old) {
            if !self.tokens.insert(token.digest()) {
                return Err(ReadError::Paging("the pages go in a circle".to_owned()));
            }
            if self.empty > MOST_EMPTY {
                return Err(ReadError::Paging(format!(
                    "{MOST_EMPTY} pages in a row hold no record, and yet name a next one"
                )));
            }
            self.walk.token = Some(token);
            return Ok(true);
        }
        if let Some(total) = self.total.take().filter(|total| !old && *total > self.walk.rows) {
            return Err(ReadError::Paging(format!(
                "page.total: the answer says that there are {total} records, and its pages brought {}",
                self.walk.rows
            )));
        }
        if stream.is_delta() {
            let Some(token) = self.walk.next_mark.take() else {
                return Err(ReadError::Paging(
                    "delta.token: no answer of the walk gave a token from which the next run could go on"
                        .to_owned(),
                ));
            };
            self.position.mark = Some(token);
        }
        self.position.watermark = stream.close(self.position.watermark, &self.walk);
        let Some(next) = stream.next_walk(&self.walk) else {
            self.position.complete = true;
            return Ok(false);
        };
        self.listed.until = Listed::by(stream, &next).until;
        self.tokens.clear();
        self.pages.clear();
        self.empty = 0;
        if stream.halving().is_some() {
            self.before_window.clone_from(&self.counted);
        }
        self.walk = next;
        Ok(true)
    }

    /// Whether it lists everything, of a stream that tells of removals else.
    pub(super) fn lists_all_again(&self, stream: &Stream) -> bool {
        let by_removal = stream.tracking.as_ref().is_some_and(|by| matches!(by.by, TrackedBy::Removal));
        by_removal && self.asked.mark.is_none()
    }

    /// The position of a walk that has just begun, whether or not it could go on at its pages.
    pub(super) fn stands_at(&self) -> serde_json::Value {
        Position { walk: Some(self.walk.clone()), ..self.position.clone() }.to_json()
    }

    /// The position that has the next run list everything once more.
    pub(super) fn without_token(&self) -> Option<serde_json::Value> {
        Some(Position { mark: None, ..self.position.clone() }.to_json())
    }

    /// What is kept with a page: the walk that `goes_on`, or the position it has reached.
    pub(super) fn kept(&self, stream: &Stream, goes_on: bool) -> Option<serde_json::Value> {
        let may_stand_still = goes_on && !stream.resumes();
        if !stream.keeps_position() || stream.waits_for_children() || may_stand_still {
            return None;
        }
        let walk = goes_on.then(|| self.walk.clone());
        Some(Position { walk, ..self.position.clone() }.to_json())
    }
}

/// Refuses the records of a page that come under an id which is another's.
fn tell_apart(seen: &mut Seen, reading: &mut Reading, sent_at: DateTime<Utc>) {
    for mapped in &mut reading.records {
        let MappedRecord::Canonical(record) = mapped else { continue };
        if let Err(reason) = seen.take(record, sent_at) {
            *reading.warnings.entry(Warning::SharedId(reason.clone())).or_default() += 1;
            *mapped = MappedRecord::Refused { record: record.clone(), reason };
        }
    }
}

/// What comes of a page that could not be read.
pub(super) enum Failed {
    /// The walk begins anew.
    BeginsAnew,
    /// It fails, and this cursor is kept.
    For(Option<serde_json::Value>),
}
