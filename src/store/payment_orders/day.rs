//! What was ordered today, beside what may be.

use sqlx::PgPool;

use super::super::StoreError;
use tributary_domain::{Amount, ProviderName};

/// Today's orders of an asset at a provider, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// All that was ordered and has not failed, as an order is held against it when it is placed.
    pub ordered: String,
    /// What may still be ordered; `None` where a day has no limit.
    pub left: Option<String>,
}

/// How much of each asset was ordered today (UTC), and how much is left of what a day may have, in the order of
/// `limits`.
pub async fn days(
    pool: &PgPool,
    limits: &[(&ProviderName, &str, Option<Amount>)],
) -> Result<Vec<Day>, StoreError> {
    let providers: Vec<&str> = limits.iter().map(|(provider, ..)| provider.as_str()).collect();
    let assets: Vec<&str> = limits.iter().map(|(_, asset, _)| *asset).collect();
    let per_day: Vec<Option<String>> =
        limits.iter().map(|(.., most)| most.map(|most| most.to_string())).collect();
    let days = sqlx::query_as!(
        Day,
        r#"select o.ordered::text as "ordered!", greatest(l.per_day::numeric - o.ordered, 0)::text as left
           from unnest($1::text[], $2::text[], $3::text[]) with ordinality l (provider, asset, per_day, n)
           cross join lateral (
             select coalesce(sum(p.amount), 0) as ordered from payment_orders p
             where p.provider = l.provider and p.asset = l.asset and p.state <> 'failed'
               and coalesce(p.first_sent_at, p.created_at) >=
                 date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC') o
           order by l.n"#,
        &providers as _,
        &assets as _,
        &per_day as _
    )
    .fetch_all(pool)
    .await?;
    Ok(days)
}
