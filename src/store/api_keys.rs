//! Table `api_keys`.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;
use tributary_domain::ProviderName;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    pub id: Uuid,
    pub provider: String,
    pub scope: String,
    pub digest: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Keeps a new API key.
pub async fn create(
    pool: &PgPool,
    id: Uuid,
    provider: &ProviderName,
    scope: &str,
    digest: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into api_keys (id, provider, scope, digest) values ($1, $2, $3, $4)",
        id,
        provider.as_str(),
        scope,
        digest
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The API key of this id, unless it was revoked.
pub async fn find_valid(pool: &PgPool, id: Uuid) -> Result<Option<ApiKey>, StoreError> {
    let key = sqlx::query_as!(
        ApiKey,
        "select id, provider, scope, digest, created_at, revoked_at from api_keys
         where id = $1 and revoked_at is null",
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(key)
}

/// Every API key, revoked ones too, of one provider or of all.
pub async fn list(pool: &PgPool, provider: Option<&ProviderName>) -> Result<Vec<ApiKey>, StoreError> {
    let keys = sqlx::query_as!(
        ApiKey,
        "select id, provider, scope, digest, created_at, revoked_at from api_keys
         where $1::text is null or provider = $1 order by provider, created_at",
        provider.map(ProviderName::as_str)
    )
    .fetch_all(pool)
    .await?;
    Ok(keys)
}

/// Revokes an API key at once; `false` where there is no such key, or it was revoked before.
pub async fn revoke(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let revoked = sqlx::query!(
        "update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null",
        id
    )
    .execute(pool)
    .await?;
    Ok(revoked.rows_affected() == 1)
}
