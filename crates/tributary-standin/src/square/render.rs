//! The bodies of the API. What has no value is left out.

use crate::kit::money::Currency;
use crate::kit::times::{self, millis};
use crate::kit::{Account, Beneficiary, Json, Seen, View, object};

fn money(currency: &Currency, amount_minor: i64) -> Json {
    object! { "amount": amount_minor, "currency": currency.code }
}

fn own_money(seen: &Seen<'_>) -> Json {
    money(seen.account().currency, seen.item.amount_minor)
}

pub fn payment(view: &View<'_>, seen: &Seen<'_>) -> Json {
    let is_open = matches!(seen.status(), "APPROVED" | "PENDING");
    let refunds: Vec<_> = view
        .items
        .iter()
        .filter(|item| seen.item.taken_minor > 0 && item.parent == Some(seen.item.number))
        .filter(|item| item.kind.name == "refund")
        .collect();
    let refunded_minor: i64 = refunds.iter().map(|item| item.amount_minor).sum();
    let refund_ids: Vec<Json> = refunds.iter().map(|item| Json::from(item.id())).collect();
    object! {
        "id": seen.id(),
        "created_at": millis(seen.created_at_us()),
        "updated_at": millis(seen.updated_at_us()),
        "amount_money": own_money(seen),
        "total_money": own_money(seen),
        "approved_money": (seen.status() != "FAILED").then(|| own_money(seen)),
        "refunded_money": (refunded_minor > 0).then(|| money(seen.account().currency, refunded_minor)),
        "refund_ids": (!refund_ids.is_empty()).then_some(refund_ids),
        "status": seen.status(),
        "delay_duration": "PT168H",
        "delay_action": "CANCEL",
        "source_type": if seen.item.traits.is_multiple_of(5) { "CASH" } else { "CARD" },
        "location_id": seen.account().id.as_str(),
        "reference_id": format!("order-{}", seen.item.traits % 100_000),
        "note": seen.item.traits.is_multiple_of(7).then_some("Two coffees \u{2013} \"to go\""),
        "capabilities": is_open.then(|| vec![Json::from("EDIT_AMOUNT_UP")]),
    }
    .without_nulls()
}

fn payment_id<'a>(view: &'a View<'_>, seen: &Seen<'_>) -> Option<&'a str> {
    seen.item.parent.map(|parent| view.items[parent].id())
}

pub fn refund(view: &View<'_>, seen: &Seen<'_>) -> Json {
    object! {
        "id": seen.id(),
        "status": seen.status(),
        "location_id": seen.account().id.as_str(),
        "unlinked": false,
        "destination_type": "CARD",
        "amount_money": own_money(seen),
        "payment_id": payment_id(view, seen),
        "reason": "Returned goods",
        "created_at": millis(seen.created_at_us()),
        "updated_at": millis(seen.updated_at_us()),
    }
}

pub fn dispute(view: &View<'_>, seen: &Seen<'_>) -> Json {
    object! {
        "id": seen.id(),
        "dispute_id": seen.id(),
        "amount_money": own_money(seen),
        "reason": "NOT_RECEIVED",
        "state": seen.status(),
        "due_at": millis(seen.created_at_us() + 14 * times::DAY_US),
        "disputed_payment": object! { "payment_id": payment_id(view, seen) },
        "card_brand": "VISA",
        "created_at": millis(seen.created_at_us()),
        "updated_at": millis(seen.updated_at_us()),
        "reported_at": millis(seen.created_at_us()),
        "version": seen.upto + 1,
        "location_id": seen.account().id.as_str(),
    }
}

pub fn payout(view: &View<'_>, seen: &Seen<'_>) -> Json {
    let banks = view.beneficiaries.len() as u64;
    let bank = seen.item.traits.checked_rem(banks).map(|number| &view.beneficiaries[number as usize]);
    object! {
        "id": seen.id(),
        "status": seen.status(),
        "location_id": seen.account().id.as_str(),
        "created_at": millis(seen.created_at_us()),
        "updated_at": millis(seen.updated_at_us()),
        "amount_money": own_money(seen),
        "destination": bank.map(|bank| object! { "type": "BANK_ACCOUNT", "id": bank.id.as_str() }),
        "version": seen.upto + 1,
        "type": "BATCH",
        "arrival_date": times::date(seen.created_at_us() + times::DAY_US),
    }
    .without_nulls()
}

/// A payout is made of a charge and what Square keeps of it.
pub fn payout_entries(seen: &Seen<'_>) -> Vec<Json> {
    let currency = seen.account().currency;
    let fee_minor = seen.item.amount_minor / 40;
    let entry = |number: usize, kind: &str, gross_minor: i64| {
        object! {
            "id": format!("{}_{number}", seen.id()),
            "payout_id": seen.id(),
            "effective_at": millis(seen.created_at_us()),
            "type": kind,
            "gross_amount_money": money(currency, gross_minor),
            "fee_amount_money": money(currency, 0),
            "net_amount_money": money(currency, gross_minor),
        }
    };
    vec![entry(0, "CHARGE", seen.item.amount_minor + fee_minor), entry(1, "FEE", -fee_minor)]
}

pub fn location(account: &Account) -> Json {
    let country = match account.currency.code {
        "JPY" => "JP",
        "GBP" => "GB",
        _ => "US",
    };
    object! {
        "id": account.id.as_str(),
        "name": account.name.as_str(),
        "timezone": "UTC",
        "capabilities": vec![Json::from("CREDIT_CARD_PROCESSING")],
        "status": "ACTIVE",
        "created_at": millis(account.opened_at_us),
        "merchant_id": "MLARKSPUR0001",
        "country": country,
        "language_code": "en-US",
        "currency": account.currency.code,
        "business_name": "Larkspur Studios",
        "type": "PHYSICAL",
        "mcc": "7299",
    }
}

pub fn bank_account(bank: &Beneficiary) -> Json {
    object! {
        "id": bank.id.as_str(),
        "account_number_suffix": format!("{:03}", bank.created_at_us.unsigned_abs() / 7 % 1_000),
        "country": "US",
        "currency": "USD",
        "account_type": "CHECKING",
        "holder_name": bank.name.as_str(),
        "primary_bank_identification_number": "084106768",
        "status": "VERIFIED",
        "creditable": true,
        "debitable": false,
        "version": 1_i64,
        "bank_name": "Bank of Fenland",
    }
}
