//! What the provider's records say of orders (`payment_orders`), and those that wait until it is
//! known whether they do (`held_records`).

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::batch::{self, Batch};
use super::{StoreError, Tally};
use crate::domain::{ProviderName, Record, RecordId, Resource, Transaction, TransactionType};

/// What became of a batch: the records that are to be written, and how many were not.
#[derive(Debug)]
pub struct Folded {
    /// `None` where the batch is to be written as it is.
    pub records: Option<Vec<Record>>,
    pub left_out: usize,
}

/// Takes those of `records` out that are news of an order, or may be; a record of what came of an
/// order's movement gets the order's payment for its parent. To be called before anything is
/// written, in the same transaction.
pub async fn fold(
    connection: &mut PgConnection,
    provider: &ProviderName,
    records: &[Record],
    backfill: bool,
) -> Result<Folded, StoreError> {
    if !has_orders(connection, provider).await? {
        return Ok(Folded { records: None, left_out: 0 });
    }
    let transactions: Vec<&Transaction> = records.iter().filter_map(transaction).collect();
    let decided = decide(connection, provider, &transactions, backfill, false).await?;
    if decided.is_empty() {
        return Ok(Folded { records: None, left_out: 0 });
    }
    let mut left_out = 0;
    let mut kept = Vec::with_capacity(records.len());
    for (place, transaction) in transactions.into_iter().enumerate() {
        match applied(transaction, decided.get(&place)) {
            Some(transaction) => kept.push(Record::Transaction(transaction)),
            None => left_out += 1,
        }
    }
    Ok(Folded { records: Some(kept), left_out })
}

fn transaction(record: &Record) -> Option<&Transaction> {
    match record {
        Record::Transaction(transaction) => Some(transaction),
        _ => None,
    }
}

/// The record as it is to be written; `None` if it is not.
fn applied(transaction: &Transaction, decision: Option<&Decision>) -> Option<Transaction> {
    match decision {
        None | Some(Decision::Keep) => Some(transaction.clone()),
        Some(Decision::Child { related, kind }) => {
            let mut child = transaction.clone();
            child.related_id = Some(related.clone());
            child.kind = *kind;
            Some(child)
        }
        Some(Decision::Folded | Decision::Held) => None,
    }
}

#[derive(Debug)]
enum Decision {
    Keep,
    Folded,
    Held,
    Child { related: RecordId, kind: TransactionType },
}

async fn has_orders(connection: &mut PgConnection, provider: &ProviderName) -> Result<bool, StoreError> {
    let some = sqlx::query_scalar!(
        r#"select exists (select from payment_orders where provider = $1) as "some!""#,
        provider.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(some)
}

async fn decide(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Transaction],
    backfill: bool,
    held: bool,
) -> Result<HashMap<usize, Decision>, StoreError> {
    let text =
        |column: fn(&Transaction) -> &str| -> Vec<&str> { rows.iter().map(|row| column(row)).collect() };
    let optional = |column: fn(&Transaction) -> Option<&str>| -> Vec<Option<&str>> {
        rows.iter().map(|row| column(row)).collect()
    };
    let amounts: Vec<String> = rows.iter().map(|row| row.amount.to_string()).collect();
    let created_at: Vec<DateTime<Utc>> = rows.iter().map(|row| row.created_at.as_utc()).collect();
    let updated_at: Vec<_> = rows.iter().map(|row| row.provider_updated_at.map(|at| at.as_utc())).collect();
    let metadata: Vec<String> = rows.iter().map(|row| row.metadata.to_json()).collect();
    let canonical: Vec<String> = rows.iter().map(|row| row.to_json().to_string()).collect();
    let decided = sqlx::query!(
        r#"select place as "place!", action as "action!", related, kind
           from fold_payments($1, $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::text[]::numeric[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[]::jsonb[],
             $13::text[]::jsonb[], $14, $15)"#,
        provider.as_str(),
        &text(|row| row.id.as_str()) as _,
        &optional(|row| row.related_id.as_ref().map(RecordId::as_str)) as _,
        &optional(|row| row.order_reference.as_deref()) as _,
        &text(|row| row.kind.as_str()) as _,
        &text(|row| row.status.as_str()) as _,
        &text(|row| row.asset.as_str()) as _,
        &amounts as _,
        &optional(|row| row.source_account_id.as_ref().map(RecordId::as_str)) as _,
        &created_at as _,
        &updated_at as _,
        &metadata as _,
        &canonical as _,
        backfill,
        held
    )
    .fetch_all(connection)
    .await?;
    let decisions = decided.into_iter().map(|row| {
        let place = usize::try_from(row.place - 1).unwrap_or_default();
        let id = rows.get(place).map_or("", |row| row.id.as_str());
        let decision = match (row.action.as_str(), row.related, row.kind.as_deref()) {
            ("child", Some(related), kind) => match RecordId::parse("relatedTransactionID", &related) {
                Ok(related) if kind == Some("TRANSFER") => {
                    Decision::Child { related, kind: TransactionType::Transfer }
                }
                Ok(related) => Decision::Child { related, kind: TransactionType::Payout },
                Err(_) => Decision::Keep,
            },
            ("held", ..) => Decision::Held,
            ("alarm", ..) => {
                alarm(provider, id, "money moved for an attempt that the provider had refused");
                Decision::Keep
            }
            ("contradiction", ..) => {
                alarm(provider, id, "the provider now says the opposite of what it said of a payment");
                Decision::Folded
            }
            _ => Decision::Folded,
        };
        (place, decision)
    });
    Ok(decisions.collect())
}

fn alarm(provider: &ProviderName, record: &str, why: &str) {
    metrics::counter!("tributary_payment_alarms_total", "provider" => provider.to_string()).increment(1);
    tracing::error!(%provider, record, "{why}: a person has to look at it");
}

/// How many held records are looked at together.
const RELEASED_AT_ONCE: i64 = 1_000;

/// Writes the records of `provider` that were held and are decided by now; gives how many still
/// wait. One caller at a time does so, whoever else tries gets `None`.
pub async fn release(pool: &PgPool, provider: &ProviderName) -> Result<Option<(Tally, usize)>, StoreError> {
    let any = sqlx::query_scalar!(
        r#"select exists (select from held_records where provider = $1) as "any!""#,
        provider.as_str()
    )
    .fetch_one(pool)
    .await?;
    if !any {
        return Ok(Some((Tally::default(), 0)));
    }
    let mut transaction = super::begin(pool).await?;
    let turn = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended('held/' || $1, 7407)) as "turn!""#,
        provider.as_str()
    )
    .fetch_one(&mut *transaction)
    .await?;
    if !turn {
        return Ok(None);
    }
    let held = sqlx::query!(
        "select seq, record, backfill from held_records where provider = $1 order by seq limit $2",
        provider.as_str(),
        RELEASED_AT_ONCE
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut transactions = Vec::with_capacity(held.len());
    for row in &held {
        let read = Transaction::from_json(row.record.to_string().as_bytes());
        transactions.push(read.map_err(|error| {
            StoreError::Schema(format!("held record {} of {provider} cannot be read: {error}", row.seq))
        })?);
    }
    let rows: Vec<&Transaction> = transactions.iter().collect();
    let decided = decide(&mut transaction, provider, &rows, false, true).await?;
    let mut written: BTreeMap<bool, Vec<Record>> = BTreeMap::new();
    let mut done = Vec::new();
    for (place, row) in held.iter().enumerate() {
        if matches!(decided.get(&place), Some(Decision::Held)) {
            continue;
        }
        done.push(row.seq);
        let record = applied(&transactions[place], decided.get(&place));
        written.entry(row.backfill).or_default().extend(record.map(Record::Transaction));
    }
    let mut tally = Tally::default();
    // history last: whatever is marked so stays marked until the commit
    for (backfill, records) in written {
        let batch = Batch { records, refused: Vec::new(), backfill };
        tally += batch::write_decided(&mut transaction, provider, Resource::Transactions, &batch).await?;
    }
    sqlx::query!("delete from held_records where seq = any ($1)", &done).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some((tally, held.len() - done.len())))
}

/// How many records of the provider are held.
pub async fn held(pool: &PgPool, provider: Option<&ProviderName>) -> Result<i64, StoreError> {
    let held = sqlx::query_scalar!(
        r#"select count(*) as "held!" from held_records where $1::text is null or provider = $1"#,
        provider.map(ProviderName::as_str)
    )
    .fetch_one(pool)
    .await?;
    Ok(held)
}
