//! What the instances that pull one provider share, in the database that they share.

use std::time::Duration;

use futures::future::BoxFuture;
use metrics::{counter, histogram};
use sqlx::PgPool;

use crate::encryption::{self, Keyring};
use crate::store::database::soon;
use crate::store::provider_tokens::{self, Access, TokenClaim, TokenLease, TokenSlot};
use crate::store::{StoreError, request_log};
use tributary_domain::ProviderName;
use tributary_manifest::{
    AccessToken, Admission, Budget, Closed, Exchange, Granted, Lane, Secret, Shared, SharedError, TokenError,
};

/// How long an exchange is claimed for: longer than a statement to count it and the answer to it
/// may take together.
const LEASE: Duration = Duration::from_secs(120);
/// How often is looked whether somebody else's exchange is done.
const RECHECK: Duration = Duration::from_millis(100);
/// The longest pause between attempts to keep a token that was got.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Shares by means of the database.
pub struct DatabaseShared {
    pool: PgPool,
    provider: ProviderName,
    lease: Duration,
    keys: Keyring,
}

impl DatabaseShared {
    /// What the instances that pull `provider` share in the database of `pool`; tokens encrypted with
    /// the keys of this process.
    pub fn new(pool: PgPool, provider: ProviderName) -> Self {
        Self { pool, provider, lease: LEASE, keys: encryption::keyring() }
    }

    /// With tokens encrypted with `keys`.
    pub fn with_keys(self, keys: Keyring) -> Self {
        Self { keys, ..self }
    }

    /// With exchanges claimed for another length of time: longer than an answer may take, as
    /// after that somebody else takes over.
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    async fn exchange(&self, exchange: Exchange) -> Result<AccessToken, TokenError> {
        let slot = TokenSlot { provider: &self.provider, auth_digest: exchange.key.as_bytes() };
        let stale = exchange.stale.as_ref().map(Secret::expose);
        let lease = loop {
            let first = exchange.first.expose();
            let claim = provider_tokens::claim(&self.pool, &self.keys, slot, first, stale, self.lease);
            match soon(claim).await.map_err(out_of_reach)? {
                TokenClaim::Kept(access) => return Ok(from_store(access)),
                TokenClaim::Granted(lease) => break lease,
                TokenClaim::Busy => tokio::time::sleep(RECHECK).await,
            }
        };
        match (exchange.send)(lease.refresh_token.clone().into()).await {
            Ok(granted) => self.keep(slot, &lease, granted).await,
            Err(error) => {
                // if this fails, the lease ends by itself
                if let Err(error) = soon(provider_tokens::release(&self.pool, slot, &lease)).await {
                    tracing::warn!(provider = %self.provider, %error, "the lease of a token could not be given back");
                }
                Err(error)
            }
        }
    }

    /// Keeps what was got, for as long as it takes: the token before it is spent.
    async fn keep(
        &self,
        slot: TokenSlot<'_>,
        lease: &TokenLease,
        granted: Granted,
    ) -> Result<AccessToken, TokenError> {
        let refresh = granted.refresh.as_ref().map_or(lease.refresh_token.as_str(), Secret::expose);
        let access = Access {
            token: granted.access.value.expose().to_owned(),
            usable_until: granted.access.usable_until,
        };
        let mut pause = RECHECK;
        loop {
            match soon(provider_tokens::keep(&self.pool, &self.keys, slot, lease, refresh, &access)).await {
                Ok(true) => return Ok(granted.access),
                Ok(false) => {
                    let why = "another instance exchanged the token meanwhile".to_owned();
                    return Err(TokenError::Passing { why, wait: None });
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    tracing::error!(provider = %self.provider, %error,
                        "a new refresh token cannot be kept yet; the old one is spent");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(out_of_reach(error).into()),
            }
        }
    }
}

fn from_store(access: Access) -> AccessToken {
    AccessToken { value: access.token.into(), usable_until: access.usable_until }
}

fn out_of_reach(error: StoreError) -> SharedError {
    SharedError(error.to_string())
}

/// What requests to providers are counted by.
pub const STATUS_CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// The class of a status; `none` without an answer.
fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
        None => "none",
    }
}

impl Shared for DatabaseShared {
    fn take_request<'a>(
        &'a self,
        budgets: &'a [Budget],
        lane: &'a Lane,
    ) -> BoxFuture<'a, Result<Admission, SharedError>> {
        Box::pin(async move {
            let budgets: Vec<_> = budgets.iter().map(|budget| (budget.requests, budget.per)).collect();
            let delay = soon(request_log::take(&self.pool, &self.provider, &budgets, lane.as_str()))
                .await
                .map_err(out_of_reach)?;
            Ok(match delay {
                None => Admission::Go,
                Some(delay) if delay.by_budget => Admission::Wait { wait: delay.wait, why: Closed::ByBudget },
                Some(delay) => Admission::Wait { wait: delay.wait, why: Closed::ByProvider },
            })
        })
    }

    fn close_for<'a>(&'a self, lane: &'a Lane, wait: Duration) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move {
            soon(request_log::close_for(&self.pool, &self.provider, lane.as_str(), wait))
                .await
                .map_err(out_of_reach)
        })
    }

    fn ended(&self, status: Option<u16>, took: Duration) {
        let provider = self.provider.to_string();
        histogram!("tributary_provider_request_seconds", "provider" => provider.clone())
            .record(took.as_secs_f64());
        counter!("tributary_provider_requests_total", "provider" => provider, "status" => status_class(status))
            .increment(1);
    }

    fn exchange_token(&self, exchange: Exchange) -> BoxFuture<'_, Result<AccessToken, TokenError>> {
        Box::pin(self.exchange(exchange))
    }
}
