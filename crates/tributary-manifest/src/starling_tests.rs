//! The real `providers/starling.yaml` against answers in the shapes that Starling gives.

use std::path::PathBuf;

use axum::response::IntoResponse;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::compiled::CompiledProvider;
use super::fake::{self, Fake, Memory};
use super::language::tests::manifest_of;
use super::read::{MappedRecord, RunReport, Warning};
use super::time::instant;
use tributary_domain::ProviderName;

fn connection(url: &str) -> CompiledProvider {
    let mut source = manifest_of(include_str!("../../../providers/starling.yaml"))
        .interpolated(|name| match name {
            "STARLING_TOKEN" => Some("token".to_owned()),
            "STARLING_URL" => Some(url.to_owned()),
            _ => None,
        })
        .unwrap();
    source.rate_limit.per_second = 1_000;
    CompiledProvider::new(&ProviderName::try_from("starling".to_owned()).unwrap(), &source).unwrap()
}

async fn run(fake: &Fake) -> (Memory, RunReport) {
    let mut sink = Memory::default();
    let report = connection(&fake.url).run(&mut sink).await.unwrap();
    (sink, report)
}

const ACCOUNTS: &str = "/api/v2/accounts";
const GOALS: &str = "/api/v2/account/acc-1/savings-goals";
const BALANCE: &str = "/api/v2/accounts/acc-1/balance";
const FEED: &str = "/api/v2/feed/account/acc-1/category/cat-1";
const GOAL_FEED: &str = "/api/v2/feed/account/acc-1/category/goal-1";
const PAYEES: &str = "/api/v2/payees";

fn account() -> Value {
    json!({"accounts": [{
        "accountUid": "acc-1", "accountType": "PRIMARY", "defaultCategory": "cat-1", "currency": "GBP",
        "createdAt": "2024-02-03T04:05:06.000Z", "name": "Business"
    }]})
}

fn balance() -> Value {
    let money = |units: i64| json!({"currency": "GBP", "minorUnits": units});
    json!({
        "clearedBalance": money(-1200), "effectiveBalance": money(-1500), "pendingTransactions": money(300),
        "acceptedOverdraft": money(5000), "amount": money(3500)
    })
}

fn item(uid: &str, change: Value) -> Value {
    let mut item = json!({
        "feedItemUid": uid, "categoryUid": "cat-1", "amount": {"currency": "GBP", "minorUnits": 1234},
        "sourceAmount": {"currency": "GBP", "minorUnits": 1234}, "direction": "OUT",
        "updatedAt": "2026-03-01T12:00:05.250Z", "transactionTime": "2026-03-01T12:00:00.125Z",
        "source": "MASTER_CARD", "status": "SETTLED", "counterPartyType": "MERCHANT",
        "counterPartyUid": "shop-1", "counterPartyName": "A shop"
    });
    item.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    item
}

fn transfer(uid: &str, direction: &str, other: &str) -> Value {
    let other = json!({"direction": direction, "source": "INTERNAL_TRANSFER", "counterPartyType": "CATEGORY",
        "counterPartyUid": other, "counterPartyName": "Mine"});
    item(uid, other)
}

async fn bank(feed: Vec<Value>, goal_feed: Vec<Value>) -> Fake {
    Fake::with_paths([
        (ACCOUNTS, account()),
        (GOALS, json!({"savingsGoalList": [{
            "savingsGoalUid": "goal-1", "name": "Tax", "totalSaved": {"currency": "GBP", "minorUnits": 99}
        }]})),
        (BALANCE, balance()),
        (FEED, json!({"feedItems": feed})),
        (GOAL_FEED, json!({"feedItems": goal_feed})),
        (PAYEES, json!({"payees": [{
            "payeeUid": "payee-1", "payeeName": "Ann", "payeeType": "INDIVIDUAL", "phoneNumber": null,
            "accounts": [
                {"payeeAccountUid": "pa-1", "description": "Main", "countryCode": "GB",
                 "accountIdentifier": "00112233", "bankIdentifier": "998877", "bankIdentifierType": "SORT_CODE"},
                {"payeeAccountUid": "pa-2", "description": null, "countryCode": "GB",
                 "accountIdentifier": "44556677", "bankIdentifier": "998877", "bankIdentifierType": "SORT_CODE"}
            ]
        }]})),
    ])
    .await
}

fn pick(record: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| record[*field].clone()).collect()
}

#[tokio::test]
async fn accounts_and_spaces_become_accounts() {
    let (sink, _) = run(&bank(vec![], vec![]).await).await;
    assert_eq!(
        sink.records("accounts"),
        [json!({"id": "acc-1", "accountName": "Business", "createdAt": "2024-02-03T04:05:06.000000Z",
            "metadata": {"accountType": "PRIMARY", "currency": "GBP", "defaultCategory": "cat-1"}})]
    );
    assert_eq!(
        sink.records("savings_goals"),
        [json!({"id": "goal-1", "accountName": "Tax", "createdAt": "2024-02-03T04:05:06.000000Z",
            "metadata": {"accountType": "SAVINGS_GOAL", "accountUid": "acc-1"}})]
    );
}

#[tokio::test]
async fn the_balance_is_the_booked_one_and_never_newer_than_the_request_for_it() {
    let arrived = std::sync::Arc::new(std::sync::Mutex::new(Utc::now()));
    let noted = std::sync::Arc::clone(&arrived);
    let fake = Fake::start(move |_, received| match received.path.as_str() {
        ACCOUNTS => fake::json(account()),
        GOALS => fake::json(json!({"savingsGoalList": []})),
        FEED => fake::json(json!({"feedItems": []})),
        PAYEES => fake::json(json!({"payees": []})),
        BALANCE => {
            *noted.lock().unwrap() = Utc::now();
            fake::json(balance())
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let begun = Utc::now();
    let (sink, _) = run(&fake).await;
    let record = &sink.records("balances")[0];
    assert_eq!(record["accountID"], "acc-1");
    assert_eq!(record["balances"], json!([{"currency": "GBP/2", "amount": "-1200"}]));
    let at = record["at"].as_str().unwrap();
    assert_eq!(at.len(), "2026-03-01T12:00:00.000000Z".len(), "microseconds: {at}");
    let at = instant(at).unwrap();
    assert!(at >= begun - TimeDelta::microseconds(1) && at <= *arrived.lock().unwrap());
}

#[tokio::test]
async fn feed_items_become_transactions_by_their_direction() {
    let feed = vec![
        item("out", json!({"status": "PENDING"})),
        item("in", json!({"direction": "IN", "source": "FASTER_PAYMENTS_IN", "counterPartyType": "SENDER"})),
        item(
            "payee",
            json!({"source": "FASTER_PAYMENTS_OUT", "counterPartyType": "PAYEE",
            "counterPartyUid": "payee-1", "counterPartySubEntityUid": "pa-1", "reference": "Rent"}),
        ),
        transfer("save", "OUT", "goal-1"),
        transfer("unsave", "IN", "goal-1"),
    ];
    let (sink, report) = run(&bank(feed, vec![]).await).await;
    let ends: Vec<Value> = sink
        .records("feed")
        .iter()
        .map(|record| pick(record, &["id", "type", "status", "sourceAccountID", "destinationAccountID"]))
        .collect();
    assert_eq!(
        json!(ends),
        json!([
            ["out", "PAYOUT", "PENDING", "acc-1", null],
            ["in", "PAYIN", "SUCCEEDED", null, "acc-1"],
            ["payee", "PAYOUT", "SUCCEEDED", "acc-1", "pa-1"],
            ["save", "TRANSFER", "SUCCEEDED", "acc-1", "goal-1"],
            ["unsave", "TRANSFER", "SUCCEEDED", "goal-1", "acc-1"]
        ])
    );
    let record = &sink.records("feed")[2];
    assert_eq!(pick(record, &["currency", "amount"]), json!(["GBP/2", "1234"]));
    assert_eq!(
        pick(record, &["createdAt", "updatedAt"]),
        json!(["2026-03-01T12:00:00.125000Z", "2026-03-01T12:00:05.250000Z"])
    );
    assert_eq!(
        record["metadata"],
        json!({"accountUid": "acc-1", "categoryUid": "cat-1", "status": "SETTLED", "source": "FASTER_PAYMENTS_OUT",
            "reference": "Rent", "counterPartyType": "PAYEE", "counterPartyUid": "payee-1",
            "counterPartyName": "A shop", "counterPartySubEntityUid": "pa-1"})
    );
    assert_eq!(report.unmappable, 0);
}

#[tokio::test]
async fn every_status_has_its_place_and_an_unknown_one_is_counted() {
    let statuses = [
        ("UPCOMING", "PENDING"),
        ("PENDING", "PENDING"),
        ("RETRYING", "PENDING"),
        ("SETTLED", "SUCCEEDED"),
        ("DECLINED", "FAILED"),
        ("UPCOMING_CANCELLED", "CANCELLED"),
        ("REVERSED", "REFUNDED"),
        ("REFUNDED", "REFUNDED"),
        ("ACCOUNT_CHECK", "OTHER"),
        ("HELD_BY_ALIENS", "OTHER"),
        ("", "OTHER"),
    ];
    let feed = statuses.iter().map(|(status, _)| item(status, json!({"feedItemUid": "x", "status": status})));
    let (sink, report) = run(&bank(feed.collect(), vec![]).await).await;
    let mapped: Vec<Value> = sink.records("feed").iter().map(|record| record["status"].clone()).collect();
    let expected: Vec<Value> = statuses.iter().map(|(_, status)| json!(status)).collect();
    assert_eq!(mapped, expected);
    let unknown = |status: &str| (Warning::UnmappedStatus(status.to_owned()), 1);
    assert_eq!(report.warnings, [unknown("HELD_BY_ALIENS"), unknown("")].into());
    let page = sink.pages.iter().find(|page| page.stream == "feed").unwrap();
    assert_eq!(page.warnings, report.warnings);
}

#[tokio::test]
async fn amounts_keep_every_digit_in_their_currency() {
    let amount = |currency: &str, units: &str| {
        let units: serde_json::Number = serde_json::from_str(units).unwrap();
        json!({"amount": {"currency": currency, "minorUnits": units}, "sourceAmount": {"currency": "EUR", "minorUnits": 239}})
    };
    let feed = vec![
        item("big", amount("GBP", "9007199254740993")),
        item("yen", amount("JPY", "500")),
        item("dinar", amount("KWD", "12345")),
    ];
    let (sink, _) = run(&bank(feed, vec![]).await).await;
    let amounts: Vec<Value> =
        sink.records("feed").iter().map(|record| pick(record, &["currency", "amount"])).collect();
    assert_eq!(json!(amounts), json!([["GBP/2", "9007199254740993"], ["JPY", "500"], ["KWD/3", "12345"]]));
    let metadata = &sink.records("feed")[0]["metadata"];
    assert_eq!(pick(metadata, &["sourceCurrency", "sourceMinorUnits"]), json!(["EUR", "239"]));
}

#[tokio::test]
async fn an_item_that_cannot_be_mapped_is_kept_with_its_reason_and_the_rest_flows() {
    let feed = vec![
        item("sideways", json!({"direction": "SIDEWAYS"})),
        item("float", json!({"amount": {"currency": "GBP", "minorUnits": 1.5}})),
        item("money", json!({"amount": {"currency": "XXX", "minorUnits": 1}})),
        item("", json!({})),
        item("time", json!({"transactionTime": null})),
        item("good", json!({})),
    ];
    let (sink, report) = run(&bank(feed.clone(), vec![]).await).await;
    let reasons = sink.reasons("feed");
    for (reason, about) in
        reasons.iter().zip(["direction: SIDEWAYS", "1.5", "XXX", "id: is empty", "created: null is no time"])
    {
        assert!(reason.contains(about), "{about}: {reason}");
    }
    assert_eq!((reasons.len(), sink.records("feed").len()), (5, 1));
    assert_eq!(report.unmappable, 5);
    let page = sink.pages.iter().find(|page| page.stream == "feed").unwrap();
    let MappedRecord::Unmappable { origin, .. } = &page.records[0] else { panic!("the first is unmappable") };
    assert_eq!(serde_json::from_slice::<Value>(&origin.record).unwrap(), feed[0]);
}

#[tokio::test]
async fn a_movement_between_account_and_space_is_told_once() {
    let goal_feed = vec![
        transfer("arrived", "IN", "cat-1"),
        transfer("left", "OUT", "cat-1"),
        item(
            "from-another-account",
            json!({"direction": "IN", "source": "ON_US_PAY_ME", "counterPartyType": "CUSTOMER"}),
        ),
        transfer("to-another-space", "OUT", "goal-2"),
        transfer("from-another-space", "IN", "goal-2"),
        item("bill", json!({"source": "DIRECT_DEBIT"})),
        item(
            "interest",
            json!({"direction": "IN", "source": "INTEREST_PAYMENT", "counterPartyType": "STARLING"}),
        ),
    ];
    let (sink, _) = run(&bank(vec![], goal_feed).await).await;
    let ends: Vec<Value> = sink
        .records("savings_goal_feed")
        .iter()
        .map(|record| pick(record, &["id", "type", "sourceAccountID", "destinationAccountID"]))
        .collect();
    assert_eq!(
        json!(ends),
        json!([
            ["to-another-space", "TRANSFER", "goal-1", "goal-2"],
            ["bill", "PAYOUT", "goal-1", null],
            ["interest", "PAYIN", null, "goal-1"]
        ])
    );
}

#[tokio::test]
async fn each_account_of_a_payee_is_a_beneficiary() {
    let (sink, _) = run(&bank(vec![], vec![]).await).await;
    let payees = sink.records("payees");
    assert_eq!(payees.len(), 2);
    assert_eq!(pick(&payees[0], &["id", "ownerName"]), json!(["pa-1", "Ann"]));
    assert_eq!(
        payees[1]["metadata"],
        json!({"payeeUid": "payee-1", "payeeType": "INDIVIDUAL", "countryCode": "GB",
            "bankIdentifierType": "SORT_CODE", "bankIdentifier": "998877", "accountIdentifier": "44556677"})
    );
}

#[tokio::test]
async fn the_second_run_asks_for_the_hour_before_the_newest_change() {
    let newest = DateTime::parse_from_rfc3339(&(Utc::now() - TimeDelta::days(10)).to_rfc3339()).unwrap();
    let elsewhere = newest.with_timezone(&FixedOffset::west_opt(11 * 3_600).unwrap());
    let older = newest - TimeDelta::hours(2);
    let updated = |at: DateTime<FixedOffset>| json!({"updatedAt": at.to_rfc3339()});
    let feed = vec![item("older", updated(older)), item("newest", updated(elsewhere))];
    let fake = bank(feed, vec![]).await;
    let connection = connection(&fake.url);
    let mut sink = Memory::default();
    connection.run(&mut sink).await.unwrap();
    connection.run(&mut sink).await.unwrap();
    let asked: Vec<DateTime<Utc>> = fake
        .received()
        .iter()
        .filter(|received| received.path == FEED)
        .map(|received| instant(&received.query["changesSince"]).unwrap())
        .collect();
    assert!(Utc::now() - TimeDelta::days(180) - asked[0] < TimeDelta::minutes(1), "{asked:?}");
    let hour_before = newest.to_utc() - TimeDelta::hours(1);
    assert!(hour_before - asked[1] < TimeDelta::milliseconds(1) && asked[1] <= hour_before, "{asked:?}");
    assert!(fake.received().iter().all(|received| received.headers["authorization"] == "Bearer token"));
}

/// The sample answers that Starling publishes with its SDK, where they are at hand.
fn fixtures() -> Option<PathBuf> {
    let shared =
        std::env::var_os("TRIBUTARY_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    Some(shared.join("specs/starling-fixtures")).filter(|path| path.is_dir())
}

#[tokio::test]
async fn the_published_samples_go_through() {
    let Some(directory) = fixtures() else { return };
    let sample = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(directory.join(name)).unwrap()).unwrap()
    };
    let account = "b0b20c9d-3b6b-42f1-a7d0-e70d4538e0d9";
    let (accounts, goals, balance, feed, payees) = (
        sample("v2-get-accounts.json"),
        sample("v2-get-savings-goals.json"),
        sample("v2-get-account-balance.json"),
        sample("v2-get-feed-items.json"),
        sample("v2-get-payees.json"),
    );
    let fake = Fake::start(move |_, received| {
        fake::json(match received.path.strip_prefix("/api/v2/").unwrap_or_default() {
            "accounts" => accounts.clone(),
            "payees" => payees.clone(),
            path if path == format!("accounts/{account}/balance") => balance.clone(),
            path if path == format!("account/{account}/savings-goals") => goals.clone(),
            path if path.ends_with("cc2d03f9-9438-4c7b-a426-ba3199740d73") => feed.clone(),
            path if path.starts_with(&format!("feed/account/{account}/category/")) => {
                json!({"feedItems": []})
            }
            _ => return StatusCode::NOT_FOUND.into_response(),
        })
    })
    .await;
    let (sink, report) = run(&fake).await;
    assert_eq!((report.unmappable, report.warnings.len(), report.records), (0, 0, 1 + 2 + 1 + 5 + 3));
    assert_eq!(sink.records("balances")[0]["balances"], json!([{"currency": "GBP/2", "amount": "1111"}]));
    let transactions: Vec<Value> = sink
        .records("feed")
        .iter()
        .map(|record| pick(record, &["type", "status", "amount", "destinationAccountID"]))
        .collect();
    assert_eq!(
        json!(transactions),
        json!([
            ["PAYOUT", "PENDING", "2375", null],
            ["TRANSFER", "SUCCEEDED", "1000", "5031325f-49b2-4c8c-b9cb-3f5cfa7f6d6e"],
            ["PAYOUT", "SUCCEEDED", "390", null],
            ["PAYOUT", "SUCCEEDED", "899", "4afcf1c7-1faa-41db-acf6-ce37ef7e6c9c"],
            ["PAYOUT", "SUCCEEDED", "206", null]
        ])
    );
    let goal = &sink.records("savings_goals")[0];
    assert_eq!(goal["id"], transactions[1][3], "a transfer ends in a space that is known as an account");
    let beneficiaries: Vec<Value> =
        sink.records("payees").iter().map(|record| record["id"].clone()).collect();
    assert!(beneficiaries.contains(&transactions[3][3]), "a payment to a payee ends at a beneficiary");
}
