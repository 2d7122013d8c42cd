//! One statement, report or export, with what goes wrong with it.

use chrono::NaiveTime;
use rand::Rng as _;

use super::bai2::Group;
use super::camt::Message;
use super::cut::{Cut, reports};
use super::fault::Fault;
use super::ledger::Line;
use super::mail::{Aside, Post};
use super::style::{Format, Style};

impl Post<'_> {
    /// Sends the statements of a period that go together, one of each account.
    pub(super) fn statement(&mut self, cuts: Vec<Cut>, period: usize) {
        let style = self.format.style(&mut self.rng);
        if let Some((at, cut)) = self.with_lines(&cuts)
            && self.happens(Fault::DoesNotClose, period)
        {
            self.send_short(&cuts, (at, cut), style, period);
        }
        let has_totals = !matches!(style, Style::Mt940 { .. });
        if has_totals
            && let Some((at, cut)) = self.with_lines(&cuts)
            && self.happens(Fault::WrongTotal, period)
        {
            let why = if self.format == Format::Bai2 { "49 control total" } else { "TtlCdtNtries" };
            let off = Cut { off: 777, ..cut };
            let aside = aside(&off, off.off, why);
            self.post(&in_place(&cuts, at, off), style, vec![aside], period);
        }
        if self.happens(Fault::Truncated, period) {
            self.post_part(&cuts, &style.write(&cuts));
        }
        let restated = self.counts && self.format == Format::Camt || self.format == Format::Bai2;
        let corrects = restated && self.happens(Fault::Restated, period);
        if corrects {
            self.send_older(&cuts, style, period);
        }
        let style = if corrects { corrected(style) } else { style };
        self.send_whole(&cuts, style, period);
        if self.happens(Fault::Redelivered, period) {
            let text = corrected_if(corrects, self.format.style(&mut self.rng)).write(&cuts);
            self.post_text(&cuts, &format!("{text}\n"), Vec::new(), period);
        }
        if cuts.iter().any(|cut| cut.lines.len() > 1) && self.happens(Fault::Reordered, period) {
            let cuts: Vec<Cut> = cuts.iter().map(|cut| self.shuffled(cut)).collect();
            self.post(&cuts, style, Vec::new(), period);
        }
    }

    /// The statements as they are, some of them in pages.
    fn send_whole(&mut self, cuts: &[Cut], style: Style, period: usize) {
        let mut whole = Vec::new();
        for cut in cuts {
            let pages = cut.pages(self.rng.random_range(2..4));
            if self.counts && self.happens(Fault::PagedInSeveral, period) {
                let again = self.rng.random_bool(0.5).then(|| pages[0].clone());
                for page in pages {
                    self.post(&[page], style, Vec::new(), period);
                }
                if let Some(page) = again {
                    let text = style.write(std::slice::from_ref(&page));
                    self.post_text(&[page], &format!("{text}\n"), Vec::new(), period);
                }
            } else if self.counts && self.happens(Fault::PagedInOne, period) {
                self.post(&pages, style, Vec::new(), period);
            } else {
                whole.push(cut.clone());
            }
        }
        if !whole.is_empty() {
            self.post(&whole, style, Vec::new(), period);
        }
    }

    /// A line of one of them is lost.
    fn send_short(&mut self, cuts: &[Cut], (at, mut cut): (usize, Cut), style: Style, period: usize) {
        let lost = self.rng.random_range(0..cut.lines.len());
        cut.lost = Some(lost);
        let aside = aside(&cut, cut.lines[lost].units, "short of the closing balance");
        self.post(&in_place(cuts, at, cut), style, vec![aside], period);
    }

    /// What the bank said before it knew better: a line more in each.
    fn send_older(&mut self, cuts: &[Cut], style: Style, period: usize) {
        let earlier = |cut: &Cut| cut.created.map(|at| at.date().and_time(NaiveTime::MIN));
        let older: Vec<Cut> = cuts
            .iter()
            .map(|cut| {
                let extra = Line::new(cut.last_day, 31_337 + period as i128);
                let lines = cut.lines.iter().cloned().chain([extra]).collect();
                Cut { created: earlier(cut), lines, ..cut.clone() }
            })
            .collect();
        self.truth.taken_back(&older);
        self.post(&older, style, Vec::new(), period);
    }

    /// A statement with lines, and its place.
    fn with_lines(&mut self, cuts: &[Cut]) -> Option<(usize, Cut)> {
        let with: Vec<usize> = (0..cuts.len()).filter(|at| !cuts[*at].lines.is_empty()).collect();
        let at = *with.get(self.rng.random_range(0..with.len().max(1)))?;
        Some((at, cuts[at].clone()))
    }

    /// Sends what is known of days before they end.
    pub(super) fn reports(&mut self) {
        let accounts = self.ledger.accounts.iter();
        let all: Vec<Cut> = accounts.flat_map(|account| reports(self.ledger, account)).collect();
        for (at, mut cut) in all.into_iter().enumerate() {
            let Some(style) = self.format.report(&mut self.rng) else { return };
            if self.format != Format::Camt {
                // which tells nothing of what is pending
                cut.pending.clear();
            }
            let nothing = cut.lines.is_empty() && cut.pending.is_empty();
            let due = self.is_due(Fault::Reported, at)
                || style == Style::Mt942 && self.is_due(Fault::WrongTotal, at);
            if nothing || self.truth.is_missing(cut.first_day) || !(due || self.rng.random_bool(0.25)) {
                continue;
            }
            self.happens(Fault::Reported, at);
            if style == Style::Mt942 && self.happens(Fault::WrongTotal, at) {
                let off = Cut { off: 777, ..cut.clone() };
                let aside = aside(&off, off.off, ":90C:");
                self.post(&[off], style, vec![aside], at);
            }
            self.notify(&cut, at);
            self.post(&[cut], style, Vec::new(), at);
        }
    }

    /// Tells of the last movement of a report alone, once.
    fn notify(&mut self, cut: &Cut, at: usize) {
        let Some(last) = cut.lines.last().filter(|_| self.format == Format::Camt) else { return };
        let style = Style::Camt { message: Message::Notification, version: 8 };
        let alone =
            Cut { id: format!("N{at}"), lines: vec![last.clone()], pending: Vec::new(), ..cut.clone() };
        self.post(&[alone], style, Vec::new(), at);
    }

    /// Sends an export of all accounts.
    pub(super) fn export(&mut self, cuts: Vec<Cut>, window: usize) {
        let style = self.format.style(&mut self.rng);
        let long = cuts.iter().position(|cut| cut.lines.len() > 3);
        if let Some(at) = long.filter(|_| matches!(style, Style::Csv { .. }))
            && self.happens(Fault::WrongTotal, window)
        {
            self.send_without_a_row(&cuts, at, style, window);
        }
        if matches!(style, Style::Ofx { .. }) && self.happens(Fault::Truncated, window) {
            self.post_part(&cuts, &style.write(&cuts));
        }
        if self.happens(Fault::Redelivered, window) {
            let text = style.write(&cuts);
            self.post_text(&cuts, &format!("{text}\n"), Vec::new(), window);
        }
        if self.happens(Fault::Reordered, window) {
            match style {
                Style::Csv { newest_first } => {
                    self.post(&cuts, Style::Csv { newest_first: !newest_first }, Vec::new(), window);
                }
                style => {
                    let cuts: Vec<Cut> = cuts.iter().map(|cut| self.shuffled(cut)).collect();
                    self.post(&cuts, style, Vec::new(), window);
                }
            }
        }
        self.post(&cuts, style, Vec::new(), window);
    }

    /// A table from whose middle a row was lost: its running balance says so.
    fn send_without_a_row(&mut self, cuts: &[Cut], at: usize, style: Style, window: usize) {
        let mut cut = cuts[at].clone();
        let row = self.rng.random_range(1..cut.lines.len() - 1);
        cut.lost = Some(row);
        let aside = aside(&cut, None, "running balance");
        self.post(&in_place(cuts, at, cut), style, vec![aside], window);
    }
}

fn in_place(cuts: &[Cut], at: usize, cut: Cut) -> Vec<Cut> {
    let mut cuts = cuts.to_vec();
    cuts[at] = cut;
    cuts
}

fn aside(cut: &Cut, missing: impl Into<Option<i128>>, why: &'static str) -> Aside {
    Aside { account: cut.account.clone(), currency: cut.currency.code, missing: missing.into(), why }
}

fn corrected(style: Style) -> Style {
    match style {
        Style::Bai2(_) => Style::Bai2(Group::Correction),
        style => style,
    }
}

fn corrected_if(corrects: bool, style: Style) -> Style {
    if corrects { corrected(style) } else { style }
}
