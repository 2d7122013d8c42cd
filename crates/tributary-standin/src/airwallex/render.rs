//! The bodies of the API.

use crate::kit::times::seconds_bare_offset as time;
use crate::kit::{Account, Balance, Beneficiary, Json, View, Visible, Way, ids, object};

/// An amount as a JSON number, without zeros at the end.
fn amount(account: &Account, amount_minor: i64) -> Json {
    Json::number(account.currency.shortest(amount_minor))
}

pub fn balance(account: &Account, balance: Balance) -> Json {
    object! {
        "available_amount": amount(account, balance.booked_minor - balance.reserved_minor),
        "currency": account.currency.code,
        "pending_amount": amount(account, 0),
        "reserved_amount": amount(account, balance.reserved_minor),
        "total_amount": amount(account, balance.booked_minor),
    }
}

pub fn beneficiary(one: &Beneficiary) -> Json {
    object! {
        "id": one.id.as_str(),
        "nickname": one.name.as_str(),
        "payer_entity_type": "COMPANY",
        "transfer_methods": vec![Json::from("LOCAL")],
        "beneficiary": object! {
            "entity_type": "PERSONAL",
            "bank_details": object! {
                "account_name": one.name.as_str(),
                "bank_country_code": "DE",
                "account_currency": "EUR",
            },
        },
    }
}

/// A financial transaction; of a transfer, the one that it makes when it is asked for.
pub fn movement(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let is_transfer = visible.item.kind.name == "transfer";
    let (account, item) = (visible.account(), visible.item);
    let status = match visible.status() {
        "SCHEDULED" | "PROCESSING" => "PENDING",
        "SENT" | "PAID" => "SETTLED",
        // the money goes back with a transaction of its own
        "FAILED" => "SETTLED",
        status => status,
    };
    let id = match is_transfer {
        true => ids::uuid(view.seed(), "payout", item.number as u64).to_string(),
        false => visible.id().to_owned(),
    };
    let source_id = match is_transfer {
        true => visible.id().to_owned(),
        false => ids::uuid(view.seed(), "source", conversion(visible)).to_string(),
    };
    let settled_at_us = visible.reached_at_us(&["SETTLED", "SENT"]);
    object! {
        "amount": amount(account, item.signed_minor()),
        "batch_id": Json::Null,
        "client_rate": Json::Null,
        "created_at": time(visible.created_at_us()),
        "currency": account.currency.code,
        "currency_pair": pair(view, visible),
        "description": format!("{} of {}", item.kind.name, item.traits % 100_000),
        "estimated_settled_at": time(visible.created_at_us() + crate::kit::times::DAY_US),
        "fee": amount(account, 0),
        "funding_source_id": Json::Null,
        "id": id,
        "net": amount(account, item.signed_minor()),
        "settled_at": settled_at_us.map(time),
        "source_id": source_id,
        "source_type": source_type(item.kind.name),
        "status": status,
        "transaction_type": if is_transfer { "PAYOUT" } else { item.kind.name },
    }
}

/// What both sides of a conversion have in common.
fn conversion(visible: &Visible<'_>) -> u64 {
    visible.item.twin.map_or(visible.item.number, |twin| twin.min(visible.item.number)) as u64
}

/// What is bought and what is sold, in this order.
fn pair(view: &View<'_>, visible: &Visible<'_>) -> Option<String> {
    let twin = &view.items[visible.item.twin?];
    let (own, other) = (visible.account().currency.code, view.accounts[twin.account].currency.code);
    let (bought, sold) = if visible.item.kind.way == Way::In { (own, other) } else { (other, own) };
    Some(format!("{bought}{sold}"))
}

fn source_type(kind: &str) -> &'static str {
    match kind {
        "transfer" => "PAYOUT",
        "DEPOSIT" => "DEPOSIT",
        "PAYMENT" => "PAYMENT_ATTEMPT",
        "REFUND" => "REFUND",
        "FEE" => "FEE",
        _ => "CONVERSION",
    }
}

pub fn transfer(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let (account, item) = (visible.account(), visible.item);
    let note = view.note(item);
    let request_id = match &note {
        Some(note) => note.key.clone(),
        None => ids::uuid(view.seed(), "request", item.number as u64).to_string(),
    };
    let failed_at_us = visible.reached_at_us(&["FAILED"]);
    let paid = amount(account, item.amount_minor);
    object! {
        "amount_beneficiary_receives": paid.clone(),
        "amount_payer_pays": paid.clone(),
        "beneficiary_id": payee(view, visible),
        "created_at": time(visible.created_at_us()),
        "failure_type": failed_at_us.map(|_| "BENEFICIARY_BANK_REJECTED"),
        "fee_amount": amount(account, 0),
        "fee_currency": account.currency.code,
        "fee_paid_by": "PAYER",
        "id": visible.id(),
        "reason": "business_expenses",
        "reference": note.and_then(|note| note.text).unwrap_or_else(|| format!("PMT{}", item.traits % 10_000_000)),
        "request_id": request_id,
        "short_reference_id": format!("P{}", ids::letters(view.seed(), "short", item.number as u64, 10).to_uppercase()),
        "source_amount": paid.clone(),
        "source_currency": account.currency.code,
        "status": visible.status(),
        "transfer_amount": paid,
        "transfer_currency": account.currency.code,
        "transfer_date": crate::kit::times::date(visible.created_at_us()),
        "transfer_method": "LOCAL",
        "updated_at": time(visible.updated_at_us()),
    }
    .without_nulls()
}

/// Who is paid, where there are beneficiaries.
fn payee(view: &View<'_>, visible: &Visible<'_>) -> Option<String> {
    let count = view.beneficiaries.len() as u64;
    let place = visible.item.traits.checked_rem(count)?;
    Some(view.beneficiaries[place as usize].id.clone())
}
