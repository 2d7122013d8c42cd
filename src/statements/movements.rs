//! Movements and balances as canonical records.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use tributary_domain::{Amount, Record, RecordError, Resource, parse_record};
use tributary_statements::identity::{State, names_something};
use tributary_statements::{Account, Movement, StatedDate, Statement};

use super::Files;

/// How many bytes the texts of a movement take at most: a batch of thousands of transactions has more than a record may.
const TEXTS_MAX_BYTES: usize = 40 * 1024;

/// A movement as it is written: what of it never changes, and what it says now.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub created_at: DateTime<Utc>,
    /// `PAYIN` or `PAYOUT`.
    pub kind: String,
    /// The payment that it belongs to, where it is the return of one.
    pub related: Option<String>,
    pub order_reference: Option<String>,
    /// Signed, in minor units.
    pub amount: Amount,
    pub metadata: Value,
}

impl Written {
    /// A movement of `day` whose statement was erased: all that is known of it is its amount.
    pub fn of_erased(files: &Files, day: Option<NaiveDate>, amount: Amount, now: DateTime<Utc>) -> Self {
        Self {
            created_at: day.map_or(now, |day| midnight(day, files.zone)),
            kind: kind(amount).to_owned(),
            related: None,
            order_reference: None,
            amount,
            metadata: json!({}),
        }
    }

    /// A movement of `statement` that is seen for the first time.
    pub fn new(files: &Files, statement: &Statement, movement: &Movement<'_>, now: DateTime<Utc>) -> Self {
        let day = movement.entry.booked_on.as_ref().or(movement.entry.value_on.as_ref());
        let created_at = match day {
            Some(stated) => instant(stated, files.zone),
            None => statement.closing_day().map_or(now, |day| midnight(day, files.zone)),
        };
        Self {
            created_at,
            kind: kind(movement.amount).to_owned(),
            related: None,
            order_reference: reference(files, movement),
            amount: movement.amount,
            metadata: metadata(movement),
        }
    }
}

/// What the bank says of a movement, as metadata.
pub fn metadata(movement: &Movement<'_>) -> Value {
    json!(texts(movement))
}

fn kind(amount: Amount) -> &'static str {
    if amount.minor_units() < 0 { "PAYOUT" } else { "PAYIN" }
}

/// What names the order that a movement is of, or is the return of.
pub fn reference(files: &Files, movement: &Movement<'_>) -> Option<String> {
    let named = files.order_reference.iter().filter_map(|name| movement.texts.get(name));
    named.map(str::trim).find(|text| names_something(text)).map(str::to_owned)
}

/// Whether it gives back what was paid.
pub fn is_return(movement: &Movement<'_>) -> bool {
    movement.amount.minor_units() > 0
        && (movement.texts.get("returnReasonCode").is_some() || movement.entry.reversal)
}

/// The transaction `id` of the account `account_id`, in `asset`.
pub fn transaction(
    id: &str,
    (account_id, asset): (&str, &str),
    written: &Written,
    state: State,
) -> (Value, Result<Record, RecordError>) {
    let status = match (state, &written.related) {
        (State::Booked, Some(_)) => "REFUNDED",
        (State::Booked, None) => "SUCCEEDED",
        (State::Pending, _) => "PENDING",
        (State::Cancelled, _) => "CANCELLED",
    };
    let side = if written.amount.minor_units() < 0 { "sourceAccountID" } else { "destinationAccountID" };
    let mut record = json!({
        "id": id,
        "createdAt": written.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "type": written.kind,
        "status": status,
        "currency": asset,
        "amount": written.amount.minor_units().unsigned_abs().to_string(),
        side: account_id,
        "metadata": written.metadata,
    });
    if let Some(related) = &written.related {
        record["relatedTransactionID"] = json!(related);
    } else if let Some(reference) = &written.order_reference {
        record["orderReference"] = json!(reference);
    }
    let parsed = parse_record(Resource::Transactions, record.to_string().as_bytes());
    (record, parsed)
}

/// The closing balance of `day`, in minor units: it holds from the end of the day on, or from `now` where that is
/// before.
pub fn balances(
    files: &Files,
    account: &Account,
    (day, units): (NaiveDate, i128),
    now: DateTime<Utc>,
) -> Result<Record, RecordError> {
    let end = day.succ_opt().map_or(now, |next| midnight(next, files.zone)).min(now);
    let record = json!({
        "accountID": files.account_id(account),
        "at": end.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "balances": [{"currency": account.currency.asset().as_str(), "amount": units.to_string()}],
    });
    parse_record(Resource::Balances, record.to_string().as_bytes())
}

/// The account itself, as it is first seen at `now`.
pub fn account(files: &Files, account: &Account, now: DateTime<Utc>) -> Result<Record, RecordError> {
    let record = json!({
        "id": files.account_id(account),
        "accountName": account.id,
        "createdAt": now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "metadata": {"accountNumber": account.id},
    });
    parse_record(Resource::Accounts, record.to_string().as_bytes())
}

/// What the bank says besides, by name.
fn texts(movement: &Movement<'_>) -> BTreeMap<String, String> {
    let entry = movement.entry;
    let day = |date: &Option<StatedDate>| date.as_ref().map(|stated| stated.date.to_string());
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let own = [
        ("bookingDate", day(&entry.booked_on)),
        ("valueDate", day(&entry.value_on)),
        ("bankReference", movement.reference.map(str::to_owned)),
        ("bankTransactionCode", entry.code.clone()),
        ("reversal", entry.reversal.then(|| "true".to_owned())),
    ];
    texts.extend(own.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
    let (of_details, of_entry): (Vec<_>, Vec<_>) =
        movement.texts.as_map().iter().partition(|(name, _)| name.starts_with("details."));
    let (mut bytes, mut left_out) = (0, 0_usize);
    for (name, text) in of_entry.into_iter().chain(of_details) {
        bytes += name.len() + text.len() * 2;
        if bytes > TEXTS_MAX_BYTES || name.starts_with("tributary.") {
            left_out += 1;
        } else {
            texts.entry(name.clone()).or_insert_with(|| text.clone());
        }
    }
    if left_out > 0 {
        texts.insert("textsLeftOut".to_owned(), left_out.to_string());
    }
    texts
}

/// When it was: by its time and offset, else its time in the zone, else midnight there.
fn instant(stated: &StatedDate, zone: Tz) -> DateTime<Utc> {
    match (stated.instant(), stated.time) {
        (Some(instant), _) => instant.with_timezone(&Utc),
        (None, Some(time)) => local(stated.date, time, zone),
        (None, None) => midnight(stated.date, zone),
    }
}

fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    local(day, NaiveTime::MIN, zone)
}

/// A time that the clock of the zone leaves out is taken as one of UTC.
fn local(day: NaiveDate, time: NaiveTime, zone: Tz) -> DateTime<Utc> {
    let local = day.and_time(time);
    zone.from_local_datetime(&local).earliest().map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
}
