//! The bodies of the API. What has no value is `null`, and much is there in two spellings.

use crate::kit::times::{DAY_US, millis};
use crate::kit::{Beneficiary, Booking, Json, View, Visible, ids, names, object};

const INTEGRATION: i64 = 463_433;
const REQUEST: i64 = 1_068_403;

fn empty() -> Json {
    Json::Object(Vec::new())
}

/// An id, which is a whole number.
fn number(id: &str) -> Json {
    Json::number(id.to_owned())
}

fn reference(visible: &Visible<'_>) -> String {
    format!("ref_{:016x}", visible.item.traits)
}

/// The reference of a transfer: the client's own, where one gave it.
pub fn transfer_reference(view: &View<'_>, visible: &Visible<'_>) -> String {
    view.note(visible.item).map_or_else(|| reference(visible), |note| note.key)
}

pub fn transaction(_: &View<'_>, visible: &Visible<'_>) -> Json {
    charge(visible)
        .with("ip_address", "102.89.23.1")
        .with("metadata", Json::Null)
        .with("fees", visible.item.amount_minor / 66)
        .with("customer", payer(visible))
        .with("requested_amount", visible.item.amount_minor)
        .with("source", Json::Null)
        .with("connect", Json::Null)
}

/// What a transaction and the one within a dispute have in common.
fn charge(visible: &Visible<'_>) -> Json {
    let paid_at = visible.reached_at_us(&["success"]).map(millis);
    let gateway_response = match visible.status() {
        "success" | "reversed" => "Successful",
        "failed" => "Declined",
        _ => "The transaction was not completed",
    };
    object! {
        "id": number(visible.id()),
        "domain": "live",
        "status": visible.status(),
        "reference": reference(visible),
        "amount": visible.item.amount_minor,
        "message": Json::Null,
        "gateway_response": gateway_response,
        "paid_at": paid_at.clone(),
        "created_at": millis(visible.created_at_us()),
        "channel": CHANNELS[(visible.item.traits % CHANNELS.len() as u64) as usize],
        "currency": visible.account().currency.code,
        "log": Json::Null,
        "fees_split": Json::Null,
        "authorization": authorization(),
        "plan": empty(),
        "split": empty(),
        "subaccount": empty(),
        "order_id": Json::Null,
        "paidAt": paid_at,
        "createdAt": millis(visible.created_at_us()),
        "pos_transaction_data": Json::Null,
    }
}

static CHANNELS: [&str; 4] = ["card", "bank", "ussd", "bank_transfer"];

fn authorization() -> Json {
    object! {
        "authorization_code": "AUTH_larkspur",
        "bin": "408408",
        "last4": "4081",
        "exp_month": "12",
        "exp_year": "2030",
        "channel": "card",
        "card_type": "visa ",
        "bank": "TEST BANK",
        "country_code": "NG",
        "brand": "visa",
        "reusable": true,
        "signature": Json::Null,
        "account_name": Json::Null,
    }
}

fn payer(visible: &Visible<'_>) -> Json {
    let name = names::person(visible.item.traits);
    let (first_name, last_name) = name.split_once(' ').unwrap_or((&name, ""));
    object! {
        "id": (visible.item.traits % 90_000_000) as i64,
        "first_name": first_name,
        "last_name": last_name,
        "email": "payer@example.com",
        "phone": Json::Null,
        "metadata": Json::Null,
        "customer_code": format!("CUS_{:x}", visible.item.traits),
        "risk_action": "default",
    }
}

/// The payer as refunds and disputes show him, whose metadata is text.
fn customer(visible: &Visible<'_>) -> Json {
    payer(visible).without("metadata").with("metadata", "{}").with("international_format_phone", "+234")
}

pub fn transfer(view: &View<'_>, visible: &Visible<'_>) -> Json {
    what_is_transferred(view, visible)
        .with("request", REQUEST)
        .with("recipient", recipient_of(view, visible).map(|to| recipient(view, to)))
        .with("session", session())
        .with("fee_charged", 0_i64)
        .with("fees_breakdown", Json::Null)
}

/// A transfer as the answer to its order has it.
pub fn transfer_ordered(view: &View<'_>, visible: &Visible<'_>) -> Json {
    what_is_transferred(view, visible)
        .with("transfersessionid", Vec::new())
        .with("transfertrials", Vec::new())
        .with("request", REQUEST)
        .with("recipient", recipient_of(view, visible).map(recipient_number))
}

/// A transfer as the look by its reference has it.
pub fn transfer_verified(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let recipient = recipient_of(view, visible).map(|to| recipient(view, to).without("isDeleted"));
    what_is_transferred(view, visible)
        .with("recipient", recipient)
        .with("session", session())
        .with("gateway_response", Json::Null)
}

fn what_is_transferred(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let text = view.note(visible.item).and_then(|note| note.text);
    object! {
        "amount": visible.item.amount_minor,
        "createdAt": millis(visible.created_at_us()),
        "currency": visible.account().currency.code,
        "domain": "live",
        "failures": Json::Null,
        "id": number(visible.id()),
        "integration": INTEGRATION,
        "reason": text.unwrap_or_else(|| "Supplies".to_owned()),
        "reference": transfer_reference(view, visible),
        "source": "balance",
        "source_details": Json::Null,
        "status": visible.status(),
        "titan_code": Json::Null,
        "transfer_code": transfer_code(visible),
        "transferred_at": Json::Null,
        "updatedAt": millis(visible.updated_at_us()),
    }
}

fn session() -> Json {
    object! { "provider": Json::Null, "id": Json::Null }
}

fn recipient_of<'v>(view: &'v View<'_>, visible: &Visible<'_>) -> Option<&'v Beneficiary> {
    let recipients = view.beneficiaries.len() as u64;
    visible.item.traits.checked_rem(recipients).map(|place| &view.beneficiaries[place as usize])
}

/// The other name of a transfer.
pub fn transfer_code(visible: &Visible<'_>) -> String {
    format!("TRF_{}", ids::letters(visible.item.traits, "code", 0, 15).to_lowercase())
}

/// The other id of a recipient.
fn recipient_number(one: &Beneficiary) -> i64 {
    one.created_at_us / 1_000_000 % 100_000_000
}

pub fn recipient(_: &View<'_>, one: &Beneficiary) -> Json {
    let details = object! {
        "authorization_code": Json::Null,
        "account_number": format!("{:010}", one.created_at_us.unsigned_abs() / 7 % 10_000_000_000),
        "account_name": one.name.as_str(),
        "bank_code": "058",
        "bank_name": "Fenland Trust Bank",
    };
    object! {
        "active": true,
        "createdAt": millis(one.created_at_us),
        "currency": "NGN",
        "description": "",
        "domain": "live",
        "email": "payee@example.com",
        "id": recipient_number(one),
        "integration": INTEGRATION,
        "metadata": Json::Null,
        "name": one.name.as_str(),
        "recipient_code": one.id.as_str(),
        "type": "nuban",
        "updatedAt": millis(one.created_at_us),
        "is_deleted": false,
        "isDeleted": false,
        "details": details,
    }
}

pub fn refund(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let payment = visible.item.parent.map(|parent| &view.items[parent]);
    object! {
        "integration": INTEGRATION,
        "transaction": payment.map(|payment| number(payment.id())),
        "dispute": Json::Null,
        "settlement": Json::Null,
        "id": number(visible.id()),
        "domain": "live",
        "currency": visible.account().currency.code,
        "amount": visible.item.amount_minor,
        "status": visible.status(),
        "refunded_at": Json::Null,
        "refunded_by": "ops@example.com",
        "customer_note": "Refund for goods",
        "merchant_note": "Returned goods",
        "deducted_amount": if visible.item.kind.is_booked(visible.status()) { visible.item.amount_minor } else { 0 },
        "fully_deducted": i64::from(visible.item.kind.is_booked(visible.status())),
        "createdAt": millis(visible.created_at_us()),
        "bank_reference": Json::Null,
        "transaction_reference": payment.map(|payment| format!("ref_{:016x}", payment.traits)),
        "reason": "REFUND",
        "customer": customer(visible),
        "refund_type": if payment.is_some_and(|one| one.amount_minor == visible.item.amount_minor) { "full" } else { "partial" },
        "transaction_amount": payment.map(|payment| payment.amount_minor),
        "initiated_by": "ops@example.com",
        "refund_channel": "migs",
        "session_id": Json::Null,
        "collect_account_number": false,
    }
}

pub fn dispute(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let (status, resolution) = match visible.status().split_once(", ") {
        Some((status, resolution)) => (status, Some(resolution)),
        None => (visible.status(), None),
    };
    let payment =
        visible.item.parent.and_then(|parent| view.record(&["transaction"], view.items[parent].id()));
    let transaction = payment.map(|payment| {
        charge(&payment)
            .with("ip_address", "102.89.23.1")
            .with("metadata", object! { "custom_fields": Vec::new() })
            .with("fees", payment.item.amount_minor / 66)
            .with("customer", Json::Null)
            .with("source", Json::Null)
            .with("fees_breakdown", Json::Null)
            .with("connect", Json::Null)
    });
    let opened = object! { "status": "awaiting-merchant-feedback", "by": "bank@example.com", "createdAt": millis(visible.created_at_us()) };
    object! {
        "id": number(visible.id()),
        "refund_amount": visible.item.amount_minor,
        "currency": visible.account().currency.code,
        "status": status,
        "resolution": resolution,
        "domain": "live",
        "transaction": transaction,
        "transaction_reference": Json::Null,
        "category": "chargeback",
        "customer": customer(visible),
        "bin": "408408",
        "last4": "4081",
        "dueAt": millis(visible.created_at_us() + 7 * DAY_US),
        "resolvedAt": resolution.map(|_| millis(visible.updated_at_us())),
        "evidence": Json::Null,
        "attachments": Json::Null,
        "note": Json::Null,
        "history": vec![opened],
        "messages": Vec::new(),
        "createdAt": millis(visible.created_at_us()),
        "updatedAt": millis(visible.updated_at_us()),
    }
}

/// A row of the ledger: what a balance changed by, and what it came to.
pub fn ledger_row(visible: &Visible<'_>, booking: &Booking, balance_minor: i64) -> Json {
    let model = match visible.item.kind.name {
        "transaction" => "Transaction",
        "transfer" => "Transfer",
        "refund" => "Refund",
        _ => "Dispute",
    };
    object! {
        "integration": INTEGRATION,
        "domain": "live",
        "balance": balance_minor,
        "currency": visible.account().currency.code,
        "difference": booking.signed_minor,
        "reason": if booking.is_undone { "Reversal" } else { "Movement" },
        "model_responsible": model,
        "model_row": number(visible.id()),
        "id": (ids::hash(0, visible.id(), booking.number) % 9_000_000_000_000) as i64,
        "createdAt": millis(booking.at_us),
        "updatedAt": millis(booking.at_us),
    }
}
