//! BAI2.

use super::cut::Cut;
use super::ledger::Line;

/// What a group of BAI2 is to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The previous day, whole.
    Final,
    /// In the place of what was sent of that day.
    Correction,
    /// The same day, so far.
    Interim,
}

/// A file of one group, of one day, with all control totals. What `off` of its last cut says is missing in the total
/// of that account.
pub fn write(cuts: &[Cut], group: Group) -> String {
    let Some(first) = cuts.first() else { return String::new() };
    let (status, modifier) = match group {
        Group::Final => (1, 2),
        Group::Correction => (3, 2),
        Group::Interim => (1, 3),
    };
    let day = first.last_day.format("%y%m%d");
    let accounts: Vec<Written> = cuts.iter().map(account).collect();
    let sum: i128 = accounts.iter().map(|account| account.sum).sum();
    let records: usize = accounts.iter().map(|account| account.records).sum();
    let text: String = accounts.into_iter().map(|account| account.text).collect();
    format!(
        "01,BANK,ME,{day},0700,1,,,2/\n02,ME,BANK,{status},{day},,{},{modifier}/\n{text}98,{sum},{},{}/\n99,{sum},1,{}/\n",
        first.currency.code,
        cuts.len(),
        records + 2,
        records + 4
    )
}

struct Written {
    text: String,
    /// What its control total says, and how many records it has.
    sum: i128,
    records: usize,
}

fn account(cut: &Cut) -> Written {
    let details: String = cut.shown().map(detail).collect();
    let balances = cut.opening + cut.closing();
    let gross: i128 = balances + cut.shown().map(|line| line.units.abs()).sum::<i128>();
    let head = format!(
        "03,{},{},010,{},,/\n88,015,{},,/\n",
        cut.account,
        cut.currency.code,
        cut.opening,
        cut.closing()
    );
    let records = head.lines().count() + details.lines().count() + 1;
    let sum = gross + cut.off;
    Written { text: format!("{head}{details}49,{sum},{records}/\n"), sum, records }
}

fn detail(line: &Line) -> String {
    let code = if line.units < 0 { 475 } else { 195 };
    let funds = match line.valued == line.day {
        true => "Z".to_owned(),
        false => format!("V,{},", line.valued.format("%y%m%d")),
    };
    let order = line.order.as_deref().unwrap_or_default();
    let text = format!("{} {}", line.name, line.text);
    let text = if text.trim().is_empty() { "TEXT / WITH, ALL\n88,AND MORE" } else { text.trim() };
    format!(
        "16,{code},{},{funds},{},{order},{text}\n",
        line.units.abs(),
        line.reference.as_deref().unwrap_or_default()
    )
}
