//! Table `api_keys`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{StoreError, interval};
use tributary_domain::{ApiKeyDigest, KeyName, ProviderName, Scope};

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    pub id: Uuid,
    pub provider: String,
    pub name: String,
    pub scope: String,
    pub digest: Vec<u8>,
    pub created_at: DateTime<Utc>,
    /// It opens nothing from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// To about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The key of the same name that took its place.
    pub replaced_by: Option<Uuid>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it opens anything now, in a word.
    pub fn state(&self) -> &'static str {
        match self {
            Self { revoked_at: Some(_), .. } => "revoked",
            Self { expires_at: Some(at), .. } if *at <= Utc::now() => "expired",
            Self { replaced_by: Some(_), .. } => "replaced",
            _ => "valid",
        }
    }
}

/// A key that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    pub id: Uuid,
    pub provider: &'a ProviderName,
    pub name: &'a KeyName,
    pub scope: Scope,
    pub digest: &'a ApiKeyDigest,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Keeps a new key; `false` where another one of the provider has its name.
pub async fn create(connection: &mut PgConnection, key: NewKey<'_>) -> Result<bool, StoreError> {
    let created = sqlx::query!(
        "insert into api_keys (id, provider, name, scope, digest, expires_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (provider, name) where replaced_by is null and revoked_at is null do nothing",
        key.id,
        key.provider.as_str(),
        key.name.as_str(),
        key.scope.as_str(),
        key.digest.as_bytes(),
        key.expires_at
    )
    .execute(connection)
    .await?;
    Ok(created.rows_affected() == 1)
}

/// The key of this id, if it opens anything now.
pub async fn find_valid(pool: &PgPool, id: Uuid) -> Result<Option<ApiKey>, StoreError> {
    let key = sqlx::query_as!(
        ApiKey,
        "select id, provider, name, scope, digest, created_at, expires_at, last_used_at, replaced_by, revoked_at
         from api_keys
         where id = $1 and revoked_at is null and (expires_at > clock_timestamp()) is not false",
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(key)
}

/// The digest of every key that opens anything now.
pub async fn valid_digests(pool: &PgPool) -> Result<Vec<Vec<u8>>, StoreError> {
    let digests = sqlx::query_scalar!(
        "select digest from api_keys where revoked_at is null and (expires_at > clock_timestamp()) is not false"
    )
    .fetch_all(pool)
    .await?;
    Ok(digests)
}

/// Every key, of those that open nothing any more too, of one provider or of all.
pub async fn list(pool: &PgPool, provider: Option<&ProviderName>) -> Result<Vec<ApiKey>, StoreError> {
    let keys = sqlx::query_as!(
        ApiKey,
        "select id, provider, name, scope, digest, created_at, expires_at, last_used_at, replaced_by, revoked_at
         from api_keys
         where $1::text is null or provider = $1 order by provider, created_at",
        provider.map(ProviderName::as_str)
    )
    .fetch_all(pool)
    .await?;
    Ok(keys)
}

/// The key that has this name now, and stays as it is until the caller's transaction ends.
pub async fn lock_named(
    connection: &mut PgConnection,
    provider: &ProviderName,
    name: &KeyName,
) -> Result<Option<ApiKey>, StoreError> {
    let key = sqlx::query_as!(
        ApiKey,
        "select id, provider, name, scope, digest, created_at, expires_at, last_used_at, replaced_by, revoked_at
         from api_keys
         where provider = $1 and name = $2 and replaced_by is null and revoked_at is null for update",
        provider.as_str(),
        name.as_str()
    )
    .fetch_optional(connection)
    .await?;
    Ok(key)
}

/// Gives the name of a key to `successor`, which has to be created in the same transaction. It goes
/// on for `overlap`, unless it expires sooner.
pub async fn replace(
    connection: &mut PgConnection,
    id: Uuid,
    successor: Uuid,
    overlap: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_keys set replaced_by = $2, expires_at = least(expires_at, clock_timestamp() + $3)
         where id = $1",
        id,
        successor,
        interval(overlap)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a key was used now, unless that was noted within the last minute.
pub async fn used(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_keys set last_used_at = clock_timestamp()
         where id = $1 and (last_used_at > clock_timestamp() - interval '1 minute') is not true",
        id
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Revokes a key at once; `false` where there is no such key, or it was revoked before.
pub async fn revoke(executor: impl PgExecutor<'_>, id: Uuid) -> Result<bool, StoreError> {
    let revoked = sqlx::query!(
        "update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null",
        id
    )
    .execute(executor)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Revokes whatever has, or had, this name at once; gives how many keys that were.
pub async fn revoke_named(
    executor: impl PgExecutor<'_>,
    provider: &ProviderName,
    name: &KeyName,
) -> Result<u64, StoreError> {
    let revoked = sqlx::query!(
        "update api_keys set revoked_at = clock_timestamp()
         where provider = $1 and name = $2 and revoked_at is null",
        provider.as_str(),
        name.as_str()
    )
    .execute(executor)
    .await?;
    Ok(revoked.rows_affected())
}
