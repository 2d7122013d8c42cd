//! Answers that are another thing than they seem.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use super::super::fsp::Fsp;
use super::super::refusal::Refusal;
use super::members::{each, escaped, list_of, rows_of, texts};
use super::{Board, Lie, Terms};

/// After so many answers a clock on a wall goes back by an hour.
const SUMMER: u64 = 2;

impl Board {
    /// What is said beside the body.
    pub fn headers(&mut self, path: &str) -> Vec<(&'static str, &'static str)> {
        let mut headers = Vec::new();
        for lie in self.lies.kinds.clone() {
            let remaining = match lie {
                Lie::NothingRemains => "0",
                Lie::UnreadableRemaining => "none; w=43200",
                _ => continue,
            };
            if self.tells(lie, path) {
                headers.extend([("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "43200")]);
            }
        }
        headers
    }

    /// Puts lies into `answer`; gives whether any was.
    pub fn change_value(&mut self, fsp: &dyn Fsp, terms: &Terms, path: &str, answer: &mut Value) -> bool {
        let mut changed = false;
        for lie in self.lies.kinds.clone() {
            let mut lied = answer.clone();
            let before = self.omitted.clone();
            let can = match lie {
                Lie::ErrorIn200 => {
                    lied = serde_json::to_value(fsp.refusal(&Refusal::Server(500)).1).unwrap_or_default();
                    true
                }
                Lie::NumberForCursor | Lie::LinkToAnotherList | Lie::LinkToAnotherHost => {
                    change_next(lie, terms, &mut lied)
                }
                Lie::ObjectForList | Lie::NullForList => {
                    let place = list_of(terms, &lied);
                    place.and_then(|place| lied.pointer_mut(&place)).is_some_and(|list| {
                        *list = if lie == Lie::NullForList { Value::Null } else { json!({}) };
                        true
                    })
                }
                _ => rows_of(terms, &mut lied).is_some_and(|rows| self.change_rows(lie, terms, path, rows)),
            };
            if can && lied != *answer && self.tells(lie, path) {
                (*answer, changed) = (lied, true);
            } else {
                self.omitted = before;
            }
        }
        if let Some(row) = rows_of(terms, answer).and_then(|rows| rows.last()) {
            self.seen.insert(path.to_owned(), row.clone());
        }
        changed
    }

    fn change_rows(&mut self, lie: Lie, terms: &Terms, path: &str, rows: &mut Vec<Value>) -> bool {
        match lie {
            Lie::OmittedForEver => {
                let hidden: Vec<bool> = rows
                    .iter()
                    .map(|row| names(terms, row).first().is_some_and(|id| self.picks(id, 8)))
                    .collect();
                let mut place = hidden.iter();
                rows.retain(|row| {
                    let hide = place.next().copied().unwrap_or_default();
                    self.omitted.extend(hide.then(|| names(terms, row)).into_iter().flatten());
                    !hide
                });
                return true;
            }
            Lie::Reversed => {
                rows.reverse();
                return true;
            }
            Lie::LocalClock => {
                let told = self.told.get(&lie).copied().unwrap_or_default();
                let east = if self.lies.seed.is_multiple_of(2) { 2 } else { -5 };
                let hours = TimeDelta::hours(east - i64::from(told >= SUMMER));
                rows.iter_mut().for_each(|row| each(row, terms.times, &mut |time| shift(time, hours)));
                return true;
            }
            Lie::PointInAmount => {
                rows.iter_mut().for_each(|row| each(row, terms.amounts, &mut with_point));
                return true;
            }
            _ => {}
        }
        if rows.is_empty() {
            return false;
        }
        let place = self.draw(rows.len());
        match lie {
            Lie::OmittedOnce => {
                let row = rows.remove(place);
                self.omitted.extend(names(terms, &row));
            }
            Lie::RowTwice => rows.insert(place, rows[place].clone()),
            Lie::BlankId => each(&mut rows[place], terms.ids, &mut |id| *id = json!(" ")),
            Lie::ReusedId => {
                let other = match self.seen.get(path) {
                    Some(seen) if self.draws.is_multiple_of(2) => seen.clone(),
                    _ => rows[(place + 1) % rows.len()].clone(),
                };
                rename(&mut rows[place], &other, terms.ids);
            }
            Lie::UpdatedGoesBack => {
                each(&mut rows[place], terms.updated, &mut |time| shift(time, TimeDelta::hours(-7)));
            }
            Lie::TypeOfMember => self.change_type(terms, &mut rows[place]),
            Lie::HalfSurrogate => self.mark(&mut rows[place], terms.words, HALF),
            Lie::Nul => self.mark(&mut rows[place], terms.words, "\0"),
            Lie::NotANumber => {
                if self.draw(2) == 0 || !nothing_is(&mut rows[place], NAN) {
                    each(&mut rows[place], terms.amounts, &mut |amount| *amount = json!(NAN));
                }
            }
            _ => return false,
        }
        true
    }

    /// Gives a member of `row` another type.
    fn change_type(&mut self, terms: &Terms, row: &mut Value) {
        let of_others = [terms.amounts, terms.times, terms.words].concat();
        let paths = if self.draw(4) == 0 { terms.ids } else { &of_others };
        if paths.is_empty() {
            return;
        }
        let (path, choice) = (paths[self.draw(paths.len())], self.draw(5));
        each(row, &[path], &mut |value| {
            *value = match choice {
                0 => json!([]),
                1 => json!({}),
                2 => json!(true),
                // an id may be a number
                _ if terms.ids.contains(&path) => json!([17]),
                3 if value.is_string() => json!(17),
                3 => json!(value.to_string()),
                _ => json!([value.take()]),
            };
        });
    }

    /// Puts `mark` into a text of `row`.
    fn mark(&mut self, row: &mut Value, words: &[&str], mark: &str) {
        let mut places = Vec::new();
        texts_of(row, "", words, &mut places);
        if !places.is_empty() {
            let place = &places[self.draw(places.len())];
            if let Some(text) = row.pointer_mut(place) {
                *text = json!(format!("{}{mark}", text.as_str().unwrap_or_default()));
            }
        }
    }
}

/// Finds the texts of `value` that people wrote and those at the paths `words`, as JSON pointers behind
/// `place`.
fn texts_of(value: &Value, place: &str, words: &[&str], found: &mut Vec<String>) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let place = format!("{place}/{}", escaped(name));
        let is_word = words.contains(&&place[1..]) || TEXTS.iter().any(|part| name.contains(part));
        if value.is_string() && is_word {
            found.push(place);
        } else {
            texts_of(value, &place, words, found);
        }
    }
}

/// By what a row is known: its ids, or where it has none, as a balance, whatever it is of.
fn names(terms: &Terms, row: &Value) -> Vec<String> {
    let mut ids = texts(row, terms.ids);
    if let Some([id, only_there]) = terms.account
        && row.get(only_there).is_some()
    {
        ids.extend(texts(row, &[id]));
    }
    if ids.is_empty() { texts_in(row).iter().map(|text| format!("of {text}")).collect() } else { ids }
}

/// All texts in `value`.
fn texts_in(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts_in).collect(),
        Value::Object(members) => members.values().flat_map(texts_in).collect(),
        _ => Vec::new(),
    }
}

/// What stands for half of a surrogate pair, and for `NaN`, until the body is written.
pub const HALF: &str = "\u{1}half";
pub const NAN: &str = "\u{1}nan";

/// What is in the names of members with text that people wrote.
const TEXTS: [&str; 5] = ["description", "Description", "name", "reference", "Information"];

/// Puts `value` in the place of the first member that is null.
fn nothing_is(row: &mut Value, value: &str) -> bool {
    let Value::Object(members) = row else { return false };
    members.values_mut().find(|value| value.is_null()).is_some_and(|null| {
        *null = json!(value);
        true
    })
}

/// Gives `row` the ids of `other`.
fn rename(row: &mut Value, other: &Value, ids: &[&str]) {
    for path in ids {
        let (mut theirs, mut own) = (Vec::new(), 0);
        each(&mut other.clone(), &[path], &mut |id| theirs.push(id.take()));
        each(row, &[path], &mut |id| {
            if let Some(other) = theirs.get(own) {
                *id = other.clone();
            }
            own += 1;
        });
    }
}

fn change_next(lie: Lie, terms: &Terms, answer: &mut Value) -> bool {
    let Some(next) = answer.pointer_mut(terms.next).filter(|next| !next.is_null()) else { return false };
    let link = next.as_str().and_then(|link| url::Url::parse(link).ok());
    match (lie, link) {
        (Lie::NumberForCursor, _) => *next = json!(2.0),
        (Lie::LinkToAnotherHost, Some(mut link)) => {
            if link.set_host(Some("elsewhere.example")).is_err() {
                return false;
            }
            *next = json!(link.to_string());
        }
        (Lie::LinkToAnotherList, Some(mut link)) => {
            let path = link.path().to_owned();
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let other = match path.ends_with("/refunds") || path.ends_with("/balances") {
                true => format!("{above}/payments"),
                false if path.ends_with("/transactions") => format!("{above}/balances"),
                false => format!("{above}/refunds"),
            };
            link.set_path(&other);
            *next = json!(link.to_string());
        }
        _ => return false,
    }
    true
}

/// A time whose offset has no colon, and one without an offset.
const BARE_OFFSET: &str = "%Y-%m-%dT%H:%M:%S%z";
const ON_THE_WALL: &str = "%Y-%m-%d %H:%M:%S";

fn shift(time: &mut Value, by: TimeDelta) {
    let Some(text) = time.as_str() else { return };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        *time = json!((at + by).to_rfc3339_opts(SecondsFormat::Micros, true));
    } else if let Ok(at) = DateTime::parse_from_str(text, BARE_OFFSET) {
        *time = json!((at + by).format(BARE_OFFSET).to_string());
    } else if let Ok(at) = NaiveDateTime::parse_from_str(text, ON_THE_WALL) {
        *time = json!((at + by).format(ON_THE_WALL).to_string());
    }
}

fn with_point(amount: &mut Value) {
    match amount {
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                // `1050.0`, digit by digit: the writer puts the point in
                *amount = json!(whole as f64);
            }
        }
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.push_str(".0"),
        _ => {}
    }
}
