//! Table `payment_refusals`: requests to pay that were refused. Formance's user sees no reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{StoreError, without_nul};
use tributary_domain::{PaymentKind, ProviderName};

/// A refusal to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub provider: &'a ProviderName,
    pub kind: PaymentKind,
    /// Where the request has one.
    pub idempotency_key: Option<&'a str>,
    pub status: u16,
    pub title: &'a str,
    pub detail: &'a str,
    /// What was sent.
    pub body: &'a [u8],
}

/// The most of a body that is kept, in characters.
const BODY_CHARS: usize = 4_096;

/// Keeps a refusal; one that is there already is counted.
pub async fn keep(pool: &PgPool, refusal: Refusal<'_>) -> Result<(), StoreError> {
    let clean = |text: &str, most: usize| without_nul(text).chars().take(most).collect::<String>();
    let body = clean(&String::from_utf8_lossy(refusal.body), BODY_CHARS);
    let key = refusal.idempotency_key.map(|key| clean(key, 1_000));
    let mut digest = Sha256::new();
    for part in [
        refusal.provider.as_str(),
        refusal.kind.as_str(),
        key.as_deref().unwrap_or_default(),
        &refusal.status.to_string(),
        refusal.detail,
        &body,
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    sqlx::query!(
        "insert into payment_refusals as r
           (provider, kind, idempotency_key, status, title, detail, body, digest)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict on constraint payment_refusals_digest_key do update
         set times = r.times + 1, last_at = clock_timestamp()",
        refusal.provider.as_str(),
        refusal.kind.as_str(),
        key,
        i32::from(refusal.status),
        refusal.title,
        clean(refusal.detail, BODY_CHARS),
        body,
        digest.as_slice()
    )
    .execute(pool)
    .await?;
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRefusal {
    pub provider: String,
    pub kind: String,
    pub idempotency_key: Option<String>,
    pub status: i32,
    pub title: String,
    pub detail: String,
    pub body: String,
    pub times: i32,
    pub last_at: DateTime<Utc>,
}

/// The latest refusals, newest first.
pub async fn list(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    limit: u32,
) -> Result<Vec<KeptRefusal>, StoreError> {
    let kept = sqlx::query_as!(
        KeptRefusal,
        "select provider, kind, idempotency_key, status, title, detail, body, times, last_at
         from payment_refusals where $1::text is null or provider = $1 order by last_at desc limit $2",
        provider.map(ProviderName::as_str),
        i64::from(limit)
    )
    .fetch_all(pool)
    .await?;
    Ok(kept)
}

/// Forgets up to `most` refusals that last happened before `before`; gives how many.
pub async fn forget(pool: &PgPool, before: DateTime<Utc>, most: u32) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from payment_refusals where id in (
           select id from payment_refusals where last_at < $1 order by last_at limit $2)",
        before,
        i64::from(most)
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Forgets up to `most` refusals of the provider that are older than its newest `keep`; gives how many.
pub async fn forget_beyond(
    pool: &PgPool,
    provider: &ProviderName,
    keep: u32,
    most: u32,
) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from payment_refusals where id in (
           select id from payment_refusals where provider = $1 order by last_at desc, id desc offset $2 limit $3)",
        provider.as_str(),
        i64::from(keep),
        i64::from(most)
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}
