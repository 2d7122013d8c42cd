//! Tables `statement_accounts`, `statements` and `statement_movements`: what statements say, and what was published
//! of it.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, without_nul};
use tributary_domain::ProviderName;

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

/// A movement as it was published.
#[derive(Debug, Clone, PartialEq)]
pub struct MovementRow {
    pub id: String,
    pub seq: i64,
    pub place: i32,
    pub state: String,
    pub is_final: bool,
    /// Signed, in minor units.
    pub amount: String,
    pub created_at: DateTime<Utc>,
    pub kind: String,
    pub related_transaction_id: Option<String>,
    pub order_reference: Option<String>,
}

/// Keeps movements of distinct ids as they were published; what never changes of one stays.
pub async fn save_movements(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    rows: &[MovementRow],
) -> Result<(), StoreError> {
    let text = |column: fn(&MovementRow) -> &str| -> Vec<&str> { rows.iter().map(column).collect() };
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let places: Vec<i32> = rows.iter().map(|row| row.place).collect();
    let finals: Vec<bool> = rows.iter().map(|row| row.is_final).collect();
    let created: Vec<DateTime<Utc>> = rows.iter().map(|row| row.created_at).collect();
    let related: Vec<Option<&str>> = rows.iter().map(|row| row.related_transaction_id.as_deref()).collect();
    let references: Vec<Option<&str>> = rows.iter().map(|row| row.order_reference.as_deref()).collect();
    sqlx::query!(
        "insert into statement_movements (provider, id, account, currency, seq, place, state, is_final, amount,
           created_at, type, related_transaction_id, order_reference)
         select $1, n.id, $2, $3, n.seq, n.place, n.state, n.is_final, n.amount::numeric, n.created_at, n.type,
                n.related, n.reference
         from unnest($4::text[], $5::bigint[], $6::integer[], $7::text[], $8::boolean[], $9::text[],
                     $10::timestamptz[], $11::text[], $12::text[], $13::text[])
           as n (id, seq, place, state, is_final, amount, created_at, type, related, reference)
         on conflict on constraint statement_movements_pkey do update
         set seq = excluded.seq, place = excluded.place, state = excluded.state, is_final = excluded.is_final",
        provider.as_str(),
        key.account,
        key.currency,
        &text(|row| &row.id) as _,
        &seqs,
        &places,
        &text(|row| &row.state) as _,
        &finals,
        &text(|row| &row.amount) as _,
        &created,
        &text(|row| &row.kind) as _,
        &related as _,
        &references as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was published under `ids`, with the metadata of the transaction where it is one (an order's movement is not).
pub async fn movements(
    connection: &mut PgConnection,
    provider: &ProviderName,
    ids: &[&str],
) -> Result<HashMap<String, (MovementRow, Option<serde_json::Value>)>, StoreError> {
    let rows = sqlx::query!(
        r#"select m.id, m.seq, m.place, m.state, m.is_final, m.amount::text as "amount!", m.created_at, m.type as kind,
                  m.related_transaction_id, m.order_reference, t.metadata as "metadata?"
           from statement_movements m
             left join transactions t on t.provider = m.provider and t.id = m.id
           where m.provider = $1 and m.id = any($2)"#,
        provider.as_str(),
        ids as _
    )
    .fetch_all(connection)
    .await?;
    let kept = rows.into_iter().map(|row| {
        let movement = MovementRow {
            id: row.id.clone(),
            seq: row.seq,
            place: row.place,
            state: row.state,
            is_final: row.is_final,
            amount: row.amount,
            created_at: row.created_at,
            kind: row.kind,
            related_transaction_id: row.related_transaction_id,
            order_reference: row.order_reference,
        };
        (row.id, (movement, row.metadata))
    });
    Ok(kept.collect())
}

/// Where an account stands after its statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub closing_day: Option<NaiveDate>,
    /// In minor units.
    pub closing: Option<String>,
    pub broken_chains: usize,
    pub missing_numbers: usize,
    /// The first of those, in words.
    pub gaps: Vec<String>,
    /// In minor units.
    pub off_by: String,
}

/// Keeps where the account stands.
pub async fn save_standing(
    connection: &mut PgConnection,
    provider: &ProviderName,
    key: Key<'_>,
    standing: &Standing,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statement_accounts set closing_day = $4, closing = $5::text::numeric, broken_chains = $6,
           missing_numbers = $7, off_by = $8::text::numeric, gaps = $9
         where provider = $1 and account = $2 and currency = $3",
        provider.as_str(),
        key.account,
        key.currency,
        standing.closing_day,
        standing.closing,
        i32::try_from(standing.broken_chains).unwrap_or(i32::MAX),
        i32::try_from(standing.missing_numbers).unwrap_or(i32::MAX),
        standing.off_by,
        &standing.gaps
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is wrong with the statements of a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    /// Chains that break and numbers that are left out.
    pub gaps: i64,
    /// Accounts whose statement is late.
    pub late: i64,
    /// Statements that were put aside and did not come again, those whose other pages did not come for an hour, and
    /// accounts whose balance is not what was booked.
    pub unbalanced: i64,
}

/// Those of `provider`.
pub async fn alarms(pool: &PgPool, provider: &ProviderName) -> Result<Alarms, StoreError> {
    let alarms = sqlx::query_as!(
        Alarms,
        r#"select coalesce(sum(a.broken_chains + a.missing_numbers), 0)::bigint as "gaps!",
                  count(*) filter (where a.late_since is not null) as "late!",
                  count(*) filter (where a.off_by <> 0) + (
                    select count(*) from statements s
                    where s.provider = $1 and s.state in ('put_aside', 'waiting') and s.settled_at is null
                      and (s.state = 'put_aside' or s.taken_at < clock_timestamp() - interval '1 hour')
                  ) as "unbalanced!"
           from statement_accounts a where a.provider = $1"#,
        provider.as_str()
    )
    .fetch_one(pool)
    .await?;
    Ok(alarms)
}

/// An account and how far its statements go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub account: String,
    pub currency: String,
    pub closing_day: Option<NaiveDate>,
}

/// Notes which accounts closed last before `day`, which is due by now, and gives them. `None`: nothing is due.
pub async fn note_late(
    connection: &mut PgConnection,
    provider: &ProviderName,
    day: NaiveDate,
) -> Result<Vec<Reached>, StoreError> {
    let late = sqlx::query_as!(
        Reached,
        "with noted as (
           update statement_accounts
           set late_since = case when coalesce(closing_day < $2, true) then coalesce(late_since, clock_timestamp()) end
           where provider = $1 and (coalesce(closing_day < $2, true)) is distinct from (late_since is not null))
         select account, currency, closing_day from statement_accounts
         where provider = $1 and coalesce(closing_day < $2, true) order by account, currency",
        provider.as_str(),
        day
    )
    .fetch_all(connection)
    .await?;
    Ok(late)
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
