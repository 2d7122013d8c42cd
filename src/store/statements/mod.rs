//! Tables `statement_accounts`, `statements` and `statement_movements`: what statements say, and what was published
//! of it.

mod movements;
mod standing;

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::{StoreError, without_nul};
use tributary_domain::ProviderName;

pub use movements::{MovementRow, movements, save_movements};
pub use standing::{Alarms, Reached, Standing, alarms, note_late, save_standing};

/// An account by what its bank calls it, and its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    pub account: &'a str,
    pub currency: &'a str,
}

/// An account whose row is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Whether this is its first statement.
    pub is_new: bool,
    /// What it is among the accounts.
    pub account_id: String,
    pub rules: String,
    /// The last statement that was taken of it; 0 before the first.
    pub last: i64,
}

/// Locks the account until the transaction ends, and makes it where it is not there yet. To be called in the order
/// of accounts.
pub async fn lock(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    account_id: &str,
    rules: &str,
) -> Result<Locked, StoreError> {
    let made = sqlx::query!(
        "insert into statement_accounts (provider, account, currency, account_id, rules) values ($1, $2, $3, $4, $5)
         on conflict on constraint statement_accounts_pkey do nothing",
        provider.as_str(),
        key.account,
        key.currency,
        account_id,
        rules
    )
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query!(
        "select account_id, rules from statement_accounts
         where provider = $1 and account = $2 and currency = $3 for update",
        provider.as_str(),
        key.account,
        key.currency
    )
    .fetch_one(&mut *connection)
    .await?;
    // a statement of its own: it sees what whoever had the lock has committed
    let last = sqlx::query_scalar!(
        r#"select coalesce(max(seq), 0) as "last!" from statements
           where provider = $1 and account = $2 and currency = $3 and state = 'published'"#,
        provider.as_str(),
        key.account,
        key.currency
    )
    .fetch_one(connection)
    .await?;
    Ok(Locked { is_new: made.rows_affected() == 1, account_id: row.account_id, rules: row.rules, last })
}

/// A statement as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStatement<'a> {
    pub sha256: &'a [u8],
    pub place: usize,
    pub key: Key<'a>,
    pub format: &'a str,
    pub kind: &'a str,
    pub number: Option<&'a str>,
    pub page: Option<&'a str>,
    /// In minor units.
    pub opening: Option<String>,
    pub closing: Option<String>,
    pub closing_day: Option<NaiveDate>,
    pub entries: usize,
    pub state: &'a str,
    pub reason: Option<String>,
    pub missing: Option<String>,
    /// JSON.
    pub facts: Option<String>,
}

/// Keeps a statement; gives its number.
pub async fn add(
    connection: &mut PgConnection,
    provider: &ProviderName,
    new: NewStatement<'_>,
) -> Result<i64, StoreError> {
    let seq = sqlx::query_scalar!(
        "insert into statements (provider, sha256, place, account, currency, format, kind, number, page, opening,
           closing, closing_day, entries, state, reason, missing, facts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::numeric, $11::text::numeric, $12, $13, $14, $15,
           $16::text::numeric, $17::text::jsonb)
         returning seq",
        provider.as_str(),
        new.sha256,
        i32::try_from(new.place).unwrap_or(i32::MAX),
        new.key.account,
        new.key.currency,
        new.format,
        new.kind,
        new.number,
        new.page,
        new.opening,
        new.closing,
        new.closing_day,
        i32::try_from(new.entries).unwrap_or(i32::MAX),
        new.state,
        new.reason.as_deref().map(without_nul),
        new.missing,
        new.facts
    )
    .fetch_one(connection)
    .await?;
    Ok(seq)
}

/// A statement that was published.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub seq: i64,
    pub kind: String,
    pub number: Option<String>,
    pub page: Option<String>,
    /// In minor units.
    pub opening: Option<String>,
    pub closing: Option<String>,
    pub closing_day: Option<NaiveDate>,
    /// JSON.
    pub facts: String,
}

/// Those of an account behind `after`, in the order in which they were taken.
pub async fn published(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    after: i64,
) -> Result<Vec<Published>, StoreError> {
    let rows = sqlx::query_as!(
        Published,
        r#"select seq, kind, number, page, opening::text, closing::text, closing_day, facts::text as "facts!"
           from statements
           where provider = $1 and account = $2 and currency = $3 and seq > $4 and state = 'published'
           order by seq"#,
        provider.as_str(),
        key.account,
        key.currency,
        after
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// A statement, or a page of one, by where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub seq: i64,
    pub sha256: Vec<u8>,
    /// In its file, from 0 on.
    pub place: i32,
    pub state: String,
}

/// The statements of an account that have this number and are in one of these states, as they came.
pub async fn pages(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    number: Option<&str>,
    states: &[&str],
) -> Result<Vec<Page>, StoreError> {
    let rows = sqlx::query_as!(
        Page,
        "select seq, sha256, place, state from statements
         where provider = $1 and account = $2 and currency = $3 and number is not distinct from $4
           and state = any($5) order by seq",
        provider.as_str(),
        key.account,
        key.currency,
        number,
        states as _
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Where the statement `seq` is.
pub async fn page(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seq: i64,
) -> Result<Option<Page>, StoreError> {
    let row = sqlx::query_as!(
        Page,
        "select seq, sha256, place, state from statements where provider = $1 and seq = $2",
        provider.as_str(),
        seq
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Notes that pages that waited were published with another.
pub async fn joined(
    connection: &mut PgConnection,
    provider: &ProviderName,
    pages: &[i64],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statements set state = 'joined' where provider = $1 and seq = any($2) and state = 'waiting'",
        provider.as_str(),
        pages
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that what was put aside of this number and day has come as it should be.
pub async fn settle(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    number: Option<&str>,
    closing_day: Option<NaiveDate>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statements set settled_at = clock_timestamp()
         where provider = $1 and account = $2 and currency = $3 and number is not distinct from $4
           and closing_day is not distinct from $5 and state = 'put_aside' and settled_at is null",
        provider.as_str(),
        key.account,
        key.currency,
        number,
        closing_day
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What became of a statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub account: String,
    pub currency: String,
    pub number: Option<String>,
    pub closing_day: Option<NaiveDate>,
    pub entries: i32,
    pub state: String,
    pub reason: Option<String>,
    pub missing: Option<String>,
}

/// The statements of a file, in its order.
pub async fn of_file(
    connection: &mut PgConnection,
    provider: &ProviderName,
    sha256: &[u8],
) -> Result<Vec<Told>, StoreError> {
    let told = sqlx::query_as!(
        Told,
        "select account, currency, number, closing_day, entries, state, reason, missing::text as missing
         from statements where provider = $1 and sha256 = $2 order by place",
        provider.as_str(),
        sha256
    )
    .fetch_all(connection)
    .await?;
    Ok(told)
}
