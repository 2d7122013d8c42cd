//! A batch of records of one kind, written in one transaction: whatever can be taken goes to
//! its table, whatever cannot goes to the quarantine with its reason.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::orders::{self, Matched};
use crate::encryption;
use crate::store::quarantine::{self, Refused, RefusedRecord};
use crate::store::{StoreError, Tally, accounts, balances, transactions};
use tributary_domain::{Account, Balances, ProviderName, Record, Resource, Transaction};

/// Records of one kind, parsed, with what could not be.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Record>,
    pub refused: Vec<Refused>,
    /// History: its changes may be stamped in the free past.
    pub backfill: bool,
    /// Whether they may decide about payments that were ordered: what is read from the provider
    /// may, what is pushed only where nothing is read there.
    pub decides: bool,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    pub tally: Tally,
    /// Records that went to the quarantine besides the batch's own refused ones, by their places
    /// among its records, with the reasons.
    pub refused: Vec<(usize, String)>,
}

/// Writes `batch` in the caller's transaction. A transaction that shows a payment which was ordered
/// through us becomes news of the order.
pub async fn write(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Written, StoreError> {
    mark_backfill(connection, batch.backfill).await?;
    let Matched { records, left_out, refused } = match resource {
        Resource::Transactions => orders::match_to_orders(connection, provider, batch).await?,
        _ => Matched::default(),
    };
    let records = records.as_deref().unwrap_or(&batch.records);
    let mut tally = write_records(connection, provider, resource, records, &batch.refused).await?;
    tally.unchanged += left_out as u64;
    if !refused.is_empty() {
        let lies = refused.iter().filter_map(|(place, reason)| match batch.records.get(*place)? {
            Record::Transaction(record) => {
                let raw = record.to_json().to_string().into_bytes();
                Some(Refused { record: RefusedRecord::Canonical(raw), reason: reason.clone() })
            }
            _ => None,
        });
        let lies: Vec<_> = lies.collect();
        quarantine::keep(connection, &encryption::keyring(), provider, resource, &lies).await?;
    }
    Ok(Written { tally, refused })
}

/// As [`write`], of records that no order has to do with, or of which that is decided.
pub(super) async fn write_decided(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Tally, StoreError> {
    mark_backfill(connection, batch.backfill).await?;
    write_records(connection, provider, resource, &batch.records, &batch.refused).await
}

async fn mark_backfill(connection: &mut PgConnection, backfill: bool) -> Result<(), StoreError> {
    if backfill {
        sqlx::query!("select set_config('tributary.backfill', 'on', true)").fetch_one(connection).await?;
    }
    Ok(())
}

async fn write_records(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    records: &[Record],
    refused: &[Refused],
) -> Result<Tally, StoreError> {
    let waves = waves(records);
    lock(connection, provider, resource, waves.len() > 1).await?;
    let mut tally = Tally::default();
    for wave in waves {
        tally += write_wave(connection, provider, resource, &wave).await?;
    }
    if !refused.is_empty() {
        quarantine::keep(connection, &encryption::keyring(), provider, resource, refused).await?;
    }
    Ok(tally)
}

/// One wave is sorted by id, so two of them cannot deadlock; several waves are not, so their
/// batch goes alone among the batches of its table.
async fn lock(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    alone: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "select case when $3 then pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 7403))
                     else pg_advisory_xact_lock_shared(hashtextextended($1 || '/' || $2, 7403)) end::text",
        provider.as_str(),
        resource.as_str(),
        alone
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Splits records so that no wave holds two states of a record, or two members of one payment:
/// one statement cannot write a row twice, each state has to be tracked, and within a payment
/// the order in which they were reported is kept.
fn waves(records: &[Record]) -> Vec<Vec<&Record>> {
    let mut next: HashMap<&str, usize> = HashMap::with_capacity(records.len());
    let mut waves: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        let keys = [row_key(record), payment(record)];
        let wave = keys.iter().filter_map(|key| next.get(key)).max().copied().unwrap_or(0);
        next.extend(keys.map(|key| (key, wave + 1)));
        if waves.len() == wave {
            waves.push(Vec::new());
        }
        waves[wave].push(record);
    }
    waves
}

/// What the record is a state of.
pub fn row_key(record: &Record) -> &str {
    match record {
        Record::Account(account) => account.id.as_str(),
        Record::Beneficiary(beneficiary) => beneficiary.0.id.as_str(),
        Record::Balances(balances) => balances.account_id.as_str(),
        Record::Transaction(transaction) => transaction.id.as_str(),
    }
}

/// What the record belongs to: the parent of a child, else itself.
fn payment(record: &Record) -> &str {
    match record {
        Record::Transaction(transaction) => {
            transaction.related_id.as_ref().unwrap_or(&transaction.id).as_str()
        }
        other => row_key(other),
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
    use tributary_domain::parse_record;

    #[test]
    fn states_of_one_record_are_written_one_after_the_other() {
        let account = |id: &str, name: &str| {
            let json =
                format!(r#"{{"id":"{id}","accountName":"{name}","createdAt":"2026-01-01T00:00:00Z"}}"#);
            parse_record(Resource::Accounts, json.as_bytes()).unwrap()
        };
        let records =
            [account("a", "1"), account("b", "1"), account("a", "2"), account("a", "3"), account("b", "2")];
        assert_eq!(row_keys(&records), [vec!["a", "b"], vec!["a", "b"], vec!["a"]]);
    }

    #[test]
    fn members_of_one_payment_are_written_in_the_order_in_which_they_were_told() {
        let transaction = |id: &str, parent: &str| {
            let json = format!(
                r#"{{"id":"{id}","relatedTransactionID":"{parent}","createdAt":"2026-01-01T00:00:00Z",
                    "type":"PAYIN","status":"DISPUTE","currency":"EUR/2","amount":"1"}}"#
            );
            parse_record(Resource::Transactions, json.as_bytes()).unwrap()
        };
        let records = [
            transaction("p", ""),
            transaction("p", ""),
            transaction("child", "p"),
            transaction("other", ""),
            transaction("p", ""),
            transaction("child", "elsewhere"),
        ];
        assert_eq!(row_keys(&records), [vec!["p", "other"], vec!["p"], vec!["child"], vec!["p", "child"]]);
    }

    fn row_keys(records: &[Record]) -> Vec<Vec<&str>> {
        waves(records).iter().map(|wave| wave.iter().map(|record| row_key(record)).collect()).collect()
    }
}
