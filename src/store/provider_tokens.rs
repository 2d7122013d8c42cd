//! Table `provider_tokens`: the refresh token of a provider, which only one instance at a time
//! may exchange. Everything in it is secret: nothing here has Debug output that shows it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use tributary_domain::ProviderName;

#[derive(Debug, Clone, Copy)]
pub struct TokenSlot<'a> {
    pub provider: &'a ProviderName,
    /// Of the configuration that it belongs to: 32 bytes.
    pub auth_digest: &'a [u8],
}

/// An access token as it is kept.
#[derive(Clone)]
pub struct Access {
    pub token: String,
    /// When it is no longer used; `None` where it is good until it is refused.
    pub usable_until: Option<DateTime<Utc>>,
}

/// What became of a claim.
pub enum TokenClaim {
    /// There is an access token that is good.
    Kept(Access),
    /// The caller, and nobody else, may exchange this refresh token until the lease ends.
    Granted(TokenLease),
    /// Somebody else is exchanging it.
    Busy,
}

/// The right to exchange a refresh token.
pub struct TokenLease {
    pub id: Uuid,
    pub refresh_token: String,
    /// How many exchanges there were before.
    pub exchanges: i64,
}

/// Claims the token for an exchange that ends within `lease`, unless there is an access token
/// that is good and another one than `stale`. Where there is no token yet, `first` is kept.
pub async fn claim(
    pool: &PgPool,
    slot: TokenSlot<'_>,
    first: &str,
    stale: Option<&str>,
    lease: Duration,
) -> Result<TokenClaim, StoreError> {
    let mut transaction = super::begin(pool).await?;
    let begun = sqlx::query!(
        "insert into provider_tokens (provider, auth_digest, refresh_token) values ($1, $2, $3)
         on conflict on constraint provider_tokens_pkey do nothing",
        slot.provider.as_str(),
        slot.auth_digest,
        first
    )
    .execute(&mut *transaction)
    .await?;
    if begun.rows_affected() == 1 {
        forget_old(&mut transaction, slot).await?;
    }
    let kept = sqlx::query!(
        r#"select refresh_token, access_token, usable_until, exchanges,
                  coalesce(usable_until > clock_timestamp(), true) as "is_usable!",
                  coalesce(leased_until > clock_timestamp(), false) as "is_leased!"
           from provider_tokens where provider = $1 and auth_digest = $2 for update"#,
        slot.provider.as_str(),
        slot.auth_digest
    )
    .fetch_one(&mut *transaction)
    .await?;
    if let Some(token) = kept.access_token.filter(|token| kept.is_usable && stale != Some(token)) {
        transaction.commit().await?;
        return Ok(TokenClaim::Kept(Access { token, usable_until: kept.usable_until }));
    }
    if kept.is_leased {
        transaction.commit().await?;
        return Ok(TokenClaim::Busy);
    }
    let id = Uuid::new_v4();
    sqlx::query!(
        "update provider_tokens
         set lease = $3, leased_until = clock_timestamp() + make_interval(secs => $4)
         where provider = $1 and auth_digest = $2",
        slot.provider.as_str(),
        slot.auth_digest,
        id,
        lease.as_secs_f64()
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(TokenClaim::Granted(TokenLease { id, refresh_token: kept.refresh_token, exchanges: kept.exchanges }))
}

/// Keeps what the exchange under `lease` brought and ends the lease. `false` where somebody else
/// finished an exchange meanwhile, as the lease had expired: theirs stands.
pub async fn keep(
    pool: &PgPool,
    slot: TokenSlot<'_>,
    lease: &TokenLease,
    refresh_token: &str,
    access: &Access,
) -> Result<bool, StoreError> {
    let kept = sqlx::query!(
        "update provider_tokens
         set refresh_token = $4, access_token = $5, usable_until = $6, exchanges = exchanges + 1,
             lease = null, leased_until = null, updated_at = clock_timestamp()
         where provider = $1 and auth_digest = $2 and exchanges = $3",
        slot.provider.as_str(),
        slot.auth_digest,
        lease.exchanges,
        refresh_token,
        access.token,
        access.usable_until
    )
    .execute(pool)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Ends a lease under which nothing was exchanged.
pub async fn release(pool: &PgPool, slot: TokenSlot<'_>, lease: &TokenLease) -> Result<(), StoreError> {
    sqlx::query!(
        "update provider_tokens set lease = null, leased_until = null
         where provider = $1 and auth_digest = $2 and lease = $3",
        slot.provider.as_str(),
        slot.auth_digest,
        lease.id
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets tokens of earlier configurations, but not at once: an instance may still run with one,
/// and somebody may want to go back to it.
async fn forget_old(connection: &mut PgConnection, slot: TokenSlot<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from provider_tokens
         where provider = $1 and auth_digest <> $2 and updated_at < clock_timestamp() - interval '30 days'",
        slot.provider.as_str(),
        slot.auth_digest
    )
    .execute(connection)
    .await?;
    Ok(())
}
