//! How the files of a bank cut what moved: into statements, exports and reports.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime};

use super::ledger::{Account, Currency, EUR, Ledger, Line};

/// What a file is about: lines between two balances.
#[derive(Debug, Clone)]
pub struct Cut {
    pub account: String,
    pub currency: Currency,
    /// What the bank calls the statement; most call all of them the same.
    pub id: String,
    /// The number of the statement, where the bank counts.
    pub number: Option<u32>,
    /// Which page of it this is, from 1 on, and whether it is the last.
    pub page: Option<(u32, bool)>,
    /// When the bank made it, where it says so.
    pub created: Option<NaiveDateTime>,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    /// In minor units.
    pub opening: i128,
    pub lines: Vec<Line>,
    /// What is expected, and not a part of the balance.
    pub pending: Vec<Line>,
    /// The line that was lost: balances count it, and it is not there.
    pub lost: Option<usize>,
    /// What its control totals have beyond the lines: of a whole statement nothing.
    pub off: i128,
}

impl Cut {
    /// Lines of the account `DE1`, in euro.
    pub fn new(
        number: Option<u32>,
        (first_day, last_day): (NaiveDate, NaiveDate),
        opening: i128,
        lines: Vec<Line>,
    ) -> Self {
        Self {
            account: "DE1".to_owned(),
            currency: EUR,
            id: "STMT".to_owned(),
            number,
            page: None,
            created: None,
            first_day,
            last_day,
            opening,
            lines,
            pending: Vec::new(),
            lost: None,
            off: 0,
        }
    }

    fn of(account: &Account, days: (NaiveDate, NaiveDate), opening: i128, lines: Vec<Line>) -> Self {
        Self {
            account: account.number.clone(),
            currency: account.currency,
            ..Self::new(None, days, opening, lines)
        }
    }

    /// The balance after it, in minor units.
    pub fn closing(&self) -> i128 {
        self.opening + self.lines.iter().map(|line| line.units).sum::<i128>()
    }

    /// The lines that are written.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().enumerate().filter(|(at, _)| self.lost != Some(*at)).map(|(_, line)| line)
    }

    /// How many lines of one side there are, and their sum without a sign, as control totals say it.
    pub(super) fn total(&self, debit: bool) -> (usize, i128) {
        let of: Vec<i128> =
            self.shown().map(|line| line.units).filter(|units| (*units < 0) == debit).collect();
        (of.len(), of.iter().sum::<i128>().abs() + if debit { 0 } else { self.off })
    }

    /// Its pages, of which there are as many as `parts` at most, and one with nothing on it if there are too few lines.
    pub fn pages(&self, parts: usize) -> Vec<Self> {
        let size = self.lines.len().div_ceil(parts).max(1);
        let mut chunks: Vec<Vec<Line>> = self.lines.chunks(size).map(<[Line]>::to_vec).collect();
        while chunks.len() < 2 {
            chunks.push(Vec::new());
        }
        let last = chunks.len();
        let mut opening = self.opening;
        let pages = chunks.into_iter().enumerate().map(|(at, lines)| {
            let number = u32::try_from(at).map_or(u32::MAX, |at| at + 1);
            let page = Self { opening, lines, page: Some((number, at + 1 == last)), ..self.clone() };
            opening = page.closing();
            page
        });
        pages.collect()
    }
}

/// One statement for each span of days of `ledger`, if the bank counts numbered by one from that of its first day in the
/// year on, and from 1 in the next. `spans` are
/// lengths in days, and those behind the last are of one; a span of 0 cuts the next day in two statements.
pub fn statements(ledger: &Ledger, account: &Account, spans: &[u32], counts: bool) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    let (mut at, mut opening) = (0, account.opening);
    let mut spans = spans.iter().copied().chain(std::iter::repeat(1));
    let mut number = ledger.first_day.ordinal0();
    while at < ledger.days {
        let span = spans.next().unwrap_or(1);
        let last = (at + span.max(1) - 1).min(ledger.days - 1);
        let days = (ledger.day(at), ledger.day(last));
        let within = |line: &&Line| (days.0..=days.1).contains(&line.day);
        let all: Vec<Line> = account.lines.iter().filter(within).cloned().collect();
        let parts: Vec<Vec<Line>> = match span == 0 && counts {
            true => [&all[..all.len() / 2], &all[all.len() / 2..]].map(<[Line]>::to_vec).into(),
            false => vec![all],
        };
        for part in parts {
            let new_year = cuts.last().is_some_and(|before| before.last_day.year() != days.1.year());
            number = if new_year { 1 } else { number + 1 };
            let cut = Cut { number: counts.then_some(number), ..Cut::of(account, days, opening, part) };
            opening = cut.closing();
            cuts.push(cut);
        }
        at = last + 1;
    }
    cuts
}

/// For how many days an expected movement is shown that is never booked.
const SHOWN_DAYS: i64 = 2;

/// Exports from a day to a day, which overlap, as they are at the end of their last day; and one of all days, so that
/// none is left out. `windows` are first days, by number, and how many days follow.
pub fn exports(ledger: &Ledger, account: &Account, windows: &[(u32, u32)]) -> Vec<Cut> {
    let all = [(0, ledger.days - 1)];
    let windows = windows.iter().chain(&all);
    let cuts = windows.map(|(from, length)| {
        let days = (ledger.day(*from), ledger.day((from + length).min(ledger.days - 1)));
        let before: i128 = account.lines.iter().filter(|line| line.day < days.0).map(|line| line.units).sum();
        let within = |day: NaiveDate| (days.0..=days.1).contains(&day);
        let lines = account.lines.iter().filter(|line| within(line.day)).cloned().collect();
        let announced = account.lines.iter().filter_map(|line| {
            let on = line.announced.filter(|on| within(*on) && line.day > days.1)?;
            Some(line.as_announced(on))
        });
        let shown = |line: &&Line| within(line.day) && (days.1 - line.day).num_days() < SHOWN_DAYS;
        let pending = announced.chain(account.never_booked.iter().filter(shown).cloned()).collect();
        Cut { pending, ..Cut::of(account, days, account.opening + before, lines) }
    });
    cuts.collect()
}

/// Reports during each day: what was booked of it so far, and what is expected, again and again.
pub fn reports(ledger: &Ledger, account: &Account) -> Vec<Cut> {
    let mut by_day: BTreeMap<NaiveDate, (Vec<Line>, Vec<Line>)> = BTreeMap::new();
    for line in &account.lines {
        by_day.entry(line.day).or_default().0.push(line.clone());
        if let Some(on) = line.announced {
            by_day.entry(on).or_default().1.push(line.as_announced(on));
        }
    }
    for line in &account.never_booked {
        by_day.entry(line.day).or_default().1.push(line.clone());
    }
    let mut cuts = Vec::new();
    for (day, (booked, pending)) in by_day {
        if day > ledger.last_day() {
            continue;
        }
        for so_far in 0..=booked.len() {
            let number = u32::try_from(cuts.len()).map_or(u32::MAX, |at| at + 1);
            let lines = booked[..so_far].to_vec();
            // what is booked by then is not expected any more
            let open = |line: &&Line| {
                !lines.iter().any(|booked| booked.units == line.units && booked.announced.is_some())
            };
            let pending: Vec<Line> = pending.iter().filter(open).cloned().collect();
            if lines.is_empty() && pending.is_empty() {
                continue;
            }
            cuts.push(Cut { number: Some(number), pending, ..Cut::of(account, (day, day), 0, lines) });
        }
    }
    cuts
}
