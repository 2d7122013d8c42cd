use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Mercury;
use crate::kit::testing::*;
use crate::kit::times::{DAY_US, Given, micros};
use crate::kit::{Faults, Standin, When};
use std::sync::Arc;
use tributary_domain::{Status, TransactionType};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    account_id: String,
    amount: Box<RawValue>,
    kind: String,
    status: String,
    created_at: String,
    posted_at: Option<String>,
    failed_at: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    total: Option<usize>,
    transactions: Vec<Row>,
    page: Option<Links>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    next_page: Option<String>,
}

async fn rows(bank: &Arc<Standin>, path: &str) -> Rows {
    let answer = get(bank, path).await;
    answer.ok();
    serde_json::from_str(&answer.text).unwrap()
}

/// All transactions by the global list.
async fn walk(bank: &Arc<Standin>, limit: usize) -> Vec<Row> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = rows(bank, &format!("/api/v1/transactions?limit={limit}{after}")).await;
        let next = page.page.unwrap().next_page;
        all.extend(page.transactions);
        match next {
            Some(last) => after = format!("&start_after={last}"),
            None => return all,
        }
    }
}

fn ids(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.id.clone()).collect()
}

/// A row in canonical terms, as the facts about Mercury have it.
fn canonical(row: &Row) -> (TransactionType, Status, i64) {
    let amount = minor(row.amount.get(), 2);
    let kind = match row.kind.as_str() {
        "internalTransfer" | "treasuryTransfer" => TransactionType::Transfer,
        "wireFee" => TransactionType::Other,
        _ if amount < 0 => TransactionType::Payout,
        _ => TransactionType::Payin,
    };
    let status = match row.status.as_str() {
        "pending" => Status::Pending,
        "sent" => Status::Succeeded,
        "cancelled" => Status::Cancelled,
        "failed" | "blocked" => Status::Failed,
        "reversed" => Status::Refunded,
        other => panic!("{other}"),
    };
    (kind, status, amount.abs())
}

#[tokio::test]
async fn a_walk_gives_every_transaction_of_the_ledger_once_as_it_is() {
    let bank = open(&Mercury);
    bank.advance(100);
    let all = walk(&bank, 37).await;
    each_once(ids(&all));
    assert!(all.is_sorted_by_key(|row| &row.created_at), "oldest first");
    let listed: BTreeMap<_, _> = all.iter().map(|row| (row.id.clone(), canonical(row))).collect();
    let truth = bank.truth();
    let expected: BTreeMap<_, _> = truth
        .transactions
        .iter()
        .map(|(id, one)| (id.clone(), (one.kind, one.status, one.amount_minor)))
        .collect();
    assert_eq!(listed, expected);
    assert!(listed.len() > 400 && truth.transactions.values().all(|one| one.asset == "USD/2"));
    for row in &all {
        assert_eq!(row.posted_at.is_some(), matches!(row.status.as_str(), "sent" | "reversed"), "{}", row.id);
        assert_eq!(
            row.failed_at.is_some(),
            matches!(row.status.as_str(), "failed" | "blocked"),
            "{}",
            row.id
        );
    }
}

#[tokio::test]
async fn an_accounts_list_goes_by_offset_newest_first_and_knows_its_total() {
    let bank = open(&Mercury);
    let mut listed = Vec::new();
    for account in bank.truth().accounts.keys() {
        let path = format!("/api/v1/account/{account}/transactions?start=2020-01-01&limit=25");
        let mut all: Vec<Row> = Vec::new();
        loop {
            let page = rows(&bank, &format!("{path}&offset={}", all.len())).await;
            all.extend(page.transactions);
            if all.len() >= page.total.unwrap() {
                break;
            }
        }
        assert!(all.is_sorted_by(|a, b| a.created_at >= b.created_at));
        assert!(all.iter().all(|row| &row.account_id == account));
        listed.extend(ids(&all));
    }
    assert_eq!(each_once(listed), each_once(ids(&walk(&bank, 1_000).await)));
}

#[tokio::test]
async fn both_ends_of_the_window_are_in_it_and_without_a_start_it_is_30_days() {
    let bank = open(&Mercury);
    let all = walk(&bank, 1_000).await;
    let (first, last) = (&all[100].created_at, &all[200].created_at);
    let window = rows(&bank, &format!("/api/v1/transactions?start={first}&end={last}")).await.transactions;
    assert_eq!(ids(&window), ids(&all[100..=200]));
    let after = |text: &str| micros(Given::parse(text).unwrap().at_us + 1);
    let window = rows(&bank, &format!("/api/v1/transactions?start={}&end={last}", after(first))).await;
    assert_eq!(ids(&window.transactions), ids(&all[101..=200]));

    let day = &last[..10];
    let of_day = rows(&bank, &format!("/api/v1/transactions?start={day}&end={day}")).await.transactions;
    let expected: Vec<_> = all.iter().filter(|row| row.created_at.starts_with(day)).collect();
    assert!(!of_day.is_empty() && of_day.len() == expected.len(), "a day as the end is meant as a whole");

    let account = all[0].account_id.clone();
    let since = micros(noon().timestamp_micros() - 30 * DAY_US);
    let lately = rows(&bank, &format!("/api/v1/account/{account}/transactions?limit=1000")).await;
    let expected = all.iter().filter(|row| row.account_id == account && row.created_at >= since).count();
    assert!(expected > 0 && lately.total == Some(expected));
    assert!(lately.transactions.iter().all(|row| row.created_at >= since));
}

#[tokio::test]
async fn start_after_leaves_its_row_out_and_start_at_does_not() {
    let bank = open(&Mercury);
    let all = walk(&bank, 1_000).await;
    let after = rows(&bank, &format!("/api/v1/transactions?limit=5&start_after={}", all[10].id)).await;
    assert_eq!(ids(&after.transactions), ids(&all[11..16]));
    let at = rows(&bank, &format!("/api/v1/transactions?limit=5&start_at={}", all[10].id)).await;
    assert_eq!(ids(&at.transactions), ids(&all[10..15]));
    let both = format!("/api/v1/transactions?start_at={0}&start_after={0}", all[10].id);
    assert_eq!(get(&bank, &both).await.status, 400);
}

#[tokio::test]
async fn one_transaction_can_be_asked_for_again() {
    let bank = open(&Mercury);
    let all = walk(&bank, 1_000).await;
    let row = &all[3];
    let path = format!("/api/v1/account/{}/transaction/{}", row.account_id, row.id);
    assert_eq!(get(&bank, &path).await.ok()["status"], row.status.as_str());
    let other = all.iter().find(|other| other.account_id != row.account_id).unwrap();
    let path = format!("/api/v1/account/{}/transaction/{}", other.account_id, row.id);
    let missing = get(&bank, &path).await;
    assert_eq!(
        (missing.status.as_u16(), missing.json()["errors"]["errorCode"].as_str()),
        (404, Some("notFound"))
    );
}

#[tokio::test]
async fn balances_are_in_the_accounts_and_follow_from_what_was_sent() {
    let bank = open(&Mercury);
    bank.advance(200);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Account {
        id: String,
        current_balance: Box<RawValue>,
        available_balance: Box<RawValue>,
    }
    #[derive(Deserialize)]
    struct Accounts {
        accounts: Vec<Account>,
    }
    let answer = get(&bank, "/api/v1/accounts").await;
    let accounts: Accounts = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(accounts.accounts.len(), 3);
    let all = walk(&bank, 1_000).await;
    for account in &accounts.accounts {
        let of_account = || all.iter().filter(|row| row.account_id == account.id);
        let sum =
            |rows: &mut dyn Iterator<Item = &Row>| rows.map(|row| minor(row.amount.get(), 2)).sum::<i64>();
        let booked = 5_000_000 + sum(&mut of_account().filter(|row| row.status == "sent"));
        assert_eq!(minor(account.current_balance.get(), 2), booked);
        assert_eq!(bank.truth().accounts[&account.id].balance_minor, booked);
        let is_pending_out = |row: &&Row| row.status == "pending" && row.amount.get().starts_with('-');
        let reserved = sum(&mut of_account().filter(is_pending_out));
        assert_eq!(minor(account.available_balance.get(), 2), booked + reserved);
    }
    let recipients = get(&bank, "/api/v1/recipients?limit=1000").await.ok();
    let expected: Vec<_> = bank.truth().beneficiaries.into_keys().collect();
    assert_eq!(each_once(texts(&recipients["recipients"], "/id")), expected);
}

#[tokio::test]
async fn a_row_that_comes_between_two_pages_of_a_counted_list_shifts_it() {
    let bank = open(&Mercury);
    let account = bank.truth().accounts.into_keys().next().unwrap();
    let path = format!("/api/v1/account/{account}/transactions?start=2020-01-01&limit=10");
    let changes_while_reading = Some(When::next(1).on("/transactions"));
    bank.set_faults(Faults { changes_while_reading, changes: 40, ..Faults::default() });
    let first = rows(&bank, &path).await;
    let second = rows(&bank, &format!("{path}&offset=10")).await;
    assert!(second.total > first.total);
    let again = second.transactions.iter().filter(|row| ids(&first.transactions).contains(&row.id)).count();
    assert!(again > 0, "rows of the first page were pushed onto the second");
    assert_eq!(bank.fired().changes_while_reading, 40);
}
