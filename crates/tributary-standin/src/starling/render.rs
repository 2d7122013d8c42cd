//! The bodies of the API: fields, types and what may be absent as in the bank's own sample answers.

use super::Starling;
use super::lives::{FROM_ACCOUNT, INTO_GOAL};
use super::people::{MERCHANTS, Merchant, SENDERS};
use crate::kit::money::Currency;
use crate::kit::times::{DAY_US, MILLISECOND_US, date, millis};
use crate::kit::{Fsp, Item, Json, View, Visible, Way, ids, object};

fn money(currency: &Currency, minor: i64) -> Json {
    object! { "currency": currency.code, "minorUnits": minor }
}

fn uid(view: &View<'_>, domain: &str, n: usize) -> String {
    ids::uuid(view.seed(), domain, n as u64).to_string()
}

/// The category of an account, by position; a savings goal is its own.
pub fn category_uid(view: &View<'_>, place: usize) -> String {
    match view.accounts[place].within {
        Some(_) => view.accounts[place].id.clone(),
        None => uid(view, "category", place),
    }
}

pub fn account(view: &View<'_>, place: usize) -> Json {
    let account = &view.accounts[place];
    object! {
        "accountUid": account.id.as_str(),
        "defaultCategory": category_uid(view, place),
        "currency": account.currency.code,
        "createdAt": millis(account.opened_at_us),
    }
}

/// The balance of an account's own category; savings goals are not in it. What comes in does not
/// count before it settles, and what is only announced does not yet.
pub fn balance(view: &View<'_>, place: usize) -> Json {
    let is_pending = |item: &&Item| item.kind.way == Way::Out && item.current().status == "PENDING";
    let pending = view.items.iter().filter(|item| item.account == place).filter(is_pending);
    let pending_minor: i64 = pending.map(|item| item.amount_minor).sum();
    let cleared_minor = view.balance(place).booked_minor;
    let overdraft_minor = if place == 0 { 100_000 } else { 0 };
    let money = |minor| money(view.accounts[place].currency, minor);
    object! {
        "clearedBalance": money(cleared_minor),
        "effectiveBalance": money(cleared_minor - pending_minor),
        "pendingTransactions": money(pending_minor),
        "acceptedOverdraft": money(overdraft_minor),
        "amount": money(cleared_minor - pending_minor + overdraft_minor),
    }
}

/// The `nth` savings goal of its account. Every second one has no target, as the API allows.
pub fn savings_goal(view: &View<'_>, nth: usize, place: usize) -> Json {
    let goal = &view.accounts[place];
    let saved_minor = view.balance(place).booked_minor;
    let target_minor = nth.is_multiple_of(2).then_some(50_000 * (nth as i64 + 1));
    object! {
        "savingsGoalUid": goal.id.as_str(),
        "name": goal.name.as_str(),
        "target": target_minor.map(|minor| money(goal.currency, minor)),
        "totalSaved": money(goal.currency, saved_minor),
        "savedPercentage": target_minor.map(|target| (saved_minor * 100 / target).min(100)),
    }
    .without_nulls()
}

/// All payees with their accounts. What they lack is `null` here, and left out everywhere else: so
/// does the bank.
pub fn payees<'a>(view: &'a View<'_>) -> impl Iterator<Item = Json> + 'a {
    let owners = (0..view.beneficiaries.len()).filter(|&place| Starling.owner(place) == place);
    owners.map(|owner| payee(view, owner))
}

fn payee(view: &View<'_>, owner: usize) -> Json {
    let name = view.beneficiaries[owner].name.as_str();
    let (first_name, last_name) = name.split_once(' ').unwrap_or((name, ""));
    let traits = ids::hash(view.seed(), "payee", owner as u64);
    let is_business = traits.is_multiple_of(4);
    let born_at_us = ((traits >> 8) % 10_000) as i64 * -DAY_US;
    let accounts = (owner..view.beneficiaries.len()).take_while(|&place| Starling.owner(place) == owner);
    object! {
        "payeeUid": uid(view, "payee", owner),
        "payeeName": name,
        "phoneNumber": (traits >> 4).is_multiple_of(2).then(|| format!("+447700900{:03}", (traits >> 20) % 1000)),
        "payeeType": if is_business { "BUSINESS" } else { "INDIVIDUAL" },
        "firstName": first_name,
        "middleName": (traits >> 12).is_multiple_of(3).then_some("Noor"),
        "lastName": last_name,
        "businessName": is_business.then(|| format!("{last_name} Haulage Ltd")),
        "dateOfBirth": (!is_business && (traits >> 16).is_multiple_of(2)).then(|| date(born_at_us)),
        "accounts": accounts.map(|place| payee_account(view, place)).collect::<Json>(),
    }
}

fn payee_account(view: &View<'_>, place: usize) -> Json {
    let (sort_code, number) = bank_details(view, place);
    object! {
        "payeeAccountUid": view.beneficiaries[place].id.as_str(),
        "description": description(view, place),
        "defaultAccount": Starling.owner(place) == place,
        "countryCode": "GB",
        "accountIdentifier": number,
        "bankIdentifier": sort_code,
        "bankIdentifierType": "SORT_CODE",
    }
}

fn description(view: &View<'_>, place: usize) -> String {
    let which = if Starling.owner(place) == place { "main" } else { "second" };
    format!("{}, {which} account", view.beneficiaries[place].name)
}

/// Sort code and number of a payee's account.
fn bank_details(view: &View<'_>, place: usize) -> (String, String) {
    let number = ids::hash(view.seed(), "bank details", place as u64);
    (format!("{:06}", (number >> 32) % 1_000_000), format!("{:08}", number % 100_000_000))
}

/// By how much the business time of a change was earlier than the change, in microseconds.
fn lead_us(item: &Item) -> i64 {
    (item.traits % 100) as i64 * MILLISECOND_US
}

/// The `transactionTime` of a feed item, in microseconds.
pub fn transaction_us(item: &Item) -> i64 {
    item.created_at_us() - lead_us(item)
}

pub fn feed_item(view: &View<'_>, visible: &Visible<'_>) -> Json {
    let (item, currency) = (visible.item, visible.account().currency);
    let side = OtherSide::of(view, item);
    let [sub_uid, sub_name, sort_code, number] = side.sub_entity;
    let source_amount = match side.charged_in {
        // any rate will do, as long as both are whole minor units
        Some(charged_in) if charged_in != currency => {
            money(charged_in, (item.amount_minor * 117 / 100).max(1))
        }
        _ => money(currency, item.amount_minor),
    };
    let settled_us = visible.reached_at_us(&["SETTLED"]);
    let settled_us = settled_us.map(|at_us| (at_us - lead_us(item)).max(transaction_us(item)));
    let use_of_card = ["ONLINE", "CONTACTLESS", "CHIP_AND_PIN", "APPLE_PAY"][(item.traits >> 8) as usize % 4];
    let note = (item.traits >> 16).is_multiple_of(24).then_some("To be claimed back \u{2013} ask \"Ann\"");
    object! {
        "feedItemUid": visible.id(),
        "categoryUid": category_uid(view, item.account),
        "amount": money(currency, item.amount_minor),
        "sourceAmount": source_amount,
        "direction": if item.kind.way == Way::In { "IN" } else { "OUT" },
        "updatedAt": millis(visible.updated_at_us()),
        "transactionTime": millis(transaction_us(item)),
        "settlementTime": settled_us.map(millis),
        "source": if item.kind.name == FROM_ACCOUNT { INTO_GOAL } else { item.kind.name },
        "sourceSubType": (item.kind.name == "MASTER_CARD").then_some(use_of_card),
        "status": visible.status(),
        "counterPartyType": side.kind,
        "counterPartyUid": side.uid,
        "counterPartyName": side.name,
        "counterPartySubEntityUid": sub_uid,
        "counterPartySubEntityName": sub_name,
        "counterPartySubEntityIdentifier": sort_code,
        "counterPartySubEntitySubIdentifier": number,
        "reference": view.note(item).and_then(|note| note.text).or(side.reference),
        "country": side.country,
        "spendingCategory": side.spending_category,
        "userNote": note,
    }
    .without_nulls()
}

/// What an item says about whom the money went to or came from.
struct OtherSide {
    kind: &'static str,
    uid: String,
    name: String,
    /// Of the account or the outlet there: id, name, sort code, number.
    sub_entity: [Option<String>; 4],
    reference: Option<String>,
    country: &'static str,
    spending_category: &'static str,
    /// The currency that a card payment was asked for in.
    charged_in: Option<&'static Currency>,
}

impl OtherSide {
    fn of(view: &View<'_>, item: &Item) -> Self {
        let payee = (item.traits as usize).checked_rem(view.beneficiaries.len());
        match (item.kind.name, payee) {
            (INTO_GOAL | FROM_ACCOUNT, _) => Self::category(view, item),
            ("FASTER_PAYMENTS_OUT", Some(place)) => Self::payee(view, item, place),
            ("FASTER_PAYMENTS_IN", _) => Self::sender(view, item, "INCOME"),
            ("DIRECT_CREDIT", _) => Self::sender(view, item, "SALARY"),
            _ => Self::merchant(view, item),
        }
    }

    fn merchant(view: &View<'_>, item: &Item) -> Self {
        let number = (item.traits >> 24) as usize % MERCHANTS.len();
        let Merchant { name, place, country, spending_category, currency } = MERCHANTS[number];
        let is_card = item.kind.name == "MASTER_CARD";
        let slip = || format!("{name:<22}\\{place:<13} {country}");
        Self {
            kind: "MERCHANT",
            uid: uid(view, "merchant", number),
            name: name.to_owned(),
            sub_entity: [Some(uid(view, "outlet", number)), None, None, None],
            reference: Some(if is_card { slip() } else { invoice(item) }),
            // a direct debit is collected at home, in the account's currency
            country: if is_card { country } else { "GB" },
            spending_category,
            charged_in: is_card.then_some(currency),
        }
    }

    fn payee(view: &View<'_>, item: &Item, place: usize) -> Self {
        let (account, (sort_code, number)) = (&view.beneficiaries[place], bank_details(view, place));
        Self {
            kind: "PAYEE",
            uid: uid(view, "payee", Starling.owner(place)),
            name: account.name.clone(),
            sub_entity: [account.id.clone(), description(view, place), sort_code, number].map(Some),
            reference: Some(invoice(item)),
            country: "GB",
            spending_category: "PAYMENTS",
            charged_in: None,
        }
    }

    fn sender(view: &View<'_>, item: &Item, spending_category: &'static str) -> Self {
        let which = (item.traits >> 24) as usize % SENDERS.len();
        let (name, account, number, sort_code) = SENDERS[which];
        let account_uid = uid(view, "account of a sender", which);
        Self {
            kind: "SENDER",
            uid: uid(view, "sender", which),
            name: name.to_owned(),
            sub_entity: [&account_uid, account, sort_code, number].map(|text| Some(text.to_owned())),
            reference: Some(invoice(item)),
            country: "GB",
            spending_category,
            charged_in: None,
        }
    }

    /// The other category of a movement between an account and its savings goal.
    fn category(view: &View<'_>, item: &Item) -> Self {
        let place = item.twin.map_or(item.account, |twin| view.items[twin].account);
        let other = &view.accounts[place];
        Self {
            kind: "CATEGORY",
            uid: category_uid(view, place),
            name: if other.within.is_some() { other.name.clone() } else { "Main account".to_owned() },
            sub_entity: [const { None }; 4],
            reference: None,
            country: "GB",
            spending_category: "SAVING",
            charged_in: None,
        }
    }
}

fn invoice(item: &Item) -> String {
    format!("INV {:06}", (item.traits >> 8) % 1_000_000)
}
