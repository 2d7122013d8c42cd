//! Why Formance differs, as far as both sides show it.

use std::collections::HashMap;

use super::Unreadable;
use super::books::{Books, History, Place, histories};
use super::formance::Formance;
use super::found::{Found, Theirs};
use super::report::{Difference, Subject, What};
use super::schedules::{Polling, Schedules};
use tributary_formance::GoTime;
use tributary_formance::kept::{InitiationStatus, PaymentKey, ShownPayment};

/// What reasons are found with.
pub struct Reasons<'a> {
    pub formance: &'a Formance,
    pub books: &'a Books,
    pub schedules: Schedules,
}

impl Reasons<'_> {
    /// Gives the differences with their reasons.
    pub async fn explain(&self, mut found: Found) -> Result<Vec<Difference>, Unreadable> {
        let mut differences = std::mem::take(&mut found.differences);
        let histories = self.histories(&differences, &found).await?;
        let mut polling: HashMap<Subject, Polling> = HashMap::new();
        for difference in &mut differences {
            let place = self.unread(difference, &found, &histories);
            if let Some(at) = place {
                let known =
                    polling.get(&difference.of).filter(|_| difference.of != Subject::Balance).cloned();
                let known = match known {
                    Some(known) => known,
                    None => self.schedules.of(self.formance, difference).await?,
                };
                polling.insert(difference.of, known.clone());
                let (reason, waiting) = known.of_unread(at);
                (difference.reason, difference.waiting) = (Some(reason), waiting);
            } else {
                let key = key_of(difference, &found);
                let history = key.and_then(|key| histories.get(key));
                difference.reason = self.reason(difference, &found, key, history);
            }
        }
        Ok(differences)
    }

    /// What the feed says of the payments that differ; nothing is read if none does.
    async fn histories(
        &self,
        differences: &[Difference],
        found: &Found,
    ) -> Result<HashMap<PaymentKey, History>, Unreadable> {
        let of_payments =
            differences.iter().filter(|one| matches!(one.of, Subject::Payment | Subject::Initiation));
        let asked = of_payments.filter(|one| matches!(one.what, What::Different | What::Extra));
        let keys: Vec<PaymentKey> = asked.filter_map(|one| key_of(one, found).cloned()).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let reached = found.reached[2].most.map_or(0, |place| place.number);
        histories(&self.books.feed, keys, reached).await
    }

    /// When that was told which Formance has not read yet, if a difference comes of nothing else.
    fn unread(
        &self,
        difference: &Difference,
        found: &Found,
        histories: &HashMap<PaymentKey, History>,
    ) -> Option<GoTime> {
        let told = |list: usize, place: Place| found.reached[list].is_before(place).then_some(place.at);
        let account = || self.books.accounts.get(&*difference.id);
        match (difference.of, difference.what) {
            (Subject::Account, What::Missing) => told(0, account()?.place),
            (Subject::Beneficiary, What::Missing) => told(1, account()?.place),
            (Subject::Payment, What::Missing) => {
                let payment = self.books.payments.get(key_of(difference, found)?)?;
                told(2, payment.first)
            }
            (Subject::Payment | Subject::Initiation, What::Different) => {
                let key = key_of(difference, found)?;
                let payment = self.books.payments.get(key)?;
                let (at, history) = (told(2, payment.changed)?, histories.get(key)?);
                // our answer to an order is its first entry, whatever was polled
                let begun = history.as_begun.as_ref().filter(|_| payment.is_order);
                let before = history.as_reached.as_ref().or(begun)?;
                let is_as_before = found.theirs.get(key)?.differing(before).is_empty();
                (is_as_before && goes_with(difference, before)).then_some(at)
            }
            (Subject::Balance, _) => found.balance_times.get(&difference.id).copied(),
            _ => None,
        }
    }

    fn reason(
        &self,
        difference: &Difference,
        found: &Found,
        key: Option<&PaymentKey>,
        history: Option<&History>,
    ) -> Option<String> {
        match (difference.of, difference.what) {
            (Subject::Account, What::Missing) => {
                let place = self.books.accounts.get(&*difference.id)?.place;
                Some(passed(place, found, 0))
            }
            (Subject::Beneficiary, What::Missing) => {
                let place = self.books.accounts.get(&*difference.id)?.place;
                Some(passed(place, found, 1))
            }
            (Subject::Payment, What::Missing) => Some(passed(self.books.payments.get(key?)?.first, found, 2)),
            (Subject::Payment, What::Extra) => Some(extra(history?)),
            (Subject::Payment, What::Different) => different(difference, history?, found.theirs.get(key?)?),
            (Subject::Initiation, What::Missing) => {
                Some("ordered by somebody else than this connector, or deleted in Formance".to_owned())
            }
            (Subject::Initiation, What::Extra) => Some(unanswered(difference)),
            (Subject::Initiation, What::Different) => initiation(difference, found.theirs.contains_key(key?)),
            (Subject::Balance, What::Different) => {
                Some("both are of the same confirmation: no poll will mend it".to_owned())
            }
            (Subject::Balance, What::Extra) => Some(
                "our answer does not list this asset; Formance keeps the last amount for ever".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether an initiation says what it has to where its payment is as `before`; of a payment it is no question.
fn goes_with(difference: &Difference, before: &ShownPayment) -> bool {
    let status = InitiationStatus::of_row(before.status).map(InitiationStatus::as_str);
    difference.of == Subject::Payment
        || (difference.field == Some("status") && difference.formance.as_deref() == status)
}

fn key_of<'a>(difference: &Difference, found: &'a Found) -> Option<&'a PaymentKey> {
    found.keys.get(&(difference.id.clone(), difference.kind.clone()))
}

/// Of what Formance lacks in front of something that it has.
fn passed(place: Place, found: &Found, list: usize) -> String {
    let (least, most) = (found.reached[list].least, found.reached[list].most);
    match (least, most) {
        (Some(least), _) if place.number < least.number => format!(
            "told at {}, before its window: all that it has of this list was told from {} on, and it will not ask for \
             what was before",
            place.at, least.at
        ),
        (_, Some(most)) => format!(
            "told at {}, and passed over: it has what was told until {}, and will not ask again",
            place.at, most.at
        ),
        _ => format!("told at {}", place.at),
    }
}

fn extra(history: &History) -> String {
    match (&history.part_of, history.other_types.first()) {
        (Some(payment), _) => format!(
            "the entry of this id belongs to the payment {} {}: Formance has the movement twice",
            payment.identity, payment.kind
        ),
        (None, Some(kind)) => format!("told as {kind}: Formance has it under two types"),
        (None, None) => {
            "never told: made in Formance itself, or by a database that was restored or replaced since"
                .to_owned()
        }
    }
}

fn different(difference: &Difference, history: &History, theirs: &Theirs) -> Option<String> {
    let (expected, formance) = (difference.expected.as_deref()?, difference.formance.as_deref()?);
    match difference.field? {
        "status" => {
            let told = history.entries.iter().rev().find(|(_, status, ..)| status.to_string() == formance);
            Some(match told {
                Some((_, _, at, _)) => format!(
                    "told under another status since: {formance} was told with the date {at}, and what came behind it \
                     was passed over"
                ),
                None => format!("{formance} was never told of it"),
            })
        }
        "amount" | "initial_amount" if is_rounded(expected, formance) => {
            Some("rounded like a floating-point number, on its way or in between".to_owned())
        }
        "amount" | "initial_amount" | "asset" | "source" | "destination" => merged(history, theirs),
        _ => None,
    }
}

/// Of a payment that other entries than the first one made, or several.
fn merged(history: &History, theirs: &Theirs) -> Option<String> {
    let (first, ..) = history.entries.first()?;
    let mut others: Vec<&str> =
        history.entries.iter().map(|(id, ..)| &**id).filter(|id| id != first).collect();
    others.sort_unstable();
    others.dedup();
    let others = others.get(..others.len().min(3)).filter(|others| !others.is_empty())?;
    let first_there = history.entries.iter().find(|(.., amount)| theirs.begins_with(amount));
    let order = match first_there {
        Some((id, ..)) if id != first => format!("; Formance took that of {id} for the first"),
        _ => String::new(),
    };
    Some(format!("entries of several ids are merged in it: {first}, {}{order}", others.join(", ")))
}

fn initiation(difference: &Difference, payment_differs: bool) -> Option<String> {
    let reason = match (difference.field?, difference.formance.as_deref()?) {
        ("status", _) if payment_differs => "as its payment, which differs, too",
        ("status", "FAILED") => {
            "its request ended in what Formance takes for final, though the order went on here: do not press Retry \
             before you know why"
        }
        ("status", "PROCESSING") => {
            "Formance stored our answer at a later date than the status has: it goes on saying so. The payment is right"
        }
        _ => return None,
    };
    Some(reason.to_owned())
}

fn unanswered(difference: &Difference) -> String {
    match difference.formance.as_deref() {
        Some("PROCESSING") => {
            "being sent: no answer of ours is final so far, and none is a payment".to_owned()
        }
        _ => "we know no such order: was the database restored?".to_owned(),
    }
}

/// Whether `rounded` is what a double makes of the whole number `exact`.
fn is_rounded(exact: &str, rounded: &str) -> bool {
    let double = |text: &str| text.parse::<f64>().ok();
    exact != rounded
        && double(exact).is_some_and(|double| double.abs() >= 9_007_199_254_740_992.0)
        && double(exact).map(f64::to_bits) == double(rounded).map(f64::to_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_double_makes_of_a_number_is_known() {
        assert!(is_rounded("9007199254740993", "9007199254740992"));
        assert!(!is_rounded("9007199254740993", "9007199254740994"));
        assert!(!is_rounded("9007199254740990", "9007199254740991"), "below 2^53 nothing is rounded");
        assert!(!is_rounded("9007199254740993", "9007199254740993"));
    }
}
