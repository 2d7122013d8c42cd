use serde_json::json;

use super::*;
use crate::starling::{Direction, Status};

/// What a category holds, added up item by item: (cleared, pending out).
fn sum(ledger: &Ledger, category: Uuid) -> (i64, i64) {
    let mut sums = (0, 0);
    for item in ledger.items.iter().filter(|item| item.category == category) {
        match (item.status, item.direction) {
            (Status::Settled, Direction::In) => sums.0 += item.amount_minor,
            (Status::Settled, Direction::Out) => sums.0 -= item.amount_minor,
            (Status::Pending, Direction::Out) => sums.1 += item.amount_minor,
            _ => {}
        }
    }
    sums
}

#[tokio::test]
async fn balances_are_the_sum_of_the_ledger_through_all_changes() {
    let bank = bank();
    for _ in 0..5 {
        let ledger = bank.ledger();
        for account in &ledger.accounts {
            let (cleared, pending) = sum(&ledger, account.default_category);
            let overdraft = account.balances.overdraft_minor;
            let money = |minor: i64| json!({ "currency": account.currency, "minorUnits": minor });
            let expected = json!({
                "clearedBalance": money(cleared),
                "effectiveBalance": money(cleared - pending),
                "pendingTransactions": money(pending),
                "acceptedOverdraft": money(overdraft),
                "amount": money(cleared - pending + overdraft),
            });
            let path = format!("/api/v2/accounts/{}/balance", account.uid);
            assert_eq!(get(&bank, &path).await.json(), expected);
            assert_eq!(account.balances.cleared_minor, cleared);
            assert_eq!(account.balances.pending_out_minor, pending);
            assert_eq!(account.balances.effective_minor, cleared - pending);
        }
        bank.tick(400);
    }
}

#[tokio::test]
async fn savings_goals_hold_what_was_moved_into_them() {
    let bank = bank();
    bank.tick(500);
    let ledger = bank.ledger();
    for account in &ledger.accounts {
        let path = format!("/api/v2/account/{}/savings-goals", account.uid);
        let list = get(&bank, &path).await.json();
        let list = list["savingsGoalList"].as_array().unwrap();
        assert_eq!(list.len(), account.goals.len());
        for (served, goal) in list.iter().zip(&account.goals) {
            let (saved, _) = sum(&ledger, goal.uid);
            assert!(saved > 0);
            assert_eq!(goal.saved_minor, saved);
            let expected = json!({ "currency": account.currency, "minorUnits": saved });
            assert_eq!((&served["savingsGoalUid"], &served["name"]), (&json!(goal.uid), &json!(goal.name)));
            assert_eq!(served["totalSaved"], expected);
            assert_eq!(&get(&bank, &format!("{path}/{}", goal.uid)).await.json(), served);
        }
    }
}

#[tokio::test]
async fn what_leaves_an_account_for_its_goals_arrives_there() {
    let bank = bank();
    bank.tick(500);
    let ledger = bank.ledger();
    for account in &ledger.accounts {
        let since = noon() - chrono::Duration::days(364);
        let items = changes_since(&bank, &(account.uid, account.default_category), since).await;
        let left: i64 = items
            .iter()
            .filter(|item| item["source"] == "INTERNAL_TRANSFER")
            .map(|item| item["amount"]["minorUnits"].as_i64().unwrap())
            .sum();
        let arrived: i64 = account.goals.iter().map(|goal| goal.saved_minor).sum();
        assert!(arrived > 0);
        assert_eq!(left, arrived);
    }
}
