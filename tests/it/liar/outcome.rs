//! What came of histories, counted by lie.

use std::collections::BTreeMap;
use std::fmt;

use tributary_standin::kit::Lie;

/// How Formance's model and the ledger came together again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// They never were apart.
    Held,
    /// By syncs alone, once the lies had ended.
    Healed,
    /// By what the documents tell an operator to do.
    Mended,
    /// They are apart, and the runs after the lies say so.
    Told,
    /// They are apart, and a run said so when the lie was told: what Formance was given then stays.
    ToldBefore,
}

/// What came of one history.
#[derive(Debug)]
pub struct Outcome {
    pub end: End,
    /// Whether a run failed, warned, or put something into quarantine while lies were told.
    pub told: bool,
    /// How often each lie was told.
    pub lies: BTreeMap<Lie, u64>,
}

/// The same of many, by lie.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<Lie, Counts>);

#[derive(Debug, Default)]
struct Counts {
    histories: u64,
    lies: u64,
    told: u64,
    ends: BTreeMap<End, u64>,
}

impl Outcomes {
    pub fn add(&mut self, outcome: Outcome) {
        for (lie, times) in outcome.lies {
            let counts = self.0.entry(lie).or_default();
            counts.histories += 1;
            counts.lies += times;
            counts.told += u64::from(outcome.told);
            *counts.ends.entry(outcome.end).or_default() += 1;
        }
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22}{:>10}{:>8}{:>8}{:>8}{:>8}{:>8}{:>14}{:>14}",
            "lie", "histories", "lies", "told", "held", "healed", "mended", "apart, told", "told before"
        )?;
        for (lie, counts) in &self.0 {
            let [held, healed, mended, apart, before] =
                [End::Held, End::Healed, End::Mended, End::Told, End::ToldBefore]
                    .map(|end| counts.ends.get(&end).copied().unwrap_or_default());
            let Counts { histories, lies, told, .. } = counts;
            let name = format!("{lie:?}");
            writeln!(
                f,
                "{name:<22}{histories:>10}{lies:>8}{told:>8}{held:>8}{healed:>8}{mended:>8}{apart:>14}{before:>14}"
            )?;
        }
        Ok(())
    }
}
