//! Takes records out of the quarantine for good.

use sqlx::PgPool;

use crate::store::database::{LARGE, soon, within};
use crate::store::quarantine::{self, Begun, Chosen, Progress};
use crate::store::{self, StoreError};

/// Records that are deleted together.
const BATCH: u32 = 500;

/// Deletes the `chosen` records of what has `begun` for good, batch after batch, each in a transaction with what is kept
/// of them: which they were, who discarded them and why. Where it is stopped before its end, a new discard does the rest.
pub async fn discard(
    pool: &PgPool,
    chosen: Chosen<'_>,
    begun: Begun,
    report: &(dyn Fn(u64) + Sync),
) -> Result<u64, StoreError> {
    let mut done = 0;
    loop {
        let mut after = i64::MIN;
        while let Some((newest, gone)) =
            soon(discard_some(pool, chosen, begun.action, (after, begun.last))).await?
        {
            done += gone;
            report(done);
            after = newest;
        }
        // what somebody else had just then, as the transaction of a discard that was killed has for a moment
        match within(LARGE, quarantine::first(pool, chosen, begun.last)).await? {
            Some(left) => drop(within(LARGE, quarantine::wait_for(pool, left)).await?),
            None => break,
        }
    }
    quarantine::end(pool, begun.action).await?;
    Ok(done)
}

/// Discards the next of them; gives the last id, and how many they were.
async fn discard_some(
    pool: &PgPool,
    chosen: Chosen<'_>,
    action: i64,
    between: (i64, i64),
) -> Result<Option<(i64, u64)>, StoreError> {
    let mut transaction = store::begin(pool).await?;
    let ids = quarantine::lock_some(&mut transaction, chosen, between, BATCH).await?;
    let Some(newest) = ids.last().copied() else { return Ok(None) };
    let gone = quarantine::discard(&mut transaction, action, &ids).await?;
    let progress = Progress { discarded: gone, ..Progress::default() };
    quarantine::advance(&mut transaction, action, progress).await?;
    transaction.commit().await?;
    Ok(Some((newest, gone)))
}
