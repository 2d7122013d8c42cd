//! Whether transactions stay payments as Formance knows them: by id and type, with a status
//! by date.

use std::collections::{HashMap, HashSet};

use super::Tally;
use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::reading::{ServedRow, payment_key};
use crate::text::count;
use tributary_formance::{GoTime, Kind, PaymentStatus, PaymentType, Row};

/// The transactions of the walk that Formance would take; `None` for other lists.
fn rows(list: &List) -> Option<Vec<(&ServedRow, &Row)>> {
    let rows = list.walk.rows.iter().filter_map(|seen| Some((seen, seen.ok()?)));
    (list.kind == Kind::Transactions).then(|| rows.collect())
}

fn verdict(list: &List, check: Check, found: Option<Finding>) -> Finding {
    found.unwrap_or_else(|| match list.rows().count() {
        0 => Finding::skipped(check, list.subject(), "there are no rows"),
        rows => Finding::ok(check, list.subject(), count(rows, "row")),
    })
}

/// What Formance counts again when it comes under another date.
fn moves_money(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Refunded | PaymentStatus::Capture | PaymentStatus::RefundReversed)
}

pub fn created_at_kept(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::CreatedAtKept;
    let (mut counted_again, mut drifting) = (Tally::default(), Tally::default());
    let mut last: HashMap<&str, &Row> = HashMap::new();
    let mut dates: HashMap<_, HashSet<GoTime>> = HashMap::new();
    for (seen, row) in rows(list)? {
        let of_payment = dates.entry(payment_key(row)).or_default();
        let before = last.insert(&row.reference, row).filter(|before| before.created_at != row.created_at);
        if let Some(before) = before.filter(|before| !may_move(before, row, of_payment)) {
            let same_status = before.payment().status == row.payment().status;
            let what =
                || format!("{} had createdAt {}, now {}", seen.name(), before.created_at, row.created_at);
            match same_status && moves_money(row.payment().status) {
                true => counted_again.add(seen, what),
                false => drifting.add(seen, what),
            }
        }
        of_payment.insert(row.created_at);
    }
    let found = counted_again.finding(|times, first| {
        let seen = format!("{} that move money come again under another date: {first}", count(times, "row"));
        Finding::fail(check, list.subject(), seen)
    });
    let found = found.or_else(|| {
        drifting.finding(|times, first| {
            let seen = format!("{} have another date than before: {first}", count(times, "row"));
            Finding::warning(check, list.subject(), seen)
        })
    });
    Some(verdict(list, check, found))
}

/// Two reasons are good ones: a payment that changes after its refund was served takes the
/// refund's date, so that the change shows; and a later status of a payout or transfer that was
/// made through the server has the date of that status.
fn may_move(before: &Row, now: &Row, of_payment: &HashSet<GoTime>) -> bool {
    let raised = now.created_at > before.created_at;
    let payment = now.payment();
    let initiated = payment.parent.is_some()
        && matches!(payment.kind, PaymentType::Payout | PaymentType::Transfer)
        && payment.status != before.payment().status;
    raised && (initiated || of_payment.contains(&now.created_at))
}

pub fn created_at_ascends(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::CreatedAtAscends;
    let mut latest: HashMap<_, GoTime> = HashMap::new();
    let mut known = HashSet::new();
    let mut hidden = Tally::default();
    for (seen, row) in rows(list)? {
        let status = row.payment().status;
        // what Formance has already is ignored, whatever its date
        let is_new = known.insert((&row.reference, row.created_at, status));
        let latest = latest.entry(payment_key(row)).or_insert(row.created_at);
        if is_new && row.created_at < *latest {
            hidden.add(seen, || {
                format!("{status} of {} has createdAt {}, before {latest}", seen.name(), row.created_at)
            });
        }
        *latest = row.created_at.max(*latest);
    }
    let found = hidden.finding(|times, first| {
        Finding::fail(check, list.subject(), format!("{} never show: {first}", count(times, "status change")))
    });
    Some(verdict(list, check, found))
}

pub fn type_kept(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::TypeKept;
    let mut types: HashMap<&str, PaymentType> = HashMap::new();
    let mut changed = Tally::default();
    for (seen, row) in rows(list)? {
        let now = row.payment().kind;
        let first = *types.entry(&row.reference).or_insert(now);
        if first != now {
            changed.add(seen, || format!("{} was {first}, now {now}", seen.name()));
        }
    }
    let found = changed.finding(|times, first| {
        Finding::fail(check, list.subject(), format!("{} change their type: {first}", count(times, "row")))
    });
    Some(verdict(list, check, found))
}

pub fn parent_first(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::ParentFirst;
    let rows = rows(list)?;
    let mut first_seen: HashMap<&str, usize> = HashMap::new();
    for (i, (_, row)) in rows.iter().enumerate() {
        first_seen.entry(&row.reference).or_insert(i);
    }
    let mut early = Tally::default();
    for (i, (seen, row)) in rows.iter().enumerate() {
        let parent = row.payment().parent.as_deref().filter(|parent| *parent != row.reference);
        // a parent that never comes may be an idempotency key, or lie before the history served
        if parent.and_then(|parent| first_seen.get(parent)).is_some_and(|&parent| parent > i) {
            early.add(seen, || format!("{} comes before {:?}", seen.name(), row.payment_reference()));
        }
    }
    let found = early.finding(|times, first| {
        Finding::fail(check, list.subject(), format!("{} too early: {first}", count(times, "row")))
    });
    Some(verdict(list, check, found))
}

pub fn child_type(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::ChildType;
    let rows = rows(list)?;
    let mut types: HashMap<&str, PaymentType> = HashMap::new();
    for (_, row) in &rows {
        types.entry(&row.reference).or_insert(row.payment().kind);
    }
    let mut other = Tally::default();
    for (seen, row) in &rows {
        let payment = row.payment();
        let parent = payment.parent.as_deref().and_then(|parent| types.get(parent));
        if let Some(parent) = parent.filter(|parent| **parent != payment.kind) {
            let of = row.payment_reference();
            other.add(seen, || format!("{} is {}, {of:?} is {parent}", seen.name(), payment.kind));
        }
    }
    let found = other.finding(|times, first| {
        let seen =
            format!("{} with another type than what they are related to: {first}", count(times, "row"));
        Finding::fail(check, list.subject(), seen)
    });
    Some(verdict(list, check, found))
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
