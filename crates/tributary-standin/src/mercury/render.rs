//! The bodies of the API.

use crate::kit::{Account, Balance, Beneficiary, Json, View, Visible, names, object, times};

/// Dollars as a JSON number of two decimals.
fn dollars(account: &Account, amount_minor: i64) -> Json {
    Json::number(account.currency.decimal(amount_minor))
}

pub fn account(account: &Account, balance: Balance) -> Json {
    object! {
        "accountNumber": format!("{:012}", account.opened_at_us.unsigned_abs() % 1_000_000_000_000),
        "availableBalance": dollars(account, balance.booked_minor - balance.reserved_minor),
        "canReceiveTransactions": true,
        "createdAt": times::micros(account.opened_at_us),
        "currentBalance": dollars(account, balance.booked_minor),
        "dashboardLink": format!("https://app.mercury.com/accounts/depository/{}", account.id),
        "id": account.id.as_str(),
        "kind": "checking",
        "legalBusinessName": "Larkspur Studios Inc.",
        "name": format!("Mercury {}", account.name),
        "nickname": account.name.as_str(),
        "routingNumber": "084106768",
        "status": "active",
        "type": "mercury",
    }
}

pub fn recipient(one: &Beneficiary) -> Json {
    object! {
        "id": one.id.as_str(),
        "name": one.name.as_str(),
        "nickname": Json::Null,
        "status": "active",
        "emails": Vec::new(),
        "dateLastPaid": Json::Null,
        "defaultPaymentMethod": "ach",
        "isBusiness": false,
        "createdAt": times::micros(one.created_at_us),
    }
}

pub fn transaction(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let kind = match visible.item.kind.name {
        "internalTransferIn" => "internalTransfer",
        kind => kind,
    };
    let (counterparty_id, counterparty) = counterparty(view, visible);
    let note = [Some(visible.item), visible.item.twin.map(|twin| &view.items[twin])];
    let note = note.into_iter().flatten().find_map(|item| view.note(item)?.text);
    let failed_at = visible.reached_at_us(&["failed", "blocked"]);
    object! {
        "accountId": visible.account().id.as_str(),
        "amount": dollars(visible.account(), visible.item.signed_minor()),
        "attachments": Vec::new(),
        "bankDescription": visible.item.traits.is_multiple_of(3).then(|| format!("{counterparty}; REF {}", visible.item.traits % 100_000)),
        "compliantWithReceiptPolicy": true,
        "counterpartyId": counterparty_id,
        "counterpartyName": counterparty,
        "counterpartyNickname": Json::Null,
        "createdAt": times::micros(visible.created_at_us()),
        "currencyExchangeInfo": Json::Null,
        "dashboardLink": format!("https://app.mercury.com/transactions/{}", visible.id()),
        "details": Json::Object(Vec::new()),
        "estimatedDeliveryDate": times::micros(visible.created_at_us() + times::DAY_US),
        "externalMemo": Json::Null,
        "failedAt": failed_at.map(times::micros),
        "feeId": Json::Null,
        "hasGeneratedReceipt": false,
        "id": visible.id(),
        "kind": kind,
        "note": note,
        "postedAt": visible.reached_at_us(&["sent"]).map(times::micros),
        "reasonForFailure": failed_at.map(|_| "The receiving bank refused the payment"),
        "status": visible.status(),
    }
}

/// The id and the name of the other side: the other account, a recipient, or somebody else.
fn counterparty(view: &View<'_>, visible: &Visible<'_>) -> (String, String) {
    if let Some(twin) = visible.item.twin {
        let other = &view.accounts[view.items[twin].account];
        return (other.id.clone(), other.name.clone());
    }
    let recipients = view.beneficiaries.len() as u64;
    match visible.item.kind.name {
        "externalTransfer" if recipients > 0 => {
            let one = &view.beneficiaries[(visible.item.traits % recipients) as usize];
            (one.id.clone(), one.name.clone())
        }
        _ => {
            let name = names::business(visible.item.traits);
            (crate::kit::ids::uuid(0, name, 0).to_string(), name.to_owned())
        }
    }
}
