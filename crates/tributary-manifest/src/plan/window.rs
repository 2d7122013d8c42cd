//! The stretch of time that a walk asks for, and how far it carries the watermark.

use chrono::{DateTime, TimeDelta, Utc};

use jaq_json::Val;

use super::position::Walk;
use crate::jq::Filter;
use crate::manifest::{Bound, Edge, Param};

/// A stream that is read window by window.
#[derive(Debug)]
pub struct Window {
    /// The time by which the API filters.
    pub cursor: Filter,
    pub from: Edge,
    pub to: Option<Edge>,
    pub lookback: TimeDelta,
    pub settle: TimeDelta,
    pub start: TimeDelta,
    pub step: Option<TimeDelta>,
    /// What is done about a window that is too much for the API; nothing, where none.
    pub halving: Option<Halving>,
}

/// What is done about windows that are too much for the API: they are halved.
#[derive(Debug)]
pub struct Halving {
    /// How many records show that the API left out the rest.
    pub at: Option<u64>,
    pub shortest: TimeDelta,
}

impl Window {
    /// The window of a walk that begins at `now` where `watermark` was reached.
    ///
    /// It begins the lookback before the watermark (an API may show a record after its own
    /// timestamp), and never further back than the API answers: a quiet account's last change
    /// grows older than that, and all before was read back then.
    /// It begins no later than `oldest`, the time of a record that it has to show or to miss.
    pub fn open(
        &self,
        watermark: Option<DateTime<Utc>>,
        oldest: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Walk {
        let furthest = self.furthest_back(now);
        let usual = watermark.map_or(furthest, |watermark| watermark - self.lookback);
        let from = oldest.map_or(usual, |oldest| oldest.min(usual));
        self.walk(from.max(furthest), now, None)
    }

    /// The watermark with which the window of a walk that begins at `now` is the newest one, or of the last
    /// `span` where windows have no length of their own.
    pub fn newest(&self, now: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
        now - self.settle - self.step.unwrap_or(span) + self.lookback
    }

    /// How far back any window begins at `now`.
    pub fn furthest_back(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.start
    }

    /// The stretch of time that the API is asked for by the window of `walk`: all at and after the first
    /// and before the second time, where there are such limits. Limits are sent as their format can write
    /// them, and an API that takes no end lists what is dated into the future, too.
    pub fn asked(&self, walk: &Walk) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let from = walk.from.map(|from| self.from.format.floor(from));
        (from, self.to.as_ref().zip(walk.until).map(|(to, until)| to.format.ceil(until)))
    }

    /// The window behind that of `walk`, if the API answers only so much at once.
    pub fn next(&self, walk: &Walk) -> Option<Walk> {
        let until = walk.until.filter(|until| self.step.is_some() && *until < walk.begun_at - self.settle)?;
        // where one that was shorter did, a longer one is tried again
        let longest = walk.longest_us.map(|us| TimeDelta::microseconds(us.saturating_mul(2)));
        let longest = longest.filter(|longest| self.step.is_some_and(|step| *longest < step));
        Some(self.walk(until, walk.begun_at, longest))
    }

    /// The window of `walk` cut to half of it, to be asked for from its first page on; `None` where it is as
    /// short as one can be.
    pub fn halved(&self, walk: &Walk) -> Option<Walk> {
        let (from, until) = (walk.from?, walk.until?);
        let shortest = self.halving.as_ref()?.shortest;
        let longest = ((until - from) / 2).max(shortest);
        let halved = self.walk(from, walk.begun_at, Some(longest));
        (halved.until < walk.until).then_some(halved)
    }

    fn walk(&self, from: DateTime<Utc>, now: DateTime<Utc>, longest: Option<TimeDelta>) -> Walk {
        let end = (now - self.settle).max(from);
        let until = self.furthest(from, longest).map_or(end, |furthest| furthest.min(end));
        Walk {
            from: Some(from),
            until: Some(until),
            longest_us: longest.and_then(|longest| longest.num_microseconds()),
            ..whole(now)
        }
    }

    /// The latest end of a window that begins at `from` for which what is sent spans no more than
    /// `step`, and `longest` where there is one, whether the API counts from limit to limit or what lies between them. Limits are
    /// rounded outwards to what their format can write, which has to fit, too.
    fn furthest(&self, from: DateTime<Utc>, longest: Option<TimeDelta>) -> Option<DateTime<Utc>> {
        let (step, Edge { bound, format, .. }) = (self.step?, self.to.as_ref()?);
        let step = longest.map_or(step, |longest| longest.min(step));
        // each limit may be sent wider by that much
        let step = step - self.from.format.widening() - format.widening();
        let (first, asked) = (self.from.format.floor(from), self.asked_from(from));
        let last = match bound {
            Bound::Exclusive => asked + step,
            // the API answers the last unit, too
            Bound::Inclusive => (asked + step).min(first + step - format.unit()),
        };
        let last = format.floor(last);
        let whole_day = *bound == Bound::Inclusive && format.counts_days();
        let last = if whole_day { format.after(last) } else { last };
        // a day may be longer than 24 hours
        Some(last.max(format.after(format.floor(from))))
    }

    /// The shortest `step` with which every window ends behind its beginning, wherever that lies.
    pub fn shortest_step(from: &Edge, to: &Edge) -> TimeDelta {
        let (of_from, of_to) = (from.format.unit(), to.format.unit());
        let wider = from.format.widening() + to.format.widening();
        if to.bound == Bound::Inclusive && to.format.counts_days() {
            return of_to + wider;
        }
        let excluded = if from.bound == Bound::Exclusive { of_from } else { TimeDelta::zero() };
        let included = if to.bound == Bound::Inclusive { of_to } else { TimeDelta::zero() };
        of_from.max(of_to) + excluded.max(included) + wider
    }

    /// The limit that asks for everything at and after `from`.
    fn asked_from(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        let Edge { bound, format, .. } = &self.from;
        match bound {
            Bound::Inclusive => format.floor(from),
            Bound::Exclusive => format.before(format.floor(from)),
        }
    }

    /// What asks for the window of `walk`: all from its beginning until before its end, where the next
    /// one begins. It may ask for more, never for less.
    pub fn query(&self, walk: &Walk) -> Vec<(&Param, Val)> {
        let from = walk.from.map(|from| {
            let Edge { param, format, .. } = &self.from;
            (param, format.lower(self.asked_from(from)))
        });
        let to = self.to.as_ref().zip(walk.until).map(|(Edge { param, bound, format }, until)| {
            // no window is empty: an API may refuse one that ends where it begins
            let until = walk.from.map_or(until, |from| until.max(from + TimeDelta::microseconds(1)));
            let edge = match bound {
                // a day that belongs to the window is in it to its end
                Bound::Inclusive if format.counts_days() => format.before(format.ceil(until)),
                _ => format.ceil(until),
            };
            (param, format.upper(edge))
        });
        from.into_iter().chain(to).collect()
    }

    /// The watermark once `walk` has ended: never back, and never ahead of what was asked: a
    /// record dated into the future must not make the stream skip what happens until then.
    pub fn close(&self, watermark: Option<DateTime<Utc>>, walk: &Walk) -> Option<DateTime<Utc>> {
        let reached = match &self.to {
            Some(_) => walk.until,
            None => walk.newest.map(|newest| newest.min(walk.begun_at - self.settle)),
        };
        watermark.max(reached)
    }
}

/// A stream without filter that lists the newest records first.
#[derive(Debug)]
pub struct Descending {
    /// The time by which the API sorts.
    pub cursor: Filter,
    pub lookback: TimeDelta,
    pub start: TimeDelta,
}

impl Descending {
    /// Records older than this were read by walks before.
    pub fn end(&self, watermark: Option<DateTime<Utc>>, begun_at: DateTime<Utc>) -> DateTime<Utc> {
        let furthest = begun_at - self.start;
        watermark.map_or(furthest, |watermark| (watermark - self.lookback).max(furthest))
    }

    /// The watermark once `walk` has ended.
    pub fn close(&self, watermark: Option<DateTime<Utc>>, walk: &Walk) -> Option<DateTime<Utc>> {
        watermark.max(walk.newest.map(|newest| newest.min(walk.begun_at)))
    }
}

/// A walk that asks for no stretch of time.
pub fn whole(now: DateTime<Utc>) -> Walk {
    Walk {
        begun_at: now,
        from: None,
        until: None,
        newest: None,
        token: None,
        fingerprint: None,
        report: None,
        next_mark: None,
        longest_us: None,
        rows: 0,
    }
}

#[cfg(test)]
mod tests;
