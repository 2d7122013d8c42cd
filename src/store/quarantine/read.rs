//! Records in quarantine, decrypted, and how many there are.

use sqlx::{PgExecutor, PgPool};

use super::super::StoreError;
use super::row::Row;
use super::{Chosen, Quarantined, Which};
use crate::encryption::Keyring;
use tributary_domain::{ProviderName, Resource};

/// Up to `most` records with ids above `after`, in the order of their ids.
pub async fn list(
    pool: &PgPool,
    keys: &Keyring,
    which: Which<'_>,
    after: i64,
    most: u32,
) -> Result<Vec<Quarantined>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, provider, resource, raw_digest, key_id, raw, reason, fault_group, attempts, first_seen, last_seen, stream, partition,
                parent, asked_at, identity, vanished
         from quarantine
         where ($1::text is null or provider = $1) and ($2::text is null or resource = $2) and id > $3
         order by id limit $4",
        which.provider.map(ProviderName::as_str),
        which.resource.map(Resource::as_str),
        after,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|row| row.open(keys)).collect()
}

/// As [`list`], of what was chosen.
pub async fn list_chosen(
    pool: &PgPool,
    keys: &Keyring,
    chosen: Chosen<'_>,
    after: i64,
    most: u32,
) -> Result<Vec<Quarantined>, StoreError> {
    let rows = match chosen {
        Chosen::All(which) => return list(pool, keys, which, after, most).await,
        Chosen::Group(group) => {
            sqlx::query_as!(
                Row,
                "select id, provider, resource, raw_digest, key_id, raw, reason, fault_group, attempts, first_seen, last_seen,
                        stream, partition, parent, asked_at, identity, vanished
                 from quarantine where fault_group = $1 and id > $2 order by id limit $3",
                group,
                after,
                i64::from(most)
            )
            .fetch_all(pool)
            .await?
        }
        Chosen::Ids(ids) => {
            sqlx::query_as!(
                Row,
                "select id, provider, resource, raw_digest, key_id, raw, reason, fault_group, attempts, first_seen, last_seen,
                        stream, partition, parent, asked_at, identity, vanished
                 from quarantine where id = any($1) and id > $2 order by id limit $3",
                ids,
                after,
                i64::from(most)
            )
            .fetch_all(pool)
            .await?
        }
    };
    rows.into_iter().map(|row| row.open(keys)).collect()
}

/// How many of the chosen there are, and the highest id of them.
pub async fn measure(
    executor: impl PgExecutor<'_>,
    chosen: Chosen<'_>,
) -> Result<(u64, Option<i64>), StoreError> {
    let (which, group, ids) = chosen.parts();
    let measured = sqlx::query!(
        r#"select count(*) as "count!", max(id) as last from quarantine
           where ($1::text is null or provider = $1) and ($2::text is null or resource = $2)
             and ($3::text is null or fault_group = $3) and ($4::bigint[] is null or id = any($4))"#,
        which.provider.map(ProviderName::as_str),
        which.resource.map(Resource::as_str),
        group,
        ids
    )
    .fetch_one(executor)
    .await?;
    Ok((measured.count.max(0).unsigned_abs(), measured.last))
}

/// The record of this id.
pub async fn find(pool: &PgPool, keys: &Keyring, id: i64) -> Result<Option<Quarantined>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "select id, provider, resource, raw_digest, key_id, raw, reason, fault_group, attempts, first_seen, last_seen, stream, partition,
                parent, asked_at, identity, vanished
         from quarantine where id = $1",
        id
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| row.open(keys)).transpose()
}

/// How many records there are.
pub async fn count(pool: &PgPool, which: Which<'_>) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from quarantine
           where ($1::text is null or provider = $1) and ($2::text is null or resource = $2)"#,
        which.provider.map(ProviderName::as_str),
        which.resource.map(Resource::as_str)
    )
    .fetch_one(pool)
    .await?;
    Ok(count.max(0).unsigned_abs())
}
