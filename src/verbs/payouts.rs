//! Payouts and transfers: seen, and decided about by persons.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Actor, Failure, On, Verb, begin, commit};
use crate::store::payment_audit::{self, Audited};
use crate::store::payment_orders::{self, Decided, Order, Resolution, Step};
use crate::store::payment_refusals::{self, KeptRefusal};
use crate::store::unmatched_records;
use tributary_domain::{OrderState, ProviderName};

/// An order as programs read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownOrder {
    pub id: Uuid,
    pub idempotency_key: String,
    pub provider: String,
    pub kind: String,
    /// In minor units, digit by digit.
    pub amount: String,
    pub asset: String,
    pub source_account_id: String,
    pub destination_account_id: String,
    pub description: Option<String>,
    pub metadata: Value,
    pub created_at: DateTime<Utc>,
    pub state: String,
    /// As served to Formance.
    pub status: String,
    pub status_at: DateTime<Utc>,
    pub reason: Option<String>,
    pub attempt: i32,
    pub tries: i32,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub provider_key: String,
    pub request: Value,
    pub provider_payment_id: Option<String>,
    pub provider_reference: Option<String>,
    pub placed_by: String,
    pub approvals_needed: i32,
    pub approved_by: Option<String>,
}

impl From<Order> for ShownOrder {
    fn from(order: Order) -> Self {
        Self {
            id: order.id,
            idempotency_key: order.idempotency_key,
            provider: order.provider.to_string(),
            kind: order.kind.to_string(),
            amount: order.amount.to_string(),
            asset: order.asset,
            source_account_id: order.source_account_id,
            destination_account_id: order.destination_account_id,
            description: order.description,
            metadata: order.metadata,
            created_at: order.created_at,
            state: order.state.to_string(),
            status: order.status.as_str().to_owned(),
            status_at: order.status_at,
            reason: order.reason,
            attempt: order.attempt,
            tries: order.tries,
            first_sent_at: order.first_sent_at,
            last_sent_at: order.last_sent_at,
            provider_key: order.provider_key,
            request: order.request,
            provider_payment_id: order.provider_payment_id,
            provider_reference: order.provider_reference,
            placed_by: order.placed_by,
            approvals_needed: order.approvals_needed,
            approved_by: order.approved_by,
        }
    }
}

/// Lists payouts and transfers, newest first; or requests that were refused.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Only those in one of these states, with commas between them; all that have not ended, if not given.
    #[schema(
        pattern = "^(recorded|held|sending|pending|succeeded|failed|unknown|parked)(,(recorded|held|sending|pending|succeeded|failed|unknown|parked))*$"
    )]
    pub states: Option<String>,
    /// Those that have ended, too.
    #[serde(default)]
    pub all: bool,
    /// Requests that were refused, instead of orders.
    #[serde(default)]
    pub refused: bool,
    /// How many at most: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

/// Orders, or refused requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub orders: Vec<ShownOrder>,
    pub refused: Vec<KeptRefusal>,
    /// How many records wait until it is known whether they belong to an order.
    pub unmatched: u64,
}

impl Verb for List {
    const NAME: &'static str = "payouts list";
    type Answer = Listed;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Listed, Failure> {
        let (provider, limit) = (self.provider.as_ref(), self.limit.unwrap_or(50));
        if self.refused {
            let refused = payment_refusals::list(on.pool, provider, limit).await?;
            return Ok(Listed { orders: Vec::new(), refused, unmatched: 0 });
        }
        let named = self.states.iter().flat_map(|states| states.split(','));
        let mut states: Vec<OrderState> =
            named.map(str::parse).collect::<Result<_, _>>().map_err(Failure::Invalid)?;
        if states.is_empty() && !self.all {
            states.extend(OrderState::ALL.into_iter().filter(|state| !state.has_ended()));
        }
        let orders = payment_orders::list(on.pool, provider, &states, limit).await?;
        let unmatched = unmatched_records::count(on.pool, provider).await?.max(0).unsigned_abs();
        let orders = orders.into_iter().map(ShownOrder::from).collect();
        Ok(Listed { orders, refused: Vec::new(), unmatched })
    }
}

/// Shows an order and its history.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// The order's id, or its idempotency key.
    pub order: String,
}

/// An order with its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    #[serde(flatten)]
    pub order: ShownOrder,
    /// Every change, oldest first; none where the login of the database may not read the audit, as that of the service.
    pub audit: Option<Vec<Audited>>,
    pub steps: Vec<Step>,
}

impl Verb for Show {
    const NAME: &'static str = "payouts show";
    type Answer = History;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<History, Failure> {
        let order = find(on, &self.order).await?;
        let audit = payment_audit::of_order(on.pool, order.id, actor.proof()).await?;
        let steps = payment_orders::all_steps(on.pool, &order).await?;
        Ok(History { order: order.into(), audit, steps })
    }
}

/// The order of an id or an idempotency key.
async fn find(on: On<'_>, order: &str) -> Result<Order, Failure> {
    let mut found = match Uuid::try_parse(order) {
        Ok(id) => payment_orders::get(on.pool, id).await?.into_iter().collect(),
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        found = payment_orders::of_idempotency_key(on.pool, order).await?;
    }
    match found.len() {
        0 => Err(Failure::NotFound(format!(
            "there is no order {order:?}; `tributary payouts list --all` shows what there is"
        ))),
        1 => Ok(found.swap_remove(0)),
        several => {
            let which = |order: &Order| format!("{} ({} of {})", order.id, order.kind, order.provider);
            let which = found.iter().map(which).collect::<Vec<_>>().join(", ");
            Err(Failure::Refused(format!(
                "{several} orders have the idempotency key {order:?}: give the id of one: {which}"
            )))
        }
    }
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// In a sentence.
    pub said: String,
    /// The order's id, and its state then.
    pub order: Uuid,
    pub state: String,
}

/// Approves an order that is held. It is sent when as many persons have approved it as its provider's file asks for;
/// whoever placed it is none of them.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The order's id, or its idempotency key.
    pub order: String,
}

impl Verb for Approve {
    const NAME: &'static str = "payouts approve";
    type Answer = Decision;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Decision, Failure> {
        let id = find(on, &self.order).await?.id;
        let mut transaction = begin(on, actor).await?;
        let decided = payment_orders::approve(&mut *transaction, id).await.map_err(|error| {
            match error.broke("payment_approvals_pkey") {
                true => Failure::Refused(format!("{id}: you have approved it already")),
                false => error.into(),
            }
        })?;
        let decided = decided.ok_or_else(|| gone(id))?;
        commit(transaction, actor, (Self::NAME, &id.to_string(), json!({}))).await?;
        let Decided { state, agreed, needed } = decided;
        let said = match state {
            OrderState::Held => format!("{id} is approved by {agreed} of {needed} persons"),
            _ => format!("{id} is sent within a second, if an instance of `tributary serve` runs"),
        };
        Ok(Decision { said, order: id, state: state.to_string() })
    }
}

fn gone(id: Uuid) -> Failure {
    Failure::NotFound(format!("there is no order {id} any more"))
}

/// Why something failed, which must not be empty.
fn reason(text: &str) -> Result<&str, Failure> {
    // blanks as the description of the API has them
    match text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        true => Err(Failure::Invalid("say why, for the person who ordered it".to_owned())),
        false => Ok(text),
    }
}

/// Fails an order that is held, or that was never sent (the provider does not process it, or cannot be reached). No money
/// moves.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// The order's id, or its idempotency key.
    pub order: String,
    /// Why, for the person who ordered it.
    #[schema(pattern = "[^ \\t\\r\\n]")]
    pub reason: String,
}

impl Verb for Reject {
    const NAME: &'static str = "payouts reject";
    type Answer = Decision;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Decision, Failure> {
        let why = reason(&self.reason)?;
        let order = find(on, &self.order).await?;
        let id = order.id;
        let mut transaction = begin(on, actor).await?;
        if !payment_orders::reject(&mut *transaction, id, why).await? {
            return Err(Failure::Refused(match order.state {
                OrderState::Recorded => {
                    format!("{id} is being sent at this moment: try again in a few seconds")
                }
                state => {
                    format!("{id} is {state}: it can only be rejected while it is held or was never sent")
                }
            }));
        }
        commit(transaction, actor, (Self::NAME, &id.to_string(), json!({}))).await?;
        let state = OrderState::Failed.to_string();
        Ok(Decision { said: format!("{id} has failed"), order: id, state })
    }
}

/// What became of an order that is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The money moved.
    Succeeded,
    /// No money moved, and none will: the person who ordered it may try again.
    Failed,
    /// Look for it at the provider again.
    Look,
}

/// Decides what became of an order that is parked.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// The order's id, or its idempotency key.
    pub order: String,
    /// What became of it.
    #[schema(value_type = String, pattern = "^(succeeded|failed|look)$")]
    pub outcome: Outcome,
    /// The provider's id of the payment, if it succeeded: the provider's record of it is then known for this order, and
    /// not shown as another payment.
    pub payment_id: Option<String>,
    /// Why it failed, for the person who ordered it.
    pub reason: Option<String>,
}

impl Verb for Resolve {
    const NAME: &'static str = "payouts resolve";
    type Answer = Decision;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Decision, Failure> {
        let resolution = match (self.outcome, &self.reason, self.payment_id.as_deref()) {
            (Outcome::Succeeded | Outcome::Look, Some(_), _) => {
                return Err(Failure::Refused("--reason is for --outcome failed".to_owned()));
            }
            (Outcome::Failed | Outcome::Look, _, Some(_)) => {
                return Err(Failure::Refused("--payment-id is for --outcome succeeded".to_owned()));
            }
            (Outcome::Succeeded, None, payment_id) => Resolution::Succeeded { payment_id },
            (Outcome::Look, None, None) => Resolution::Look,
            (Outcome::Failed, why, None) => {
                return self.as_failed(on, actor, reason(why.as_deref().unwrap_or_default())?).await;
            }
        };
        let order = find(on, &self.order).await?;
        let id = order.id;
        let mut transaction = begin(on, actor).await?;
        let resolved = payment_orders::resolve(&mut *transaction, id, resolution).await;
        let resolved = resolved.map_err(|error| match &self.payment_id {
            Some(payment) if error.broke("payment_orders_payment_idx") => {
                Failure::Refused(format!("{payment} is the payment of another order: nothing was changed"))
            }
            _ => error.into(),
        })?;
        if !resolved {
            return Err(Failure::Refused(format!("{id} is {} and not parked", order.state)));
        }
        commit(transaction, actor, (Self::NAME, &id.to_string(), json!({"outcome": self.outcome}))).await?;
        let state = match self.outcome {
            Outcome::Succeeded => OrderState::Succeeded,
            _ => OrderState::Unknown,
        };
        Ok(Decision { said: format!("{id} is resolved"), order: id, state: state.to_string() })
    }
}

impl Resolve {
    async fn as_failed(&self, on: On<'_>, actor: &Actor, why: &str) -> Result<Decision, Failure> {
        let id = find(on, &self.order).await?.id;
        let mut transaction = begin(on, actor).await?;
        let decided = payment_orders::fail(&mut *transaction, id, why).await.map_err(|error| match error
            .broke("payment_approvals_pkey")
        {
            true => Failure::Refused(format!("{id}: you have said so already, another person has to agree")),
            false => error.into(),
        })?;
        let Decided { state, agreed, needed } = decided.ok_or_else(|| gone(id))?;
        commit(transaction, actor, (Self::NAME, &id.to_string(), json!({"outcome": self.outcome}))).await?;
        let said = match state {
            OrderState::Failed => format!("{id} is resolved"),
            _ => format!(
                "{id} has failed for {agreed} of {needed} persons: another one has to say so, too, as it may be paid \
                 again then; or have it looked up (--outcome look), and say so again if it is not found"
            ),
        };
        Ok(Decision { said, order: id, state: state.to_string() })
    }
}
