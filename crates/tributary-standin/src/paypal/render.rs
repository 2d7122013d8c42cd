//! The bodies of the API.

use crate::kit::money::Currency;
use crate::kit::times::seconds_bare_offset as time;
use crate::kit::{Account, Balance, Json, View, Visible, names, object};

fn money(currency: &Currency, amount_minor: i64) -> Json {
    object! { "currency_code": currency.code, "value": currency.decimal(amount_minor) }
}

pub fn balance(account: &Account, balance: Balance) -> Json {
    let currency = account.currency;
    object! {
        "currency": currency.code,
        "primary": currency.code == "USD",
        "total_balance": money(currency, balance.booked_minor),
        "available_balance": money(currency, balance.booked_minor - balance.reserved_minor),
        "withheld_balance": money(currency, balance.reserved_minor),
    }
}

pub fn transaction(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let (currency, item) = (visible.account().currency, visible.item);
    let parent = item.parent.or(item.twin).map(|other| view.items[other].id().to_owned());
    let info = object! {
        "paypal_account_id": "6STWC2LSUYYYE",
        "transaction_id": visible.id(),
        "paypal_reference_id_type": parent.is_some().then_some("TXN"),
        "paypal_reference_id": parent,
        "transaction_event_code": item.kind.name.split(' ').next().unwrap_or_default(),
        "transaction_initiation_date": time(visible.created_at_us()),
        "transaction_updated_date": time(visible.updated_at_us()),
        "transaction_amount": money(currency, item.signed_minor()),
        "transaction_status": visible.status(),
        "transaction_subject": names::business(item.traits),
    };
    object! { "transaction_info": info.without_nulls() }
}
