//! A lease that is renewed as long as somebody works under it, and given back after that.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Instance;
use crate::store::StoreError;
use crate::store::database::{soon, within};
use crate::store::leases::{self, Holder, Lease, Taken};
use tributary_domain::ProviderName;

/// How often a lease is renewed within its time.
const RENEWALS: u32 = 4;
/// The pauses between two tries to give a lease back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A lease that is renewed as long as this is. Given back when dropped, as far as the runtime
/// still runs; else it passes on when its time is over.
pub struct RenewedLease {
    pool: PgPool,
    taken: Taken,
    /// Whether somebody still has to give it back.
    open: bool,
    lost: CancellationToken,
    _renewing: DropGuard,
}

impl RenewedLease {
    /// Takes the lease of `group` now, unless somebody has it: then gives who. Whoever is dropped
    /// while waiting for this leaves no lease behind.
    pub async fn take(
        pool: &PgPool,
        provider: &ProviderName,
        group: &str,
        instance: &Instance,
    ) -> Result<Result<Self, Holder>, StoreError> {
        let (pool, provider, group) = (pool.clone(), provider.clone(), group.to_owned());
        let instance = instance.clone();
        // a task goes on when nobody waits for it any more, and then drops what it took
        let taking = tokio::spawn(async move {
            let Instance { name, lease_time } = &instance;
            let taken = soon(leases::take_now(&pool, &provider, &group, name, *lease_time)).await?;
            Ok(taken.map(|taken| Self::new(&pool, taken)))
        });
        taking.await.expect("taking a lease does not panic, and nobody aborts it")
    }

    /// Renews a lease from now on.
    pub fn new(pool: &PgPool, taken: Taken) -> Self {
        let lease = &taken.lease;
        let (lost, over) = (CancellationToken::new(), CancellationToken::new());
        let renewing = renew(pool.clone(), lease.clone(), lost.clone());
        tokio::spawn(over.clone().run_until_cancelled_owned(renewing));
        Self { pool: pool.clone(), taken, open: true, lost, _renewing: over.drop_guard() }
    }

    /// What its holder has to know.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Cancelled once the lease is known to have passed to another, or may have: it could not be
    /// kept alive for all of its time.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Gives the lease back at once.
    pub async fn give_back(mut self) -> Result<(), StoreError> {
        soon(leases::give_back(&self.pool, &self.taken.lease)).await?;
        self.open = false;
        Ok(())
    }

    /// Forgets a lease that is given back already, or lost.
    pub fn forget(mut self) {
        self.open = false;
    }
}

impl Drop for RenewedLease {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.open {
            return;
        }
        runtime.spawn(give_back_in_the_end(self.pool.clone(), self.taken.lease.clone()));
    }
}

/// Gives a lease back however often the database is not available, until its time is over anyway.
async fn give_back_in_the_end(pool: PgPool, lease: Lease) {
    let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
    while let Err(error) = soon(leases::give_back(&pool, &lease)).await {
        if begun.elapsed() + pause > lease.time {
            tracing::warn!(%error, group = lease.group, "a lease passes on only when its time is over");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn renew(pool: PgPool, lease: Lease, lost: CancellationToken) {
    let mut confirmed_at = Instant::now();
    loop {
        tokio::time::sleep(lease.time / RENEWALS).await;
        let begun = Instant::now();
        let confirming = async {
            let mut connection = pool.acquire().await?;
            leases::confirm(&mut connection, &lease).await
        };
        // a connection that went silent must not keep the next sign of life from another one
        match within(lease.time / RENEWALS, confirming).await {
            Ok(true) => confirmed_at = begun,
            Ok(false) => return lost.cancel(),
            Err(error) if confirmed_at.elapsed() > lease.time => {
                tracing::error!(%error, group = lease.group, "a lease could not be kept alive for all of its time");
                return lost.cancel();
            }
            // whoever takes it over meanwhile is found out with the next page
            Err(error) => tracing::warn!(%error, group = lease.group, "cannot renew a lease; trying again"),
        }
    }
}
