//! The bodies of the API. Ids are numbers, and so are amounts.

use chrono::DateTime;

use crate::kit::money::Currency;
use crate::kit::times::millis;
use crate::kit::{Account, Balance, Beneficiary, Booking, Json, View, Visible, ids, names, object};

/// The balances that a profile has at most: one of each currency.
const BALANCES: usize = 3;
const FIRST_PROFILE: usize = 14_599_371;

/// The id of the profile that has the account at this position.
pub fn profile_of(account: usize) -> usize {
    FIRST_PROFILE + account / BALANCES
}

/// A number of its digits.
fn number(digits: &str) -> Json {
    Json::number(digits.to_owned())
}

fn money(currency: &Currency, amount_minor: i64) -> Json {
    object! { "value": Json::number(currency.shortest(amount_minor)), "currency": currency.code }
}

/// Those that have accounts, and a last one that has none.
pub fn profiles(view: &View<'_>) -> Json {
    let last = profile_of(view.accounts.len() - 1) + 1;
    let profile = |id: usize| {
        object! {
            "type": if id == last { "PERSONAL" } else { "BUSINESS" },
            "id": id,
            "publicId": ids::uuid(view.seed(), "profile", id as u64).to_string(),
            "userId": 9_889_627_usize,
            "createdAt": "2023-01-15T10:30:00",
            "updatedAt": "2025-06-18T14:20:00",
            "fullName": names::business(id as u64),
        }
    };
    (FIRST_PROFILE..=last).map(profile).collect()
}

pub fn balance(account: &Account, balance: Balance) -> Json {
    let held = || money(account.currency, balance.booked_minor);
    object! {
        "id": number(&account.id),
        "currency": account.currency.code,
        "type": "STANDARD",
        "name": Json::Null,
        "icon": Json::Null,
        "investmentState": "NOT_INVESTED",
        "amount": held(),
        "reservedAmount": money(account.currency, 0),
        "cashAmount": held(),
        "totalWorth": held(),
        "creationTime": millis(account.opened_at_us),
        "modificationTime": millis(account.opened_at_us),
        "visible": true,
    }
}

pub fn recipient(one: &Beneficiary) -> Json {
    object! {
        "id": number(&one.id),
        "creatorId": 41_000_000_i64,
        "profileId": FIRST_PROFILE,
        "name": object! { "fullName": one.name.as_str() },
        "currency": "GBP",
        "country": "GB",
        "type": "SortCode",
        "legalEntityType": "PERSON",
        "active": true,
        "isInternal": false,
        "ownedByCustomer": false,
    }
}

/// Without a zone, and cut to the second.
fn seconds(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

pub fn transfer(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let people = view.beneficiaries.len() as u64;
    let target = visible.item.traits.checked_rem(people).map(|place| &view.beneficiaries[place as usize]);
    let ordered = view.note(visible.item);
    let currency = visible.account().currency;
    let reference = ordered.as_ref().and_then(|note| note.text.clone());
    let own_key = || ids::uuid(view.seed(), "customer transaction", visible.item.number as u64).to_string();
    object! {
        "id": number(visible.id()),
        "user": 9_889_627_usize,
        "targetAccount": target.map(|one| number(&one.id)),
        "sourceAccount": Json::Null,
        "quote": Json::Null,
        "quoteUuid": ids::uuid(view.seed(), "quote of", visible.item.number as u64).to_string(),
        "status": visible.status(),
        "rate": 1_i64,
        "created": seconds(visible.created_at_us()),
        "business": profile_of(visible.item.account),
        "details": object! { "reference": reference },
        "hasActiveIssues": false,
        "sourceCurrency": currency.code,
        "sourceValue": Json::number(currency.shortest(visible.item.amount_minor)),
        "targetCurrency": currency.code,
        "targetValue": Json::number(currency.shortest(visible.item.amount_minor)),
        "customerTransactionId": ordered.map_or_else(own_key, |note| note.key),
    }
}

/// A line of a statement. Of a transfer that came back, there are two under one reference.
pub fn line(visible: &Visible<'_>, booking: &Booking, running_minor: i64) -> Json {
    let (kind, currency) = (visible.item.kind.name, visible.account().currency);
    let reference = match kind {
        "transfer" | "drafted" => format!("TRANSFER-{}", visible.id()),
        _ => visible.id().rsplit_once('-').map_or(visible.id(), |(reference, _)| reference).to_owned(),
    };
    let what = match kind {
        "transfer" | "drafted" => "TRANSFER",
        "deposit" => "DEPOSIT",
        "card" | "card_refund" => "CARD",
        "interest" => "BALANCE_INTEREST",
        _ => "CONVERSION",
    };
    let business = names::business(visible.item.traits);
    let details = object! {
        "type": what,
        "description": format!("{what} {reference}"),
        "senderName": (kind == "deposit").then(|| names::person(visible.item.traits)),
        "merchant": (what == "CARD").then(|| object! { "name": business, "country": "GB" }),
    };
    object! {
        "type": if booking.signed_minor < 0 { "DEBIT" } else { "CREDIT" },
        "date": millis(booking.at_us),
        "amount": money(currency, booking.signed_minor),
        "totalFees": money(currency, 0),
        "details": details.without_nulls(),
        "exchangeDetails": Json::Null,
        "runningBalance": money(currency, running_minor),
        "referenceNumber": reference,
    }
}
