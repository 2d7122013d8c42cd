//! Erasing the data of a person: the function that does it, and what has to be looked through for it.

use sqlx::{Executor, PgConnection, PgPool};

use super::StoreError;
use tributary_domain::ProviderName;

/// What is to be erased.
#[derive(Debug, Clone, Copy)]
pub struct Erasure<'a> {
    pub provider: &'a ProviderName,
    /// Of an account, a beneficiary, a transaction or an order.
    pub id: &'a str,
    /// Also the transactions and orders from or to it.
    pub with_payments: bool,
    /// Positions of raw records.
    pub raw: &'a [i64],
    /// Ids in the quarantine.
    pub quarantine: &'a [i64],
    /// Ids of refusals.
    pub refusals: &'a [i64],
    /// Digests of statement files.
    pub files: &'a [Vec<u8>],
}

/// Rows of a table that were erased.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    pub table: String,
    pub rows: i64,
}

/// What is broken while an order of what is to be erased is open.
pub const ORDER_ENDED: &str = "erasures_order_ended";

/// Erases, in the caller's transaction, and leaves a trace of it without any of the data. Breaks
/// [`ORDER_ENDED`] while an order of it is open: what it says has still to be sent.
pub async fn erase(connection: &mut PgConnection, erasure: Erasure<'_>) -> Result<Vec<Erased>, StoreError> {
    // all transactions are looked through, for those from or to somebody
    connection.execute("set local statement_timeout = '10min'").await?;
    let erased = sqlx::query_as!(
        Erased,
        r#"select what as "table!", rows as "rows!" from erase_record($1, $2, $3, $4, $5, $6, $7)"#,
        erasure.provider.as_str(),
        erasure.id,
        erasure.with_payments,
        erasure.raw,
        erasure.quarantine,
        erasure.refusals,
        erasure.files
    )
    .fetch_all(&mut *connection)
    .await?;
    Ok(erased)
}

/// How many transactions and orders that are not erased name `id` as the account that pays or is paid.
pub async fn naming(pool: &PgPool, provider: &ProviderName, id: &str) -> Result<(i64, i64), StoreError> {
    let mut transaction = super::begin(pool).await?;
    transaction.execute("set local statement_timeout = '10min'").await?;
    let naming = sqlx::query!(
        r#"select (select count(*) from transactions
                   where provider = $1 and erased_at is null and $2 in (source_account_id, destination_account_id)
                     and id <> $2) as "transactions!",
                  (select count(*) from payment_orders
                   where provider = $1 and erased_at is null and $2 in (source_account_id, destination_account_id))
                    as "orders!""#,
        provider.as_str(),
        id
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok((naming.transactions, naming.orders))
}

/// A refusal, to be looked through.
#[derive(Debug)]
pub struct Refusal {
    pub id: i64,
    pub idempotency_key: Option<String>,
    pub detail: String,
    pub body: String,
}

/// Up to `most` refusals of the provider with ids above `after`.
pub async fn refusals(
    pool: &PgPool,
    provider: &ProviderName,
    after: i64,
    most: u32,
) -> Result<Vec<Refusal>, StoreError> {
    let refusals = sqlx::query_as!(
        Refusal,
        "select id, idempotency_key, detail, body from payment_refusals
         where provider = $1 and id > $2 order by id limit $3",
        provider.as_str(),
        after,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(refusals)
}

/// A record that may still change at the provider, to be looked through.
#[derive(Debug)]
pub struct Open {
    pub stream: String,
    pub key: String,
    pub record: Vec<u8>,
    pub canonical: Vec<u8>,
}

/// All records of the provider that may still change.
pub async fn open_records(pool: &PgPool, provider: &ProviderName) -> Result<Vec<Open>, StoreError> {
    let open = sqlx::query_as!(
        Open,
        "select stream, key, record, canonical from sync_open_records where provider = $1 order by stream, key",
        provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(open)
}
