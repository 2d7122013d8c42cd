//! Table `payment_audit`: every change of every order, and every approval, chained by hashes. The
//! database makes the chain; [`Chain`](crate::payments::audit::Chain) follows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{StoreError, operator_audit};
use tributary_domain::ApiKeyDigest;

/// A change of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audited {
    pub actor: String,
    /// The login of the database that made it.
    pub login: String,
    pub what: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
    pub at: DateTime<Utc>,
}

/// Every change of an order, oldest first; `None` where the login of the database may not read the audit, as that of the
/// service, and no operator shows `proof`.
pub async fn of_order(
    pool: &PgPool,
    id: Uuid,
    proof: Option<&ApiKeyDigest>,
) -> Result<Option<Vec<Audited>>, StoreError> {
    if let Some(proof) = proof {
        return shown_to(pool, proof, id).await.map(Some);
    }
    let audit = sqlx::query_as!(
        Audited,
        "select actor, login, what, before, after, at from payment_audit where order_id = $1 order by id",
        id
    )
    .fetch_all(pool)
    .await;
    match audit.map_err(StoreError::from) {
        Ok(audit) => Ok(Some(audit)),
        Err(StoreError::Forbidden(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same for the operator who shows `proof`.
async fn shown_to(pool: &PgPool, proof: &ApiKeyDigest, id: Uuid) -> Result<Vec<Audited>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    operator_audit::prove(&mut transaction, proof).await?;
    let audit = sqlx::query_as!(
        Audited,
        r#"select actor as "actor!", login as "login!", what as "what!", before, after, at as "at!"
           from audit_for_operator($1) order by id"#,
        id
    )
    .fetch_all(&mut *transaction)
    .await?;
    transaction.rollback().await?;
    Ok(audit)
}

/// A row as it went into the chain.
#[derive(Debug, Clone)]
pub struct Link {
    pub id: i64,
    pub order_id: Uuid,
    pub provider: String,
    pub actor: String,
    pub login: String,
    pub what: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub at: DateTime<Utc>,
    pub erased: bool,
    pub salt: Option<Vec<u8>>,
    pub content_digest: Vec<u8>,
    pub position: i64,
    pub hash: Option<Vec<u8>>,
}

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many rows it has.
    pub position: i64,
    pub hash: Vec<u8>,
}

/// A transaction that sees the audit as it is now, however long it takes to read.
pub async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    sqlx::query!("set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Up to `most` rows behind `position`, in the order of the chain.
pub async fn behind(
    connection: &mut PgConnection,
    position: i64,
    most: i64,
) -> Result<Vec<Link>, StoreError> {
    let links = sqlx::query_as!(
        Link,
        r#"select id, order_id, provider, actor, login, what, before::text, after::text, at,
             erased_at is not null as "erased!", salt, content_digest, position as "position!", hash
           from payment_audit where position > $1 order by position limit $2"#,
        position,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(links)
}

/// The first row that is not in the chain.
pub async fn unchained(connection: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    let id =
        sqlx::query_scalar!(r#"select min(id) from payment_audit where position is null or position <= 0"#)
            .fetch_one(connection)
            .await?;
    Ok(id)
}

/// Where the chain ends, as the database goes on from it; `None` where that is lost.
pub async fn head(connection: &mut PgConnection) -> Result<Option<Head>, StoreError> {
    let head = sqlx::query_as!(Head, "select position, hash from payment_audit_head")
        .fetch_optional(connection)
        .await?;
    Ok(head)
}

/// The hash of the row at `position`.
pub async fn hash_at(connection: &mut PgConnection, position: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let hash = sqlx::query_scalar!("select hash from payment_audit where position = $1", position)
        .fetch_optional(connection)
        .await?;
    Ok(hash.flatten())
}
