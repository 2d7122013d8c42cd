//! Tables `operators`, `operator_links` and `operator_sessions`: who looks at the console, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, interval};
use tributary_domain::{ApiKeyDigest, KeyName, Role};

/// An operator, without the secret of the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub digest: Vec<u8>,
    pub created_at: DateTime<Utc>,
    /// Neither the key nor a session opens anything from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// When a session was last opened.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Operator {
    /// Whether the key opens anything now, in a word.
    pub fn state(&self) -> &'static str {
        match self {
            Self { revoked_at: Some(_), .. } => "revoked",
            Self { expires_at: Some(at), .. } if *at <= Utc::now() => "expired",
            _ => "valid",
        }
    }
}

/// An operator that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewOperator<'a> {
    pub id: Uuid,
    pub name: &'a KeyName,
    pub role: Role,
    pub digest: &'a ApiKeyDigest,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Keeps a new operator; `false` where another one has the name.
pub async fn create(pool: &PgPool, operator: NewOperator<'_>) -> Result<bool, StoreError> {
    let created = sqlx::query!(
        "insert into operators (id, name, role, digest, expires_at) values ($1, $2, $3, $4, $5)
         on conflict (name) where revoked_at is null do nothing",
        operator.id,
        operator.name.as_str(),
        operator.role.as_str(),
        operator.digest.as_bytes(),
        operator.expires_at
    )
    .execute(pool)
    .await?;
    Ok(created.rows_affected() == 1)
}

/// Every operator, also those whose key opens nothing any more.
pub async fn list(pool: &PgPool) -> Result<Vec<Operator>, StoreError> {
    let operators = sqlx::query_as!(
        Operator,
        "select id, name, role, digest, created_at, expires_at, last_used_at, revoked_at
         from operators order by name, created_at"
    )
    .fetch_all(pool)
    .await?;
    Ok(operators)
}

/// The operator of this id, unless the key was revoked or has expired.
pub async fn find_valid(pool: &PgPool, id: Uuid) -> Result<Option<Operator>, StoreError> {
    let operator = sqlx::query_as!(
        Operator,
        "select id, name, role, digest, created_at, expires_at, last_used_at, revoked_at from operators
         where id = $1 and revoked_at is null and (expires_at > clock_timestamp()) is not false",
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(operator)
}

/// Revokes the key of this name at once, and with it every session and link; `false` where there is none.
pub async fn revoke(pool: &PgPool, name: &KeyName) -> Result<bool, StoreError> {
    let revoked = sqlx::query!(
        "update operators set revoked_at = clock_timestamp() where name = $1 and revoked_at is null",
        name.as_str()
    )
    .execute(pool)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Keeps a link that opens a session of the operator once within `lasts`, and forgets those that are over; `false`
/// where there is no operator of this name whose key is valid.
pub async fn make_link(
    pool: &PgPool,
    digest: &ApiKeyDigest,
    name: &KeyName,
    lasts: Duration,
) -> Result<bool, StoreError> {
    let made = sqlx::query!(
        "with over as (delete from operator_links where expires_at <= clock_timestamp())
         insert into operator_links (digest, operator_id, expires_at)
         select $1, id, clock_timestamp() + $3::interval from operators
         where name = $2 and revoked_at is null and (expires_at > clock_timestamp()) is not false",
        digest.as_bytes(),
        name.as_str(),
        interval(lasts)
    )
    .execute(pool)
    .await?;
    Ok(made.rows_affected() == 1)
}

/// Takes a link, which is gone then, whoever else shows it at the same time; gives its operator.
pub async fn take_link(pool: &PgPool, digest: &ApiKeyDigest) -> Result<Option<Uuid>, StoreError> {
    let taken = sqlx::query!(
        r#"delete from operator_links where digest = $1
           returning operator_id, expires_at > clock_timestamp() as "valid!""#,
        digest.as_bytes()
    )
    .fetch_optional(pool)
    .await?;
    Ok(taken.filter(|link| link.valid).map(|link| link.operator_id))
}

/// Opens a session that ends after `longest` at the latest, and forgets up to 100 that ended; `false` where the
/// operator's key is not valid.
pub async fn open_session(
    pool: &PgPool,
    digest: &ApiKeyDigest,
    operator: Uuid,
    longest: Duration,
) -> Result<bool, StoreError> {
    let opened = sqlx::query!(
        "with over as (
           delete from operator_sessions where digest in (
             select digest from operator_sessions where ends_at <= clock_timestamp() limit 100 for update skip locked)),
         used as (
           update operators set last_used_at = clock_timestamp()
           where id = $2 and revoked_at is null and (expires_at > clock_timestamp()) is not false returning id)
         insert into operator_sessions (digest, operator_id, ends_at)
         select $1, id, clock_timestamp() + $3::interval from used",
        digest.as_bytes(),
        operator,
        interval(longest)
    )
    .execute(pool)
    .await?;
    Ok(opened.rows_affected() == 1)
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub operator: String,
    pub role: String,
    pub ends_at: DateTime<Utc>,
    /// Whether it is some time since its use was noted.
    pub is_used_anew: bool,
    /// The database's clock when this was read.
    pub now: DateTime<Utc>,
}

/// The session of this digest: none where it has ended, was not used for `idle`, or its operator's key was revoked or
/// has expired.
pub async fn session(
    pool: &PgPool,
    digest: &ApiKeyDigest,
    idle: Duration,
) -> Result<Option<Open>, StoreError> {
    let open = sqlx::query_as!(
        Open,
        r#"select o.name as operator, o.role, s.ends_at, clock_timestamp() as "now!",
                  s.used_at < clock_timestamp() - interval '1 minute' as "is_used_anew!"
           from operator_sessions s join operators o on o.id = s.operator_id
           where s.digest = $1 and s.ends_at > clock_timestamp() and s.used_at > clock_timestamp() - $2::interval
             and o.revoked_at is null and (o.expires_at > clock_timestamp()) is not false"#,
        digest.as_bytes(),
        interval(idle)
    )
    .fetch_optional(pool)
    .await?;
    Ok(open)
}

/// Notes that a session was used now.
pub async fn used(pool: &PgPool, digest: &ApiKeyDigest) -> Result<(), StoreError> {
    sqlx::query!(
        "update operator_sessions set used_at = clock_timestamp() where digest = $1",
        digest.as_bytes()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends a session, on all instances.
pub async fn end_session(pool: &PgPool, digest: &ApiKeyDigest) -> Result<(), StoreError> {
    sqlx::query!("delete from operator_sessions where digest = $1", digest.as_bytes()).execute(pool).await?;
    Ok(())
}
