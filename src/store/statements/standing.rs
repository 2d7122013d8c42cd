//! How an account stands by its statements: its last balance, what is missing, what is late.

use chrono::NaiveDate;
use sqlx::{PgConnection, PgPool};

use super::Key;
use crate::store::StoreError;
use tributary_domain::ProviderName;

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
