//! The bodies of the API. Amounts are texts without a sign, days are their first moment, and what
//! has no value is left out.

use crate::kit::money::Currency;
use crate::kit::times::{DAY_US, seconds_offset};
use crate::kit::{Account, Balance, Beneficiary, Json, Visible, ids, names, object};

fn amount(currency: &Currency, amount_minor: i64) -> Json {
    object! { "Amount": currency.decimal(amount_minor.abs()), "Currency": currency.code }
}

fn indicator(amount_minor: i64) -> &'static str {
    if amount_minor < 0 { "Debit" } else { "Credit" }
}

pub fn account(account: &Account) -> Json {
    let identification = ids::hash(0, &account.id, 0) % 100_000_000_000_000;
    let scheme = object! {
        "SchemeName": "UK.OBIE.SortCodeAccountNumber",
        "Identification": format!("{identification:014}"),
        "Name": "Larkspur Studios Ltd",
    };
    object! {
        "AccountId": account.id.as_str(),
        "Status": "Enabled",
        "Currency": account.currency.code,
        "AccountType": "Business",
        "AccountSubType": "CurrentAccount",
        "Nickname": account.name.as_str(),
        "OpeningDate": seconds_offset(account.opened_at_us),
        "Account": vec![scheme],
    }
}

/// What is booked, and what is left of it.
pub fn balances(account: &Account, balance: Balance, now_us: i64) -> Json {
    let kinds = [
        ("InterimAvailable", balance.booked_minor - balance.reserved_minor),
        ("InterimBooked", balance.booked_minor),
    ];
    let body = |(kind, amount_minor): (&'static str, i64)| {
        object! {
            "AccountId": account.id.as_str(),
            "Amount": amount(account.currency, amount_minor),
            "CreditDebitIndicator": indicator(amount_minor),
            "Type": kind,
            "DateTime": seconds_offset(now_us),
        }
    };
    kinds.into_iter().map(body).collect()
}

pub fn beneficiary(account: &Account, one: &Beneficiary) -> Json {
    let creditor = object! {
        "SchemeName": "UK.OBIE.SortCodeAccountNumber",
        "Identification": format!("{:014}", ids::hash(0, &one.id, 0) % 100_000_000_000_000),
        "Name": one.name.as_str(),
    };
    object! {
        "AccountId": account.id.as_str(),
        "BeneficiaryId": one.id.as_str(),
        "Reference": "Supplies",
        "CreditorAccount": creditor,
    }
}

/// The day by which a transaction is listed, in microseconds.
pub fn booking_day_us(visible: &Visible<'_>) -> i64 {
    let at_us = visible.reached_at_us(&["Booked"]).unwrap_or_else(|| visible.created_at_us());
    at_us.div_euclid(DAY_US) * DAY_US
}

/// `has_id` says whether this account tells ids.
pub fn transaction(visible: &Visible<'_>, has_id: bool) -> Json {
    let information = match visible.item.kind.name {
        "fee" => "Account fee",
        _ => names::business(visible.item.traits),
    };
    let signed_minor = visible.item.signed_minor();
    let code = object! { "Code": "PMT", "Issuer": "Fenland Bank" };
    object! {
        "AccountId": visible.account().id.as_str(),
        "TransactionId": has_id.then(|| visible.id()),
        "Amount": amount(visible.account().currency, signed_minor),
        "CreditDebitIndicator": indicator(signed_minor),
        "Status": visible.status(),
        "TransactionMutability": if visible.status() == "Booked" { "Immutable" } else { "Mutable" },
        "BookingDateTime": seconds_offset(booking_day_us(visible)),
        "TransactionInformation": information,
        "ProprietaryBankTransactionCode": code,
    }
    .without_nulls()
}
