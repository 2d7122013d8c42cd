//! Takes orders: what is new is recorded and sent, what was ordered before is answered as it is now.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::executor::{Executor, Payer, Route, Settings};
use super::points::Point;
use super::{OrderRequest, follow, provider_key, view};
use crate::store::payment_orders::{self, Made, NewOrder, NextAttempt, Order};
use crate::store::payment_refusals::{self, Refusal};
use crate::store::{StoreError, accounts, database};
use tributary_domain::{OrderState, PaymentKind, ProviderName};

/// What a request to pay is answered with.
#[derive(Debug)]
pub enum Placed {
    Order(Box<Order>),
    /// Another request is waiting for the outcome of the same order.
    Busy,
    Refused(RefusedOrder),
}

/// Why nothing is paid: nothing was sent for this request, and nothing will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedOrder {
    /// Of HTTP.
    pub status: u16,
    pub title: &'static str,
    pub detail: String,
}

/// What ends the taking of an order early.
#[derive(Debug)]
enum NotPlaced {
    Refused(RefusedOrder),
    Store(StoreError),
}

impl From<StoreError> for NotPlaced {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl NotPlaced {
    fn invalid(detail: String) -> Self {
        Self::Refused(RefusedOrder { status: 400, title: "Invalid request", detail })
    }

    fn not_found(detail: String) -> Self {
        Self::Refused(RefusedOrder { status: 404, title: "Not found", detail })
    }

    fn too_much(sum: &str) -> Self {
        Self::invalid(format!(
            "payments.limits: with {sum} ordered today already, it exceeds the limit of a day"
        ))
    }
}

/// Takes and carries out orders. Cheap to clone.
#[derive(Clone)]
pub struct Payments(pub(super) Arc<Executor>);

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payments").field("owner", &self.0.owner).finish_non_exhaustive()
    }
}

impl Payments {
    /// Of the providers that are pulled; `owner` names this process among those that share the
    /// work.
    pub fn new(
        pool: PgPool,
        owner: String,
        payers: HashMap<ProviderName, Payer>,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Executor { pool, owner, payers, settings, tasks: TaskTracker::new() }))
    }

    /// Waits until every request that is under way has ended and was kept.
    pub async fn drained(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Takes the `body` of a request to pay, which the API key `placed_by` makes. Whatever is refused is kept for the operator.
    pub async fn place(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        body: &[u8],
        placed_by: &str,
    ) -> Result<Placed, StoreError> {
        let request = OrderRequest::parse(body);
        let idempotency_key = match &request {
            Ok(request) => Some(request.idempotency_key.clone()),
            Err(invalid) => invalid.idempotency_key.clone(),
        };
        let placed = match (self.0.route(provider, kind), request) {
            (None, _) => Err(NotPlaced::Refused(RefusedOrder {
                status: 501,
                title: "Not implemented",
                detail: format!("the manifest of provider {provider} has no section `{}`", kind.section()),
            })),
            (_, Err(invalid)) if invalid.no_such_account => Err(NotPlaced::not_found(invalid.detail)),
            (_, Err(invalid)) => Err(NotPlaced::invalid(invalid.detail)),
            (Some(route), Ok(request)) => {
                Intake { executor: &self.0, route, request, placed_by }.place().await
            }
        };
        let refused = match placed {
            Ok(placed) => return Ok(placed),
            Err(NotPlaced::Store(error)) => return Err(error),
            Err(NotPlaced::Refused(refused)) => refused,
        };
        let RefusedOrder { status, title, detail } = &refused;
        let refusal = Refusal {
            provider,
            kind,
            idempotency_key: idempotency_key.as_deref(),
            status: *status,
            title,
            detail,
            body,
        };
        payment_refusals::keep(&self.0.pool, refusal).await?;
        tracing::warn!(%provider, %kind, status, detail, "a request to pay was refused");
        Ok(Placed::Refused(refused))
    }
}

/// An order that is being taken.
struct Intake<'a> {
    executor: &'a Arc<Executor>,
    route: Route<'a>,
    request: OrderRequest,
    placed_by: &'a str,
}

/// An order as it was made, and its request if it goes out at once.
type Begun = (Made, Option<JoinHandle<()>>);

impl Intake<'_> {
    async fn find(&self) -> Result<Option<Order>, StoreError> {
        let Route { provider, kind, .. } = self.route;
        payment_orders::find(&self.executor.pool, provider, kind, &self.request.idempotency_key).await
    }

    async fn place(&self) -> Result<Placed, NotPlaced> {
        if let Some(order) = self.find().await? {
            return self.place_again(order).await;
        }
        self.check().await?;
        let (made, sending) = self.make().await?;
        match made {
            Made::Order(order) => Ok(self.first_reply(&order, sending).await?),
            Made::TooMuch(sum) => Err(NotPlaced::too_much(&sum)),
            // another request was faster
            Made::Exists => match self.find().await? {
                Some(order) => self.place_again(order).await,
                None => Ok(Placed::Busy),
            },
        }
    }

    /// What can be found wrong before anything is recorded.
    async fn check(&self) -> Result<(), NotPlaced> {
        let Route { provider, kind, payer, api } = self.route;
        let (pool, request) = (&self.executor.pool, &self.request);
        let source = accounts::find_account(pool, provider, request.source.as_str()).await?;
        let source = source.ok_or_else(|| {
            NotPlaced::not_found(format!(
                "sourceAccountId: there is no account {:?}",
                request.source.as_str()
            ))
        })?;
        let destination = view::find_destination(pool, provider, kind, request.destination.as_str()).await?;
        let destination = destination.ok_or_else(|| {
            let id = request.destination.as_str();
            NotPlaced::not_found(format!("destinationAccountId: there is no account or beneficiary {id:?}"))
        })?;
        if request.source == request.destination {
            return Err(NotPlaced::invalid("destinationAccountId: is the account that pays".to_owned()));
        }
        payer
            .policy
            .check(&request.asset, request.amount, request.source.as_str())
            .map_err(NotPlaced::invalid)?;
        let order = json!({
            "key": self.provider_key(1), "idempotencyKey": request.idempotency_key, "attempt": 1,
            "amount": request.amount.to_string(), "currency": request.asset.as_str(),
            "description": request.description, "metadata": request.metadata.as_map(),
            "source": view::party(&source, "account"),
            "destination": view::party(&destination.0, destination.1),
        });
        api.prepare(&order)
            .await
            .map_err(|why| NotPlaced::invalid(format!("it cannot be ordered at the provider: {why}")))?;
        Ok(())
    }

    fn provider_key(&self, attempt: i32) -> String {
        let Route { provider, kind, api, .. } = self.route;
        provider_key::derive(api.provider_key(), provider, kind, &self.request.idempotency_key, attempt)
    }

    fn approvals(&self) -> u8 {
        self.route.payer.policy.approvals(&self.request.asset, self.request.amount)
    }

    fn per_day(&self) -> Option<String> {
        self.route.payer.policy.per_day(&self.request.asset).map(|most| most.to_string())
    }

    /// Records the order and begins to send it, whether the caller stays to hear of it or not.
    async fn make(&self) -> Result<Begun, StoreError> {
        let Route { kind, api, .. } = self.route;
        let (executor, api) = (Arc::clone(self.executor), api.clone());
        let (provider, request) = (self.route.provider.clone(), self.request.clone());
        let (provider_key, approvals, per_day) = (self.provider_key(1), self.approvals(), self.per_day());
        let placed_by = self.placed_by.to_owned();
        let task = self.executor.tasks.spawn(async move {
            let amount = request.amount.to_string();
            let metadata = json!(request.metadata.as_map());
            let order = NewOrder {
                id: Uuid::now_v7(),
                provider: &provider,
                kind,
                idempotency_key: &request.idempotency_key,
                fingerprint: &request.fingerprint(),
                asset: request.asset.as_str(),
                amount: &amount,
                source_account_id: request.source.as_str(),
                destination_account_id: request.destination.as_str(),
                description: request.description.as_deref(),
                metadata: &metadata,
                provider_key: &provider_key,
                placed_by: &placed_by,
                approvals,
                wait: executor.settings.wait,
                per_day: per_day.as_deref(),
            };
            let claim = executor.claim(&api, Uuid::new_v4());
            let made = payment_orders::make(&executor.pool, &order, claim).await?;
            let token = claim.token;
            Ok(begin(&executor, made, token).await)
        });
        task.await.map_err(|_| lost())?
    }

    /// An order of this idempotency key is there already.
    async fn place_again(&self, order: Order) -> Result<Placed, NotPlaced> {
        if order.fingerprint != self.request.fingerprint() {
            let detail =
                format!("idempotencyKey: {:?} was used for another order", self.request.idempotency_key);
            return Err(NotPlaced::Refused(RefusedOrder {
                status: 422,
                title: "Idempotency key used before",
                detail,
            }));
        }
        let id = order.id;
        if order.state == OrderState::Failed
            && self.is_persons_wish(&order)
            && self.may_try_anew(&order).await?
        {
            let (made, sending) = self.try_anew(order).await?;
            match made {
                Made::Order(order) => return Ok(self.first_reply(&order, sending).await?),
                Made::TooMuch(sum) => return Err(NotPlaced::too_much(&sum)),
                Made::Exists => {}
            }
        }
        let reply = payment_orders::reply(&self.executor.pool, id, false, &self.executor.owner).await?;
        Ok(reply.map_or(Placed::Busy, |order| Placed::Order(Box::new(order))))
    }

    /// Whether a request that repeats a refused order comes late enough to be a person's Retry.
    fn is_persons_wish(&self, order: &Order) -> bool {
        let last_answered = order.replied_at.unwrap_or(order.status_at);
        (order.now - last_answered).to_std().unwrap_or_default() >= self.route.payer.policy.guard
    }

    /// Whether a refused order can be tried anew; where it cannot, the refusal stands.
    async fn may_try_anew(&self, order: &Order) -> Result<bool, StoreError> {
        match self.check().await {
            Ok(()) => Ok(true),
            Err(NotPlaced::Store(error)) => Err(error),
            Err(NotPlaced::Refused(RefusedOrder { detail, .. })) => {
                tracing::warn!(provider = %self.route.provider, order = %order.id, detail,
                    "a refused order cannot be retried");
                Ok(false)
            }
        }
    }

    /// Begins another attempt of a refused order.
    async fn try_anew(&self, order: Order) -> Result<Begun, StoreError> {
        let (executor, api) = (Arc::clone(self.executor), self.route.api.clone());
        let provider_key = self.provider_key(order.attempt.saturating_add(1));
        let (approvals, per_day) = (self.approvals(), self.per_day());
        let retried_by = self.placed_by.to_owned();
        let guard = self.route.payer.policy.guard;
        let task = self.executor.tasks.spawn(async move {
            let claim = executor.claim(&api, Uuid::new_v4());
            let again = NextAttempt {
                provider_key: &provider_key,
                retried_by: &retried_by,
                approvals,
                guard,
                wait: executor.settings.wait,
                per_day: per_day.as_deref(),
            };
            let made = payment_orders::retry(&executor.pool, &order, again, claim).await?;
            let token = claim.token;
            Ok(begin(&executor, made, token).await)
        });
        task.await.map_err(|_| lost())?
    }

    /// The answer to the request that began an attempt: the outcome if it is known in time.
    async fn first_reply(
        &self,
        order: &Order,
        sending: Option<JoinHandle<()>>,
    ) -> Result<Placed, StoreError> {
        if let Some(sending) = sending {
            // it goes on when nobody waits any more
            let _ = tokio::time::timeout(self.executor.settings.wait, sending).await;
        }
        self.executor.at(Point::Kept).await;
        let reply = payment_orders::reply(&self.executor.pool, order.id, true, &self.executor.owner).await?;
        Ok(reply.map_or(Placed::Busy, |order| Placed::Order(Box::new(order))))
    }
}

/// Begins to send what was recorded, unless it waits for an approval.
async fn begin(executor: &Arc<Executor>, made: Made, token: Uuid) -> Begun {
    executor.at(Point::Recorded).await;
    let sending = match &made {
        Made::Order(order) if order.state == OrderState::Recorded => {
            let (executor, order) = (Arc::clone(executor), order.clone());
            Some(executor.clone().tasks.spawn(async move {
                if let Err(error) = follow::go_on(&executor, &order, token).await {
                    tracing::error!(order = %order.id, %error, "cannot continue with a payment; it is taken up again when its claim ends");
                }
            }))
        }
        _ => None,
    };
    (made, sending)
}

/// The task that recorded the order is gone: whether it did is not known, and the same request
/// again will find out.
fn lost() -> StoreError {
    database::worker_gone()
}
