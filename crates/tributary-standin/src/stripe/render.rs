//! The bodies of the API.

use super::lives::REVERSED;
use crate::kit::times::SECOND_US;
use crate::kit::{Account, Balance, Beneficiary, Json, View, Visible, ids, object};

/// Seconds since 1970.
pub fn time(at_us: i64) -> i64 {
    at_us.div_euclid(SECOND_US)
}

fn code(account: &Account) -> String {
    account.currency.code.to_lowercase()
}

/// The business's own account.
pub fn business(view: &View<'_>) -> Json {
    object! {
        "id": business_id(view.seed()),
        "object": "account",
        "business_type": "company",
        "country": "DE",
        "default_currency": "eur",
        "payouts_enabled": true,
    }
}

pub fn business_id(seed: u64) -> String {
    format!("acct_1{}", ids::letters(seed, "business", 0, 15))
}

pub fn balance(account: &Account, balance: Balance) -> Json {
    let source_types = object! { "card": balance.booked_minor };
    object! { "amount": balance.booked_minor, "currency": code(account), "source_types": source_types }
}

pub fn pending(account: &Account, amount_minor: i64) -> Json {
    object! { "amount": amount_minor, "currency": code(account), "source_types": object! { "card": amount_minor } }
}

pub fn bank_account(seed: u64, one: &Beneficiary) -> Json {
    object! {
        "id": one.id.as_str(),
        "object": "bank_account",
        "account": business_id(seed),
        "account_holder_name": one.name.as_str(),
        "account_holder_type": "company",
        "bank_name": "STRIPE TEST BANK",
        "country": "DE",
        "currency": "eur",
        "last4": format!("{:04}", one.created_at_us.unsigned_abs() / 1_000_000 % 10_000),
        "status": "new",
    }
}

/// The id of a line of the balance: that of the record, but for refunds and payouts, which are records of
/// their own.
pub fn line_id(view: &View<'_>, visible: &Visible<'_>) -> String {
    match visible.item.kind.name {
        "refund" | "payout" => {
            format!("txn_1{}", ids::letters(view.seed(), "line", visible.item.number as u64, 21))
        }
        _ => visible.id().to_owned(),
    }
}

/// A balance transaction; of refunds and payouts, the one that they make when they are made.
pub fn line(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let (account, item) = (visible.account(), visible.item);
    let source = match item.kind.name {
        "refund" | "payout" => visible.id().to_owned(),
        kind => format!("{}_1{}", &kind[..2], ids::letters(view.seed(), "source", item.number as u64, 21)),
    };
    let status =
        if visible.status() == "pending" && item.kind.name != "payout" { "pending" } else { "available" };
    object! {
        "id": line_id(view, visible),
        "object": "balance_transaction",
        "amount": item.signed_minor(),
        "available_on": time(visible.created_at_us() + 2 * crate::kit::times::DAY_US),
        "created": time(visible.created_at_us()),
        "currency": code(account),
        "description": Json::Null,
        "exchange_rate": Json::Null,
        "fee": 0_i64,
        "fee_details": Vec::new(),
        "net": item.signed_minor(),
        "reporting_category": item.kind.name,
        "source": source,
        "status": status,
        "type": item.kind.name,
    }
}

/// A refund; with its charge, where that is asked for.
pub fn refund(view: &View<'_>, visible: &Visible<'_>, with_charge: bool) -> Json {
    let (account, item) = (visible.account(), visible.item);
    let parent = item.parent.map(|parent| &view.items[parent]);
    let charge_id =
        format!("ch_1{}", ids::letters(view.seed(), "source", item.parent.unwrap_or_default() as u64, 21));
    let charge = match (parent, with_charge) {
        (Some(parent), true) => object! {
            "id": charge_id,
            "object": "charge",
            "amount": parent.amount_minor,
            "balance_transaction": parent.id(),
            "currency": code(account),
        },
        _ => Json::from(charge_id),
    };
    let came_back = visible.status() == "failed" && item.was("succeeded", visible.upto);
    let number = item.number as u64;
    object! {
        "id": visible.id(),
        "object": "refund",
        "amount": item.amount_minor,
        "balance_transaction": format!("txn_1{}", ids::letters(view.seed(), "line", number, 21)),
        "charge": charge,
        "created": time(visible.created_at_us()),
        "currency": code(account),
        "failure_balance_transaction": came_back.then(|| format!("txn_1{}", ids::letters(view.seed(), "back", number, 21))),
        "metadata": Json::Object(Vec::new()),
        "payment_intent": Json::Null,
        "reason": "requested_by_customer",
        "status": visible.status(),
    }
}

/// A payout as it is, or as it was in version `upto`.
pub fn payout(view: &View<'_>, visible: &Visible<'_>, upto: usize) -> Json {
    let (account, item) = (visible.account(), visible.item);
    let status = item.versions[upto].status;
    let note = view.note(item);
    let metadata = match &note {
        Some(note) => object! { "tributary_key": note.key.as_str() },
        None => Json::Object(Vec::new()),
    };
    let is_failed = status == "failed";
    let number = item.number as u64;
    let reversal =
        (status == REVERSED).then(|| format!("po_1{}", ids::letters(view.seed(), "reversal", number, 21)));
    object! {
        "id": visible.id(),
        "object": "payout",
        "amount": item.amount_minor,
        "arrival_date": time(visible.created_at_us() + 2 * crate::kit::times::DAY_US),
        "automatic": note.is_none(),
        "balance_transaction": format!("txn_1{}", ids::letters(view.seed(), "line", number, 21)),
        "created": time(visible.created_at_us()),
        "currency": code(account),
        "description": note.and_then(|note| note.text),
        "destination": payee(view, visible),
        "failure_balance_transaction": is_failed.then(|| format!("txn_1{}", ids::letters(view.seed(), "back", number, 21))),
        "failure_code": is_failed.then_some("account_closed"),
        "failure_message": is_failed.then_some("The bank account has been closed"),
        "livemode": false,
        "metadata": metadata,
        "method": "standard",
        "original_payout": Json::Null,
        "reversed_by": reversal,
        "source_type": "card",
        "statement_descriptor": Json::Null,
        "status": if status == REVERSED { "paid" } else { status },
        "type": "bank_account",
    }
}

/// Which bank account is paid, where there are any.
fn payee(view: &View<'_>, visible: &Visible<'_>) -> Option<String> {
    let place = visible.item.traits.checked_rem(view.beneficiaries.len() as u64)?;
    Some(view.beneficiaries[place as usize].id.clone())
}
