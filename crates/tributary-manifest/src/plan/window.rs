//! The stretch of time that a walk asks for, and how far it carries the watermark.

use chrono::{DateTime, TimeDelta, Utc};

use super::position::Walk;
use crate::jq::Filter;
use crate::manifest::{Bound, Edge, TimeFormat};

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
        self.walk(from.max(furthest), now)
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
        Some(self.walk(until, walk.begun_at))
    }

    fn walk(&self, from: DateTime<Utc>, now: DateTime<Utc>) -> Walk {
        let end = (now - self.settle).max(from);
        let until = self.furthest(from).map_or(end, |furthest| furthest.min(end));
        Walk {
            begun_at: now,
            from: Some(from),
            until: Some(until),
            newest: None,
            token: None,
            fingerprint: None,
        }
    }

    /// The latest end of a window that begins at `from` for which what is sent spans no more than
    /// `step`, whether the API counts from limit to limit or what lies between them. Limits are
    /// rounded outwards to what their format can write, which has to fit, too.
    fn furthest(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (step, Edge { bound, format, .. }) = (self.step?, self.to.as_ref()?);
        let (first, asked) = (self.from.format.floor(from), self.asked_from(from));
        let last = match bound {
            Bound::Exclusive => asked + step,
            // the API answers the last unit, too
            Bound::Inclusive => (asked + step).min(first + step - format.unit()),
        };
        let last = format.floor(last);
        let whole_day = (*bound, *format) == (Bound::Inclusive, TimeFormat::Date);
        Some(if whole_day { last + format.unit() } else { last })
    }

    /// The shortest `step` with which every window ends behind its beginning, wherever that lies.
    pub fn shortest_step(from: &Edge, to: &Edge) -> TimeDelta {
        let (of_from, of_to) = (from.format.unit(), to.format.unit());
        if (to.bound, to.format) == (Bound::Inclusive, TimeFormat::Date) {
            return of_to;
        }
        let excluded = if from.bound == Bound::Exclusive { of_from } else { TimeDelta::zero() };
        let included = if to.bound == Bound::Inclusive { of_to } else { TimeDelta::zero() };
        of_from.max(of_to) + excluded.max(included)
    }

    /// The limit that asks for everything at and after `from`.
    fn asked_from(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        let Edge { bound, format, .. } = &self.from;
        match bound {
            Bound::Inclusive => format.floor(from),
            Bound::Exclusive => format.floor(from) - format.unit(),
        }
    }

    /// The parameters that ask for the window of `walk`: all from its beginning until before its
    /// end, where the next one begins. They may ask for more, never for less.
    pub fn query(&self, walk: &Walk) -> Vec<(String, String)> {
        let from = walk.from.map(|from| {
            let Edge { param, format, .. } = &self.from;
            (param.clone(), format.write(self.asked_from(from)))
        });
        let to = self.to.as_ref().zip(walk.until).map(|(Edge { param, bound, format }, until)| {
            // no window is empty: an API may refuse one that ends where it begins
            let until = walk.from.map_or(until, |from| until.max(from + TimeDelta::microseconds(1)));
            let edge = match (bound, format) {
                // a day that belongs to the window is in it to its end
                (Bound::Inclusive, TimeFormat::Date) => format.ceil(until) - format.unit(),
                _ => format.ceil(until),
            };
            (param.clone(), format.write(edge))
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
    Walk { begun_at: now, from: None, until: None, newest: None, token: None, fingerprint: None }
}

#[cfg(test)]
mod tests;
