//! The bodies of the API.

use crate::kit::times::{self, millis};
use crate::kit::{Account, Beneficiary, Json, View, Visible, ids, names, object};

fn metadata() -> Json {
    Json::Object(Vec::new())
}

fn mandate(visible: &Visible<'_>) -> String {
    format!("MD{:014}", visible.item.traits % 100_000)
}

pub fn creditor(account: &Account) -> Json {
    object! {
        "id": account.id.as_str(),
        "created_at": millis(account.opened_at_us),
        "name": account.name.as_str(),
        "country_code": if account.currency.code == "USD" { "US" } else { "GB" },
        "creditor_type": "company",
        "verification_status": "successful",
        "can_create_refunds": true,
        "links": metadata(),
    }
}

/// What is confirmed and not paid out yet; and what is on its way, which is not the balance.
pub fn balances(account: &Account, view: &View<'_>, number: usize) -> Json {
    let balance = view.balance(number);
    let row = |kind: &str, amount_minor: i64| {
        object! {
            "amount": amount_minor,
            "balance_type": kind,
            "currency": account.currency.code,
            "last_updated_at": millis(view.now_us()),
            "links": object! { "creditor": account.id.as_str() },
        }
    };
    Json::List(vec![
        row("confirmed_funds", balance.booked_minor),
        row("pending_payouts", balance.reserved_minor),
    ])
}

pub fn bank_account(one: &Beneficiary, creditor: &Account) -> Json {
    object! {
        "id": one.id.as_str(),
        "created_at": millis(one.created_at_us),
        "account_holder_name": one.name.as_str(),
        "account_number_ending": format!("{:02}", ids::hash(0, &one.id, 0) % 100),
        "bank_name": "FENLAND TRUST",
        "country_code": "GB",
        "currency": creditor.currency.code,
        "enabled": true,
        "metadata": metadata(),
        "links": object! { "creditor": creditor.id.as_str() },
    }
}

pub fn payment(_: &View<'_>, visible: &Visible<'_>) -> Json {
    let links = object! { "creditor": visible.account().id.as_str(), "mandate": mandate(visible) };
    object! {
        "id": visible.id(),
        "created_at": millis(visible.created_at_us()),
        "charge_date": times::date(visible.created_at_us() + 3 * times::DAY_US),
        "amount": visible.item.amount_minor,
        "amount_refunded": visible.item.taken_minor,
        "currency": visible.account().currency.code,
        "status": visible.status(),
        "scheme": "bacs",
        "reference": format!("ORDER-{}", visible.item.traits % 100_000),
        "description": visible.item.traits.is_multiple_of(3).then(|| names::business(visible.item.traits)),
        "metadata": metadata(),
        "links": links,
    }
}

pub fn refund(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let links = match visible.item.parent {
        Some(parent) => object! { "payment": view.items[parent].id(), "mandate": mandate(visible) },
        None => object! { "mandate": mandate(visible) },
    };
    object! {
        "id": visible.id(),
        "amount": visible.item.amount_minor,
        "created_at": millis(visible.created_at_us()),
        "currency": visible.account().currency.code,
        "status": visible.status(),
        "reference": Json::Null,
        "metadata": metadata(),
        "links": links,
    }
}

pub fn payout(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let banks = view.beneficiaries.len() as u64;
    let bank = visible.item.traits.checked_rem(banks).map(|number| &view.beneficiaries[number as usize]);
    let links = object! {
        "creditor": visible.account().id.as_str(),
        "creditor_bank_account": bank.map(|bank| bank.id.as_str()),
    };
    object! {
        "id": visible.id(),
        "amount": visible.item.amount_minor,
        "arrival_date": times::date(visible.created_at_us() + 2 * times::DAY_US),
        "created_at": millis(visible.created_at_us()),
        "currency": visible.account().currency.code,
        "deducted_fees": visible.item.amount_minor / 100,
        "payout_type": "merchant",
        "reference": format!("LARKSPUR-{}", visible.item.number),
        "status": visible.status(),
        "metadata": metadata(),
        "links": links,
    }
}
