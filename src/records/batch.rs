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
    /// Whether a known payment may come with another date, amount and type: where a person had it mapped
    /// anew. Else such a record is one of another payment.
    pub may_amend: bool,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    pub tally: Tally,
    /// Records that went to the quarantine besides the batch's own refused ones, by their places
    /// among its records, with the reasons.
    pub refused: Vec<(usize, String)>,
    /// How many of these have the id of another payment.
    pub shared_ids: u64,
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
    let Matched { records, left_out, older, news, mut refused } = match resource {
        Resource::Transactions => orders::match_to_orders(connection, provider, batch).await?,
        _ => Matched::default(),
    };
    keep_refused(connection, provider, resource, &batch.records, &refused).await?;
    let written = match records {
        None => write_decided(connection, provider, resource, batch).await?,
        Some(kept) => {
            let (places, records): (Vec<usize>, Vec<Record>) = kept.into_iter().unzip();
            let again = Batch { records, refused: batch.refused.clone(), ..*batch };
            let mut written = write_decided(connection, provider, resource, &again).await?;
            written.refused.iter_mut().for_each(|(place, _)| *place = places[*place]);
            written
        }
    };
    refused.extend(written.refused);
    let mut tally = written.tally;
    tally.unchanged += left_out as u64;
    tally.older += older as u64;
    tally.of_orders += news as u64;
    Ok(Written { tally, refused, shared_ids: written.shared_ids })
}

/// Keeps in quarantine what of `records` was refused, by place.
async fn keep_refused(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    records: &[Record],
    refused: &[(usize, String)],
) -> Result<(), StoreError> {
    if refused.is_empty() {
        return Ok(());
    }
    let refused = refused.iter().filter_map(|(place, reason)| {
        let raw = records.get(*place)?.to_json().to_string().into_bytes();
        Some(Refused { record: RefusedRecord::Canonical(raw), reason: reason.clone() })
    });
    quarantine::keep(connection, &encryption::keyring(), provider, resource, &refused.collect::<Vec<_>>())
        .await
}

/// As [`write`], of records that no order has to do with, or of which that is decided.
pub(super) async fn write_decided(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Written, StoreError> {
    mark_backfill(connection, batch.backfill).await?;
    let waves = waves(&batch.records);
    lock(connection, provider, resource, waves.len() > 1).await?;
    let mut written = Written::default();
    for wave in waves {
        let (tally, others) = write_wave(connection, provider, resource, &wave, batch.may_amend).await?;
        written.tally += tally;
        written.refused.extend(others.into_iter().map(|place| (wave[place].0, shared_id(wave[place].1))));
    }
    written.shared_ids = written.refused.len() as u64;
    keep_refused(connection, provider, resource, &batch.records, &written.refused).await?;
    if !batch.refused.is_empty() {
        quarantine::keep(connection, &encryption::keyring(), provider, resource, &batch.refused).await?;
    }
    Ok(written)
}

fn shared_id(record: &Record) -> String {
    format!(
        "the id {:?} is that of another payment, which is kept with another date and amount, or another type: give \
         each payment an id of its own (`id`, `identity`); where it is the same one, and only its mapping has changed, \
         `tributary remap` brings it to its new form",
        row_key(record)
    )
}

async fn mark_backfill(connection: &mut PgConnection, backfill: bool) -> Result<(), StoreError> {
    if backfill {
        sqlx::query!("select set_config('tributary.backfill', 'on', true)").fetch_one(connection).await?;
    }
    Ok(())
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
/// the order in which they were reported is kept. Each comes with its place.
fn waves(records: &[Record]) -> Vec<Vec<(usize, &Record)>> {
    let mut next: HashMap<&str, usize> = HashMap::with_capacity(records.len());
    let mut waves: Vec<Vec<(usize, &Record)>> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let keys = [row_key(record), payment(record)];
        let wave = keys.iter().filter_map(|key| next.get(key)).max().copied().unwrap_or(0);
        next.extend(keys.map(|key| (key, wave + 1)));
        if waves.len() == wave {
            waves.push(Vec::new());
        }
        waves[wave].push((place, record));
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

/// Writes a wave; gives the places in it of what is not what its id says.
async fn write_wave(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    wave: &[(usize, &Record)],
    may_amend: bool,
) -> Result<(Tally, Vec<usize>), StoreError> {
    let tally = match resource {
        Resource::Accounts => {
            let rows: Vec<&Account> =
                of(wave, |record| if let Record::Account(row) = record { Some(row) } else { None });
            accounts::upsert_accounts(connection, provider, &rows).await
        }
        Resource::Beneficiaries => {
            let rows: Vec<&Account> =
                of(wave, |record| if let Record::Beneficiary(row) = record { Some(&row.0) } else { None });
            accounts::upsert_beneficiaries(connection, provider, &rows).await
        }
        Resource::Balances => {
            let rows: Vec<&Balances> =
                of(wave, |record| if let Record::Balances(row) = record { Some(row) } else { None });
            balances::upsert(connection, provider, &rows).await
        }
        Resource::Transactions => {
            let rows: Vec<&Transaction> =
                of(wave, |record| if let Record::Transaction(row) = record { Some(row) } else { None });
            let upserted = transactions::upsert(connection, provider, &rows, may_amend).await?;
            return Ok((upserted.tally, upserted.others));
        }
    };
    Ok((tally?, Vec::new()))
}

/// The records of one kind in a wave.
fn of<'a, T>(wave: &[(usize, &'a Record)], kind: fn(&'a Record) -> Option<&'a T>) -> Vec<&'a T> {
    wave.iter().filter_map(|(_, record)| kind(record)).collect()
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
        waves(records).iter().map(|wave| wave.iter().map(|(_, record)| row_key(record)).collect()).collect()
    }
}
