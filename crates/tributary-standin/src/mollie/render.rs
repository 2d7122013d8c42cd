//! The bodies of the API.

use crate::kit::money::Currency;
use crate::kit::times::seconds_offset;
use crate::kit::{Account, Balance, Booking, Json, View, Visible, names, object};

pub fn amount(currency: &Currency, amount_minor: i64) -> Json {
    object! { "currency": currency.code, "value": currency.decimal(amount_minor) }
}

pub fn link(href: String) -> Json {
    object! { "href": href, "type": "application/hal+json" }
}

fn own_amount(visible: &Visible<'_>) -> Json {
    amount(visible.account().currency, visible.item.amount_minor)
}

fn time_of(visible: &Visible<'_>, status: &str) -> Option<String> {
    visible.reached_at_us(&[status]).map(seconds_offset)
}

pub fn payment(view: &View<'_>, visible: &Visible<'_>, origin: &str) -> Json {
    let currency = visible.account().currency;
    let id = visible.id();
    let body = object! {
        "resource": "payment",
        "id": id,
        "mode": "live",
        "createdAt": seconds_offset(visible.created_at_us()),
        "amount": own_amount(visible),
        "description": format!("Order #{}", visible.item.traits % 100_000),
        "method": METHODS[(visible.item.traits % METHODS.len() as u64) as usize],
        "status": visible.status(),
        "isCancelable": matches!(visible.status(), "open" | "authorized"),
        "profileId": "pfl_larkspur",
        "sequenceType": "oneoff",
        "settlementAmount": (visible.status() == "paid").then(|| own_amount(visible)),
        "authorizedAt": time_of(visible, "authorized"),
        "paidAt": time_of(visible, "paid"),
        "canceledAt": time_of(visible, "canceled"),
        "expiredAt": time_of(visible, "expired"),
        "failedAt": time_of(visible, "failed"),
        "customerId": view.beneficiaries.first().map(|one| one.id.as_str()),
    };
    let refunded_minor = taken_by(view, visible, "refund");
    let charged_back_minor = taken_by(view, visible, "chargeback");
    let body = if visible.status() == "paid" {
        let left_minor = visible.item.amount_minor - refunded_minor;
        body.with("amountRefunded", amount(currency, refunded_minor))
            .with("amountRemaining", amount(currency, left_minor))
            .with("amountChargedBack", (charged_back_minor > 0).then(|| amount(currency, charged_back_minor)))
    } else {
        body
    };
    body.without_nulls().with("_links", object! { "self": link(format!("{origin}/v2/payments/{id}")) })
}

static METHODS: [&str; 4] = ["ideal", "creditcard", "klarna", "banktransfer"];

/// What the children of this kind took, if any did.
fn taken_by(view: &View<'_>, visible: &Visible<'_>, kind: &str) -> i64 {
    if visible.item.taken_minor == 0 {
        return 0;
    }
    let children = view.items.iter().filter(|item| item.parent == Some(visible.item.number));
    children.filter(|item| item.kind.name == kind).map(|item| item.amount_minor).sum()
}

fn payment_id<'a>(view: &'a View<'_>, visible: &Visible<'_>) -> Option<&'a str> {
    visible.item.parent.map(|parent| view.items[parent].id())
}

pub fn refund(view: &View<'_>, visible: &Visible<'_>, origin: &str) -> Json {
    let payment = payment_id(view, visible);
    let links = object! {
        "self": link(format!("{origin}/v2/payments/{}/refunds/{}", payment.unwrap_or_default(), visible.id())),
        "payment": link(format!("{origin}/v2/payments/{}", payment.unwrap_or_default())),
    };
    object! {
        "resource": "refund",
        "id": visible.id(),
        "mode": "live",
        "amount": own_amount(visible),
        "settlementAmount": amount(visible.account().currency, -visible.item.amount_minor),
        "status": visible.status(),
        "createdAt": seconds_offset(visible.created_at_us()),
        "description": "Returned goods",
        "metadata": Json::Null,
        "paymentId": payment,
        "_links": links,
    }
}

pub fn chargeback(view: &View<'_>, visible: &Visible<'_>, origin: &str) -> Json {
    let payment = payment_id(view, visible);
    let links = object! { "payment": link(format!("{origin}/v2/payments/{}", payment.unwrap_or_default())) };
    object! {
        "resource": "chargeback",
        "id": visible.id(),
        "amount": own_amount(visible),
        "settlementAmount": amount(visible.account().currency, -visible.item.amount_minor),
        "createdAt": seconds_offset(visible.created_at_us()),
        "reason": object! { "code": "AC01", "description": "Account identifier incorrect" },
        "paymentId": payment,
        "reversedAt": time_of(visible, "reversed"),
        "_links": links,
    }
}

pub fn payout(_: &View<'_>, visible: &Visible<'_>, origin: &str) -> Json {
    let reason = matches!(visible.status(), "canceled" | "failed").then(|| {
        object! { "code": visible.status(), "message": format!("The payout has {}.", visible.status()) }
    });
    object! {
        "resource": "payout",
        "id": visible.id(),
        "balanceId": visible.account().id.as_str(),
        "amount": own_amount(visible),
        "description": format!("Payout to {}", names::business(visible.item.traits)),
        "status": visible.status(),
        "statusReason": reason,
        "createdAt": seconds_offset(visible.created_at_us()),
        "initiatedAt": time_of(visible, "initiated"),
        "completedAt": time_of(visible, "completed"),
        "canceledAt": time_of(visible, "canceled"),
        "mode": "live",
        "_links": object! { "self": link(format!("{origin}/v2/payouts/{}", visible.id())) },
    }
}

pub fn balance(account: &Account, balance: Balance, origin: &str) -> Json {
    let id = account.id.as_str();
    object! {
        "resource": "balance",
        "id": id,
        "mode": "live",
        "createdAt": seconds_offset(account.opened_at_us),
        "currency": account.currency.code,
        "description": account.name.as_str(),
        "status": "active",
        "transferFrequency": "twice-a-month",
        "transferThreshold": amount(account.currency, 4_000),
        "availableAmount": amount(account.currency, balance.booked_minor),
        "pendingAmount": amount(account.currency, 0),
        "_links": object! { "self": link(format!("{origin}/v2/balances/{id}")) },
    }
}

/// A movement of a balance, with its id.
pub struct Movement<'a> {
    pub id: String,
    pub visible: Visible<'a>,
    pub booking: Booking,
}

pub fn movement(view: &View<'_>, movement: &Movement<'_>) -> Json {
    let Movement { visible, booking, .. } = movement;
    let (kind, context, name) = match (visible.item.kind.name, !booking.is_undone) {
        ("payment", _) => ("payment", "payment", "paymentId"),
        ("refund", true) => ("refund", "refund", "refundId"),
        ("refund", false) => ("returned-refund", "returned-refund", "refundId"),
        ("chargeback", true) => ("chargeback", "chargeback", "chargebackId"),
        ("chargeback", false) => ("chargeback-reversal", "chargeback-reversal", "chargebackId"),
        (_, true) => ("outgoing-transfer", "outgoing-transfer", "transferId"),
        (_, false) => ("returned-transfer", "returned-transfer", "transferId"),
    };
    let currency = visible.account().currency;
    let mut about = Json::Object(Vec::new()).with(name, visible.id());
    if let Some(payment) = payment_id(view, visible) {
        about = about.with("paymentId", payment);
    }
    object! {
        "resource": "balance_transaction",
        "id": movement.id.as_str(),
        "type": kind,
        "resultAmount": amount(currency, booking.signed_minor),
        "initialAmount": amount(currency, booking.signed_minor),
        "deductions": Json::Null,
        "createdAt": seconds_offset(booking.at_us),
        "context": Json::Object(Vec::new()).with(context, about),
    }
}
