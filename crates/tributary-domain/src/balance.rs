//! What an account holds.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Amount, Asset, RecordError, RecordId, Timestamp};

/// How much of one asset an account holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    pub asset: Asset,
    /// Signed: an overdrawn account holds less than nothing.
    pub amount: Amount,
}

/// The balances of one account at one time. Assets that it does not name stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Balances {
    pub account_id: RecordId,
    pub at: Timestamp,
    pub balances: Vec<Balance>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BalancesRecord {
    #[serde(rename = "accountID")]
    account_id: String,
    at: String,
    balances: Vec<BalanceRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BalanceRecord {
    currency: String,
    amount: String,
}

/// How far ahead of our clock a provider's may run: more than any time zone mistake.
const FUTURE_TOLERATED: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// The most assets of one account. An answer of `/balances` holds them all.
pub const ASSETS_MAX: usize = 1_000;

impl Balances {
    /// Takes the canonical JSON of an account's balances. A time that lies more than a day
    /// ahead is refused: every later balance would look older than it. So are more than
    /// 1,000 assets, and one that is named twice.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let wire: BalancesRecord = super::record::read(json)?;
        let at = Timestamp::parse("at", &wire.at)?;
        if at.as_utc() > Timestamp::now().as_utc() + FUTURE_TOLERATED {
            return Err(RecordError::new("at", format!("{:?} lies more than a day in the future", wire.at)));
        }
        if wire.balances.len() > ASSETS_MAX {
            let count = wire.balances.len();
            return Err(RecordError::new(
                "balances",
                format!("names {count} assets; at most {ASSETS_MAX} fit"),
            ));
        }
        let balances = wire.balances.iter().map(|balance| {
            Ok(Balance {
                asset: Asset::parse("currency", &balance.currency)?,
                amount: Amount::parse("amount", &balance.amount)?,
            })
        });
        let balances: Vec<Balance> = balances.collect::<Result<_, RecordError>>()?;
        let mut seen = HashSet::with_capacity(balances.len());
        if let Some(twice) = balances.iter().find(|balance| !seen.insert(balance.asset.as_str())) {
            return Err(RecordError::new("balances", format!("names {} twice", twice.asset.as_str())));
        }
        Ok(Self { account_id: RecordId::parse("accountID", &wire.account_id)?, at, balances })
    }

    /// The canonical JSON, which [`Balances::from_json`] takes back.
    pub fn to_json(&self) -> serde_json::Value {
        let balances = self.balances.iter().map(|balance| BalanceRecord {
            currency: balance.asset.as_str().to_owned(),
            amount: balance.amount.to_string(),
        });
        let record = BalancesRecord {
            account_id: self.account_id.as_str().to_owned(),
            at: self.at.to_text(),
            balances: balances.collect(),
        };
        serde_json::to_value(record).expect("texts make JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(assets: impl Iterator<Item = String>) -> Vec<u8> {
        let balances: Vec<_> =
            assets.map(|asset| serde_json::json!({ "currency": asset, "amount": "1" })).collect();
        let record = serde_json::json!({
            "accountID": "a", "at": "2026-03-01T12:00:00Z", "balances": balances,
        });
        serde_json::to_vec(&record).unwrap()
    }

    /// `n` assets that differ.
    fn assets(n: usize) -> impl Iterator<Item = String> {
        (0..n).map(|n| format!("EUR/{n}"))
    }

    #[test]
    fn as_many_assets_as_an_account_may_hold_are_taken_and_one_more_is_refused() {
        let taken = Balances::from_json(&record(assets(ASSETS_MAX))).unwrap();
        assert_eq!(taken.balances.len(), ASSETS_MAX);
        let error = Balances::from_json(&record(assets(ASSETS_MAX + 1))).unwrap_err().to_string();
        assert_eq!(error, "balances: names 1001 assets; at most 1000 fit");
    }

    #[test]
    fn an_asset_that_is_named_twice_is_refused_wherever_it_stands() {
        let twice = assets(50).chain(["JPY".to_owned()]).chain(assets(20).skip(19));
        let error = Balances::from_json(&record(twice)).unwrap_err().to_string();
        assert_eq!(error, "balances: names EUR/19 twice");
    }
}
