//! The bodies of the API. Amounts are JSON numbers without zeros at the end, negative where money
//! goes out; what has no value is left out.

use crate::kit::money::Currency;
use crate::kit::times::micros;
use crate::kit::{Account, Balance, Beneficiary, Item, Json, View, Visible, ids, names, object};

fn amount(currency: &Currency, amount_minor: i64) -> Json {
    Json::number(currency.shortest(amount_minor))
}

/// The id of a transaction, by the number of the record that is its first leg.
pub fn transaction_id(seed: u64, first_leg: usize) -> String {
    ids::uuid(seed, "of the whole", first_leg as u64).to_string()
}

pub fn account(account: &Account, balance: Balance) -> Json {
    object! {
        "id": account.id.as_str(),
        "name": account.name.as_str(),
        "balance": amount(account.currency, balance.booked_minor),
        "currency": account.currency.code,
        "state": "active",
        "public": false,
        "created_at": micros(account.opened_at_us),
        "updated_at": micros(account.opened_at_us),
    }
}

/// The id of the account that a counterparty has.
pub fn their_account(one: &Beneficiary) -> String {
    ids::uuid(0, &one.id, 0).to_string()
}

pub fn counterparty(one: &Beneficiary) -> Json {
    let account = object! {
        "id": their_account(one),
        "type": "external",
        "currency": "GBP",
        "name": one.name.as_str(),
        "bank_country": "GB",
    };
    object! {
        "id": one.id.as_str(),
        "name": one.name.as_str(),
        "profile_type": "personal",
        "country": "GB",
        "state": "created",
        "created_at": micros(one.created_at_us),
        "updated_at": micros(one.created_at_us),
        "accounts": vec![account],
    }
}

pub fn transaction(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let kind = match visible.item.kind.name {
        "payment" => "transfer",
        kind => kind,
    };
    let merchant = kind.starts_with("card_").then(|| {
        object! {
            "name": names::business(visible.item.traits),
            "city": "London",
            "category_code": "5999",
            "country": "GB",
        }
    });
    let ordered = view.note(visible.item);
    let related = visible.item.parent.map(|parent| transaction_id(view.seed(), parent));
    let legs = [Some(visible.item), visible.item.twin.map(|twin| &view.items[twin])];
    let legs: Json = legs.into_iter().flatten().map(|item| leg(view, visible, item)).collect();
    object! {
        "id": transaction_id(view.seed(), visible.item.number),
        "type": kind,
        "request_id": ordered.as_ref().map(|note| note.key.clone()),
        "state": visible.status(),
        "reason_code": matches!(visible.status(), "declined" | "failed").then_some("insufficient_balance"),
        "created_at": micros(visible.created_at_us()),
        "updated_at": micros(visible.updated_at_us()),
        "completed_at": visible.reached_at_us(&["completed"]).map(micros),
        "merchant": merchant,
        "related_transaction_id": related,
        "reference": (kind == "transfer").then(|| ordered.and_then(|note| note.text).unwrap_or_else(|| "Supplies".to_owned())),
        "legs": legs,
    }
    .without_nulls()
}

fn leg(view: &View<'_>, visible: &Visible<'_>, item: &Item) -> Json {
    let account = &view.accounts[item.account];
    // the first leg bears the id of the visible version
    let id = if item.number == visible.item.number { visible.id() } else { item.id() };
    object! {
        "leg_id": id,
        "account_id": account.id.as_str(),
        "counterparty": counterparty_of(view, item),
        "amount": amount(account.currency, item.signed_minor()),
        "currency": account.currency.code,
        "description": names::business(item.traits),
    }
    .without_nulls()
}

/// One's own other account, or somebody who is paid.
fn counterparty_of(view: &View<'_>, item: &Item) -> Option<Json> {
    let people = view.beneficiaries.len() as u64;
    match (item.kind.name, item.twin) {
        ("transfer" | "transfer_in", Some(twin)) => {
            let other = &view.accounts[view.items[twin].account];
            Some(object! { "account_type": "self", "account_id": other.id.as_str() })
        }
        ("payment", _) => {
            let one = &view.beneficiaries[item.traits.checked_rem(people)? as usize];
            Some(object! {
                "id": one.id.as_str(),
                "account_type": "external",
                "account_id": their_account(one),
            })
        }
        _ => None,
    }
}
