//! Table `sync_leases`: which instance pulls which group of streams.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, interval};
use tributary_domain::{ProviderName, Resource};

/// A lease that was taken: who may write for a group until it passes to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub provider: ProviderName,
    pub group: String,
    /// Grows with each holder: what was taken under an older one is over.
    pub fence: i64,
    /// For how long it holds without a sign of life.
    pub time: Duration,
}

/// A lease with what its holder has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub lease: Lease,
    /// Runs in a row that failed before.
    pub failures: u32,
    /// Who had it until its time was over.
    pub taken_from: Option<String>,
}

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub name: String,
    pub until: DateTime<Utc>,
}

/// The time by the clock that leases and tasks go by.
pub async fn clock(pool: &PgPool) -> Result<DateTime<Utc>, StoreError> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(pool).await?;
    Ok(now)
}

/// Makes the lease of a group, where there is none yet.
pub async fn ensure(
    connection: &mut PgConnection,
    provider: &ProviderName,
    group: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sync_leases (provider, stream_group) values ($1, $2) on conflict do nothing",
        provider.as_str(),
        group
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the lease of that one of `groups` which waits longest for its turn: with a task that is
/// due, not paused, not taken, and with fewer than `concurrency` groups of the provider at work.
pub async fn take_due(
    pool: &PgPool,
    provider: &ProviderName,
    groups: &[&str],
    concurrency: u32,
    holder: &str,
    time: Duration,
) -> Result<Option<Taken>, StoreError> {
    let row = sqlx::query!(
        r#"select taken_group as "group!", taken_fence as "fence!", failures_before as "failures!", taken_from
           from take_due_lease($1, $2, $3, $4, $5)"#,
        provider.as_str(),
        groups as _,
        i64::from(concurrency),
        holder,
        interval(time)
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Taken {
        lease: Lease { provider: provider.clone(), group: row.group, fence: row.fence, time },
        failures: row.failures.max(0).unsigned_abs(),
        taken_from: row.taken_from,
    }))
}

/// Takes the lease of `group` whether anything is due or not, unless somebody has it: then
/// gives who. A pause after failures ends with it.
pub async fn take_now(
    pool: &PgPool,
    provider: &ProviderName,
    group: &str,
    holder: &str,
    time: Duration,
) -> Result<Result<Taken, Holder>, StoreError> {
    loop {
        let before = sqlx::query!(
            r#"select holder, expires_at, expires_at > clock_timestamp() as current from sync_leases
               where provider = $1 and stream_group = $2"#,
            provider.as_str(),
            group
        )
        .fetch_optional(pool)
        .await?;
        let taken_from = before.as_ref().and_then(|before| before.holder.clone());
        if let Some(before) = before
            && let (Some(true), Some(name), Some(until)) = (before.current, before.holder, before.expires_at)
        {
            return Ok(Err(Holder { name, until }));
        }
        let row = sqlx::query!(
            "insert into sync_leases as l (provider, stream_group, holder, fence, expires_at)
             values ($1, $2, $3, 1, clock_timestamp() + $4)
             on conflict on constraint sync_leases_pkey do update
             set holder = excluded.holder, fence = l.fence + 1, expires_at = excluded.expires_at,
                 paused_until = null
             where (l.expires_at <= clock_timestamp()) is not false
             returning fence, failures",
            provider.as_str(),
            group,
            holder,
            interval(time)
        )
        .fetch_optional(pool)
        .await?;
        // else somebody was faster: see who
        if let Some(row) = row {
            let lease = Lease { provider: provider.clone(), group: group.to_owned(), fence: row.fence, time };
            let failures = row.failures.max(0).unsigned_abs();
            return Ok(Ok(Taken { lease, failures, taken_from }));
        }
    }
}

/// Says that the holder lives, and holds the lease's row until the caller's transaction ends, so
/// that it cannot pass to another before. `false` where it passed already: the caller has to roll
/// back whatever it wrote.
pub async fn confirm(connection: &mut PgConnection, lease: &Lease) -> Result<bool, StoreError> {
    let confirmed = sqlx::query!(
        "update sync_leases set expires_at = clock_timestamp() + $4
         where provider = $1 and stream_group = $2 and fence = $3 and holder is not null",
        lease.provider.as_str(),
        lease.group,
        lease.fence,
        interval(lease.time)
    )
    .execute(connection)
    .await?;
    Ok(confirmed.rows_affected() == 1)
}

/// Has the server end the session if its client falls silent within the transaction for longer
/// than the lease holds: a paused instance keeps no rows locked that its successor needs.
pub async fn limit_silence(connection: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "select set_config('idle_in_transaction_session_timeout', $1, true)",
        lease.time.as_millis().max(1).to_string()
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Gives the lease back as it was, for another to take at once. Nothing where it passed already.
pub async fn give_back(pool: &PgPool, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_leases set holder = null, expires_at = null
         where provider = $1 and stream_group = $2 and fence = $3",
        lease.provider.as_str(),
        lease.group,
        lease.fence
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives the lease back after a run: `failures` is how many in a row failed, and none is tried
/// before `pause` is over. Call [`confirm`] first.
pub async fn end(
    connection: &mut PgConnection,
    lease: &Lease,
    failures: u32,
    pause: Option<Duration>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_leases
         set holder = null, expires_at = null, failures = $4, paused_until = clock_timestamp() + $5
         where provider = $1 and stream_group = $2 and fence = $3",
        lease.provider.as_str(),
        lease.group,
        lease.fence,
        i32::try_from(failures).unwrap_or(i32::MAX),
        pause.map(interval)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the group's first full read of `resource` is over, well or not; gives whether that
/// of all `groups` is, which are those that bring such records.
pub async fn finish_first_read(
    connection: &mut PgConnection,
    lease: &Lease,
    resource: Resource,
    groups: &[&str],
) -> Result<bool, StoreError> {
    sqlx::query!(
        "update sync_leases set first_read = first_read || $4::text
         where provider = $1 and stream_group = $2 and fence = $3 and not $4 = any(first_read)",
        lease.provider.as_str(),
        lease.group,
        lease.fence,
        resource.as_str()
    )
    .execute(&mut *connection)
    .await?;
    // of two groups that finish at the same time, the second one to get here sees both
    sqlx::query!(
        "select from feeds where provider = $1 and resource = $2 for update",
        lease.provider.as_str(),
        resource.as_str()
    )
    .fetch_optional(&mut *connection)
    .await?;
    let all = sqlx::query_scalar!(
        r#"select count(*) = cardinality($2::text[]) as "all!" from sync_leases
           where provider = $1 and stream_group = any($2) and $3 = any(first_read)"#,
        lease.provider.as_str(),
        groups as _,
        resource.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(all)
}

/// How a group does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    pub group: String,
    pub failures: i64,
    /// Whether none is tried for now, since too many failed.
    pub paused: bool,
    /// And until when.
    pub paused_until: Option<DateTime<Utc>>,
    /// Who reads it now.
    pub holder: Option<String>,
}

/// How each group of the provider does.
pub async fn states(pool: &PgPool, provider: &ProviderName) -> Result<Vec<GroupState>, StoreError> {
    let states = sqlx::query_as!(
        GroupState,
        r#"select stream_group as "group", failures::bigint as "failures!",
                  (paused_until > clock_timestamp()) is true as "paused!", paused_until,
                  case when expires_at > clock_timestamp() then holder end as holder
           from sync_leases where provider = $1 order by stream_group"#,
        provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(states)
}

/// Ends the pauses of the groups of `streams`: somebody wants them read whatever happened before.
pub async fn end_pauses(
    connection: &mut PgConnection,
    provider: &ProviderName,
    streams: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_leases set paused_until = null
         where provider = $1 and paused_until is not null and stream_group in (
           select stream_group from sync_tasks where provider = $1 and stream = any($2))",
        provider.as_str(),
        streams
    )
    .execute(connection)
    .await?;
    Ok(())
}
