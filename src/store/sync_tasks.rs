//! Table `sync_tasks`: what is to be read next.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::leases::Lease;
use super::{StoreError, begin, leases};
use tributary_domain::ProviderName;

/// Something to read, as it was due when a run took it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub stream: String,
    /// Empty for the whole stream.
    pub partition: String,
    /// `None` where it is due only when somebody asks.
    pub due_at: Option<DateTime<Utc>>,
}

/// A stream as its manifest schedules it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled<'a> {
    pub stream: &'a str,
    pub group: &'a str,
    /// The text of its schedule; another one than before counts from now on.
    pub schedule: String,
    /// When it is due if it was there before with another schedule.
    pub next: Option<DateTime<Utc>>,
}

/// A stream, or a partition of one, and when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub group: String,
    pub stream: String,
    /// Empty for the whole stream.
    pub partition: String,
    /// As its file has it.
    pub schedule: String,
    /// `None` where it is due only when somebody asks.
    pub due_at: Option<DateTime<Utc>>,
}

/// What of the provider is due, and when: up to `most`, the next first.
pub async fn scheduled(pool: &PgPool, provider: &ProviderName, most: u32) -> Result<Vec<Due>, StoreError> {
    let due = sqlx::query_as!(
        Due,
        r#"select stream_group as "group", stream, partition, schedule, due_at from sync_tasks
           where provider = $1 order by due_at nulls last, stream, partition limit $2"#,
        provider.as_str(),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(due)
}

/// More partitions than these are not asked for one by one: the whole stream is.
const PARTITIONS_MAX: i64 = 200;

/// The stream of statement files and its group, beside those of a manifest: a name that no manifest can give.
pub const OF_FILES: &str = "statement files";

/// Makes the streams known, and forgets those that are not among them. One that was not there before is due at once, after webhooks too:
/// what happened before the first of them has to come from somewhere.
pub async fn register(
    pool: &PgPool,
    provider: &ProviderName,
    streams: &[Scheduled<'_>],
) -> Result<(), StoreError> {
    let mut transaction = begin(pool).await?;
    for stream in streams {
        make_known(&mut transaction, provider, stream).await?;
    }
    forget_others(&mut transaction, provider, streams).await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes one stream known beside those that are there.
pub async fn register_one(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &Scheduled<'_>,
) -> Result<(), StoreError> {
    let mut transaction = begin(pool).await?;
    make_known(&mut transaction, provider, stream).await?;
    transaction.commit().await?;
    Ok(())
}

async fn make_known(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &Scheduled<'_>,
) -> Result<(), StoreError> {
    leases::ensure(&mut *connection, provider, stream.group).await?;
    sqlx::query!(
        "insert into sync_tasks as t (provider, stream, stream_group, schedule, due_at)
         values ($1, $2, $3, $4, now())
         on conflict on constraint sync_tasks_pkey do update
         set stream_group = excluded.stream_group, schedule = excluded.schedule,
             due_at = case when t.due_at <= clock_timestamp() then t.due_at else $5 end
         where (t.stream_group, t.schedule) is distinct from (excluded.stream_group, excluded.schedule)",
        provider.as_str(),
        stream.stream,
        stream.group,
        stream.schedule,
        stream.next
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the streams and groups that the manifest has no more. An instance that still has them
/// in an older manifest reads them no more, but for what it is at.
async fn forget_others(
    connection: &mut PgConnection,
    provider: &ProviderName,
    known: &[Scheduled<'_>],
) -> Result<(), StoreError> {
    let streams: Vec<&str> = known.iter().map(|known| known.stream).collect();
    let groups: Vec<&str> = known.iter().map(|known| known.group).collect();
    sqlx::query!(
        "with gone as (delete from sync_tasks where provider = $1 and stream <> all($2) and stream <> $4)
         delete from sync_leases
         where provider = $1 and stream_group <> all($3) and stream_group <> $4 and holder is null",
        provider.as_str(),
        &streams as _,
        &groups as _,
        OF_FILES
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What of the group's `streams` is due.
pub async fn due(
    connection: &mut PgConnection,
    lease: &Lease,
    streams: &[&str],
) -> Result<Vec<Task>, StoreError> {
    let tasks = sqlx::query_as!(
        Task,
        "select stream, partition, due_at from sync_tasks
         where provider = $1 and stream_group = $2 and stream = any($3) and due_at <= clock_timestamp()",
        lease.provider.as_str(),
        lease.group,
        streams as _
    )
    .fetch_all(connection)
    .await?;
    Ok(tasks)
}

/// Everything that is known of `streams`, due or not: what a run that reads them in full does
/// away with.
pub async fn of(
    connection: &mut PgConnection,
    lease: &Lease,
    streams: &[&str],
) -> Result<Vec<Task>, StoreError> {
    let tasks = sqlx::query_as!(
        Task,
        "select stream, partition, due_at from sync_tasks
         where provider = $1 and stream_group = $2 and stream = any($3)",
        lease.provider.as_str(),
        lease.group,
        streams as _
    )
    .fetch_all(connection)
    .await?;
    Ok(tasks)
}

/// Has a stream, or one partition of it, read at the next opportunity; asking again before then
/// changes nothing but that a run which is at it already does not count. `false` where nobody
/// knows the stream.
pub async fn ask(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: Option<&str>,
) -> Result<bool, StoreError> {
    let asked = sqlx::query!(
        "with crowded as (
           select count(*) > $4 as yes from sync_tasks where provider = $1 and stream = $2)
         insert into sync_tasks as t (provider, stream, partition, stream_group, schedule, due_at)
         select w.provider, w.stream, case when crowded.yes then '' else $3 end, w.stream_group,
                case when crowded.yes or $3 = '' then w.schedule else '' end, clock_timestamp()
         from sync_tasks w, crowded
         where w.provider = $1 and w.stream = $2 and w.partition = ''
         on conflict on constraint sync_tasks_pkey do update set due_at = excluded.due_at",
        provider.as_str(),
        stream,
        partition.unwrap_or_default(),
        PARTITIONS_MAX
    )
    .execute(connection)
    .await?;
    Ok(asked.rows_affected() == 1)
}

/// Has the next run of a whole stream forget its cursors first; `false` where nobody knows the stream.
pub async fn ask_in_full(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
) -> Result<bool, StoreError> {
    let asked = sqlx::query!(
        "update sync_tasks set forgets = true, due_at = clock_timestamp()
         where provider = $1 and stream = $2 and partition = ''",
        provider.as_str(),
        stream
    )
    .execute(connection)
    .await?;
    Ok(asked.rows_affected() == 1)
}

/// Those of `streams` whose cursors are to be forgotten, which the caller does in the same transaction.
pub async fn take_forgets(
    connection: &mut PgConnection,
    lease: &Lease,
    streams: &[&str],
) -> Result<Vec<String>, StoreError> {
    let taken = sqlx::query_scalar!(
        "update sync_tasks set forgets = false
         where provider = $1 and stream_group = $2 and stream = any($3) and forgets and due_at <= clock_timestamp()
         returning stream",
        lease.provider.as_str(),
        lease.group,
        streams as _
    )
    .fetch_all(connection)
    .await?;
    Ok(taken)
}

/// The streams of the provider that can be asked for.
pub async fn streams(pool: &PgPool, provider: &ProviderName) -> Result<Vec<String>, StoreError> {
    let streams = sqlx::query_scalar!(
        "select stream from sync_tasks where provider = $1 and partition = '' order by stream",
        provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(streams)
}

/// Does away with tasks that a run has done: partitions go, whole streams are due at the time
/// given with them, or with the others of their group that have the same schedule, so that what
/// was out of step once is read together again. What was asked for again meanwhile stays due.
pub async fn done(
    connection: &mut PgConnection,
    lease: &Lease,
    tasks: &[(Task, Option<DateTime<Utc>>)],
) -> Result<(), StoreError> {
    let streams: Vec<&str> =
        tasks.iter().filter(|(t, _)| t.partition.is_empty()).map(|(t, _)| t.stream.as_str()).collect();
    for (task, next) in tasks {
        if task.partition.is_empty() {
            sqlx::query!(
                "update sync_tasks t
                 set due_at = coalesce((
                   select min(s.due_at) from sync_tasks s
                   where s.provider = t.provider and s.stream_group = t.stream_group
                     and s.schedule = t.schedule and s.partition = '' and s.stream <> all($6)
                     and s.due_at > clock_timestamp()), $5)
                 where provider = $1 and stream_group = $2 and stream = $3 and partition = ''
                   and due_at is not distinct from $4",
                lease.provider.as_str(),
                lease.group,
                task.stream,
                task.due_at,
                *next,
                &streams as _
            )
            .execute(&mut *connection)
            .await?;
        } else {
            sqlx::query!(
                "delete from sync_tasks
                 where provider = $1 and stream = $2 and partition = $3 and due_at is not distinct from $4",
                lease.provider.as_str(),
                task.stream,
                task.partition,
                task.due_at
            )
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}
