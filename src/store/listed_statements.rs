//! Statements, their files and their accounts, as operators list them.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{StoreError, without_nul};
use tributary_domain::ProviderName;

/// Which of them; with nothing said, all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'a> {
    pub provider: Option<&'a ProviderName>,
    /// As the bank writes it.
    pub account: Option<&'a str>,
    pub currency: Option<&'a str>,
}

/// An account of which statements came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAccount {
    pub provider: String,
    /// As the bank writes it.
    pub account: String,
    pub currency: String,
    /// Among the accounts.
    pub account_id: String,
    /// The last day that a statement closed, and with what, in minor units.
    pub closing_day: Option<NaiveDate>,
    pub closing: Option<String>,
    /// Statements that do not open where the one before closed.
    pub broken_chains: i32,
    /// Numbers of statements that did not come.
    pub missing_numbers: i32,
    /// The first of both, in words.
    pub gaps: Vec<String>,
    /// How far the bank's last balance is from all that was booked, in minor units.
    pub off_by: String,
    /// Since when a statement has been expected that did not come.
    pub late_since: Option<DateTime<Utc>>,
}

/// Their accounts, by provider.
pub async fn accounts(pool: &PgPool, which: Which<'_>) -> Result<Vec<ListedAccount>, StoreError> {
    let accounts = sqlx::query_as!(
        ListedAccount,
        r#"select provider, account, currency, account_id, closing_day, closing::text as closing, broken_chains,
                  missing_numbers, gaps, off_by::text as "off_by!", late_since
           from statement_accounts
           where ($1::text is null or provider = $1) and ($2::text is null or account = $2)
             and ($3::text is null or currency = $3)
           order by provider, account, currency"#,
        which.provider.map(ProviderName::as_str),
        which.account.map(without_nul),
        which.currency.map(without_nul)
    )
    .fetch_all(pool)
    .await?;
    Ok(accounts)
}

/// A statement, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedStatement {
    pub provider: String,
    /// Its number here: later ones have larger ones.
    pub statement: i64,
    /// What its file is called.
    pub file: String,
    pub account: String,
    pub currency: String,
    pub format: String,
    pub kind: String,
    /// As the bank numbers it.
    pub number: Option<String>,
    pub page: Option<String>,
    /// In minor units.
    pub opening: Option<String>,
    pub closing: Option<String>,
    pub closing_day: Option<NaiveDate>,
    pub entries: i32,
    /// `published`; `put_aside`, with the reason; `waiting` for its other pages; `joined`, published with those; `test`.
    pub state: String,
    pub reason: Option<String>,
    /// The sum that is missing, in minor units.
    pub missing: Option<String>,
    /// When one that was put aside came whole.
    pub settled_at: Option<DateTime<Utc>>,
    /// Whether opening and entries are the closing balance, and control totals agree. Not known of one that has no two
    /// balances.
    pub closes: Option<bool>,
    /// Whether it opens where one of the day before, or of its own, closed. Not known of the first, and of one without
    /// balances.
    pub chains: Option<bool>,
    /// Whether the bank has sent a newer one of its number and day.
    pub restated: bool,
    pub taken_at: DateTime<Utc>,
}

/// Up to `most` of them, the latest first, of those that were taken before the one that is `before` here.
pub async fn statements(
    pool: &PgPool,
    which: Which<'_>,
    before: Option<i64>,
    most: u32,
) -> Result<Vec<ListedStatement>, StoreError> {
    let statements = sqlx::query_as!(
        ListedStatement,
        r#"with listed as (
             select s.provider, s.seq, s.sha256, s.account, s.currency, s.format, s.kind, s.number, s.page, s.opening,
                    s.closing, s.closing_day, s.entries, s.state, s.reason, s.missing, s.settled_at, s.taken_at
             from statement_accounts a cross join lateral (
               select o.provider, o.seq, o.sha256, o.account, o.currency, o.format, o.kind, o.number, o.page, o.opening,
                      o.closing, o.closing_day, o.entries, o.state, o.reason, o.missing, o.settled_at, o.taken_at
               from statements o
               where o.provider = a.provider and o.account = a.account and o.currency = a.currency
                 and o.seq < $4
               order by o.seq desc limit $5) s
             where ($1::text is null or a.provider = $1) and ($2::text is null or a.account = $2)
               and ($3::text is null or a.currency = $3)
             order by s.seq desc limit $5)
           select l.provider as "provider!", l.seq as "statement!", f.name as file, l.account as "account!",
                  l.currency as "currency!", l.format as "format!", l.kind as "kind!", l.number, l.page,
                  l.opening::text as opening, l.closing::text as closing, l.closing_day, l.entries as "entries!",
                  l.state as "state!", l.reason, l.missing::text as missing, l.settled_at, l.taken_at as "taken_at!",
                  case when l.state = 'put_aside' then false
                       when l.state in ('published', 'joined') and l.opening is not null and l.closing is not null
                       then true end as closes,
                  case when l.state <> 'published' or l.kind <> 'final' or l.opening is null then null
                       when earlier.day is null then nullif(chain.chains, false)
                       else coalesce(chain.chains, false) end as chains,
                  l.state = 'published' and exists (
                    select from statements n
                    where n.provider = l.provider and n.account = l.account and n.currency = l.currency
                      and n.closing_day = l.closing_day and n.number = l.number and n.kind = l.kind
                      and n.page is not distinct from l.page and n.state = 'published' and n.seq <> l.seq
                      and (coalesce(n.facts->>'created', ''), n.seq) > (coalesce((
                        select o.facts->>'created' from statements o
                        where o.provider = l.provider and o.seq = l.seq), ''), l.seq)) as "restated!"
           from listed l
             join statement_files f on f.provider = l.provider and f.sha256 = l.sha256
             cross join lateral (
               select max(e.closing_day) as day from statements e
               where e.provider = l.provider and e.account = l.account and e.currency = l.currency
                 and e.closing_day < l.closing_day and e.state = 'published' and e.kind = 'final') earlier
             cross join lateral (
               select bool_or(c.closing = l.opening) as chains from statements c
               where c.provider = l.provider and c.account = l.account and c.currency = l.currency
                 and c.closing_day >= coalesce(earlier.day, l.closing_day) and c.closing_day <= l.closing_day
                 and c.state = 'published' and c.kind = 'final' and c.seq <> l.seq) chain
           order by l.seq desc"#,
        which.provider.map(ProviderName::as_str),
        which.account.map(without_nul),
        which.currency.map(without_nul),
        before.unwrap_or(i64::MAX),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(statements)
}

/// One that was put aside, or waits for its other pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStatement {
    pub provider: String,
    pub statement: i64,
    pub file: String,
    pub account: String,
    pub currency: String,
    pub number: Option<String>,
    pub page: Option<String>,
    pub closing_day: Option<NaiveDate>,
    pub state: String,
    pub reason: Option<String>,
    /// The sum that is missing, in minor units.
    pub missing: Option<String>,
    pub taken_at: DateTime<Utc>,
}

/// Up to `most` of those that were put aside or wait, and of which nothing better has come, the latest first.
pub async fn open(pool: &PgPool, which: Which<'_>, most: u32) -> Result<Vec<OpenStatement>, StoreError> {
    let open = sqlx::query_as!(
        OpenStatement,
        r#"select s.provider, s.seq as statement, f.name as file, s.account, s.currency, s.number, s.page, s.closing_day,
                  s.state, s.reason, s.missing::text as missing, s.taken_at
           from statements s join statement_files f on f.provider = s.provider and f.sha256 = s.sha256
           where s.state in ('put_aside', 'waiting') and s.settled_at is null
             and ($1::text is null or s.provider = $1) and ($2::text is null or s.account = $2)
             and ($3::text is null or s.currency = $3)
           order by s.seq desc limit $4"#,
        which.provider.map(ProviderName::as_str),
        which.account.map(without_nul),
        which.currency.map(without_nul),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(open)
}

/// How many statements of one provider, or of all, are put aside.
pub async fn count_put_aside(pool: &PgPool, provider: Option<&ProviderName>) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from statements
           where state in ('put_aside', 'waiting') and settled_at is null and state = 'put_aside'
             and ($1::text is null or provider = $1)"#,
        provider.map(ProviderName::as_str)
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// What a statement told: a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedMovement {
    /// Of the transaction.
    pub id: String,
    /// `booked`, `pending` or `cancelled`.
    pub state: String,
    /// Signed, in minor units.
    pub amount: String,
    pub created_at: DateTime<Utc>,
    pub order_reference: Option<String>,
}

/// Up to `most` of what `statement` tells of, in its order.
pub async fn movements(
    pool: &PgPool,
    provider: &ProviderName,
    statement: i64,
    most: u32,
) -> Result<Vec<ListedMovement>, StoreError> {
    let movements = sqlx::query_as!(
        ListedMovement,
        r#"select id, state, amount::text as "amount!", created_at, order_reference from statement_movements
           where provider = $1 and seq = $2 order by place, id limit $3"#,
        provider.as_str(),
        statement,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(movements)
}

/// The account of `statement`.
pub async fn account_of(
    pool: &PgPool,
    provider: &ProviderName,
    statement: i64,
) -> Result<Option<(String, String)>, StoreError> {
    let row = sqlx::query!(
        "select account, currency from statements where provider = $1 and seq = $2",
        provider.as_str(),
        statement
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| (row.account, row.currency)))
}
