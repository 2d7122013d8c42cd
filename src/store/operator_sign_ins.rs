//! Table `operator_sign_ins`: who was sent to an OpenID provider and is not back yet.

use std::time::Duration;

use sqlx::PgPool;

use super::{StoreError, interval};
use tributary_domain::ApiKeyDigest;

/// Keeps an attempt for as long as it `lasts`, with the page to go on to, and forgets those that are over.
pub async fn begin(
    pool: &PgPool,
    attempt: &ApiKeyDigest,
    next: &str,
    lasts: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with over as (delete from operator_sign_ins where expires_at <= clock_timestamp())
         insert into operator_sign_ins (digest, next, expires_at) values (sha256($1), $2, clock_timestamp() + $3::interval)",
        attempt.as_bytes(),
        next,
        interval(lasts)
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes an attempt, which is gone then, whoever else shows it at the same time; gives the page to go on to. None where it
/// was taken already or is over.
pub async fn take(pool: &PgPool, attempt: &ApiKeyDigest) -> Result<Option<String>, StoreError> {
    let taken = sqlx::query!(
        r#"delete from operator_sign_ins where digest = sha256($1)
           returning next, expires_at > clock_timestamp() as "in_time!""#,
        attempt.as_bytes()
    )
    .fetch_optional(pool)
    .await?;
    Ok(taken.filter(|taken| taken.in_time).map(|taken| taken.next))
}
