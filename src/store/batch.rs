//! A batch of records of one kind, written in one transaction: whatever can be taken goes to
//! its table, whatever cannot goes to the quarantine with its reason.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::quarantine::Refused;
use super::{StoreError, Tally, accounts, balances, quarantine, transactions};
use crate::domain::{Account, Balances, ProviderName, Record, Resource, Transaction};

/// Records of one kind, parsed, with what could not be.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Record>,
    pub refused: Vec<Refused>,
    /// History: its changes may be stamped in the free past.
    pub backfill: bool,
}

/// Writes `batch` in the caller's transaction.
pub async fn write(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Tally, StoreError> {
    if batch.backfill {
        sqlx::query!("select set_config('tributary.backfill', 'on', true)")
            .fetch_one(&mut *connection)
            .await?;
    }
    let mut tally = Tally::default();
    for wave in waves(&batch.records) {
        tally += write_wave(connection, provider, resource, &wave).await?;
    }
    if !batch.refused.is_empty() {
        quarantine::keep(connection, provider, resource, &batch.refused).await?;
    }
    Ok(tally)
}

/// Splits records so that no wave holds an id twice, and the n-th state of a record is in the
/// n-th wave: one statement cannot write a row twice, and each state has to be tracked.
fn waves(records: &[Record]) -> Vec<Vec<&Record>> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(records.len());
    let mut waves: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        let wave = seen.entry(key(record)).and_modify(|wave| *wave += 1).or_insert(0);
        if waves.len() == *wave {
            waves.push(Vec::new());
        }
        waves[*wave].push(record);
    }
    waves
}

fn key(record: &Record) -> &str {
    match record {
        Record::Account(account) => account.id.as_str(),
        Record::Beneficiary(beneficiary) => beneficiary.0.id.as_str(),
        Record::Balances(balances) => balances.account_id.as_str(),
        Record::Transaction(transaction) => transaction.id.as_str(),
    }
}

async fn write_wave(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    wave: &[&Record],
) -> Result<Tally, StoreError> {
    match resource {
        Resource::Accounts => {
            let rows: Vec<&Account> =
                wave.iter().filter_map(|r| if let Record::Account(r) = r { Some(r) } else { None }).collect();
            accounts::upsert_accounts(connection, provider, &rows).await
        }
        Resource::Beneficiaries => {
            let rows: Vec<&Account> = wave
                .iter()
                .filter_map(|r| if let Record::Beneficiary(r) = r { Some(&r.0) } else { None })
                .collect();
            accounts::upsert_beneficiaries(connection, provider, &rows).await
        }
        Resource::Balances => {
            let rows: Vec<&Balances> = wave
                .iter()
                .filter_map(|r| if let Record::Balances(r) = r { Some(r) } else { None })
                .collect();
            balances::upsert(connection, provider, &rows).await
        }
        Resource::Transactions => {
            let rows: Vec<&Transaction> = wave
                .iter()
                .filter_map(|r| if let Record::Transaction(r) = r { Some(r) } else { None })
                .collect();
            transactions::upsert(connection, provider, &rows).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::parse_record;

    #[test]
    fn states_of_one_record_are_written_one_after_the_other() {
        let account = |id: &str, name: &str| {
            let json =
                format!(r#"{{"id":"{id}","accountName":"{name}","createdAt":"2026-01-01T00:00:00Z"}}"#);
            parse_record(Resource::Accounts, json.as_bytes()).unwrap()
        };
        let records =
            [account("a", "1"), account("b", "1"), account("a", "2"), account("a", "3"), account("b", "2")];
        let keys: Vec<Vec<&str>> =
            waves(&records).iter().map(|wave| wave.iter().map(|r| key(r)).collect()).collect();
        assert_eq!(keys, [vec!["a", "b"], vec!["a", "b"], vec!["a"]]);
    }
}
