//! Table `payment_steps`: what goes before the request that moves the money.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;

use super::{Act, Claim, Order, begin, change_order};
use crate::store::{StoreError, interval};

/// A step of an order's attempt that was, perhaps, asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub attempt: i32,
    pub name: String,
    /// How often it was, perhaps, asked for, and when last.
    pub tries: i32,
    pub asked_at: DateTime<Utc>,
    /// A text or a number, once it is there.
    pub gave: Option<Value>,
    pub gave_at: Option<DateTime<Utc>>,
}

/// The steps of the order's attempt that were asked for.
pub async fn steps(pool: &PgPool, order: &Order) -> Result<Vec<Step>, StoreError> {
    let steps = sqlx::query_as!(
        Step,
        "select attempt, name, tries, asked_at, gave, gave_at from payment_steps
         where order_id = $1 and attempt = $2 and provider = $3 order by asked_at",
        order.id,
        order.attempt,
        order.provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(steps)
}

/// The steps of all attempts of an order that were asked for.
pub async fn all_steps(pool: &PgPool, order: &Order) -> Result<Vec<Step>, StoreError> {
    let steps = sqlx::query_as!(
        Step,
        "select attempt, name, tries, asked_at, gave, gave_at from payment_steps
         where order_id = $1 and provider = $2 order by attempt, asked_at",
        order.id,
        order.provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(steps)
}

/// Notes, for ever, that a step is about to be asked for, and renews the claim; `false` where the order is no longer
/// the caller's, or waits for a person.
pub async fn ask_step(
    pool: &PgPool,
    order: &Order,
    claim: Claim<'_>,
    name: &str,
) -> Result<bool, StoreError> {
    let mut transaction =
        begin(pool, Act { actor: claim.owner, what: "a step is about to be asked for" }).await?;
    let renewed = sqlx::query!(
        "update payment_orders set claimed_until = clock_timestamp() + $3::interval
         where id = $1 and claim_token = $2 and claimed_until > clock_timestamp() and state = 'recorded'",
        order.id,
        claim.token,
        interval(claim.time)
    )
    .execute(&mut *transaction)
    .await?;
    if renewed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "insert into payment_steps as s (order_id, attempt, provider, name) values ($1, $2, $3, $4)
         on conflict on constraint payment_steps_pkey do update set tries = s.tries + 1, asked_at = clock_timestamp()
         where s.gave is null",
        order.id,
        order.attempt,
        order.provider.as_str(),
        name
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Keeps what a step gave, unless it gave something before.
pub async fn step_gave(
    pool: &PgPool,
    order: &Order,
    actor: &str,
    name: &str,
    gave: &Value,
) -> Result<(), StoreError> {
    let change = sqlx::query!(
        "update payment_steps set gave = $5, gave_at = clock_timestamp()
         where order_id = $1 and attempt = $2 and provider = $3 and name = $4 and gave is null",
        order.id,
        order.attempt,
        order.provider.as_str(),
        name,
        gave
    );
    change_order(pool, Act { actor, what: "a step gave what it is for" }, change).await?;
    Ok(())
}
