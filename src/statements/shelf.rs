//! What is known of one account: the movements of all its statements, and how these follow on one another. Kept by the
//! process from one file to the next, and made anew from the database where another instance was ahead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use chrono::NaiveDate;
use tributary_domain::{Amount, ProviderName};
use tributary_statements::Purpose;
use tributary_statements::checks;
use tributary_statements::identity::{Book, Facts, Rules, Standing, State};

use crate::store::statements::Published;

/// How many movements a process keeps in mind, of all accounts together.
const MOVEMENTS_KEPT: usize = 400_000;

/// An account: its provider, number and currency.
pub type ShelfKey = (ProviderName, String, String);

/// What a process knows of accounts. A shelf is taken out while somebody works on it, and comes back once that is
/// committed: what was rolled back is forgotten with it.
#[derive(Debug, Default)]
pub struct Shelves(Mutex<HashMap<ShelfKey, Shelf>>);

impl Shelves {
    /// Takes what is known of an account; nothing of one that is new to this process.
    pub(super) fn take(&self, key: &ShelfKey) -> Shelf {
        self.0.lock().map(|mut shelves| shelves.remove(key)).ok().flatten().unwrap_or_default()
    }

    /// Gives it back, once it is committed.
    pub(super) fn put(&self, key: ShelfKey, shelf: Shelf) {
        let Ok(mut shelves) = self.0.lock() else { return };
        let kept: usize = shelves.values().map(|shelf| shelf.published.len()).sum();
        if kept + shelf.published.len() > MOVEMENTS_KEPT {
            shelves.clear();
        }
        shelves.insert(key, shelf);
    }
}

/// The two balances of a final statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub opening: i128,
    pub closing: i128,
    /// When the bank made it, as written.
    pub created: String,
}

/// What tells final statements apart: day, number and page; of those without a number, their balances.
type HeadKey = (NaiveDate, Option<u64>, String, Option<(i128, i128)>);

/// What is known of one account.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    book: Book,
    /// The statement of each arrival in the book.
    seqs: Vec<i64>,
    /// What was published of each movement, in the order of the book.
    published: Vec<Stood>,
    /// The sum of those that a final statement booked.
    booked: i128,
    heads: BTreeMap<HeadKey, Head>,
    /// Days whose statement was replaced or taken back.
    corrected: BTreeSet<NaiveDate>,
    /// Whether files came that are no final statements, and book.
    has_exports: bool,
}

/// How a movement stood when it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stood {
    state: State,
    is_final: bool,
    told: (u64, usize),
}

impl From<Standing<'_>> for Stood {
    fn from(standing: Standing<'_>) -> Self {
        let Standing { state, is_final, arrival, place, .. } = standing;
        Self { state, is_final, told: (arrival, place) }
    }
}

/// A movement that is new, or stands otherwise than was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    pub id: String,
    pub amount: Amount,
    pub state: State,
    pub is_final: bool,
    pub is_new: bool,
    /// Whether another statement tells of it than did before.
    pub is_retold: bool,
    /// The day that it is told of.
    pub day: Option<NaiveDate>,
    /// The statement that tells of it, and its place among the movements there.
    pub seq: i64,
    pub place: usize,
}

impl Shelf {
    /// The last statement that it has; 0 before the first.
    pub fn last(&self) -> i64 {
        self.seqs.last().copied().unwrap_or(0)
    }

    /// Takes what was published by somebody.
    pub fn follow(&mut self, row: &Published, rules: Rules) -> Result<(), String> {
        let facts: Facts = serde_json::from_str(&row.facts).map_err(|error| error.to_string())?;
        let units = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<i128>().ok());
        let head = row.closing_day.zip(units(&row.opening)).zip(units(&row.closing));
        let head = head.filter(|_| row.kind == "final").map(|((day, opening), closing)| {
            let name = (row.number.as_deref(), row.page.as_deref());
            self::head(day, name, opening, closing, &facts)
        });
        self.take(row.seq, &facts, head, row.kind == "export", rules);
        self.settle();
        Ok(())
    }

    /// Takes a statement that is published now as `seq`.
    pub fn take(
        &mut self,
        seq: i64,
        facts: &Facts,
        head: Option<(HeadKey, Head)>,
        is_export: bool,
        rules: Rules,
    ) {
        self.book.take(facts, rules);
        self.seqs.push(seq);
        self.has_exports |= is_export;
        let day = facts.closing_day();
        let head = match facts.purpose() {
            Purpose::Correction | Purpose::Deletion => {
                self.heads.retain(|(of, ..), _| Some(*of) != day);
                self.corrected.extend(day);
                head
            }
            _ => head.filter(|_| day.is_none_or(|day| !self.corrected.contains(&day))),
        };
        if let Some((key, head)) = head
            && self.heads.get(&key).is_none_or(|there| there.created <= head.created)
        {
            self.heads.insert(key, head);
        }
    }

    /// What is to be published.
    pub fn changed(&self) -> Vec<Changed> {
        let changed = self.book.touched().filter_map(|(slot, standing)| {
            let (before, now) = (self.published.get(slot), Stood::from(standing));
            if before == Some(&now) {
                return None;
            }
            let Standing { id, amount, state, day, is_final, arrival, place } = standing;
            let seq = usize::try_from(arrival.checked_sub(1)?).ok().and_then(|at| self.seqs.get(at));
            let (is_new, is_retold) =
                (before.is_none(), before.is_some_and(|before| before.told != now.told));
            Some(Changed {
                id: id.to_owned(),
                amount,
                state,
                is_final,
                is_new,
                is_retold,
                day,
                seq: *seq?,
                place,
            })
        });
        changed.collect()
    }

    /// Notes that all of it is published.
    pub fn settle(&mut self) {
        let counts = |stood: Stood| stood.is_final && stood.state == State::Booked;
        // those that are new come last, in their order
        for (slot, standing) in self.book.touched() {
            let (units, now) = (standing.amount.minor_units(), Stood::from(standing));
            let before = match self.published.get_mut(slot) {
                Some(there) => Some(std::mem::replace(there, now)),
                None => {
                    self.published.push(now);
                    None
                }
            };
            self.booked += units * i128::from(counts(now));
            self.booked -= units * i128::from(before.is_some_and(counts));
        }
        self.book.settle();
    }

    /// The latest closing balance, and its day. Of several of the last day, the one that nothing follows.
    pub fn latest(&self) -> Option<(NaiveDate, i128)> {
        let ((day, ..), last) = self.heads.last_key_value()?;
        let of_day: Vec<_> = self.heads.iter().filter(|((of, ..), _)| of == day).collect();
        let numbered = of_day.iter().all(|((_, number, ..), _)| number.is_some());
        let follows =
            |head: &Head| of_day.iter().any(|(_, other)| *other != head && other.opening == head.closing);
        let end = of_day.iter().find(|(_, head)| !follows(head)).map(|(_, head)| *head);
        let head = if numbered { last } else { end.unwrap_or(last) };
        Some((*day, head.closing))
    }

    /// C3: how many statements do not open where one of the day before them, or of their own day, closed; with the
    /// first of them, in words.
    pub fn broken_chains(&self) -> (usize, Option<String>) {
        let mut days: BTreeMap<NaiveDate, Vec<&Head>> = BTreeMap::new();
        for ((day, ..), head) in &self.heads {
            days.entry(*day).or_default().push(head);
        }
        let (mut broken, mut first) = (0, None);
        let mut before: Option<(NaiveDate, Vec<&Head>)> = None;
        for (day, heads) in days {
            let closings = before.iter().flat_map(|(_, heads)| heads).map(|head| (None, head.closing));
            let mut open: Vec<(Option<usize>, i128)> = closings.collect();
            open.extend(heads.iter().enumerate().map(|(at, head)| (Some(at), head.closing)));
            let lost = heads.iter().enumerate().filter(|(at, head)| {
                let follows =
                    |(of, closing): &(Option<usize>, i128)| *closing == head.opening && *of != Some(*at);
                match open.iter().position(follows) {
                    Some(found) => {
                        open.swap_remove(found);
                        false
                    }
                    None => true,
                }
            });
            let lost = lost.count();
            // the very first statement follows none
            let unexplained = lost - usize::from(before.is_none() && lost > 0);
            broken += unexplained;
            if let (Some((earlier, _)), true) = (&before, unexplained > 0) {
                first = first.or_else(|| {
                    Some(format!(
                        "a statement of {day} does not open where that of {earlier} closed: ask the bank for the statements \
                         in between"
                    ))
                });
            }
            before = Some((day, heads));
        }
        (broken, first)
    }

    /// C4: numbers that are left out.
    pub fn missing_numbers(&self) -> Vec<checks::Finding> {
        checks::numbers_left_out(self.heads.keys().filter_map(|(day, number, ..)| Some((*day, (*number)?))))
    }

    /// C6: how far what the bank says that moved is from what final statements booked. 0 where some of it came by
    /// exports, which have no two balances.
    pub fn off_by(&self) -> i128 {
        if self.has_exports || self.heads.is_empty() {
            return 0;
        }
        let said: i128 = self.heads.values().map(|head| head.closing - head.opening).sum();
        said - self.booked
    }
}

/// How a final statement of `day` is known, whose number and page are `name`.
pub(super) fn head(
    day: NaiveDate,
    (number, page): (Option<&str>, Option<&str>),
    opening: i128,
    closing: i128,
    facts: &Facts,
) -> (HeadKey, Head) {
    let numeric = number.and_then(|number| number.parse().ok());
    // in one piece, or in pages of which this is the first, it is the same statement
    let page = page.filter(|page| page.trim().parse::<u64>() != Ok(1));
    let name = format!("{} {}", number.unwrap_or_default(), page.unwrap_or_default());
    let created = facts.created().unwrap_or_default().to_owned();
    let balances = number.is_none().then_some((opening, closing));
    ((day, numeric, name, balances), Head { opening, closing, created })
}
