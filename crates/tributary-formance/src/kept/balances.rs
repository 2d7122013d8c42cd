//! Balances: the amounts that an account has had, each since when and until when.

use std::collections::HashMap;

use thiserror::Error;

use super::moment::stored;
use crate::gotime::GoTime;
use crate::integer::Integer;
use crate::row::Balance;

/// One amount that an account had for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBalance {
    /// In minor units of the asset.
    pub amount: Integer,
    /// The `at` of the reply that brought it.
    pub at: GoTime,
    /// The `at` of the last reply that said the same, or of the one that said
    /// otherwise.
    pub last_updated_at: GoTime,
}

/// A reply names another amount under the `at` of the amount that is stored: two
/// rows of the table would have one key. Formance keeps nothing of such a reply
/// and tries to store it without end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("account {account_reference}: {asset} at {at} is {kept}, and {refused} collides with it")]
pub struct BalanceCollision {
    pub account_reference: String,
    pub asset: String,
    /// The time that both amounts claim.
    pub at: GoTime,
    /// The stored amount, in minor units.
    pub kept: Integer,
    /// The amount that collides, in minor units.
    pub refused: Integer,
}

/// Account and asset.
type Key = (String, String);

#[derive(Clone, Debug, Default)]
pub(super) struct Balances {
    histories: HashMap<Key, Vec<KeptBalance>>,
}

impl Balances {
    /// One reply is one database transaction.
    pub(super) fn take(&mut self, balances: &[Balance]) -> Result<(), BalanceCollision> {
        let mut written: HashMap<Key, Vec<KeptBalance>> = HashMap::new();
        for balance in balances {
            let key = (balance.account_reference.clone(), balance.asset.clone());
            let history = written
                .entry(key)
                .or_insert_with_key(|key| self.histories.get(key).cloned().unwrap_or_default());
            take_one(history, balance)?;
        }
        self.histories.extend(written);
        Ok(())
    }

    pub(super) fn get(&self, account_reference: &str, asset: &str) -> &[KeptBalance] {
        let key = (account_reference.to_owned(), asset.to_owned());
        self.histories.get(&key).map_or(&[], Vec::as_slice)
    }
}

impl Balances {
    /// The amount that holds at a time: stored no later, and said again no earlier. Where two meet
    /// it is the later one.
    pub(super) fn at(&self, account_reference: &str, asset: &str, at: GoTime) -> Option<&Integer> {
        let holds = |kept: &&KeptBalance| kept.at <= at && at <= kept.last_updated_at;
        self.get(account_reference, asset).iter().rev().find(holds).map(|kept| &kept.amount)
    }
}

fn take_one(history: &mut Vec<KeptBalance>, balance: &Balance) -> Result<(), BalanceCollision> {
    let at = stored(balance.at);
    if let Some(last) = history.last_mut() {
        if last.at > at {
            return Ok(());
        }
        if last.amount != balance.amount && last.at == at {
            return Err(BalanceCollision {
                account_reference: balance.account_reference.clone(),
                asset: balance.asset.clone(),
                at,
                kept: last.amount.clone(),
                refused: balance.amount.clone(),
            });
        }
        last.last_updated_at = at;
        if last.amount == balance.amount {
            return Ok(());
        }
    }
    history.push(KeptBalance { amount: balance.amount.clone(), at, last_updated_at: at });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: i64) -> GoTime {
        GoTime::from_unix(seconds, 0)
    }

    fn balance(asset: &str, amount: &str, at: i64) -> Balance {
        Balance {
            account_reference: "acc_1".into(),
            amount: Integer::parse(amount).unwrap(),
            asset: asset.into(),
            at: second(at),
        }
    }

    fn held(balances: &Balances, asset: &str) -> Vec<(String, i64, i64)> {
        let entry = |kept: &KeptBalance| {
            (kept.amount.to_string(), kept.at.unix_seconds(), kept.last_updated_at.unix_seconds())
        };
        balances.get("acc_1", asset).iter().map(entry).collect()
    }

    #[test]
    fn a_changed_amount_is_a_new_entry_and_the_same_amount_prolongs_the_last() {
        let mut balances = Balances::default();
        for (amount, at) in [("100", 1), ("100", 2), ("-7", 5), ("100", 6)] {
            balances.take(&[balance("EUR/2", amount, at)]).unwrap();
        }
        let amounts = [("100".into(), 1, 5), ("-7".into(), 5, 6), ("100".into(), 6, 6)];
        assert_eq!(held(&balances, "EUR/2"), amounts);
        assert_eq!(held(&balances, "USD/2"), []);
    }

    #[test]
    fn a_reply_older_than_the_last_stored_one_is_ignored() {
        let mut balances = Balances::default();
        balances.take(&[balance("EUR/2", "100", 5)]).unwrap();
        balances.take(&[balance("EUR/2", "200", 4), balance("USD/2", "3", 4)]).unwrap();
        assert_eq!(held(&balances, "EUR/2"), [("100".into(), 5, 5)]);
        assert_eq!(held(&balances, "USD/2"), [("3".into(), 4, 4)], "each asset has a last one of its own");
    }

    #[test]
    fn another_amount_at_the_same_time_collides_and_takes_its_reply_with_it() {
        let mut balances = Balances::default();
        balances.take(&[balance("EUR/2", "100", 5)]).unwrap();
        let collision = balances.take(&[balance("USD/2", "3", 5), balance("EUR/2", "200", 5)]).unwrap_err();
        assert_eq!(
            collision.to_string(),
            "account acc_1: EUR/2 at 1970-01-01T00:00:05Z is 100, and 200 collides with it"
        );
        assert_eq!(held(&balances, "EUR/2"), [("100".into(), 5, 5)]);
        assert_eq!(held(&balances, "USD/2"), []);
        assert_eq!(balances.take(&[balance("EUR/2", "100", 5)]), Ok(()), "the same amount does not collide");
    }

    #[test]
    fn one_reply_with_two_amounts_of_an_asset_collides_with_itself() {
        let mut balances = Balances::default();
        let reply = [balance("EUR/2", "1", 5), balance("EUR/2", "2", 5)];
        assert!(balances.take(&reply).is_err());
        assert_eq!(held(&balances, "EUR/2"), []);
    }

    #[test]
    fn times_closer_than_a_microsecond_are_the_same() {
        let mut balances = Balances::default();
        balances.take(&[balance("EUR/2", "1", 5)]).unwrap();
        let close = Balance { at: GoTime::from_unix(5, 400), ..balance("EUR/2", "2", 5) };
        assert!(balances.take(&[close]).is_err());
    }
}
