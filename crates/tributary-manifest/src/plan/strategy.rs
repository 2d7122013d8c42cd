//! How a stream finds what is new: where a walk begins, what it asks for, and what its end proves.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use jaq_json::Val;
use reqwest::Url;

use super::Stream;
use super::asks::Asks;
use super::facts::PageFacts;
use super::position::{Position, Report, Walk};
use super::window::{self, Descending, Halving, Window};
use crate::jq::Filter;
use crate::manifest::Param;

/// How a stream finds what is new.
#[derive(Debug)]
pub enum Strategy {
    /// Everything each time.
    Snapshot,
    Window(Box<Window>),
    Descending(Descending),
    Events(Events),
    Delta(Delta),
}

/// A stream of what changed since a token.
#[derive(Debug)]
pub struct Delta {
    /// The token for the next run, in an answer.
    pub token: Filter,
    pub param: Param,
    /// The ids of records that were removed, in an answer.
    pub removed: Option<Filter>,
}

/// A stream of events, read on behind the last one.
#[derive(Debug)]
pub struct Events {
    /// The id of an event.
    pub mark: Filter,
    pub param: Param,
}

impl Stream {
    /// The line of `field`, or of what it is within, in the file.
    pub fn line_of(&self, field: &str) -> Option<usize> {
        let within = || self.lines.get(field.split_once('.')?.0);
        self.lines.get(field).or_else(within).copied()
    }

    /// A position from which the newest window is asked for next, as if all before had been read; `None` where
    /// nothing is asked for by a time. `span` is how long that window is, where the API does not say.
    pub fn newest(&self, now: DateTime<Utc>, span: TimeDelta) -> Option<Position> {
        let Strategy::Window(window) = &self.strategy else { return None };
        Some(Position { watermark: Some(window.newest(now, span)), complete: true, ..Position::default() })
    }

    /// The walk that begins at `now`, cut to the microsecond: what it lists is kept as seen at that
    /// time, and has to come back as no earlier than it, or all would be taken for not listed.
    pub fn begin(&self, position: &Position, now: DateTime<Utc>) -> Walk {
        self.begin_for(position, None, now)
    }

    /// As [`Stream::begin`], of a walk that has to show or to miss records from `oldest` on.
    pub fn begin_for(&self, position: &Position, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Walk {
        let now = now.trunc_subsecs(6);
        match &self.strategy {
            Strategy::Window(window) => window.open(position.watermark, oldest, now),
            _ => window::whole(now),
        }
    }

    /// The stretch of time that the API is asked for in `walk`, as far as it has limits.
    pub fn asked(&self, walk: &Walk) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        match &self.strategy {
            Strategy::Window(window) => window.asked(walk),
            _ => (None, None),
        }
    }

    /// How far back the API is ever asked at `now`, where that has a limit.
    pub fn furthest_back(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.strategy {
            Strategy::Window(window) => Some(window.furthest_back(now)),
            _ => None,
        }
    }

    /// The walk that follows `walk`, which has ended, in the same run.
    pub fn next_walk(&self, walk: &Walk) -> Option<Walk> {
        match &self.strategy {
            Strategy::Window(window) => window.next(walk),
            _ => None,
        }
    }

    /// How many records of a window show that the API left out the rest.
    pub fn capped_at(&self) -> Option<u64> {
        self.halving()?.at
    }

    /// What is done about windows that are too much for the API.
    pub fn halving(&self) -> Option<&Halving> {
        match &self.strategy {
            Strategy::Window(window) => window.halving.as_ref(),
            _ => None,
        }
    }

    /// The window of `walk` cut to half of it, where it can be.
    pub fn halved(&self, walk: &Walk) -> Option<Walk> {
        match &self.strategy {
            Strategy::Window(window) => window.halved(walk),
            _ => None,
        }
    }

    /// The watermark once `walk` has ended.
    pub fn close(&self, watermark: Option<DateTime<Utc>>, walk: &Walk) -> Option<DateTime<Utc>> {
        match &self.strategy {
            Strategy::Window(window) => window.close(watermark, walk),
            Strategy::Descending(descending) => descending.close(watermark, walk),
            Strategy::Snapshot | Strategy::Events(_) | Strategy::Delta(_) => {
                watermark.max(Some(walk.begun_at))
            }
        }
    }

    /// Whether a page of these times lies wholly behind what was read before. An error where that says
    /// nothing of what comes after it, since the page goes from old to new.
    pub fn is_old(&self, position: &Position, walk: &Walk, facts: &PageFacts) -> Result<bool, String> {
        let Strategy::Descending(descending) = &self.strategy else { return Ok(false) };
        let end = descending.end(position.watermark, walk.begun_at);
        // one record without a time could be a new one
        let old = facts.undated == 0 && facts.latest.is_some_and(|latest| latest < end);
        if old && facts.ascends {
            return Err("newest_first: is for an API that lists the newest first; this one begins \
                        with the oldest, so that an old page is not the end"
                .to_owned());
        }
        Ok(old)
    }

    /// What asks for the next page of `walk`, which began from `position`. The error says why a place
    /// that was kept is of no use.
    pub fn asks(&self, position: &Position, walk: &Walk) -> Result<Asks, String> {
        let mut asks = match &walk.report {
            Some(report) => Self::asks_for_report(report)?,
            None => self.asks_what(position, walk),
        };
        self.pager.ask(walk.token.as_ref(), &mut asks)?;
        Ok(asks)
    }

    /// What asks for `report`, or where it stands. The error says why its URL is of no use.
    pub fn asks_for_report(report: &Report) -> Result<Asks, String> {
        let mut asks = Asks::default();
        asks.seen.report = Val::from(report.id.clone());
        let url = report.url.as_ref().map(|url| Url::parse(url)).transpose();
        asks.url = url.map_err(|error| format!("the URL of the report: {error}"))?;
        Ok(asks)
    }

    /// What says from which time, event or token on.
    pub fn asks_what(&self, position: &Position, walk: &Walk) -> Asks {
        let mut asks = Asks::default();
        match &self.strategy {
            Strategy::Window(window) => {
                window.query(walk).into_iter().for_each(|(param, value)| asks.add(param, value));
            }
            Strategy::Events(events) => {
                position.mark.iter().for_each(|mark| asks.add(&events.param, Val::from(mark.clone())));
            }
            Strategy::Delta(delta) => {
                position.mark.iter().for_each(|token| asks.add(&delta.param, Val::from(token.clone())));
            }
            Strategy::Snapshot | Strategy::Descending(_) => {}
        }
        asks
    }
}
