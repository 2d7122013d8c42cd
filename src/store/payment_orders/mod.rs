//! Table `payment_orders`: payouts and transfers, and how far each has come. Every change is a
//! short transaction of its own that holds only if the order is still as its caller knows it; the
//! row among the transactions, and the audit, follow by trigger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::StoreError;
use tributary_domain::{Amount, OrderState, PaymentKind, ProviderName, Status};

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub id: Uuid,
    pub provider: ProviderName,
    pub kind: PaymentKind,
    pub idempotency_key: String,
    pub fingerprint: Vec<u8>,
    pub asset: String,
    pub amount: Amount,
    /// The provider's own ids; the served ones are URL-safe.
    pub source_account_id: String,
    pub destination_account_id: String,
    pub served_source_id: String,
    pub served_destination_id: String,
    pub description: Option<String>,
    /// As the person wrote it.
    pub metadata: serde_json::Value,
    /// As it is served, with the reason of a refusal.
    pub served_metadata: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub state: OrderState,
    /// As served to Formance.
    pub status: Status,
    /// The `createdAt` that goes with the status.
    pub status_at: DateTime<Utc>,
    pub reason: Option<String>,
    pub replied_at: Option<DateTime<Utc>>,
    pub answer_by: Option<DateTime<Utc>>,
    pub attempt: i32,
    pub tries: i32,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub refusal: Option<String>,
    pub provider_key: String,
    /// What is sent, as it was recorded with the attempt: `PaymentApi::prepare` gave it.
    pub request: serde_json::Value,
    pub provider_payment_id: Option<String>,
    pub provider_reference: Option<String>,
    pub claim_token: Option<Uuid>,
    pub lookups: i32,
    /// The API key that placed it, or the login.
    pub placed_by: String,
    /// How many persons have to approve each attempt; 0 where it goes out by itself.
    pub approvals_needed: i32,
    /// The persons who approved the attempt.
    pub approved_by: Option<String>,
    /// The `traceparent` of the request that began the attempt, if that was traced.
    pub trace: Option<String>,
    /// The database's clock when this was read.
    pub now: DateTime<Utc>,
}

/// An order as its table has it.
struct Row {
    id: Uuid,
    provider: String,
    kind: String,
    idempotency_key: String,
    fingerprint: Vec<u8>,
    asset: String,
    amount: String,
    source_account_id: String,
    destination_account_id: String,
    served_source_id: String,
    served_destination_id: String,
    description: Option<String>,
    metadata: serde_json::Value,
    served_metadata: serde_json::Value,
    created_at: DateTime<Utc>,
    state: String,
    status: String,
    status_at: DateTime<Utc>,
    reason: Option<String>,
    replied_at: Option<DateTime<Utc>>,
    answer_by: Option<DateTime<Utc>>,
    attempt: i32,
    tries: i32,
    first_sent_at: Option<DateTime<Utc>>,
    last_sent_at: Option<DateTime<Utc>>,
    refusal: Option<String>,
    provider_key: String,
    request: serde_json::Value,
    provider_payment_id: Option<String>,
    provider_reference: Option<String>,
    claim_token: Option<Uuid>,
    lookups: i32,
    placed_by: String,
    approvals_needed: i32,
    approved_by: Option<String>,
    trace: Option<String>,
    now: DateTime<Utc>,
}

impl TryFrom<Row> for Order {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            provider: read(&row.provider)?,
            kind: read(&row.kind)?,
            idempotency_key: row.idempotency_key,
            fingerprint: row.fingerprint,
            asset: row.asset,
            amount: Amount::parse("amount", &row.amount).map_err(unreadable)?,
            source_account_id: row.source_account_id,
            destination_account_id: row.destination_account_id,
            served_source_id: row.served_source_id,
            served_destination_id: row.served_destination_id,
            description: row.description,
            metadata: row.metadata,
            served_metadata: row.served_metadata,
            created_at: row.created_at,
            state: read(&row.state)?,
            status: serde_json::from_value(row.status.into()).map_err(unreadable)?,
            status_at: row.status_at,
            reason: row.reason,
            replied_at: row.replied_at,
            answer_by: row.answer_by,
            attempt: row.attempt,
            tries: row.tries,
            first_sent_at: row.first_sent_at,
            last_sent_at: row.last_sent_at,
            refusal: row.refusal,
            provider_key: row.provider_key,
            request: row.request,
            provider_payment_id: row.provider_payment_id,
            provider_reference: row.provider_reference,
            claim_token: row.claim_token,
            lookups: row.lookups,
            placed_by: row.placed_by,
            approvals_needed: row.approvals_needed,
            approved_by: row.approved_by,
            trace: row.trace,
            now: row.now,
        })
    }
}

/// A name as a table has it, which constraints hold to what the type knows.
fn read<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, StoreError> {
    name.parse().map_err(unreadable)
}

fn unreadable(why: impl std::fmt::Display) -> StoreError {
    StoreError::Schema(format!("an order cannot be read: {why}"))
}

/// `$head` up to the columns of an order `o`, `$tail` behind them.
macro_rules! order_query {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#" o.id as "id!", o.provider as "provider!", o.kind as "kind!",
              o.idempotency_key as "idempotency_key!", o.fingerprint as "fingerprint!", o.asset as "asset!",
              o.amount::text as "amount!", o.source_account_id as "source_account_id!",
              o.destination_account_id as "destination_account_id!",
              url_safe_id(o.source_account_id) as "served_source_id!",
              url_safe_id(o.destination_account_id) as "served_destination_id!", o.description,
              o.metadata as "metadata!", payment_metadata(o) as "served_metadata!", o.created_at as "created_at!",
              o.state as "state!", o.status as "status!", o.status_at as "status_at!", o.reason, o.replied_at,
              o.answer_by, o.attempt as "attempt!", o.tries as "tries!", o.first_sent_at, o.last_sent_at,
              o.refusal, o.provider_key as "provider_key!", o.request as "request!", o.provider_payment_id,
              o.provider_reference, o.claim_token, o.lookups as "lookups!", o.placed_by as "placed_by!",
              o.approvals_needed as "approvals_needed!",
              (select string_agg(distinct a.person, ', ') from payment_approvals a
               where a.order_id = o.id and a.attempt = o.attempt and a.decision = 'release'
                 and (a.round = o.round or o.state <> 'held')) as approved_by,
              o.trace, clock_timestamp() as "now!" "# + $tail
            $(, $argument)*
        )
    };
}

mod attempt;
mod by_hand;
mod day;
mod due;
mod matched;
mod place;
mod steps;

pub use attempt::{Bounds, Passed, failed, refused, sending, unknown, unsent};
pub use by_hand::{Decided, Resolution, approve, fail, reject, resolve};
pub use day::{Day, days};
pub use due::{
    claim_due, expire, hold_again, later, look_up_again, note_lookup, open_counts, overdue, park,
    park_at_once,
};
pub use matched::{any, any_unidentified, change, lock, named, past_attempts_named, unidentified};
pub use place::{Made, NewOrder, NextAttempt, make, reply, retry};
pub use steps::{Step, all_steps, ask_step, step_gave, steps};

/// Who changes an order, and what it is that happens: for the audit.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub actor: &'a str,
    pub what: &'a str,
}

/// A claim on an order: nobody else works on it for `time`.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub owner: &'a str,
    pub token: Uuid,
    pub time: Duration,
}

/// A transaction that is durable when it has committed, whatever the server's default.
pub async fn begin(pool: &PgPool, act: Act<'_>) -> Result<Transaction<'static, Postgres>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    says(&mut transaction, act).await?;
    Ok(transaction)
}

/// Says, until the transaction ends, who changes orders; what it commits is then durable.
async fn says(connection: &mut PgConnection, act: Act<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "select set_config('synchronous_commit', 'on', true) as synchronous,
                set_config('tributary.actor', $1, true) as actor, set_config('tributary.what', $2, true) as what",
        act.actor,
        act.what
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Makes one change of orders, durably and with its entry in the audit; gives how many it changed.
async fn change_order(
    pool: &PgPool,
    act: Act<'_>,
    change: Query<'_, Postgres, PgArguments>,
) -> Result<u64, StoreError> {
    let mut transaction = begin(pool, act).await?;
    let changed = change.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(changed.rows_affected())
}

/// Has whoever else sends or orders of the asset wait until the transaction ends: two orders cannot
/// both take the last room of a day.
async fn lock_day(connection: &mut PgConnection, provider: &str, asset: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('payments/' || $1 || '/' || $2, 7406))::text",
        provider,
        asset
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Why an order that waited for so long has to be approved (again).
fn expired(after: Duration) -> String {
    let seconds = after.as_secs();
    format!("pay.expire_after: it was not sent within {seconds} s, and no approval from before counts")
}

/// The order as the transaction has made it.
async fn fetch(
    transaction: &mut Transaction<'_, Postgres>,
    id: Option<Uuid>,
) -> Result<Option<Order>, StoreError> {
    let order = order_query!("select", "from payment_orders o where o.id = $1", id)
        .fetch_optional(&mut **transaction)
        .await?;
    order.map(Order::try_from).transpose()
}

/// The order of an idempotency key.
pub async fn find(
    pool: &PgPool,
    provider: &ProviderName,
    kind: PaymentKind,
    idempotency_key: &str,
) -> Result<Option<Order>, StoreError> {
    let order = order_query!(
        "select",
        "from payment_orders o where o.provider = $1 and o.kind = $2 and o.idempotency_key = $3",
        provider.as_str(),
        kind.as_str(),
        idempotency_key
    )
    .fetch_optional(pool)
    .await?;
    order.map(Order::try_from).transpose()
}

pub async fn get(pool: &PgPool, id: Uuid) -> Result<Option<Order>, StoreError> {
    let order =
        order_query!("select", "from payment_orders o where o.id = $1", id).fetch_optional(pool).await?;
    order.map(Order::try_from).transpose()
}

/// The orders of `states` (of any, if there are none), newest first.
pub async fn list(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    states: &[OrderState],
    limit: u32,
) -> Result<Vec<Order>, StoreError> {
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let orders = order_query!(
        "select",
        "from payment_orders o
         where ($1::text is null or o.provider = $1) and (cardinality($2::text[]) = 0 or o.state = any ($2))
         order by o.created_at desc limit $3",
        provider.map(ProviderName::as_str),
        &states as _,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await?;
    orders.into_iter().map(Order::try_from).collect()
}

/// The orders of this idempotency key: of several providers, or a payout and a transfer.
pub async fn of_idempotency_key(pool: &PgPool, idempotency_key: &str) -> Result<Vec<Order>, StoreError> {
    let orders = order_query!(
        "select",
        "from payment_orders o where o.idempotency_key = $1 order by o.created_at",
        idempotency_key
    )
    .fetch_all(pool)
    .await?;
    orders.into_iter().map(Order::try_from).collect()
}
