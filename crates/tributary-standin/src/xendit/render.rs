//! The bodies of the API. Amounts are JSON numbers of the major unit.

use crate::kit::times::millis;
use crate::kit::{Json, View, Visible, Way, ids, object};

pub fn amount(visible: &Visible<'_>) -> Json {
    Json::number(visible.account().currency.shortest(visible.item.amount_minor))
}

/// The number of the account that a payout goes to.
pub fn payee<'a>(view: &'a View<'_>, visible: &Visible<'_>) -> &'a str {
    let people = view.beneficiaries.len() as u64;
    let place = visible.item.traits.checked_rem(people);
    place.map_or("000000000000", |place| view.beneficiaries[place as usize].id.as_str())
}

/// The id of the product behind a transaction: of a payout, its own.
pub fn product_id(view: &View<'_>, visible: &Visible<'_>) -> String {
    let prefix = if visible.item.kind.name == "DISBURSEMENT" { "disb-" } else { "" };
    format!("{prefix}{}", ids::uuid(view.seed(), "product", visible.item.number as u64))
}

pub fn reference(view: &View<'_>, visible: &Visible<'_>) -> String {
    let ordered = view.note(visible.item);
    ordered.map_or_else(|| format!("invoice-{}", visible.item.number), |note| note.key)
}

pub fn transaction(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let is_in = visible.item.kind.way == Way::In;
    let settled = if visible.status() == "SUCCESS" { "SETTLED" } else { "PENDING" };
    let fee = object! {
        "xendit_fee": 0_i64,
        "value_added_tax": 0_i64,
        "xendit_withholding_tax": 0_i64,
        "third_party_withholding_tax": 0_i64,
        "status": if visible.status() == "SUCCESS" { "COMPLETED" } else { "PENDING" },
    };
    object! {
        "id": visible.id(),
        "product_id": product_id(view, visible),
        "type": visible.item.kind.name,
        "status": visible.status(),
        "channel_category": if visible.item.kind.name == "PAYMENT" { "EWALLET" } else { "BANK" },
        "channel_code": if visible.item.kind.name == "PAYMENT" { "GCASH" } else { "BDO" },
        "reference_id": reference(view, visible),
        "account_identifier": (visible.item.kind.name == "DISBURSEMENT").then(|| payee(view, visible)),
        "currency": visible.account().currency.code,
        "amount": amount(visible),
        "net_amount": amount(visible),
        "cashflow": if is_in { "MONEY_IN" } else { "MONEY_OUT" },
        "settlement_status": is_in.then_some(settled),
        "estimated_settlement_time": Json::Null,
        "business_id": "6018306aa16ad90cb3c43ba7",
        "created": millis(visible.created_at_us()),
        "updated": millis(visible.updated_at_us()),
        "fee": fee,
    }
}

/// A payout, which its transaction shows under other words.
pub fn payout(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let status = match visible.status() {
        "PENDING" if visible.upto == 0 => "ACCEPTED",
        "PENDING" => "REQUESTED",
        "SUCCESS" => "SUCCEEDED",
        "VOIDED" => "CANCELLED",
        other => other,
    };
    let channel = object! { "account_number": payee(view, visible), "account_holder_name": "A payee" };
    object! {
        "id": product_id(view, visible),
        "amount": amount(visible),
        "channel_code": "PH_BDO",
        "currency": visible.account().currency.code,
        "description": view.note(visible.item).and_then(|note| note.text),
        "reference_id": reference(view, visible),
        "status": status,
        "failure_code": (status == "FAILED").then_some("INVALID_DESTINATION"),
        "created": millis(visible.created_at_us()),
        "updated": millis(visible.updated_at_us()),
        "estimated_arrival_time": millis(visible.created_at_us()),
        "business_id": "6018306aa16ad90cb3c43ba7",
        "channel_properties": channel,
    }
    .without_nulls()
}
