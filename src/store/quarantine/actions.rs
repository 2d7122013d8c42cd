//! Tables `quarantine_actions` and `quarantine_discards`: who had what replayed or discarded, and how far that came.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::super::{StoreError, without_nul};
use super::{Chosen, Which};
use tributary_domain::{ProviderName, Resource};

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Replay,
    Discard,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }
}

/// The longest reason, in characters (`quarantine_actions_why_short`).
const WHY_CHARS: usize = 500;

/// `text`, where it can be why something is discarded; the error says what to write.
pub fn why(text: &str) -> Result<&str, String> {
    // blanks as the description of the API has them
    match text.trim_matches([' ', '\t', '\r', '\n']) {
        "" => Err("say why, in a few words: it is kept with what is discarded".to_owned()),
        long if long.chars().count() > WHY_CHARS => Err(format!("say why in {WHY_CHARS} characters at most")),
        text => Ok(text),
    }
}

/// What a batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub freed: u64,
    pub stayed: u64,
    pub discarded: u64,
}

/// A replay or a discard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub id: i64,
    /// `replay` or `discard`.
    pub action: String,
    /// Whose records; of all providers where there is none.
    pub provider: Option<String>,
    /// Of which group, if of one.
    pub group: Option<String>,
    /// Who has it done, as the audit of operators says.
    pub person: String,
    pub why: Option<String>,
    /// How many records there were when it began.
    pub total: i64,
    pub freed: i64,
    pub stayed: i64,
    pub discarded: i64,
    pub started_at: DateTime<Utc>,
    /// When its last batch was committed.
    pub moved_at: DateTime<Utc>,
    /// Null while it goes on, and where it was stopped before its end.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A replay or a discard that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The number under which its progress is kept.
    pub action: i64,
    /// The highest id that there was: what comes later is not meant.
    pub last: i64,
    /// How many records there were.
    pub total: u64,
}

/// Notes that the chosen records, `total` of them up to the id `last`, are going to be replayed or discarded, in the
/// transaction that writes the entry `audit` of the operators' audit. A discard has to say why, in 500 characters at most.
pub async fn begin(
    connection: &mut PgConnection,
    kind: Kind,
    chosen: Chosen<'_>,
    (total, last): (u64, i64),
    (audit, why): (i64, Option<&str>),
) -> Result<Begun, StoreError> {
    let (which, group, ids) = chosen.parts();
    let action = sqlx::query_scalar!(
        "insert into quarantine_actions (action, provider, fault_group, audit_id, why, total)
         values ($1, coalesce($2, (select provider from quarantine where fault_group = $3 limit 1),
                              (select min(provider) from quarantine where id = any($4) having count(distinct provider) = 1)),
                 $3, $5, $6, $7)
         returning id",
        kind.as_str(),
        which.provider.map(ProviderName::as_str),
        group,
        ids,
        audit,
        why.map(without_nul),
        i64::try_from(total).unwrap_or(i64::MAX)
    )
    .fetch_one(connection)
    .await?;
    Ok(Begun { action, last, total })
}

/// Adds what a batch did, in the transaction of the batch.
pub async fn advance(connection: &mut PgConnection, id: i64, by: Progress) -> Result<(), StoreError> {
    let count = |records: u64| i64::try_from(records).unwrap_or(i64::MAX);
    sqlx::query!(
        "update quarantine_actions
         set freed = freed + $2, stayed = stayed + $3, discarded = discarded + $4, moved_at = clock_timestamp()
         where id = $1",
        id,
        count(by.freed),
        count(by.stayed),
        count(by.discarded)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that nothing is left to be done of it.
pub async fn end(pool: &PgPool, id: i64) -> Result<(), StoreError> {
    sqlx::query!("update quarantine_actions set ended_at = clock_timestamp() where id = $1", id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Up to `most` of the latest: of this group, or all.
pub async fn actions(pool: &PgPool, group: Option<&str>, most: u32) -> Result<Vec<Action>, StoreError> {
    let actions = sqlx::query_as!(
        Action,
        r#"select a.id, a.action, a.provider, a.fault_group as "group", o.person, a.why, a.total, a.freed, a.stayed,
                  a.discarded, a.started_at, a.moved_at, a.ended_at
           from quarantine_actions a join operator_audit o on o.id = a.audit_id
           where ($1::text is null or a.fault_group = $1) order by a.id desc limit $2"#,
        group,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(actions)
}

/// Locks up to `most` of the chosen records with ids above `after` and up to `until`, until the caller's transaction
/// ends, and gives their ids. Those that somebody else has are left to whoever does.
pub async fn lock_some(
    connection: &mut PgConnection,
    chosen: Chosen<'_>,
    (after, until): (i64, i64),
    most: u32,
) -> Result<Vec<i64>, StoreError> {
    let which = match chosen {
        Chosen::Group(group) => {
            let ids = sqlx::query_scalar!(
                "select id from quarantine where fault_group = $1 and id > $2 and id <= $3
                 order by id limit $4 for update skip locked",
                group,
                after,
                until,
                i64::from(most)
            );
            return Ok(ids.fetch_all(connection).await?);
        }
        Chosen::Ids(ids) => {
            let some = ids.iter().copied().filter(|id| *id > after && *id <= until);
            return super::lock(connection, &some.collect::<Vec<_>>()).await;
        }
        Chosen::All(which) => which,
    };
    let Which { provider, resource } = which;
    let ids = sqlx::query_scalar!(
        "select id from quarantine
         where ($1::text is null or provider = $1) and ($2::text is null or resource = $2) and id > $3 and id <= $4
         order by id limit $5 for update skip locked",
        provider.map(ProviderName::as_str),
        resource.map(Resource::as_str),
        after,
        until,
        i64::from(most)
    );
    Ok(ids.fetch_all(connection).await?)
}

/// The lowest id of the chosen records up to `until`.
pub async fn first(pool: &PgPool, chosen: Chosen<'_>, until: i64) -> Result<Option<i64>, StoreError> {
    let (which, group, ids) = chosen.parts();
    let first = sqlx::query_scalar!(
        "select id from quarantine
         where ($1::text is null or provider = $1) and ($2::text is null or resource = $2)
           and ($3::text is null or fault_group = $3) and ($4::bigint[] is null or id = any($4)) and id <= $5
         order by id limit 1",
        which.provider.map(ProviderName::as_str),
        which.resource.map(Resource::as_str),
        group,
        ids,
        until
    );
    Ok(first.fetch_optional(pool).await?)
}

/// Deletes records by their ids for good, and keeps of each which it was, for the action of this number.
pub async fn discard(connection: &mut PgConnection, action: i64, ids: &[i64]) -> Result<u64, StoreError> {
    let gone = sqlx::query!(
        "with gone as (
           delete from quarantine where id = any($2)
           returning id, provider, resource, stream, raw_digest, fault_group, attempts, first_seen)
         insert into quarantine_discards
           (quarantine_id, action_id, provider, resource, stream, raw_digest, fault_group, attempts, first_seen)
         select id, $1, provider, resource, stream, raw_digest, fault_group, attempts, first_seen from gone",
        action,
        ids
    )
    .execute(connection)
    .await?;
    Ok(gone.rows_affected())
}
