//! What a walk has seen under which id: a provider's ids are not always what they should be. One id
//! of two payments would make one of them, and whichever is read last would be its amount.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use tributary_domain::{Amount, Asset, Record, Timestamp, Transaction, TransactionType};

/// How many ids are remembered at least; twice as many at most.
const REMEMBERED: usize = 100_000;

/// What a payment was when it was seen last.
#[derive(Debug, Clone, Copy)]
struct Payment {
    kind: TransactionType,
    /// `None` where the mapping takes the time of the request.
    created_at: Option<Timestamp>,
    money: (u64, Amount),
    updated_at: Option<Timestamp>,
}

/// The latest ids of a walk.
#[derive(Debug, Default)]
pub struct Seen {
    payments: HashMap<[u8; 16], Payment>,
    /// The ones before.
    former: HashMap<[u8; 16], Payment>,
    /// Of accounts and assets: when they were confirmed, and the amount.
    balances: HashMap<[u8; 16], (Timestamp, Amount)>,
}

impl Seen {
    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes `record`, which came with an answer to a request that was sent at `asked_at`. The error
    /// says why it is not what was seen under its id before.
    pub fn take(&mut self, record: &Record, asked_at: DateTime<Utc>) -> Result<(), String> {
        match record {
            Record::Transaction(transaction) => self.take_payment(transaction, asked_at),
            Record::Balances(balances) => {
                for balance in &balances.balances {
                    let key = digest(&[balances.account_id.as_str(), balance.asset.as_str()]);
                    let told = (balances.at, balance.amount);
                    let before = self.balances.insert(key, told);
                    if before.is_some_and(|before| before.0 == told.0 && before.1 != told.1) {
                        return Err(format!(
                            "two amounts of {} in the account {:?} at one time: which is its balance is not known",
                            balance.asset.as_str(),
                            balances.account_id.as_str()
                        ));
                    }
                }
                Ok(())
            }
            Record::Account(_) | Record::Beneficiary(_) => Ok(()),
        }
    }

    fn take_payment(&mut self, transaction: &Transaction, asked_at: DateTime<Utc>) -> Result<(), String> {
        let created_at = transaction.created_at;
        let payment = Payment {
            kind: transaction.kind,
            created_at: (Timestamp::try_from_utc(asked_at) != Some(created_at)).then_some(created_at),
            money: (hash(&transaction.asset), transaction.amount),
            updated_at: transaction.provider_updated_at,
        };
        let key = digest(&[transaction.id.as_str()]);
        let known = self.payments.get(&key).or_else(|| self.former.get(&key)).copied();
        if let Some(other) = known.and_then(|known| known.differs(&payment)) {
            return Err(format!(
                "the id {:?} came twice in one walk, with {other}: it is not one payment; have `id` make one \
                 that tells them apart (`identity`)",
                transaction.id.as_str()
            ));
        }
        if self.payments.len() >= REMEMBERED {
            self.former = std::mem::take(&mut self.payments);
        }
        self.payments.insert(key, payment);
        Ok(())
    }
}

impl Payment {
    /// In what `later` is another payment; `None` where it may be a later state of this one.
    fn differs(&self, later: &Self) -> Option<&'static str> {
        let date = self.created_at.zip(later.created_at).is_some_and(|(one, other)| one != other);
        let money = self.money != later.money;
        let newer = self.updated_at.zip(later.updated_at).is_some_and(|(one, other)| one < other);
        match (self.kind != later.kind, date, money) {
            (true, ..) => Some("another type"),
            (_, true, true) => Some("another date and amount"),
            // a payment that has changed since may be dated or counted otherwise, but not both
            (_, true, _) if !newer => Some("another date"),
            (_, _, true) if !newer => Some("another amount"),
            _ => None,
        }
    }
}

fn hash(asset: &Asset) -> u64 {
    let mut hasher = DefaultHasher::new();
    asset.as_str().hash(&mut hasher);
    hasher.finish()
}

fn digest(parts: &[&str]) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_domain::{Resource, parse_record};

    fn payment(id: &str, created_at: &str, kind: &str, amount: &str, updated_at: &str) -> Record {
        let json = format!(
            r#"{{"id":"{id}","createdAt":"{created_at}T00:00:00Z","updatedAt":"{updated_at}T00:00:00Z",
                "type":"{kind}","status":"PENDING","currency":"EUR/2","amount":"{amount}"}}"#
        );
        parse_record(Resource::Transactions, json.as_bytes()).unwrap()
    }

    #[test]
    fn a_later_state_of_a_payment_is_taken_and_another_payment_is_not() {
        let (first, later) = ("2026-03-01", "2026-03-02");
        for (second, wrong) in [
            (payment("a", first, "PAYIN", "1", first), None),
            (payment("a", first, "PAYIN", "2", later), None),
            (payment("a", later, "PAYIN", "1", later), None),
            (payment("b", later, "PAYOUT", "2", first), None),
            (payment("a", first, "PAYIN", "2", first), Some("another amount")),
            (payment("a", later, "PAYIN", "1", first), Some("another date:")),
            (payment("a", later, "PAYIN", "2", later), Some("another date and amount")),
            (payment("a", first, "PAYOUT", "1", later), Some("another type")),
        ] {
            let mut seen = Seen::default();
            seen.take(&payment("a", first, "PAYIN", "1", first), Utc::now()).unwrap();
            let told = seen.take(&second, Utc::now());
            assert!(
                told.as_ref().err().map(|told| told.contains(wrong.unwrap_or("nothing")))
                    == wrong.map(|_| true),
                "{second:?}: {told:?}"
            );
        }
    }

    #[test]
    fn a_payment_is_remembered_behind_others_until_the_walk_ends() {
        let day = "2026-03-01";
        let mut seen = Seen::default();
        for id in ["a", "b", "c", "d"] {
            seen.take(&payment(id, day, "PAYIN", "1", day), Utc::now()).unwrap();
        }
        let other = payment("a", day, "PAYIN", "2", day);
        assert!(seen.take(&other, Utc::now()).unwrap_err().contains("another amount"));
        seen.clear();
        assert_eq!(seen.take(&other, Utc::now()), Ok(()));
    }

    #[test]
    fn the_same_number_of_another_currency_is_another_amount() {
        let of = |asset: &str| {
            let json = format!(
                r#"{{"id":"a","createdAt":"2026-03-01T00:00:00Z","type":"PAYIN","status":"PENDING","currency":"{asset}","amount":"1"}}"#
            );
            parse_record(Resource::Transactions, json.as_bytes()).unwrap()
        };
        let mut seen = Seen::default();
        seen.take(&of("EUR/2"), Utc::now()).unwrap();
        assert!(seen.take(&of("USD/2"), Utc::now()).unwrap_err().contains("another amount"));
    }

    #[test]
    fn what_is_dated_by_the_request_has_no_date_of_its_own() {
        let at = |day: &str| format!("{day}T00:00:00Z").parse::<DateTime<Utc>>().unwrap();
        let mut seen = Seen::default();
        for day in ["2026-03-01", "2026-03-02"] {
            assert_eq!(seen.take(&payment("a", day, "PAYIN", "1", "2026-01-01"), at(day)), Ok(()));
        }
    }

    #[test]
    fn an_account_has_one_balance_at_a_time() {
        let balances = |at: &str, amount: &str| {
            let json = format!(
                r#"{{"accountID":"a","at":"{at}T00:00:00Z","balances":[{{"currency":"EUR/2","amount":"{amount}"}}]}}"#
            );
            parse_record(Resource::Balances, json.as_bytes()).unwrap()
        };
        let mut seen = Seen::default();
        let mut take = |at, amount| seen.take(&balances(at, amount), Utc::now());
        assert_eq!(take("2026-03-01", "1"), Ok(()));
        assert_eq!(take("2026-03-01", "1"), Ok(()));
        assert_eq!(take("2026-03-02", "2"), Ok(()));
        assert!(take("2026-03-02", "3").unwrap_err().contains("two amounts of EUR/2"));
    }
}
