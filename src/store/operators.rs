//! Tables `operators`, `operator_links` and `operator_sessions`: who operates, and since when. A digest that is given
//! here is the proof that a key, link or session was shown; what the tables have is the digest of that. Persons who sign in
//! by single sign-on have no key: they are whom an OpenID provider, which the owner trusts, calls by a subject.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{StoreError, interval};
use tributary_domain::{ApiKeyDigest, KeyName, OperatorName, Role};

/// An operator, without the secret of the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    /// Of a person who signs in by single sign-on: whose provider names them, and how. They have no key.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    /// Whether the owner trusts that provider about their role; of whoever has a key, nobody asks.
    pub is_trusted: bool,
    pub created_at: DateTime<Utc>,
    /// Neither the key nor a session opens anything from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// When a session was last opened.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Operator {
    /// Whether the key opens anything now, or whether they may sign in, in a word.
    pub fn state(&self) -> &'static str {
        match self {
            Self { revoked_at: Some(_), .. } => "revoked",
            Self { is_trusted: false, .. } => "not trusted",
            Self { expires_at: Some(at), .. } if *at <= Utc::now() => "expired",
            _ => "valid",
        }
    }
}

/// Who showed a valid key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub operator: String,
    pub role: String,
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
pub async fn create(executor: impl PgExecutor<'_>, operator: NewOperator<'_>) -> Result<bool, StoreError> {
    let created = sqlx::query!(
        "insert into operators (id, name, role, digest, expires_at) values ($1, $2, $3, sha256($4), $5)
         on conflict (name) where revoked_at is null do nothing",
        operator.id,
        operator.name.as_str(),
        operator.role.as_str(),
        operator.digest.as_bytes(),
        operator.expires_at
    )
    .execute(executor)
    .await?;
    Ok(created.rows_affected() == 1)
}

/// Every operator, also those whose key opens nothing any more.
pub async fn list(pool: &PgPool) -> Result<Vec<Operator>, StoreError> {
    let operators = sqlx::query_as!(
        Operator,
        r#"select id, name, role, issuer, subject, created_at, expires_at, last_used_at, revoked_at,
                  issuer is null or exists (select from operator_issuers i
                    where i.issuer = o.issuer and o.role = any (i.roles)) as "is_trusted!"
           from operators o order by name, created_at"#
    )
    .fetch_all(pool)
    .await?;
    Ok(operators)
}

/// Who the key of this id and proof belongs to: none where it is not the whole key, or was revoked or has expired.
pub async fn of_key(pool: &PgPool, id: Uuid, proof: &ApiKeyDigest) -> Result<Option<Proven>, StoreError> {
    let proven = sqlx::query_as!(
        Proven,
        "select name as operator, role from operators
         where id = $1 and digest = sha256($2) and revoked_at is null
           and (expires_at > clock_timestamp()) is not false",
        id,
        proof.as_bytes()
    )
    .fetch_optional(pool)
    .await?;
    Ok(proven)
}

/// Revokes the operator of this name at once, and with the key every session and link; `false` where there is none.
pub async fn revoke(executor: impl PgExecutor<'_>, name: &OperatorName) -> Result<bool, StoreError> {
    let revoked = sqlx::query!(
        "update operators set revoked_at = clock_timestamp() where name = $1 and revoked_at is null",
        name.as_str()
    )
    .execute(executor)
    .await?;
    Ok(revoked.rows_affected() == 1)
}

/// Lets a person sign in again by single sign-on who was revoked; `false` where there is none of this name.
pub async fn restore(executor: impl PgExecutor<'_>, name: &OperatorName) -> Result<bool, StoreError> {
    let restored = sqlx::query!(
        "update operators set revoked_at = null where name = $1 and issuer is not null and revoked_at is not null",
        name.as_str()
    )
    .execute(executor)
    .await?;
    Ok(restored.rows_affected() == 1)
}

/// Keeps a link that opens a session of the operator once within `lasts`, and forgets those that are over; `false`
/// where there is no operator of this name whose key is valid.
pub async fn make_link(
    executor: impl PgExecutor<'_>,
    digest: &ApiKeyDigest,
    name: &KeyName,
    lasts: Duration,
) -> Result<bool, StoreError> {
    let made = sqlx::query!(
        "with over as (delete from operator_links where expires_at <= clock_timestamp())
         insert into operator_links (digest, operator_id, expires_at)
         select sha256($1), id, clock_timestamp() + $3::interval from operators
         where name = $2 and digest is not null and revoked_at is null and (expires_at > clock_timestamp()) is not false",
        digest.as_bytes(),
        name.as_str(),
        interval(lasts)
    )
    .execute(executor)
    .await?;
    Ok(made.rows_affected() == 1)
}

/// Takes a link, which is gone then, whoever else shows it at the same time, and opens a session that ends after
/// `longest` at the latest; gives its operator.
pub async fn open_by_link(
    pool: &PgPool,
    link: &ApiKeyDigest,
    session: &ApiKeyDigest,
    longest: Duration,
) -> Result<Option<Uuid>, StoreError> {
    let opened = sqlx::query_scalar!(
        "select use_operator_link($1, $2, $3) as operator",
        link.as_bytes(),
        session.as_bytes(),
        interval(longest)
    )
    .fetch_one(pool)
    .await?;
    Ok(opened)
}

/// Opens a session for whoever shows the key of the operator, which ends after `longest` at the latest; `false` where it
/// is not valid.
pub async fn open_by_key(
    pool: &PgPool,
    (operator, key): (Uuid, &ApiKeyDigest),
    session: &ApiKeyDigest,
    longest: Duration,
) -> Result<bool, StoreError> {
    let opened = sqlx::query_scalar!(
        r#"select open_operator_session($1, $2, $3, $4) as "opened!""#,
        operator,
        key.as_bytes(),
        session.as_bytes(),
        interval(longest)
    )
    .fetch_one(pool)
    .await?;
    Ok(opened)
}

/// A person whom an OpenID provider has just named to the service.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub issuer: &'a str,
    /// Never given to anybody else by this issuer.
    pub subject: &'a str,
    /// How the name of whoever comes for the first time begins.
    pub called: &'a str,
    pub role: Role,
}

/// Opens a session for a person, which ends after `longest` at the latest; gives the operator, or none where they were
/// revoked. All their sessions have this role from then on. Refused where the owner does not trust the issuer about it.
pub async fn open_by_name(
    pool: &PgPool,
    person: Named<'_>,
    session: &ApiKeyDigest,
    longest: Duration,
) -> Result<Option<Uuid>, StoreError> {
    let opened = sqlx::query_scalar!(
        "select open_person_session($1, $2, $3, $4, $5, $6) as operator",
        person.issuer,
        person.subject,
        person.called,
        person.role.as_str(),
        session.as_bytes(),
        interval(longest)
    )
    .fetch_one(pool)
    .await?;
    Ok(opened)
}

/// Ends every session of a person, on all instances.
pub async fn end_sessions_of(pool: &PgPool, issuer: &str, subject: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from operator_sessions s using operators o
         where o.id = s.operator_id and o.issuer = $1 and o.subject = $2",
        issuer,
        subject
    )
    .execute(pool)
    .await?;
    Ok(())
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
           where s.digest = sha256($1) and s.ends_at > clock_timestamp() and s.used_at > clock_timestamp() - $2::interval
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
        "update operator_sessions set used_at = clock_timestamp() where digest = sha256($1)",
        digest.as_bytes()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends a session, on all instances.
pub async fn end_session(pool: &PgPool, digest: &ApiKeyDigest) -> Result<(), StoreError> {
    sqlx::query!("delete from operator_sessions where digest = sha256($1)", digest.as_bytes())
        .execute(pool)
        .await?;
    Ok(())
}
