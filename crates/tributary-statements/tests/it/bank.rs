//! A bank with one account: what moved on it, and how its files cut that.

use proptest::prelude::*;

/// A movement. Days count from 2 March 2026.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub day: u32,
    pub units: i128,
    /// The bank's reference, of which there are few: they repeat.
    pub reference: Option<u8>,
}

/// What a file is about: lines between two balances.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The number of the statement, where the bank counts.
    pub number: Option<u32>,
    pub first_day: u32,
    pub last_day: u32,
    pub opening: i128,
    pub lines: Vec<Line>,
}

impl Cut {
    pub fn closing(&self) -> i128 {
        self.opening + self.lines.iter().map(|line| line.units).sum::<i128>()
    }
}

pub const DAYS: u32 = 6;

/// The movements of a week, day by day. Amounts and references are few, so that many lines are equal.
pub fn lines() -> impl Strategy<Value = Vec<Line>> {
    let units = prop::sample::select(vec![100, 100, 250, -100, -250, 4_999, -1]);
    let line = (0..DAYS, units, prop::option::of(0..3_u8));
    prop::collection::vec(line.prop_map(|(day, units, reference)| Line { day, units, reference }), 0..24)
        .prop_map(|mut lines| {
            lines.sort_by_key(|line| line.day);
            lines
        })
}

/// One statement for each span of days, numbered from 1 if the bank counts. `spans` are lengths in days; a
/// span of 0 cuts the next day in two statements.
pub fn statements(lines: &[Line], spans: &[u32], counts: bool) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut day, mut opening) = (0, 5_000);
    let mut spans = spans.iter().copied().chain(std::iter::repeat(1));
    while day < DAYS {
        let span = spans.next().unwrap_or(1);
        let last_day = (day + span.max(1) - 1).min(DAYS - 1);
        let all: Vec<Line> =
            lines.iter().filter(|line| (day..=last_day).contains(&line.day)).cloned().collect();
        let parts = if span == 0 && counts { all.split_at(all.len() / 2) } else { (&all[..], &[][..]) };
        for (index, part) in [parts.0, parts.1].into_iter().enumerate() {
            if index == 1 && (span > 0 || !counts) {
                continue;
            }
            let number = counts.then(|| u32::try_from(cuts.len()).unwrap() + 1);
            let cut = Cut { number, first_day: day, last_day, opening, lines: part.to_vec() };
            opening = cut.closing();
            cuts.push(cut);
        }
        day = last_day + 1;
    }
    cuts
}

/// Exports from a day to a day, which overlap, and one of all days, so that none is left out.
pub fn exports(lines: &[Line], windows: &[(u32, u32)]) -> Vec<Cut> {
    let all = [(0, DAYS - 1)];
    windows
        .iter()
        .chain(&all)
        .map(|(from, length)| {
            let (first_day, last_day) = (*from, (from + length).min(DAYS - 1));
            let before: i128 = lines.iter().filter(|line| line.day < first_day).map(|line| line.units).sum();
            let within = lines.iter().filter(|line| (first_day..=last_day).contains(&line.day));
            Cut {
                number: None,
                first_day,
                last_day,
                opening: 5_000 + before,
                lines: within.cloned().collect(),
            }
        })
        .collect()
}

/// Reports during each day: what was booked of it so far, again and again.
pub fn interim(lines: &[Line]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for day in 0..DAYS {
        let of_day: Vec<Line> = lines.iter().filter(|line| line.day == day).cloned().collect();
        for so_far in 1..=of_day.len() {
            let lines = of_day[..so_far].to_vec();
            let number = Some(u32::try_from(cuts.len()).unwrap() + 1);
            cuts.push(Cut { number, first_day: day, last_day: day, opening: 0, lines });
        }
    }
    cuts
}
