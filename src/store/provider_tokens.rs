//! Table `provider_tokens`: the refresh token of a provider, which only one instance at a time
//! may exchange. Everything in it is secret, and encrypted: nothing here has Debug output that shows
//! it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;
use super::sealing::{Cell, Resealed};
use crate::encryption::{self, Keyring};
use tributary_domain::ProviderName;

#[derive(Debug, Clone, Copy)]
pub struct TokenSlot<'a> {
    pub provider: &'a ProviderName,
    /// Of the configuration that it belongs to: 32 bytes.
    pub auth_digest: &'a [u8],
}

/// What is in both columns of tokens of one row.
struct Tokens {
    refresh: String,
    access: Option<String>,
}

const REFRESH: &str = "refresh_token";
const ACCESS: &str = "access_token";

impl TokenSlot<'_> {
    /// Runs `with` on one of the two columns.
    fn cell<T>(self, column: &'static str, with: impl FnOnce(Cell<'_>) -> T) -> T {
        let row = &[self.auth_digest];
        let provider = self.provider.as_str();
        let place = encryption::Place { table: "provider_tokens", column, provider, row };
        with(Cell { place, what: if column == REFRESH { "the refresh token" } else { "the access token" } })
    }

    fn seal(
        self,
        keys: &Keyring,
        column: &'static str,
        token: &str,
    ) -> Result<(Option<String>, Vec<u8>), StoreError> {
        let kept = self.cell(column, |cell| cell.seal(keys, token.as_bytes()))?;
        Ok((kept.key_id, kept.bytes.into_owned()))
    }

    fn open(
        self,
        keys: &Keyring,
        key_id: Option<&str>,
        refresh: Vec<u8>,
        access: Option<Vec<u8>>,
    ) -> Result<Tokens, StoreError> {
        let open = |column, bytes| {
            let opened = self.cell(column, |cell| cell.open(keys, key_id, bytes))?;
            String::from_utf8(opened)
                .map_err(|_| StoreError::Sealed(format!("a token of {} is no text", self.provider)))
        };
        let access = access.map(|access| open(ACCESS, access)).transpose()?;
        Ok(Tokens { refresh: open(REFRESH, refresh)?, access })
    }
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
/// that is good and another one than `stale`. Where there is no token yet, `first` is kept. Fails with
/// [`StoreError::Sealed`] where a key is missing.
pub async fn claim(
    pool: &PgPool,
    keys: &Keyring,
    slot: TokenSlot<'_>,
    first: &str,
    stale: Option<&str>,
    lease: Duration,
) -> Result<TokenClaim, StoreError> {
    let (key_id, sealed) = slot.seal(keys, REFRESH, first)?;
    let mut transaction = super::begin(pool).await?;
    sqlx::query!(
        "insert into provider_tokens (provider, auth_digest, key_id, refresh_token) values ($1, $2, $3, $4)
         on conflict on constraint provider_tokens_pkey do nothing",
        slot.provider.as_str(),
        slot.auth_digest,
        key_id,
        sealed
    )
    .execute(&mut *transaction)
    .await?;
    // in use, but noted no more often than forgetting needs it
    sqlx::query!(
        "update provider_tokens set used_at = clock_timestamp()
         where provider = $1 and auth_digest = $2 and used_at < clock_timestamp() - interval '1 hour'",
        slot.provider.as_str(),
        slot.auth_digest
    )
    .execute(&mut *transaction)
    .await?;
    let kept = sqlx::query!(
        r#"select key_id, refresh_token, access_token, usable_until, exchanges,
                  coalesce(usable_until > clock_timestamp(), true) as "is_usable!",
                  coalesce(leased_until > clock_timestamp(), false) as "is_leased!"
           from provider_tokens where provider = $1 and auth_digest = $2 for update"#,
        slot.provider.as_str(),
        slot.auth_digest
    )
    .fetch_one(&mut *transaction)
    .await?;
    let tokens = slot.open(keys, kept.key_id.as_deref(), kept.refresh_token, kept.access_token)?;
    if let Some(token) = tokens.access.filter(|token| kept.is_usable && stale != Some(token)) {
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
    Ok(TokenClaim::Granted(TokenLease { id, refresh_token: tokens.refresh, exchanges: kept.exchanges }))
}

/// Keeps what the exchange under `lease` brought and ends the lease. `false` where somebody else
/// finished an exchange meanwhile, as the lease had expired: theirs stands.
pub async fn keep(
    pool: &PgPool,
    keys: &Keyring,
    slot: TokenSlot<'_>,
    lease: &TokenLease,
    refresh_token: &str,
    access: &Access,
) -> Result<bool, StoreError> {
    let (key_id, sealed_refresh) = slot.seal(keys, REFRESH, refresh_token)?;
    let (_, sealed_access) = slot.seal(keys, ACCESS, &access.token)?;
    let kept = sqlx::query!(
        "update provider_tokens
         set refresh_token = $4, access_token = $5, usable_until = $6, key_id = $7, exchanges = exchanges + 1,
             lease = null, leased_until = null, updated_at = clock_timestamp()
         where provider = $1 and auth_digest = $2 and exchanges = $3",
        slot.provider.as_str(),
        slot.auth_digest,
        lease.exchanges,
        sealed_refresh,
        sealed_access,
        access.usable_until,
        key_id
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

/// Forgets the tokens of the provider's former configurations that nobody has used since `before`, and
/// all access tokens that were good until then; gives how many rows went or were cleared. The row that
/// was used last stays however long that is ago: its refresh token may be the only one.
pub async fn forget(
    pool: &PgPool,
    provider: &ProviderName,
    before: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let former = sqlx::query!(
        "delete from provider_tokens t
         where t.provider = $1 and t.used_at < $2 and coalesce(t.leased_until < clock_timestamp(), true)
           and exists (select from provider_tokens later
                       where later.provider = $1 and later.auth_digest <> t.auth_digest and later.used_at > t.used_at)",
        provider.as_str(),
        before
    )
    .execute(pool)
    .await?;
    let spent = sqlx::query!(
        "update provider_tokens set access_token = null, usable_until = null
         where provider = $1 and usable_until < $2 and access_token is not null and lease is null",
        provider.as_str(),
        before
    )
    .execute(pool)
    .await?;
    Ok(former.rows_affected() + spent.rows_affected())
}

/// Encrypts all tokens of all providers with the first of `keys` that are not yet.
pub async fn reseal(pool: &PgPool, keys: &Keyring) -> Result<Resealed, StoreError> {
    let mut done = Resealed::default();
    let rows = sqlx::query!(
        "select provider, auth_digest from provider_tokens where key_id is distinct from $1
         order by provider, auth_digest",
        keys.ids().next()
    )
    .fetch_all(pool)
    .await?;
    for row in rows {
        let provider = row.provider.parse().map_err(StoreError::Schema)?;
        let slot = TokenSlot { provider: &provider, auth_digest: &row.auth_digest };
        match reseal_one(pool, keys, slot).await {
            Ok(changed) => done.changed += u64::from(changed),
            Err(error) => done.skip(error)?,
        }
    }
    Ok(done)
}

async fn reseal_one(pool: &PgPool, keys: &Keyring, slot: TokenSlot<'_>) -> Result<bool, StoreError> {
    let mut transaction = super::begin(pool).await?;
    let kept = sqlx::query!(
        "select key_id, refresh_token, access_token from provider_tokens
         where provider = $1 and auth_digest = $2 for update",
        slot.provider.as_str(),
        slot.auth_digest
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(kept) = kept else { return Ok(false) };
    let tokens = slot.open(keys, kept.key_id.as_deref(), kept.refresh_token, kept.access_token)?;
    let (key_id, refresh) = slot.seal(keys, REFRESH, &tokens.refresh)?;
    let access = tokens.access.map(|access| slot.seal(keys, ACCESS, &access)).transpose()?;
    sqlx::query!(
        "update provider_tokens set key_id = $3, refresh_token = $4, access_token = $5
         where provider = $1 and auth_digest = $2",
        slot.provider.as_str(),
        slot.auth_digest,
        key_id,
        refresh,
        access.map(|(_, access)| access)
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}
