//! What has to be published in the end of what a bank sent.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::camt::Message;
use super::cut::Cut;
use super::ledger::{Account, Ledger, Line};
use super::style::{Format, Style};

/// What has to be published of each account.
#[derive(Debug, Clone)]
pub struct Truth {
    pub accounts: Vec<OfAccount>,
    /// Whether a statement is missing.
    pub has_gap: bool,
    missing: BTreeSet<NaiveDate>,
}

/// What has to be published of an account.
#[derive(Debug, Clone)]
pub struct OfAccount {
    pub number: String,
    pub currency: &'static str,
    /// What is booked.
    lines: Vec<Line>,
    /// What was expected, and told so in a file that is taken.
    expected: BTreeSet<i128>,
    /// What a report told of as booked on another day than it was expected on: that is another movement to it.
    reported: BTreeSet<i128>,
    /// What another statement took back.
    taken_back: Vec<i128>,
    /// The balance after the last day, in minor units, where statements close.
    pub closing: Option<i128>,
}

impl Truth {
    /// If every day of `ledger` is told of.
    pub(super) fn of(ledger: &Ledger, format: Format) -> Self {
        let of = |account: &Account| OfAccount {
            number: account.number.clone(),
            currency: account.currency.code,
            lines: account.lines.clone(),
            expected: BTreeSet::new(),
            reported: BTreeSet::new(),
            taken_back: Vec::new(),
            closing: format.closes().then(|| account.closing()),
        };
        Self { accounts: ledger.accounts.iter().map(of).collect(), has_gap: false, missing: BTreeSet::new() }
    }

    fn account(&mut self, cut: &Cut) -> Option<&mut OfAccount> {
        self.accounts.iter_mut().find(|of| of.number == cut.account && of.currency == cut.currency.code)
    }

    /// The lines of `cuts` never come.
    pub(super) fn never_told(&mut self, cuts: &[Cut]) {
        self.has_gap = true;
        for cut in cuts {
            self.missing.extend(cut.first_day.iter_days().take_while(|day| *day <= cut.last_day));
            let Some(of) = self.account(cut) else { continue };
            for line in &cut.lines {
                if let Some(at) = of.lines.iter().position(|other| other == line) {
                    of.lines.remove(at);
                }
            }
        }
    }

    /// Whether the statement of this day never comes.
    pub(super) fn is_missing(&self, day: NaiveDate) -> bool {
        self.missing.contains(&day)
    }

    /// The last line of each of `cuts` is taken back by another statement.
    pub(super) fn taken_back(&mut self, cuts: &[Cut]) {
        for cut in cuts {
            let extra = cut.lines.last().map(|line| line.units);
            if let Some(of) = self.account(cut) {
                of.taken_back.extend(extra);
            }
        }
    }

    /// What `cuts` expect, or report, is told, where they are taken.
    pub(super) fn told(&mut self, style: Style, cuts: &[Cut], taken: bool) {
        let (expects, reports) = match style {
            Style::Camt { message, .. } => (true, message != Message::Statement),
            Style::Ofx { xml } => (xml, false),
            Style::Csv { .. } => (true, false),
            _ => (false, false),
        };
        for cut in cuts.iter().filter(|_| taken) {
            let Some(of) = self.account(cut) else { continue };
            if expects {
                of.expected.extend(cut.pending.iter().map(|line| line.units));
            }
            if reports {
                let other_day = cut.lines.iter().filter(|line| line.is_announced_otherwise());
                of.reported.extend(other_day.map(|line| line.units));
            }
        }
    }
}

impl OfAccount {
    /// The signed minor units of all movements, sorted; of the transactions within entries, where these add up and
    /// `details` are movements.
    pub fn booked(&self, details: bool) -> Vec<i128> {
        let of = |line: &Line| match details && line.adds_up() {
            true => line.details.clone(),
            false => vec![line.units],
        };
        let mut units: Vec<i128> = self.lines.iter().flat_map(of).collect();
        units.sort_unstable();
        units
    }

    /// Those of what was expected or told, and did not come to pass, sorted.
    pub fn cancelled(&self) -> Vec<i128> {
        let booked: BTreeSet<i128> = self.lines.iter().map(|line| line.units).collect();
        let otherwise = |units: &i128| !booked.contains(units) || self.reported.contains(units);
        let expected = self.expected.iter().copied().filter(otherwise);
        let mut units: Vec<i128> = expected.chain(self.taken_back.iter().copied()).collect();
        units.sort_unstable();
        units
    }

    /// Those of movements that were announced for another day than they were booked on: which of the two days their
    /// id is of depends on what was heard of first.
    pub fn announced(&self) -> BTreeSet<i128> {
        let otherwise = self.lines.iter().filter(|line| line.is_announced_otherwise());
        otherwise.map(|line| line.units).collect()
    }
}
