//! Table `payment_secrets`: which secret the provider keys are made with, by its fingerprint, so that
//! another one is noticed.

use sqlx::PgPool;

use super::{StoreError, begin};

/// The fingerprint of the secret that is in use; `None` before there ever was one.
pub async fn current(pool: &PgPool) -> Result<Option<String>, StoreError> {
    let fingerprint =
        sqlx::query_scalar!("select fingerprint from payment_secrets order by number desc limit 1")
            .fetch_optional(pool)
            .await?;
    Ok(fingerprint)
}

/// Notes that the secret of `fingerprint` is in use, where none was yet. Gives the one that is: of two
/// that come first at once, one does.
pub async fn begin_with(pool: &PgPool, fingerprint: &str, who: &str) -> Result<String, StoreError> {
    sqlx::query!(
        "insert into payment_secrets (number, fingerprint, accepted_by) values (1, $1, $2)
         on conflict on constraint payment_secrets_pkey do nothing",
        fingerprint,
        who
    )
    .execute(pool)
    .await?;
    Ok(current(pool).await?.unwrap_or_else(|| fingerprint.to_owned()))
}

/// Notes that the secret of `fingerprint` is in use from now on, whatever was before, as this login says; `false` where it
/// was already.
pub async fn accept(pool: &PgPool, fingerprint: &str) -> Result<bool, StoreError> {
    let mut transaction = begin(pool).await?;
    let accepted = sqlx::query!(
        "insert into payment_secrets (number, fingerprint)
         select coalesce(max(number), 0) + 1, $1 from payment_secrets
         having coalesce((array_agg(fingerprint order by number desc))[1], '') <> $1",
        fingerprint
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(accepted.rows_affected() == 1)
}
