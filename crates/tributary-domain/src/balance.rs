//! What an account holds.

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

impl Balances {
    /// Takes the canonical JSON of an account's balances. A time that lies more than a day
    /// ahead is refused: every later balance would look older than it.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let wire: BalancesRecord = serde_json::from_slice(json)?;
        let at = Timestamp::parse("at", &wire.at)?;
        if at.as_utc() > Timestamp::now().as_utc() + FUTURE_TOLERATED {
            return Err(RecordError::new("at", format!("{:?} lies more than a day in the future", wire.at)));
        }
        let balances = wire.balances.iter().map(|balance| {
            Ok(Balance {
                asset: Asset::parse("currency", &balance.currency)?,
                amount: Amount::parse("amount", &balance.amount)?,
            })
        });
        let balances: Vec<Balance> = balances.collect::<Result<_, RecordError>>()?;
        for (i, balance) in balances.iter().enumerate() {
            if balances[..i].iter().any(|other| other.asset == balance.asset) {
                return Err(RecordError::new("balances", format!("names {} twice", balance.asset.as_str())));
            }
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
