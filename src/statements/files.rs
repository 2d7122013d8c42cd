//! What a provider's file says of its statements, ready for use.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use tributary_statements::identity::{Interim, Rules};
use tributary_statements::{Account, Level, Settings};

use super::Shelves;

/// How the statements of one provider are read and what becomes of them.
#[derive(Debug)]
pub struct Files {
    /// How files are read.
    pub settings: Settings,
    /// How movements are told apart.
    pub rules: Rules,
    /// The zone of the bank's days.
    pub zone: Tz,
    /// Accounts by IBAN or number, or by that with `/` and a currency, without blanks.
    pub accounts: BTreeMap<String, String>,
    /// The texts of a movement that may name the order that it is of, the first that is there.
    pub order_reference: Vec<String>,
    /// When statements have to be there.
    pub expect: Option<Expected>,
    /// What this process knows of the accounts.
    pub shelves: Shelves,
}

/// When the statement of a day has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// On the day after, by the bank's clock.
    pub by: NaiveTime,
    /// The days that have a statement.
    pub days: BTreeSet<u8>,
}

impl Files {
    /// What `account` is among the accounts: as mapped, else under the bank's own number.
    pub fn account_id(&self, account: &Account) -> String {
        let number: String = account.id.split_whitespace().collect();
        let in_currency = self.accounts.get(&format!("{number}/{}", account.currency));
        in_currency.or_else(|| self.accounts.get(&number)).unwrap_or(&account.id).clone()
    }

    /// The rules of identity as they are kept with each account.
    pub fn rules_text(&self) -> String {
        let Rules { level, references, remittance, interim } = self.rules;
        let level = match level {
            Level::Entries => "entries",
            Level::Details => "details",
        };
        let interim = match interim {
            Interim::Cumulative => "cumulative",
            Interim::Delta => "delta",
        };
        format!("movements: {level}, references: {references}, remittance: {remittance}, interim: {interim}")
    }
}

impl Expected {
    /// The last day whose statement has to be there at `now`, by the clock of `zone`; none where no day ever has one.
    pub fn day(&self, now: DateTime<Utc>, zone: Tz) -> Option<NaiveDate> {
        let local = now.with_timezone(&zone);
        let today = local.date_naive();
        let back = if local.time() >= self.by { 1 } else { 2 };
        (back..back + 7)
            .filter_map(|days| today.checked_sub_days(Days::new(days)))
            .find(|day| self.days.contains(&weekday(day.weekday())))
    }
}

/// Monday is 0.
fn weekday(day: Weekday) -> u8 {
    u8::try_from(day.num_days_from_monday()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_of_friday_is_due_on_saturday_and_that_of_monday_on_tuesday() {
        let expected = Expected { by: "08:00:00".parse().unwrap(), days: (0..5).collect() };
        let zone = chrono_tz::Europe::Berlin;
        for (now, day) in [
            ("2026-03-07T06:59:00Z", "2026-03-05"),
            ("2026-03-07T07:00:00Z", "2026-03-06"),
            ("2026-03-09T12:00:00Z", "2026-03-06"),
            ("2026-03-10T12:00:00Z", "2026-03-09"),
        ] {
            assert_eq!(expected.day(now.parse().unwrap(), zone), Some(day.parse().unwrap()), "{now}");
        }
    }
}
