//! Answers that are not true. A fault can be seen: an error, a cut. A lie comes with status 200 and
//! looks like an answer, or it is the answer to another question.

mod answer;
mod members;
mod request;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::when::{Schedule, When};
use super::{Standin, ids};

/// A kind of lie. Each says what the answer (or what is answered) is instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lie {
    /// A member of a row is of another type: a number for a text, a list for a number.
    TypeOfMember,
    /// The cursor of the next page is the number `2.0`.
    NumberForCursor,
    /// The list is `{}`.
    ObjectForList,
    /// The list is null.
    NullForList,
    /// An error object under status 200.
    ErrorIn200,
    /// The page that is asked for is not looked at: the first one comes.
    IgnoredPage,
    /// The window that is asked for is not looked at: everything comes.
    IgnoredWindow,
    /// The size that is asked for is not looked at: the API's own holds.
    IgnoredSize,
    /// Never more than half of the rows that are asked for.
    Capped,
    /// A page has a row less than asked for, and the next goes on behind it.
    ShortPage,
    /// A row is left out, once.
    OmittedOnce,
    /// A row is left out of every list.
    OmittedForEver,
    /// Some cursors are answered with 500, however often they come.
    DeadCursor,
    /// A cursor is answered with 400: it has aged.
    AgedCursor,
    /// A record that is asked for by its id is not there, once.
    NotThere,
    /// An id of blanks.
    BlankId,
    /// The id of another row, of this page or of an earlier one.
    ReusedId,
    /// Half of a surrogate pair in a text.
    HalfSurrogate,
    /// U+0000 in a text.
    Nul,
    /// A byte order mark before the body.
    ByteOrderMark,
    /// `NaN` where a value was null, or an amount.
    NotANumber,
    /// 429 with a `Retry-After` of a day, for one path.
    LongRetryAfter,
    /// A good answer whose headers say that it was the last for half a day.
    NothingRemains,
    /// The same, in a form that nobody can read.
    UnreadableRemaining,
    /// Times are those of a clock on a wall, which goes back by an hour once.
    LocalClock,
    /// The link to the next page leads to another list.
    LinkToAnotherList,
    /// The link to the next page leads to another host.
    LinkToAnotherHost,
    /// Whole amounts are written with a decimal point: `1050.0`.
    PointInAmount,
    /// The body ends in the middle, and its length says so, too.
    Truncated,
    /// A row comes twice.
    RowTwice,
    /// The rows of a page come in the opposite order.
    Reversed,
    /// The time of the last change goes back by some hours.
    UpdatedGoesBack,
}

impl Lie {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::TypeOfMember,
        Self::NumberForCursor,
        Self::ObjectForList,
        Self::NullForList,
        Self::ErrorIn200,
        Self::IgnoredPage,
        Self::IgnoredWindow,
        Self::IgnoredSize,
        Self::Capped,
        Self::ShortPage,
        Self::OmittedOnce,
        Self::OmittedForEver,
        Self::DeadCursor,
        Self::AgedCursor,
        Self::NotThere,
        Self::BlankId,
        Self::ReusedId,
        Self::HalfSurrogate,
        Self::Nul,
        Self::ByteOrderMark,
        Self::NotANumber,
        Self::LongRetryAfter,
        Self::NothingRemains,
        Self::UnreadableRemaining,
        Self::LocalClock,
        Self::LinkToAnotherList,
        Self::LinkToAnotherHost,
        Self::PointInAmount,
        Self::Truncated,
        Self::RowTwice,
        Self::Reversed,
        Self::UpdatedGoesBack,
    ];

    /// Whether it leaves rows out, which nobody can see in what is left.
    pub fn omits(self) -> bool {
        matches!(self, Self::OmittedOnce | Self::OmittedForEver)
    }

    /// Whether an API of these `terms` can tell it.
    pub fn suits(self, terms: &Terms) -> bool {
        let names_next = !terms.next.is_empty();
        let goes_by_cursor = terms.page.iter().any(|name| *name != terms.page_number);
        match self {
            Self::NumberForCursor => names_next && !terms.next_is_link,
            Self::LinkToAnotherList | Self::LinkToAnotherHost => names_next && terms.next_is_link,
            Self::IgnoredPage => !terms.page.is_empty(),
            // a number of a page neither dies nor ages
            Self::DeadCursor | Self::AgedCursor => goes_by_cursor,
            Self::IgnoredWindow => !terms.window.is_empty(),
            Self::IgnoredSize | Self::Capped => !terms.size.is_empty(),
            Self::ShortPage => goes_by_cursor && !terms.size.is_empty(),
            Self::UpdatedGoesBack => !terms.updated.is_empty(),
            Self::PointInAmount => terms.whole_amounts,
            Self::ReusedId => !terms.ids_are_parts,
            Self::NotThere => !terms.record.is_empty(),
            Self::LocalClock => !terms.times.is_empty(),
            _ => true,
        }
    }

    /// Whether it holds for as long as it is told: an API does not change its mind about these from
    /// one request to the next.
    fn is_steady(self) -> bool {
        matches!(self, Self::Capped | Self::OmittedForEver | Self::DeadCursor)
    }
}

/// What a liar has to know of an API: the names of its parameters, and paths of members in its
/// rows (`amount/value`; `legs/*/amount` of each in a list).
#[derive(Debug, Default)]
pub struct Terms {
    /// Paths under which a record is asked for by its id in each run, as they begin.
    pub record: &'static [&'static str],
    /// Members of which each row has one at least.
    pub rows: &'static [&'static str],
    /// What names a row.
    pub ids: &'static [&'static str],
    /// Whether that is only a part of what a record is known by: the same of two rows may name two.
    pub ids_are_parts: bool,
    /// What names an account where `ids` do not, and a member that no other row has.
    pub account: Option<[&'static str; 2]>,
    pub amounts: &'static [&'static str],
    /// Whether amounts count the smallest unit.
    pub whole_amounts: bool,
    /// Not where a row is known by its date.
    pub times: &'static [&'static str],
    /// Of these, the times of the last change.
    pub updated: &'static [&'static str],
    /// Words out of a few: statuses, directions.
    pub words: &'static [&'static str],
    /// Parameters by which a page is asked for.
    pub page: &'static [&'static str],
    /// Of these, the one that counts pages.
    pub page_number: &'static str,
    /// Parameters by which a number of rows is asked for.
    pub size: &'static [&'static str],
    /// Parameters by which a stretch of time is asked for.
    pub window: &'static [&'static str],
    /// Where an answer names the next page, as a JSON pointer; empty where none does.
    pub next: &'static str,
    /// Whether that is a URL.
    pub next_is_link: bool,
}

/// The lies that are told from now on. The default is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lies {
    pub kinds: Vec<Lie>,
    /// When one of them is told; those that are steady are told always.
    pub when: When,
    /// What is drawn follows from it: which row, which member.
    pub seed: u64,
}

/// The lies in force, and those that were told.
#[derive(Default)]
pub(super) struct Liar(Mutex<Board>);

#[derive(Default)]
pub(super) struct Board {
    lies: Lies,
    schedules: BTreeMap<Lie, Schedule>,
    told: BTreeMap<Lie, u64>,
    /// The ids of rows that were left out.
    omitted: BTreeSet<String>,
    /// A row that was seen earlier, by its path.
    seen: BTreeMap<String, Value>,
    /// How many values were drawn.
    draws: u64,
}

impl Board {
    /// Whether `lie` is told now, at this path.
    fn tells(&mut self, lie: Lie, path: &str) -> bool {
        if !lie.is_steady() {
            let when = self.lies.when.clone();
            if !self.schedules.entry(lie).or_default().hits(Some(&when), path) {
                return false;
            }
        }
        *self.told.entry(lie).or_default() += 1;
        true
    }

    /// A number below `end`, which is above 0.
    fn draw(&mut self, end: usize) -> usize {
        self.draws += 1;
        (ids::hash(self.lies.seed, "lie", self.draws) % end as u64) as usize
    }

    /// Whether one in `of` holds for `text`, the same each time.
    fn picks(&self, text: &str, of: u64) -> bool {
        let sum = text.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        ids::hash(self.lies.seed, "pick", sum).is_multiple_of(of)
    }
}

impl Liar {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standin {
    /// Tells these lies from the next request on, instead of those before. `Lies::default()` is the
    /// truth again.
    pub fn set_lies(&self, lies: Lies) {
        let board = &mut *self.liar.lock();
        board.schedules.clear();
        board.seen.clear();
        board.lies = lies;
    }

    /// How often each lie was told since the stand-in was opened.
    pub fn told(&self) -> BTreeMap<Lie, u64> {
        self.liar.lock().told.clone()
    }

    /// The ids of rows that a list left out though they belong to it.
    pub fn omitted(&self) -> BTreeSet<String> {
        self.liar.lock().omitted.clone()
    }
}

/// The answer to `request`, or the lie in its place.
pub(super) async fn answer(standin: &Arc<Standin>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let tells = request.method() == Method::GET && !standin.liar.lock().lies.kinds.is_empty();
    if !tells {
        return next.run(request).await;
    }
    let terms = standin.fsp.terms();
    if let Some(refusal) = standin.liar.lock().change_request(&terms, &path, &mut request) {
        return refusal.into_response();
    }
    let response = next.run(request).await;
    if response.status() != StatusCode::OK { response } else { told(standin, &terms, &path, response).await }
}

/// What becomes of a good answer.
async fn told(standin: &Arc<Standin>, terms: &Terms, path: &str, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let board = &mut *standin.liar.lock();
    for (name, value) in board.headers(path) {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    let mut bytes = whole.to_vec();
    if let Ok(mut value) = serde_json::from_slice::<Value>(&bytes)
        && board.change_value(standin.fsp, terms, path, &mut value)
    {
        bytes = serde_json::to_vec(&value).expect("plain data can be written to memory");
    }
    board.change_text(path, &mut bytes);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(bytes))
}

#[cfg(test)]
mod tests;
