use serde_json::json;

use super::*;
use crate::starling::ConfigError;

#[tokio::test]
async fn without_the_token_everything_is_forbidden() {
    let bank = bank();
    let category = categories(&bank.ledger())[0];
    let feed = format!("{}?changesSince={}", feed(category.0, category.1), stamp(noon()));
    let basic = format!("Basic {TOKEN}");
    let longer = format!("Bearer {TOKEN}x");
    for path in ["/api/v2/accounts", "/api/v2/payees", "/api/v2/nowhere", feed.as_str()] {
        for authorization in
            [None, Some(""), Some("Bearer"), Some("Bearer wrong"), Some(&basic), Some(&longer)]
        {
            let answer = ask(&bank, path, authorization).await.unwrap();
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {authorization:?}");
            let body = answer.json();
            assert_eq!(body["error"], "invalid_token");
            assert!(body["error_description"].is_string());
            assert_eq!(body.as_object().unwrap().len(), 2);
        }
    }
    let lower_case = format!("bearer {TOKEN}");
    assert_eq!(ask(&bank, "/api/v2/accounts", Some(&lower_case)).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let bank = bank();
    let ledger = bank.ledger();
    let (account, category) = categories(&ledger)[0];
    let (stranger, foreign_category) = *categories(&ledger).last().unwrap();
    assert_ne!(account, stranger);
    let foreign_item = ledger.items.iter().find(|item| item.category != category).unwrap().uid;
    let unknown = Uuid::from_u128(1);
    let since = format!("?changesSince={}", stamp(noon()));
    let paths = [
        "/api/v2".to_owned(),
        "/api/v2/nowhere".to_owned(),
        format!("/api/v2/accounts/{unknown}/balance"),
        "/api/v2/accounts/no-uuid/balance".to_owned(),
        format!("/api/v2/account/{unknown}/savings-goals"),
        format!("/api/v2/account/{account}/savings-goals/{category}"),
        format!("{}{since}", feed(unknown, category)),
        format!("{}{since}", feed(account, unknown)),
        format!("{}{since}", feed(account, foreign_category)),
        format!("{}/{unknown}", feed(account, category)),
        format!("{}/{foreign_item}", feed(account, category)),
        format!("{}/no-uuid", feed(account, category)),
    ];
    for path in paths {
        let answer = get(&bank, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let body = answer.json();
        assert_eq!(body["success"], json!(false));
        assert!(body["errors"][0]["message"].as_str().unwrap().ends_with("not found"));
    }
}

#[tokio::test]
async fn a_missing_or_garbled_time_is_a_bad_request() {
    let bank = bank();
    let (account, category) = categories(&bank.ledger())[0];
    let feed = feed(account, category);
    let good = stamp(noon());
    let queries = [
        String::new(),
        "?changesSince=".to_owned(),
        "?changesSince=yesterday".to_owned(),
        "?changesSince=2026-03-01".to_owned(),
        "?changesSince=2026-03-01T12:00:00".to_owned(),
        // A plus sign that is not percent-encoded is a space.
        "?changesSince=2026-03-01T12:00:00+02:00".to_owned(),
        format!("?changesSince={good}&changesSince={good}"),
        format!("/transactions-between?minTransactionTimestamp={good}"),
        format!("/transactions-between?maxTransactionTimestamp={good}"),
        format!("/transactions-between?minTransactionTimestamp={good}&maxTransactionTimestamp=0"),
    ];
    for query in queries {
        let answer = get(&bank, &format!("{feed}{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text);
        assert_eq!(answer.json()["success"], json!(false), "{query}");
    }
}

#[test]
fn a_bank_out_of_range_does_not_open() {
    let refusal = |config| Starling::new(config).err();
    assert_eq!(refusal(StarlingConfig { token: String::new(), ..config() }), Some(ConfigError::EmptyToken));
    assert_eq!(refusal(StarlingConfig { accounts: 0, ..config() }), Some(ConfigError::NoAccounts));
    assert_eq!(refusal(StarlingConfig { history_days: 0, ..config() }), Some(ConfigError::HistoryDays(0)));
    assert_eq!(
        refusal(StarlingConfig { history_days: 365, ..config() }),
        Some(ConfigError::HistoryDays(365))
    );
    let too_many = StarlingConfig { accounts: 30_000, goals_per_account: 2, ..config() };
    assert_eq!(refusal(too_many), Some(ConfigError::TooManyCategories(90_000)));
    let too_many = StarlingConfig { items: 100_000_001, ..config() };
    assert_eq!(refusal(too_many), Some(ConfigError::TooManyItems(100_000_001)));
    let too_many = StarlingConfig { payees: 1_000_001, ..config() };
    assert_eq!(refusal(too_many), Some(ConfigError::TooManyPayees(1_000_001)));
}

#[tokio::test]
async fn a_bank_without_payees_goals_or_items_still_opens_and_lives() {
    let bank = open(StarlingConfig { accounts: 1, goals_per_account: 0, items: 0, payees: 0, ..config() });
    assert_eq!(get(&bank, "/api/v2/payees").await.text, r#"{"payees":[]}"#);
    bank.tick(1);
    assert_eq!(bank.ledger().items.len(), 1, "the first change can only be a new item");
    bank.tick(500);
    let category = categories(&bank.ledger())[0];
    let items = changes_since(&bank, &category, noon() - chrono::Duration::days(1)).await;
    assert_eq!(items.len(), bank.ledger().items.len());
}
