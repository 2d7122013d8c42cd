//! A lease while it is held: its signs of life, and its return.

use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::store::StoreError;
use crate::store::leases::{self, Lease};

/// How many signs of life there are within the time of a lease.
const BEATS: u32 = 4;

/// A lease that is kept alive as long as this is. Given back when dropped, as far as the runtime
/// still runs; else it passes on when its time is over.
pub struct HeldLease {
    pool: PgPool,
    lease: Option<Lease>,
    lost: CancellationToken,
    _beating: DropGuard,
}

impl HeldLease {
    /// Keeps `lease` alive from now on.
    pub fn new(pool: &PgPool, lease: Lease) -> Self {
        let (lost, over) = (CancellationToken::new(), CancellationToken::new());
        let beating = beat(pool.clone(), lease.clone(), lost.clone());
        tokio::spawn(over.clone().run_until_cancelled_owned(beating));
        Self { pool: pool.clone(), lease: Some(lease), lost, _beating: over.drop_guard() }
    }

    /// Cancelled once the lease is known to have passed to another.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Gives the lease back at once.
    pub async fn give_back(mut self) -> Result<(), StoreError> {
        match self.lease.take() {
            Some(lease) => leases::give_back(&self.pool, &lease).await,
            None => Ok(()),
        }
    }

    /// Forgets a lease that is given back already, or lost.
    pub fn forget(mut self) {
        self.lease = None;
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let pool = self.pool.clone();
        runtime.spawn(async move {
            if let Err(error) = leases::give_back(&pool, &lease).await {
                tracing::warn!(%error, group = lease.group, "a lease passes on only when its time is over");
            }
        });
    }
}

async fn beat(pool: PgPool, lease: Lease, lost: CancellationToken) {
    loop {
        tokio::time::sleep(lease.time / BEATS).await;
        let confirmed = async {
            let mut connection = pool.acquire().await?;
            leases::confirm(&mut connection, &lease).await
        };
        match confirmed.await {
            Ok(true) => {}
            Ok(false) => return lost.cancel(),
            // whoever takes it over meanwhile is found out with the next page
            Err(error) => tracing::warn!(%error, group = lease.group, "cannot keep a lease alive"),
        }
    }
}
