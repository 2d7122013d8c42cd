use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Starling, render};
use crate::kit::samples::{self, Shape};
use crate::kit::testing::*;
use crate::kit::times::{Given, micros, millis};
use crate::kit::{Item, Standin, StandinConfig, View, Way};

/// A bank of all five currencies that has gone on for a while.
fn bank() -> Arc<Standin> {
    let config = StandinConfig { accounts: 5, items: 1_000, ..config() };
    let bank = Arc::new(Standin::new(&Starling, config).unwrap());
    bank.advance(300);
    bank
}

/// The path of the feed of an account or a savings goal, by position.
fn feed(view: &View<'_>, place: usize) -> String {
    let account = view.accounts[place].within.unwrap_or(place);
    let category = render::category_uid(view, place);
    format!("/api/v2/feed/account/{}/category/{category}", view.accounts[account].id)
}

fn feeds(bank: &Standin) -> Vec<String> {
    let view = bank.view();
    (0..view.accounts.len()).map(|place| feed(&view, place)).collect()
}

async fn items(bank: &Arc<Standin>, path: &str) -> Vec<Value> {
    get(bank, path).await.ok()["feedItems"].as_array().unwrap().clone()
}

async fn changes_since(bank: &Arc<Standin>, feed: &str, since_us: i64) -> Vec<Value> {
    items(bank, &format!("{feed}?changesSince={}", millis(since_us))).await
}

async fn between(bank: &Arc<Standin>, feed: &str, min_us: i64, max_us: i64) -> Vec<Value> {
    let (min, max) = (millis(min_us), millis(max_us));
    let window = format!("minTransactionTimestamp={min}&maxTransactionTimestamp={max}");
    items(bank, &format!("{feed}/transactions-between?{window}")).await
}

/// The facts of an item that both the API and the ledger tell, in one comparable line.
fn line_of_ledger(view: &View<'_>, item: &Item) -> String {
    let currency = view.accounts[item.account].currency.code;
    let direction = if item.kind.way == Way::In { "IN" } else { "OUT" };
    let (time, updated) = (millis(render::transaction_us(item)), millis(item.current().at_us));
    let settled = item.was("SETTLED", item.versions.len() - 1);
    let (id, status, amount) = (item.id(), item.current().status, item.amount_minor);
    format!("{id} {status} {amount} {currency} {direction} {time} {settled} {updated}")
}

fn line_of_answer(item: &Value) -> String {
    let text = |pointer: &str| item.pointer(pointer).unwrap().as_str().unwrap();
    let (id, status, direction) = (text("/feedItemUid"), text("/status"), text("/direction"));
    let (time, updated, currency) = (text("/transactionTime"), text("/updatedAt"), text("/amount/currency"));
    let (amount, settled) = (&item["amount"]["minorUnits"], item["settlementTime"].is_string());
    format!("{id} {status} {amount} {currency} {direction} {time} {settled} {updated}")
}

fn lines_of_ledger(bank: &Standin, place: usize, is_asked_for: impl Fn(&Item) -> bool) -> BTreeSet<String> {
    let view = bank.view();
    let items = view.items.iter().filter(|item| item.account == place && is_asked_for(item));
    items.map(|item| line_of_ledger(&view, item)).collect()
}

fn lines(items: &[Value]) -> BTreeSet<String> {
    let lines: BTreeSet<_> = items.iter().map(line_of_answer).collect();
    assert_eq!(lines.len(), items.len(), "an item came twice");
    lines
}

#[tokio::test]
async fn a_feed_holds_every_item_of_its_category_newest_transaction_first_by_either_time() {
    let bank = bank();
    for (place, feed) in feeds(&bank).iter().enumerate() {
        let changed = changes_since(&bank, feed, 0).await;
        assert!(changed.len() > 5, "an empty feed would prove nothing");
        assert_eq!(lines(&changed), lines_of_ledger(&bank, place, |_| true));
        let times: Vec<_> = changed.iter().map(|item| item["transactionTime"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a >= b));
        assert_eq!(between(&bank, feed, 0, i64::MAX / 2_000).await, changed, "in the same order");
        for item in changed.iter().take(5) {
            let one = format!("{feed}/{}", item["feedItemUid"].as_str().unwrap());
            assert_eq!(&get(&bank, &one).await.ok(), item);
        }
    }
    let last = |item: &Item| item.current().at_us;
    let watermark = bank.view().items.iter().map(last).max().unwrap();
    bank.advance(200);
    for (place, feed) in feeds(&bank).iter().enumerate() {
        let changed = changes_since(&bank, feed, watermark + 1_000).await;
        assert_eq!(lines(&changed), lines_of_ledger(&bank, place, |item| last(item) > watermark));
    }
}

#[tokio::test]
async fn changes_since_includes_the_very_moment_and_nothing_before_it() {
    let bank = bank();
    let feed = &feeds(&bank)[0];
    let mut times: Vec<i64> = {
        let view = bank.view();
        let of_account = view.items.iter().filter(|item| item.account == 0);
        of_account.map(|item| item.current().at_us).collect()
    };
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let changed = changes_since(&bank, feed, middle).await;
    assert_eq!(lines(&changed), lines_of_ledger(&bank, 0, |item| item.current().at_us >= middle));
    assert_eq!(changed.len(), times.len() - times.len() / 2);
    let later = async |text: String| items(&bank, &format!("{feed}?changesSince={text}")).await.len();
    assert_eq!(later(micros(middle + 1)).await, changed.len() - 1);
    let elsewhere = chrono::DateTime::from_timestamp_micros(middle).unwrap();
    let elsewhere = elsewhere.with_timezone(&chrono::FixedOffset::east_opt(7_200).unwrap()).to_rfc3339();
    assert_eq!(later(elsewhere.replace('+', "%2B")).await, changed.len());
}

#[tokio::test]
async fn transactions_between_includes_both_ends() {
    let bank = bank();
    let feed = &feeds(&bank)[0];
    let all = changes_since(&bank, feed, 0).await;
    let time = |place: usize| Given::parse(all[place]["transactionTime"].as_str().unwrap()).unwrap().at_us;
    let (max, min) = (time(10), time(20));
    let within = |min: i64, max: i64| (0..all.len()).filter(|&at| (min..=max).contains(&time(at))).count();
    for (min, max) in [(min, max), (min + 1_000, max - 1_000), (max, min)] {
        assert_eq!(between(&bank, feed, min, max).await.len(), within(min, max));
    }
    assert!(within(min, max) > within(min + 1_000, max - 1_000));
}

#[tokio::test]
async fn one_answer_holds_a_whole_large_range_and_an_empty_one_an_empty_list() {
    let config = StandinConfig { accounts: 1, spaces: 0, items: 25_000, ..config() };
    let bank = Arc::new(Standin::new(&Starling, config).unwrap());
    let feed = &feeds(&bank)[0];
    assert_eq!(lines(&changes_since(&bank, feed, 0).await).len(), 25_000);
    let answer = get(&bank, &format!("{feed}?changesSince=2030-01-01T00:00:00Z")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"feedItems":[]}"#));
}

#[tokio::test]
async fn balances_and_savings_goals_are_the_sums_of_their_feeds() {
    let bank = bank();
    let accounts = get(&bank, "/api/v2/accounts").await.ok();
    assert_eq!(texts(&accounts["accounts"], "/currency"), ["GBP", "EUR", "JPY", "USD", "KWD"]);
    let feeds = feeds(&bank);
    let sum = |items: &[Value], status: &str, direction: &str| -> i64 {
        let items = items.iter().filter(|item| item["status"] == status && item["direction"] == direction);
        items.map(|item| item["amount"]["minorUnits"].as_i64().unwrap()).sum()
    };
    let truth = bank.truth().accounts;
    for (place, account) in accounts["accounts"].as_array().unwrap().iter().enumerate() {
        let items = changes_since(&bank, &feeds[place], 0).await;
        let cleared = sum(&items, "SETTLED", "IN") - sum(&items, "SETTLED", "OUT");
        let pending = sum(&items, "PENDING", "OUT");
        let overdraft = if place == 0 { 100_000 } else { 0 };
        let money = |minor: i64| json!({ "currency": account["currency"], "minorUnits": minor });
        let expected = json!({
            "clearedBalance": money(cleared), "effectiveBalance": money(cleared - pending),
            "pendingTransactions": money(pending), "acceptedOverdraft": money(overdraft),
            "amount": money(cleared - pending + overdraft),
        });
        let uid = account["accountUid"].as_str().unwrap();
        assert_eq!(get(&bank, &format!("/api/v2/accounts/{uid}/balance")).await.ok(), expected);
        assert_eq!(truth[uid].balance_minor, cleared);

        let path = format!("/api/v2/account/{uid}/savings-goals");
        let goals = get(&bank, &path).await.ok();
        let mut saved = 0;
        for goal in goals["savingsGoalList"].as_array().unwrap() {
            let goal_uid = goal["savingsGoalUid"].as_str().unwrap();
            let feed = format!("/api/v2/feed/account/{uid}/category/{goal_uid}");
            let arrived = sum(&changes_since(&bank, &feed, 0).await, "SETTLED", "IN");
            assert_eq!(goal["totalSaved"], money(arrived));
            assert_eq!(
                (truth[goal_uid].balance_minor, truth[goal_uid].within.as_deref()),
                (arrived, Some(uid))
            );
            assert_eq!(&get(&bank, &format!("{path}/{goal_uid}")).await.ok(), goal);
            saved += arrived;
        }
        let moved = items.iter().filter(|item| item["source"] == "INTERNAL_TRANSFER");
        let left: i64 = moved.map(|item| item["amount"]["minorUnits"].as_i64().unwrap()).sum();
        assert!(saved > 0 && left == saved, "what leaves an account for its goals arrives there");
    }
}

#[tokio::test]
async fn payees_are_those_of_the_ledger_and_payments_out_name_their_accounts() {
    let bank = bank();
    let payees = get(&bank, "/api/v2/payees").await.ok();
    let (mut accounts, mut several) = (std::collections::BTreeMap::new(), 0);
    for payee in payees["payees"].as_array().unwrap() {
        several += usize::from(payee["accounts"].as_array().unwrap().len() > 1);
        for account in payee["accounts"].as_array().unwrap() {
            let name = payee["payeeName"].as_str().unwrap().to_owned();
            accounts.insert(account["payeeAccountUid"].as_str().unwrap().to_owned(), name);
        }
    }
    assert_eq!((accounts == bank.truth().beneficiaries, several), (true, 7), "20 accounts");
    let mut named = 0;
    for item in changes_since(&bank, &feeds(&bank)[0], 0).await {
        if item["counterPartyType"] == "PAYEE" {
            let account = item["counterPartySubEntityUid"].as_str().unwrap();
            assert_eq!(item["counterPartyName"], accounts[account]);
            named += 1;
        }
    }
    assert!(named > 10, "{named} payments to payees");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let bank = bank();
    let (account, goal, stranger, foreign_item, category) = {
        let view = bank.view();
        let goal = view.accounts[view.spaces(0).start].id.clone();
        let item = view.items.iter().find(|item| item.account == 1).unwrap().id().to_owned();
        (view.accounts[0].id.clone(), goal, view.accounts[1].id.clone(), item, render::category_uid(&view, 0))
    };
    let since = "?changesSince=2026-03-01T12:00:00Z";
    let feed = |account: &str, category: &str| format!("/api/v2/feed/account/{account}/category/{category}");
    for path in [
        "/api/v2".to_owned(),
        "/api/v2/accounts/no-uuid/balance".to_owned(),
        format!("/api/v2/accounts/{goal}/balance"),
        format!("/api/v2/account/{goal}/savings-goals"),
        format!("/api/v2/account/{account}/savings-goals/{category}"),
        format!("/api/v2/account/{stranger}/savings-goals/{goal}"),
        format!("{}{since}", feed("unknown", &category)),
        format!("{}{since}", feed(&stranger, &category)),
        format!("{}{since}", feed(&stranger, &goal)),
        format!("{}/unknown", feed(&account, &category)),
        format!("{}/{foreign_item}", feed(&account, &category)),
    ] {
        let answer = get(&bank, &path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["success"]), (404, &json!(false)), "{path}");
        assert!(answer.json()["errors"][0]["message"].as_str().unwrap().ends_with("not found"));
    }
}

#[tokio::test]
async fn a_missing_or_garbled_time_is_a_bad_request_and_a_bad_token_is_forbidden() {
    let bank = bank();
    let feed = &feeds(&bank)[0];
    let good = "2026-03-01T12:00:00Z";
    for query in [
        String::new(),
        "?changesSince=".to_owned(),
        "?changesSince=yesterday".to_owned(),
        "?changesSince=2026-03-01".to_owned(),
        "?changesSince=2026-03-01T12:00:00".to_owned(),
        // a plus sign that is not percent-encoded is a space
        "?changesSince=2026-03-01T12:00:00+02:00".to_owned(),
        format!("?changesSince={good}&changesSince={good}"),
        format!("/transactions-between?minTransactionTimestamp={good}"),
        format!("/transactions-between?maxTransactionTimestamp={good}"),
        format!("/transactions-between?minTransactionTimestamp={good}&maxTransactionTimestamp=0"),
    ] {
        let answer = get(&bank, &format!("{feed}{query}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["success"]), (400, &json!(false)), "{query}");
    }
    let answer = get_with(&bank, "/api/v2/accounts", "wrong").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (403, &json!("invalid_token")));
    assert!(answer.json()["error_description"].is_string());
}

#[tokio::test]
async fn a_bank_without_payees_goals_or_items_still_opens_and_lives() {
    let config = StandinConfig { accounts: 1, spaces: 0, items: 0, beneficiaries: 0, ..config() };
    let bank = Arc::new(Standin::new(&Starling, config).unwrap());
    assert_eq!(get(&bank, "/api/v2/payees").await.text, r#"{"payees":[]}"#);
    bank.advance(1);
    assert_eq!(bank.view().items.len(), 1, "the first change can only be a new item");
    bank.advance(500);
    let listed = changes_since(&bank, &feeds(&bank)[0], 0).await;
    assert_eq!(lines(&listed), lines_of_ledger(&bank, 0, |_| true));
}

#[tokio::test]
async fn answers_have_the_fields_and_types_of_the_banks_samples() {
    let bank = bank();
    let accounts = get(&bank, "/api/v2/accounts").await.ok();
    let (mut balances, mut goals, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for account in texts(&accounts["accounts"], "/accountUid") {
        balances.push(get(&bank, &format!("/api/v2/accounts/{account}/balance")).await.ok());
        goals.push(get(&bank, &format!("/api/v2/account/{account}/savings-goals")).await.ok());
    }
    for feed in feeds(&bank) {
        lists.push(get(&bank, &format!("{feed}?changesSince=2020-01-01T00:00:00Z")).await.ok());
    }
    let mut found = Vec::new();
    for (name, answers) in [
        ("v2-get-accounts.json", vec![accounts]),
        ("v2-get-payees.json", vec![get(&bank, "/api/v2/payees").await.ok()]),
        ("v2-get-account-balance.json", balances),
        ("v2-get-savings-goals.json", goals),
        ("v2-get-feed-items.json", lists),
    ] {
        let Some(sample) = samples::load("starling-fixtures", name) else { return };
        Shape::of([&sample]).differences(&Shape::of(&answers), name, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}
