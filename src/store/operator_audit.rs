//! Table `operator_audit`: what operators did, and who they were.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::StoreError;
use tributary_domain::ApiKeyDigest;

/// Something that an operator did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// `operator:NAME`, or `cli:NAME` of the operating system.
    pub person: String,
    /// The login of the database.
    pub login: String,
    /// As it is typed: `keys create`.
    pub verb: String,
    pub subject: String,
    pub details: Value,
}

/// Shows a key or session to the database, as the digest of its text, until the caller's transaction ends.
pub async fn prove(connection: &mut PgConnection, proof: &ApiKeyDigest) -> Result<(), StoreError> {
    sqlx::query!(
        "select set_config('tributary.proof', encode($1::bytea, 'hex'), true) as proof",
        proof.as_bytes()
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Notes what is done, in the caller's transaction: by whom it proves, or else by `user` of the operating system. Gives the
/// entry's number.
pub async fn note(
    executor: impl PgExecutor<'_>,
    verb: &str,
    subject: &str,
    details: &Value,
    user: Option<&str>,
) -> Result<i64, StoreError> {
    let entry = sqlx::query_scalar!(
        r#"select note_operation($1, $2, $3, $4) as "entry!""#,
        verb,
        super::without_nul(subject),
        details,
        user
    )
    .fetch_one(executor)
    .await?;
    Ok(entry)
}

/// The latest of what was done, newest first.
pub async fn list(pool: &PgPool, most: u32) -> Result<Vec<Done>, StoreError> {
    let done = sqlx::query_as!(
        Done,
        "select id, at, person, login, verb, subject, details from operator_audit order by id desc limit $1",
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(done)
}
