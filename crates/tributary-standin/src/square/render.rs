//! The bodies of the API. What has no value is left out.

use crate::kit::money::Currency;
use crate::kit::times::{self, millis};
use crate::kit::{Account, Beneficiary, Json, View, Visible, object};

fn money(currency: &Currency, amount_minor: i64) -> Json {
    object! { "amount": amount_minor, "currency": currency.code }
}

fn own_money(visible: &Visible<'_>) -> Json {
    money(visible.account().currency, visible.item.amount_minor)
}

pub fn payment(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let is_open = matches!(visible.status(), "APPROVED" | "PENDING");
    let refunds: Vec<_> = view
        .items
        .iter()
        .filter(|item| visible.item.taken_minor > 0 && item.parent == Some(visible.item.number))
        .filter(|item| item.kind.name == "refund")
        .collect();
    let refunded_minor: i64 = refunds.iter().map(|item| item.amount_minor).sum();
    let refund_ids: Vec<Json> = refunds.iter().map(|item| Json::from(item.id())).collect();
    object! {
        "id": visible.id(),
        "created_at": millis(visible.created_at_us()),
        "updated_at": millis(visible.updated_at_us()),
        "amount_money": own_money(visible),
        "total_money": own_money(visible),
        "approved_money": (visible.status() != "FAILED").then(|| own_money(visible)),
        "refunded_money": (refunded_minor > 0).then(|| money(visible.account().currency, refunded_minor)),
        "refund_ids": (!refund_ids.is_empty()).then_some(refund_ids),
        "status": visible.status(),
        "delay_duration": "PT168H",
        "delay_action": "CANCEL",
        "source_type": if visible.item.traits.is_multiple_of(5) { "CASH" } else { "CARD" },
        "location_id": visible.account().id.as_str(),
        "reference_id": format!("order-{}", visible.item.traits % 100_000),
        "note": visible.item.traits.is_multiple_of(7).then_some("Two coffees \u{2013} \"to go\""),
        "capabilities": is_open.then(|| vec![Json::from("EDIT_AMOUNT_UP")]),
    }
    .without_nulls()
}

fn payment_id<'a>(view: &'a View<'_>, visible: &Visible<'_>) -> Option<&'a str> {
    visible.item.parent.map(|parent| view.items[parent].id())
}

pub fn refund(view: &View<'_>, visible: &Visible<'_>) -> Json {
    object! {
        "id": visible.id(),
        "status": visible.status(),
        "location_id": visible.account().id.as_str(),
        "unlinked": false,
        "destination_type": "CARD",
        "amount_money": own_money(visible),
        "payment_id": payment_id(view, visible),
        "reason": "Returned goods",
        "created_at": millis(visible.created_at_us()),
        "updated_at": millis(visible.updated_at_us()),
    }
}

pub fn dispute(view: &View<'_>, visible: &Visible<'_>) -> Json {
    object! {
        "id": visible.id(),
        "dispute_id": visible.id(),
        "amount_money": own_money(visible),
        "reason": "NOT_RECEIVED",
        "state": visible.status(),
        "due_at": millis(visible.created_at_us() + 14 * times::DAY_US),
        "disputed_payment": object! { "payment_id": payment_id(view, visible) },
        "card_brand": "VISA",
        "created_at": millis(visible.created_at_us()),
        "updated_at": millis(visible.updated_at_us()),
        "reported_at": millis(visible.created_at_us()),
        "version": visible.upto + 1,
        "location_id": visible.account().id.as_str(),
    }
}

pub fn payout(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let banks = view.beneficiaries.len() as u64;
    let bank = visible.item.traits.checked_rem(banks).map(|number| &view.beneficiaries[number as usize]);
    object! {
        "id": visible.id(),
        "status": visible.status(),
        "location_id": visible.account().id.as_str(),
        "created_at": millis(visible.created_at_us()),
        "updated_at": millis(visible.updated_at_us()),
        "amount_money": own_money(visible),
        "destination": bank.map(|bank| object! { "type": "BANK_ACCOUNT", "id": bank.id.as_str() }),
        "version": visible.upto + 1,
        "type": "BATCH",
        "arrival_date": times::date(visible.created_at_us() + times::DAY_US),
    }
    .without_nulls()
}

/// A payout is made of a charge and what Square keeps of it.
pub fn payout_entries(visible: &Visible<'_>) -> Vec<Json> {
    let currency = visible.account().currency;
    let fee_minor = visible.item.amount_minor / 40;
    let entry = |number: usize, kind: &str, gross_minor: i64| {
        object! {
            "id": format!("{}_{number}", visible.id()),
            "payout_id": visible.id(),
            "effective_at": millis(visible.created_at_us()),
            "type": kind,
            "gross_amount_money": money(currency, gross_minor),
            "fee_amount_money": money(currency, 0),
            "net_amount_money": money(currency, gross_minor),
        }
    };
    vec![entry(0, "CHARGE", visible.item.amount_minor + fee_minor), entry(1, "FEE", -fee_minor)]
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
