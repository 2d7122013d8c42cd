//! Table `notifications`: what waits for a person, what was told of it, and whether that arrived.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, interval};
use tributary_domain::ProviderName;

/// A notification that is to be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The same in each attempt.
    pub id: Uuid,
    pub kind: String,
    /// JSON.
    pub body: String,
    /// Which attempt it is, from 1 on.
    pub attempt: i32,
}

/// Looks what of `providers` waits for a person, in one snapshot: what began to is to be told, what no longer does is not.
/// Whoever else looks at the same moment adds nothing to it. A group fails from `failures` runs in a row on.
pub async fn note(pool: &PgPool, providers: &[ProviderName], failures: u32) -> Result<(), StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    sqlx::query!(
        "with waiting (kind, provider, subject, data) as (
           select 'payment.parked', o.provider, o.id::text, jsonb_build_object('order', o.id, 'payment', o.kind,
             'idempotencyKey', o.idempotency_key, 'command', 'tributary payouts show ' || o.id)
           from payment_orders o where o.provider = any($1) and o.state = 'parked'
           union all
           select 'payment.approval_waiting', o.provider, o.id || '/' || o.attempt, jsonb_build_object('order', o.id,
             'payment', o.kind, 'idempotencyKey', o.idempotency_key, 'command', 'tributary payouts approve ' || o.id)
           from payment_orders o where o.provider = any($1) and o.state = 'held'
           union all
           select 'quarantine.grew', q.provider, q.resource, jsonb_build_object('resource', q.resource,
             'records', count(*), 'command', 'tributary quarantine list --provider ' || q.provider)
           from quarantine q
           where q.provider = any($1) and q.first_seen > clock_timestamp() - interval '1 hour'
           group by q.provider, q.resource
           union all
           select 'provider.failing', l.provider, l.stream_group, jsonb_build_object('group', l.stream_group,
             'failures', l.failures, 'command', 'tributary runs --provider ' || l.provider)
           from sync_leases l where l.provider = any($1) and l.failures >= $2
           union all
           select 'consumer.silent', c.provider, c.resource || ' ' || c.key, jsonb_build_object('feed', c.resource,
             'key', c.key, 'lastPoll', rfc3339(c.polled_at), 'command', 'fctl payments connectors update-config generic '
               || c.provider || '.json --connector-id ID')
           from consumers c
           where c.provider = any($1) and now() - c.polled_at > 2 * consumer_period(c.gaps) * interval '1 second'),
         ended as (
           update notifications n set ended_at = clock_timestamp(), next_at = null
           where n.provider = any($1) and n.ended_at is null and not exists (
             select from waiting w where (w.kind, w.provider, w.subject) = (n.kind, n.provider, n.subject)))
         insert into notifications (kind, provider, subject, body)
         select w.kind, w.provider, w.subject, jsonb_build_object('type', w.kind, 'timestamp', rfc3339(clock_timestamp()),
           'data', jsonb_build_object('provider', w.provider) || w.data)
         from waiting w order by w.provider, w.kind, w.subject
         on conflict (provider, kind, subject) where ended_at is null do nothing",
        &names as _,
        i32::try_from(failures).unwrap_or(i32::MAX)
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes a notification that is due, for as long as `lease`: then it is due again, whatever became of whoever took it.
pub async fn take_due(pool: &PgPool, lease: Duration) -> Result<Option<Due>, StoreError> {
    let due = sqlx::query_as!(
        Due,
        r#"update notifications set attempts = attempts + 1, next_at = clock_timestamp() + $1
           where id = (select id from notifications where next_at <= clock_timestamp()
                       order by next_at limit 1 for update skip locked)
           returning id, kind, body::text as "body!", attempts as attempt"#,
        interval(lease)
    )
    .fetch_optional(pool)
    .await?;
    Ok(due)
}

/// Notes that a notification arrived.
pub async fn delivered(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "update notifications set delivered_at = clock_timestamp(), next_at = null, last_error = null where id = $1",
        id
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes why a notification did not arrive. It is due again after `pause`, unless it no longer waits; without one it is
/// given up.
pub async fn failed(pool: &PgPool, id: Uuid, error: &str, pause: Option<Duration>) -> Result<(), StoreError> {
    sqlx::query!(
        "update notifications set last_error = $2, next_at = case when ended_at is null then clock_timestamp() + $3::interval end
         where id = $1",
        id,
        error,
        pause.map(interval)
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A notification, as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    pub id: Uuid,
    pub kind: String,
    pub provider: String,
    pub subject: String,
    pub begun_at: DateTime<Utc>,
    /// When it no longer waited.
    pub ended_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub next_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
}

/// Up to `limit` notifications of one provider, or of all, newest first.
pub async fn list(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    limit: u32,
) -> Result<Vec<Notification>, StoreError> {
    let notifications = sqlx::query_as!(
        Notification,
        "select id, kind, provider, subject, begun_at, ended_at, attempts, next_at, delivered_at, last_error
         from notifications where $1::text is null or provider = $1 order by begun_at desc limit $2",
        provider.map(ProviderName::as_str),
        i64::from(limit)
    )
    .fetch_all(pool)
    .await?;
    Ok(notifications)
}

/// Forgets up to `limit` of those that ended `before`; gives how many.
pub async fn forget(pool: &PgPool, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
    let gone = sqlx::query!(
        "delete from notifications where id in (
           select n.id from notifications n where n.ended_at < $1 limit $2 for update skip locked)",
        before,
        i64::from(limit)
    )
    .execute(pool)
    .await?;
    Ok(gone.rows_affected())
}
