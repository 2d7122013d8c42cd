//! What a person decides. The database knows who it is by the login, and refuses whoever may not
//! ([`StoreError::refusal`]): see the migration of approvals.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::read;
use crate::store::{StoreError, without_nul};
use tributary_domain::OrderState;

/// What came of agreeing to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Of the order, now.
    pub state: OrderState,
    /// How many persons agreed.
    pub agreed: i32,
    /// How many have to.
    pub needed: i32,
}

/// Agrees that a held order goes out, which it does when enough persons agree. `None` where there is
/// no such order.
pub async fn approve(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Decided>, StoreError> {
    let decided = sqlx::query!(
        r#"select state as "state!", agreed as "agreed!", needed as "needed!" from approve_payment_order($1)
           where state is not null"#,
        id
    )
    .fetch_optional(executor)
    .await?;
    decided
        .map(|row| Ok(Decided { state: read(&row.state)?, agreed: row.agreed, needed: row.needed }))
        .transpose()
}

/// Fails an order that is held, or that was certainly never sent and is nobody's to send just now:
/// `false` of any other.
pub async fn reject(executor: impl PgExecutor<'_>, id: Uuid, reason: &str) -> Result<bool, StoreError> {
    let rejected =
        sqlx::query_scalar!(r#"select reject_payment_order($1, $2) as "rejected!""#, id, without_nul(reason))
            .fetch_one(executor)
            .await?;
    Ok(rejected)
}

/// What a person found out of an order that is parked.
#[derive(Debug, Clone, Copy)]
pub enum Resolution<'a> {
    /// The money moved; the id of the provider's record of it, if there is one.
    Succeeded { payment_id: Option<&'a str> },
    /// It is to be looked up at the provider again.
    Look,
}

/// Ends the wait of an order that is parked: `false` where it is not.
pub async fn resolve(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    resolution: Resolution<'_>,
) -> Result<bool, StoreError> {
    let (outcome, payment_id) = match resolution {
        Resolution::Succeeded { payment_id } => (OrderState::Succeeded, payment_id),
        Resolution::Look => (OrderState::Unknown, None),
    };
    let resolved = sqlx::query_scalar!(
        r#"select resolve_payment_order($1, $2, $3) as "resolved!""#,
        id,
        outcome.as_str(),
        payment_id
    )
    .fetch_one(executor)
    .await?;
    Ok(resolved)
}

/// Agrees that no money moved for an order that is parked, and none will. It has failed then if a
/// fresh lookup did not find it, or another person agreed. `None` where there is no such order.
pub async fn fail(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    reason: &str,
) -> Result<Option<Decided>, StoreError> {
    let decided = sqlx::query!(
        r#"select state as "state!", agreed as "agreed!", needed as "needed!" from fail_payment_order($1, $2)
           where state is not null"#,
        id,
        without_nul(reason)
    )
    .fetch_optional(executor)
    .await?;
    decided
        .map(|row| Ok(Decided { state: read(&row.state)?, agreed: row.agreed, needed: row.needed }))
        .transpose()
}
