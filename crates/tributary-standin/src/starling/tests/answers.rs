use std::collections::BTreeSet;

use chrono::{Duration, Utc};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_feed_holds_every_item_of_its_category_and_no_other() {
    let bank = bank();
    let ledger = bank.ledger();
    assert_eq!(ledger.items.len(), 2_000);
    let mut served = 0;
    for category in categories(&ledger) {
        let items = changes_since(&bank, &category, noon() - Duration::days(364)).await;
        assert!(!items.is_empty(), "an empty feed would prove nothing");
        let expected = sorted(of_category(&ledger, &category).map(line_of_ledger));
        assert_eq!(sorted(items.iter().map(line_of_answer)), expected);
        served += items.len();
    }
    assert_eq!(served, 2_000);
}

#[tokio::test]
async fn lists_come_newest_transaction_first() {
    let bank = bank();
    bank.tick(300);
    for category in categories(&bank.ledger()) {
        let changed = changes_since(&bank, &category, noon() - Duration::days(364)).await;
        let (min, max) = (stamp(noon() - Duration::days(364)), stamp(noon() + Duration::days(1)));
        let path = format!(
            "{}/transactions-between?minTransactionTimestamp={min}&maxTransactionTimestamp={max}",
            feed(category.0, category.1)
        );
        assert_eq!(get(&bank, &path).await.items(), changed, "both lists hold the same, in the same order");
        let times: Vec<_> = changed.iter().map(|item| item["transactionTime"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a >= b));
    }
}

#[tokio::test]
async fn changes_since_includes_the_very_moment_and_nothing_before_it() {
    let bank = bank();
    let ledger = bank.ledger();
    let category = categories(&ledger)[0];
    let newest = of_category(&ledger, &category).max_by_key(|item| item.updated_at).unwrap();
    let feed = feed(category.0, category.1);
    let ids = |items: Vec<serde_json::Value>| -> Vec<String> {
        items.iter().map(|item| item["feedItemUid"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(ids(changes_since(&bank, &category, newest.updated_at).await), [newest.uid.to_string()]);
    let later = newest.updated_at + Duration::milliseconds(1);
    assert_eq!(ids(changes_since(&bank, &category, later).await), Vec::<String>::new());
    let between_two = newest.updated_at + Duration::microseconds(1);
    let between_two = between_two.to_rfc3339_opts(SecondsFormat::Micros, true);
    assert!(get(&bank, &format!("{feed}?changesSince={between_two}")).await.items().is_empty());
    let elsewhere = newest.updated_at.with_timezone(&chrono::FixedOffset::east_opt(7_200).unwrap());
    let elsewhere = elsewhere.to_rfc3339_opts(SecondsFormat::Millis, true).replace('+', "%2B");
    assert_eq!(get(&bank, &format!("{feed}?changesSince={elsewhere}")).await.items().len(), 1);
}

#[tokio::test]
async fn transactions_between_includes_both_ends() {
    let bank = bank();
    let ledger = bank.ledger();
    let category = categories(&ledger)[0];
    let mut times: Vec<_> = of_category(&ledger, &category).map(|item| item.transaction_time).collect();
    times.sort_unstable();
    let (min, max) = (times[10], times[20]);
    let expected = times.iter().filter(|time| (min..=max).contains(*time)).count();
    let path = |min, max| {
        let feed = feed(category.0, category.1);
        let (min, max) = (stamp(min), stamp(max));
        format!("{feed}/transactions-between?minTransactionTimestamp={min}&maxTransactionTimestamp={max}")
    };

    assert!(expected >= 11);
    assert_eq!(get(&bank, &path(min, max)).await.items().len(), expected);
    let (within_min, within_max) = (min + Duration::milliseconds(1), max - Duration::milliseconds(1));
    let inner = times.iter().filter(|time| (within_min..=within_max).contains(*time)).count();
    assert!(inner < expected);
    assert_eq!(get(&bank, &path(within_min, within_max)).await.items().len(), inner);
    assert!(
        get(&bank, &path(max, min)).await.items().is_empty(),
        "a range the wrong way round holds nothing"
    );
}

#[tokio::test]
async fn one_item_is_served_as_in_the_list() {
    let bank = bank();
    let category = categories(&bank.ledger())[1];
    let items = changes_since(&bank, &category, noon() - Duration::days(364)).await;
    for item in items.iter().take(20) {
        let path = format!("{}/{}", feed(category.0, category.1), item["feedItemUid"].as_str().unwrap());
        assert_eq!(&get(&bank, &path).await.json(), item);
    }
}

#[tokio::test]
async fn polling_from_the_last_updated_at_finds_exactly_what_a_tick_changed() {
    let bank = bank();
    let before = bank.ledger();
    bank.tick(200);
    let after = bank.ledger();
    let mut found = 0;
    for category in categories(&after) {
        let watermark = of_category(&before, &category).map(|item| item.updated_at).max().unwrap();
        let changed = of_category(&after, &category).filter(|item| item.updated_at > watermark);
        let expected = sorted(changed.map(line_of_ledger));
        let items = changes_since(&bank, &category, watermark + Duration::milliseconds(1)).await;
        assert_eq!(sorted(items.iter().map(line_of_answer)), expected);
        found += items.len();
    }
    assert!(found > 100, "{found} items changed");
    let versions = |ledger: &Ledger| ledger.items.iter().map(|item| item.versions.len()).sum::<usize>();
    assert_eq!(versions(&after), versions(&before) + 200);
}

#[tokio::test]
async fn one_answer_holds_a_whole_large_range() {
    let bank = open(StarlingConfig { items: 25_000, accounts: 1, goals_per_account: 0, ..config() });
    let ledger = bank.ledger();
    let items = changes_since(&bank, &categories(&ledger)[0], noon() - Duration::days(364)).await;
    let ids: BTreeSet<_> = items.iter().map(|item| item["feedItemUid"].as_str().unwrap()).collect();
    assert_eq!((items.len(), ids.len()), (25_000, 25_000));
}

#[tokio::test]
async fn an_empty_range_is_an_empty_list() {
    let bank = bank();
    let category = categories(&bank.ledger())[0];
    let path = format!("{}?changesSince={}", feed(category.0, category.1), stamp(noon() + Duration::days(1)));
    let answer = get(&bank, &path).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"feedItems":[]}"#));
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn accounts_and_payees_are_those_of_the_ledger() {
    let bank = bank();
    let ledger = bank.ledger();
    let accounts: Vec<_> = ledger
        .accounts
        .iter()
        .map(|account| {
            json!({
                "accountUid": account.uid, "defaultCategory": account.default_category,
                "currency": account.currency, "createdAt": stamp(account.created_at),
            })
        })
        .collect();
    assert_eq!(get(&bank, "/api/v2/accounts").await.json(), json!({ "accounts": accounts }));
    let currencies: Vec<_> = ledger.accounts.iter().map(|account| account.currency).collect();
    assert_eq!(currencies, ["GBP", "EUR", "JPY", "USD", "KWD"]);

    let payees = get(&bank, "/api/v2/payees").await.json();
    let served: Vec<_> =
        payees["payees"].as_array().unwrap().iter().map(|payee| payee["payeeUid"].clone()).collect();
    assert_eq!(served, ledger.payees.iter().map(|payee| json!(payee.uid)).collect::<Vec<_>>());
    assert_eq!(served.len(), 20);
}

#[tokio::test]
async fn payments_out_name_a_payee_of_the_list() {
    let bank = bank();
    let ledger = bank.ledger();
    let payees: BTreeSet<_> = ledger.payees.iter().map(|payee| payee.uid.to_string()).collect();
    let mut named = 0;
    for category in categories(&ledger) {
        for item in changes_since(&bank, &category, noon() - Duration::days(364)).await {
            if item["counterPartyType"] == "PAYEE" {
                assert!(payees.contains(item["counterPartyUid"].as_str().unwrap()));
                named += 1;
            }
        }
    }
    assert!(named > 100, "{named} payments to payees");
}

#[tokio::test]
async fn changes_go_on_in_the_background_until_aborted() {
    let bank = open(StarlingConfig { clock: Clock::System, ..config() });
    let versions =
        |bank: &Starling| bank.ledger().items.iter().map(|item| item.versions.len()).sum::<usize>();
    let at_first = versions(&bank);
    let changes = super::super::spawn_changes(Arc::clone(&bank), std::time::Duration::from_millis(1), 10);
    let grown = async {
        while versions(&bank) < at_first + 30 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), grown).await.unwrap();
    changes.abort();
    assert!(changes.await.unwrap_err().is_cancelled());
    assert_eq!((versions(&bank) - at_first) % 10, 0, "a tick is made as a whole");
    assert!(
        bank.ledger().items.iter().all(|item| item.transaction_time <= Utc::now() + Duration::seconds(1))
    );
}
