//! Pages that go on at the time of a record: each begins with the record with which the one before ended, so that
//! others of the same time are not skipped. That it does is looked at, for it is the only thing that shows that
//! nothing lies between two pages.

use chrono::{DateTime, Utc};
use jaq_json::Val;

use super::super::facts::PageFacts;
use super::super::position::Token;
use super::Step;
use crate::manifest::{Bound, SortOrder, TimeFormat};

/// How the time of a record asks for the next page.
#[derive(Debug)]
pub struct Keyset {
    pub bound: Bound,
    pub format: TimeFormat,
    pub order: SortOrder,
}

impl Keyset {
    /// What is asked for after the page of `token` that held `facts`; `short` says that it held fewer records than
    /// were asked for. The error says why it would be wrong to go on, and wrong to stop.
    pub fn step(&self, token: Option<&Token>, facts: &PageFacts, short: bool) -> Result<Step, String> {
        let Some((earliest, latest)) = facts.keys else {
            return match (facts.count, token) {
                (0, Some(Token::Time(time))) => Err(self.gap(*time)),
                (0, _) => Ok(Step::End),
                _ => Err("no record of a page has the time by which it goes on".to_owned()),
            };
        };
        let (begins, ends) = if self.newest_first() { (latest, earliest) } else { (earliest, latest) };
        match token {
            Some(Token::Time(time)) => self.begins_at(begins, *time)?,
            Some(Token::Beyond(time)) if self.is_behind(self.token(ends), self.token(*time)) => {
                return Err(format!(
                    "page.size: a page with records of {} alone held fewer than were asked for, and others follow: \
                     whether it held all of that time is not known; ask for as few as the API gives",
                    self.format.write(*time)
                ));
            }
            Some(Token::Beyond(_)) => return Ok(Step::End),
            _ => {}
        }
        let next = self.token(ends);
        if token != Some(&Token::Time(next)) {
            return Ok(Step::Go(Token::Time(next)));
        }
        // what it holds is what the page before ended with, and nothing comes behind it
        match (short, facts.count) {
            (true, 1) => Ok(Step::End),
            // which might be all that the API gives at once
            (true, _) => Ok(Step::Go(Token::Beyond(ends))),
            _ => Err(format!("more records than fit on a page share the time {}", self.format.write(ends))),
        }
    }

    /// `time` as the parameter takes it.
    pub fn written(&self, time: DateTime<Utc>) -> Val {
        if self.newest_first() { self.format.upper(time) } else { self.format.lower(time) }
    }

    /// The time that asks for all that lies beyond the records of `time`.
    pub fn beyond(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.format.floor(time);
        match (self.bound, self.newest_first()) {
            (Bound::Exclusive, _) => floor,
            (Bound::Inclusive, true) => self.format.before(floor),
            (Bound::Inclusive, false) => self.format.after(floor),
        }
    }

    /// The field of the file that says by what is gone on.
    fn field(&self) -> &'static str {
        if self.newest_first() { "page.before" } else { "page.after" }
    }

    fn newest_first(&self) -> bool {
        self.order == SortOrder::NewestFirst
    }

    /// The time that asks for the record of `time` once more, and for all that lies behind it.
    fn token(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        match (self.newest_first(), self.bound) {
            (true, Bound::Exclusive) => self.format.after(time),
            (true, Bound::Inclusive) => self.format.ceil(time),
            (false, Bound::Exclusive) => self.format.before(self.format.floor(time)),
            (false, Bound::Inclusive) => self.format.floor(time),
        }
    }

    /// Whether who reads comes to `time` after `other`.
    fn is_behind(&self, time: DateTime<Utc>, other: DateTime<Utc>) -> bool {
        if self.newest_first() { time < other } else { time > other }
    }

    /// Refuses a page that was asked for with `asked` and whose first record is of `begins`, where that is not
    /// the one with which the page before ended.
    fn begins_at(&self, begins: DateTime<Utc>, asked: DateTime<Utc>) -> Result<(), String> {
        if self.is_behind(self.token(begins), asked) {
            return Err(self.gap(asked));
        }
        let newest_first = self.newest_first();
        let first = if newest_first { self.format.ceil(begins) } else { self.format.floor(begins) };
        if self.is_behind(asked, first) {
            return Err(format!(
                "{field}: the records from {} on were asked for, and one of {} came: the API does not look at the \
                 parameter, or its clock is another (`{field}.format`)",
                self.format.write(asked),
                self.format.write(begins),
                field = self.field()
            ));
        }
        Ok(())
    }

    fn gap(&self, asked: DateTime<Utc>) -> String {
        format!(
            "{field}: the page that was asked for with {} does not begin with the record with which the one before \
             ended: what lies between them was not read (`{field}.bound` says whether the API gives records of that \
             very time, `{field}.format` in which zone it reads it)",
            self.format.write(asked),
            field = self.field()
        )
    }
}
