//! Table `balances`: current state, without a feed.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{StoreError, Tally};
use tributary_domain::{Balances, ProviderName};

/// Upserts the balances of distinct accounts; each asset counts as one record. An amount
/// older than the stored one (by the provider's time) is dropped, and counted where it differs, and one that is the same later is
/// confirmed. Sorted by account, so that two of them cannot deadlock; the trigger makes `at` grow.
pub async fn upsert(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Balances],
) -> Result<Tally, StoreError> {
    let flat = || rows.iter().flat_map(|row| row.balances.iter().map(move |balance| (row, balance)));
    let accounts: Vec<&str> = flat().map(|(row, _)| row.account_id.as_str()).collect();
    let at: Vec<DateTime<Utc>> = flat().map(|(row, _)| row.at.as_utc()).collect();
    let assets: Vec<&str> = flat().map(|(_, balance)| balance.asset.as_str()).collect();
    let amounts: Vec<String> = flat().map(|(_, balance)| balance.amount.to_string()).collect();
    let outcomes = sqlx::query!(
        r#"with incoming as (
           select account_id, asset, amount::numeric as amount, at
           from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) as i (account_id, asset, amount, at)
         ), compared as (
           select i.account_id, i.asset, i.amount, i.at, b.asset is null as is_new, b.provider_at as known_at,
                  b.amount <> i.amount as differs, (b.provider_at > i.at) is true as is_older
           from incoming i left join lateral (
             select b.asset, b.amount, b.provider_at from balances b
             where b.provider = $1 and b.account_id = i.account_id and b.asset = i.asset limit 1) b on true
         ), written as (
         insert into balances as b (provider, account_id, asset, amount, at, provider_at)
         select $1, i.account_id, i.asset, i.amount, i.at, i.at
         from compared i
         where i.is_new or (not i.is_older and (i.differs or i.at > coalesce(i.known_at, '-infinity')))
         order by i.account_id, i.asset
         on conflict on constraint balances_pkey do update
         set amount = excluded.amount, at = excluded.provider_at, provider_at = excluded.provider_at
         where b.provider_at > excluded.provider_at is not true
         returning case when b.xmax = 0 then true when b.updated_at >= statement_timestamp() then false end as created
         )
         select created as "created?", false as "older!" from written
         union all
         select null, true from compared where is_older and differs"#,
        provider.as_str(),
        &accounts as _,
        &assets as _,
        &amounts as _,
        &at as _
    )
    .fetch_all(connection)
    .await?;
    let older = outcomes.iter().filter(|outcome| outcome.older).count() as u64;
    let written = outcomes.iter().filter(|outcome| !outcome.older).map(|outcome| outcome.created);
    Ok(Tally { older, ..Tally::count(accounts.len(), written) })
}

/// The balances of one account as served.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountBalances {
    /// The id in its URL-safe form.
    pub served_id: String,
    /// One time for all assets: when the latest was confirmed; grows with every change. Of an account without balances, the
    /// time of its own last change.
    pub at: DateTime<Utc>,
    /// Asset and integer minor units, by asset.
    pub balances: Vec<(String, String)>,
}

/// The balances of account `id` (the provider's own id); `None` where it is not known.
pub async fn of_account(
    executor: impl sqlx::PgExecutor<'_>,
    provider: &ProviderName,
    id: &str,
) -> Result<Option<AccountBalances>, StoreError> {
    let row = sqlx::query!(
        r#"select url_safe_id(a.id) as "served_id!", coalesce(max(b.at), a.updated_at) as "at!",
                  coalesce(array_agg(b.asset order by b.asset) filter (where b.asset is not null), '{}') as "assets!",
                  coalesce(array_agg(b.amount::text order by b.asset) filter (where b.asset is not null), '{}') as "amounts!"
           from accounts a left join balances b on b.provider = a.provider and b.account_id = a.id
           where a.provider = $1 and a.id = $2
           group by a.provider, a.id"#,
        provider.as_str(),
        id
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| AccountBalances {
        served_id: row.served_id,
        at: row.at,
        balances: row.assets.into_iter().zip(row.amounts).collect(),
    }))
}
