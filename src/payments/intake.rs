//! Takes orders: what is new is recorded and sent, what was ordered before is answered as it is now.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::executor::{Executor, Payer, Route, Settings};
use super::placed::{NotPlaced, Placed, RefusedOrder};
use super::points::Point;
use super::view::{self, Parties};
use super::{AssetLimit, OrderRequest, PaymentSecret, follow, provider_key};
use crate::store::database::{self, soon};
use crate::store::payment_orders::{self, Made, NewOrder, NextAttempt, Order};
use crate::store::payment_refusals::{self, Refusal};
use crate::store::{StoreError, accounts};
use tributary_domain::{OrderState, PaymentKind, ProviderName};
use tributary_manifest::NotPrepared;

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
    /// work. Without a `secret` nothing new is ordered.
    pub fn new(
        pool: PgPool,
        owner: String,
        payers: HashMap<ProviderName, Payer>,
        secret: Option<PaymentSecret>,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Executor { pool, owner, payers, secret, settings, tasks: TaskTracker::new() }))
    }

    /// Whether a provider file says how this kind is paid at the provider, so that open orders go on.
    pub fn carry_on(&self, provider: &ProviderName, kind: PaymentKind) -> bool {
        self.0.route(provider, kind).is_some()
    }

    /// What may be paid of each asset, by provider, as the files say.
    pub fn limits(&self) -> impl Iterator<Item = (&ProviderName, &str, &AssetLimit)> {
        self.0.payers.iter().flat_map(|(provider, payer)| {
            payer.policy.limits.iter().map(move |(asset, limit)| (provider, asset.as_str(), limit))
        })
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
        let placed = match (open(&self.0, provider, kind), request) {
            (Err(stop), Err(_)) => Err(stop),
            (Ok(_), Err(invalid)) if invalid.no_such_account => Err(NotPlaced::not_found(invalid.detail)),
            (Ok(_), Err(invalid)) => Err(NotPlaced::invalid(invalid.detail)),
            (Err(stop), Ok(request)) => tell(&self.0, provider, kind, &request, stop).await,
            (Ok((route, secret)), Ok(request)) => {
                let span = tributary_traces::place_order(provider.as_str(), kind.as_str());
                let intake = Intake { executor: &self.0, route, secret, request, placed_by };
                // boxed: compilers refuse futures that are nested too deeply
                Box::pin(intake.place()).instrument(span).await
            }
        };
        let refused = match placed {
            Ok(placed) => return Ok(placed),
            Err(NotPlaced::Store(error)) => return Err(error),
            Err(NotPlaced::Unavailable(why)) => {
                tracing::error!(%provider, %kind, why, "a request to pay cannot be taken now");
                return Ok(Placed::Unavailable(why));
            }
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
        soon(payment_refusals::keep(&self.0.pool, refusal)).await?;
        tracing::warn!(%provider, %kind, status, detail, "a request to pay was refused");
        Ok(Placed::Refused(refused))
    }
}

/// How `kind` is ordered at the provider, and the secret of its keys, where anything may be ordered.
/// What is not is final for Formance: an operator who enables it has the person press Retry.
fn open<'a>(
    executor: &'a Executor,
    provider: &'a ProviderName,
    kind: PaymentKind,
) -> Result<(Route<'a>, &'a PaymentSecret), NotPlaced> {
    let section = kind.section();
    let refused = |detail| NotPlaced::Refused(RefusedOrder { status: 403, title: "Not enabled", detail });
    let route = executor.route(provider, kind);
    let route = route
        .ok_or_else(|| refused(format!("the manifest of provider {provider} has no section `{section}`")))?;
    if !route.payer.policy.is_on() {
        return Err(refused(format!(
            "{section} are off: the file of provider {provider} has no `pay.limits`. Write what may be \
             paid, in minor units, as in `pay: {{ limits: [{{ asset: GBP/2, per_payment: \"1000000\", \
             per_day: \"5000000\" }}] }}`"
        )));
    }
    let secret = executor.secret.as_ref();
    let secret =
        secret.ok_or_else(|| NotPlaced::Unavailable("this instance has no payment secret".to_owned()))?;
    Ok((route, secret))
}

/// Where nothing new is ordered, for want of what `stop` says: what was ordered before is told as it
/// is. Money may have moved for it.
async fn tell(
    executor: &Executor,
    provider: &ProviderName,
    kind: PaymentKind,
    request: &OrderRequest,
    stop: NotPlaced,
) -> Result<Placed, NotPlaced> {
    let found = soon(payment_orders::find(&executor.pool, provider, kind, &request.idempotency_key));
    match found.await? {
        Some(order) => tell_of(executor, &order, request).await,
        None => Err(stop),
    }
}

/// Tells of an order of this key that is there already.
async fn tell_of(executor: &Executor, order: &Order, request: &OrderRequest) -> Result<Placed, NotPlaced> {
    if order.fingerprint != request.fingerprint() {
        let detail = format!("idempotencyKey: {:?} was used for another order", request.idempotency_key);
        return Err(NotPlaced::Refused(RefusedOrder {
            status: 422,
            title: "Idempotency key used before",
            detail,
        }));
    }
    let reply = soon(payment_orders::reply(&executor.pool, order.id, false, &executor.owner)).await?;
    Ok(reply.map_or(Placed::Busy, |order| Placed::Order(Box::new(order))))
}

/// An order that is being taken.
struct Intake<'a> {
    executor: &'a Arc<Executor>,
    route: Route<'a>,
    secret: &'a PaymentSecret,
    request: OrderRequest,
    placed_by: &'a str,
}

/// What is recorded of an attempt: the provider's key, and the request that is sent under it.
struct Attempt {
    provider_key: String,
    request: Value,
}

/// An order as it was made, and its request if it goes out at once.
type Begun = (Made, Option<JoinHandle<()>>);

impl Intake<'_> {
    async fn find(&self) -> Result<Option<Order>, StoreError> {
        let Route { provider, kind, .. } = self.route;
        soon(payment_orders::find(&self.executor.pool, provider, kind, &self.request.idempotency_key)).await
    }

    async fn place(&self) -> Result<Placed, NotPlaced> {
        if let Some(order) = self.find().await? {
            return self.place_again(order).await;
        }
        let attempt = self.check(1).await?;
        let (made, sending) = self.make(attempt).await?;
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

    /// What can be found wrong before anything is recorded; gives what is to be recorded of the
    /// attempt of this number.
    async fn check(&self, attempt: i32) -> Result<Attempt, NotPlaced> {
        let Route { provider, kind, payer, api } = self.route;
        let (pool, request) = (&self.executor.pool, &self.request);
        let source = soon(accounts::find_account(pool, provider, request.source.as_str())).await?;
        let source = source.ok_or_else(|| {
            NotPlaced::not_found(format!(
                "sourceAccountId: there is no account {:?}",
                request.source.as_str()
            ))
        })?;
        let destination =
            soon(view::find_destination(pool, provider, kind, request.destination.as_str())).await?;
        let destination = destination.ok_or_else(|| {
            let id = request.destination.as_str();
            NotPlaced::not_found(format!("destinationAccountId: there is no account or beneficiary {id:?}"))
        })?;
        if request.source == request.destination {
            return Err(NotPlaced::invalid("destinationAccountId: is the account that pays".to_owned()));
        }
        let source_id = request.source.as_str();
        payer.policy.check(request.asset.as_str(), request.amount, source_id).map_err(NotPlaced::invalid)?;
        let provider_key = provider_key::derive(
            self.secret,
            api.provider_key(),
            provider,
            kind,
            &request.idempotency_key,
            attempt,
        );
        let (destination, destination_is) = destination;
        let parties = Parties { source, destination, destination_is };
        let prepared = api.prepare(&view::of_request(request, &parties, &provider_key, attempt)).await;
        match prepared {
            Ok(request) => Ok(Attempt { provider_key, request }),
            Err(NotPrepared::Refused(why)) => {
                Err(NotPlaced::invalid(format!("it cannot be ordered at the provider: {why}")))
            }
            // no word about the order: it is to come again
            Err(NotPrepared::Busy(why)) => Err(NotPlaced::Unavailable(why)),
        }
    }

    fn approvals(&self) -> u8 {
        self.route.payer.policy.approvals(self.request.asset.as_str(), self.request.amount)
    }

    fn per_day(&self) -> Option<String> {
        self.route.payer.policy.per_day(self.request.asset.as_str()).map(|most| most.to_string())
    }

    /// Records the order and begins to send it, whether the caller stays to hear of it or not.
    async fn make(&self, attempt: Attempt) -> Result<Begun, StoreError> {
        let Route { kind, api, .. } = self.route;
        let (executor, api) = (Arc::clone(self.executor), api.clone());
        let (provider, request) = (self.route.provider.clone(), self.request.clone());
        let (approvals, per_day) = (self.approvals(), self.per_day());
        let (placed_by, trace) = (self.placed_by.to_owned(), tributary_traces::current());
        let task = self.executor.tasks.spawn(tributary_traces::carried(async move {
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
                provider_key: &attempt.provider_key,
                request: &attempt.request,
                placed_by: &placed_by,
                approvals,
                wait: executor.settings.wait,
                per_day: per_day.as_deref(),
                trace: trace.as_deref(),
            };
            let claim = executor.claim(&api, Uuid::new_v4());
            let made = soon(payment_orders::make(&executor.pool, &order, claim)).await?;
            let token = claim.token;
            Ok(begin(&executor, made, token).await)
        }));
        task.await.map_err(|_| lost())?
    }

    /// An order of this key is there already.
    async fn place_again(&self, order: Order) -> Result<Placed, NotPlaced> {
        let same = order.fingerprint == self.request.fingerprint();
        if same
            && order.state == OrderState::Failed
            && self.is_persons_wish(&order)
            && let Some(attempt) = self.another_attempt(&order).await?
        {
            let (made, sending) = self.try_anew(&order, attempt).await?;
            match made {
                Made::Order(order) => return Ok(self.first_reply(&order, sending).await?),
                Made::TooMuch(sum) => return Err(NotPlaced::too_much(&sum)),
                Made::Exists => {}
            }
        }
        tell_of(self.executor, &order, &self.request).await
    }

    /// Whether a request that repeats a refused order comes late enough to be a person's Retry.
    fn is_persons_wish(&self, order: &Order) -> bool {
        let last_answered = order.replied_at.unwrap_or(order.status_at);
        (order.now - last_answered).to_std().unwrap_or_default() >= self.route.payer.policy.guard
    }

    /// What is recorded where a refused order is tried anew; where it cannot be, the refusal stands.
    async fn another_attempt(&self, order: &Order) -> Result<Option<Attempt>, NotPlaced> {
        match self.check(order.attempt.saturating_add(1)).await {
            Ok(attempt) => Ok(Some(attempt)),
            Err(NotPlaced::Refused(RefusedOrder { detail, .. })) => {
                tracing::warn!(provider = %self.route.provider, order = %order.id, detail,
                    "a refused order cannot be retried");
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Begins another attempt of a refused order.
    async fn try_anew(&self, order: &Order, attempt: Attempt) -> Result<Begun, StoreError> {
        let (executor, api, order) = (Arc::clone(self.executor), self.route.api.clone(), order.clone());
        let (approvals, per_day) = (self.approvals(), self.per_day());
        let (retried_by, trace) = (self.placed_by.to_owned(), tributary_traces::current());
        // this request is a story of its own, and says which one it goes on with
        tributary_traces::link_to(order.trace.as_deref());
        let guard = self.route.payer.policy.guard;
        let task = self.executor.tasks.spawn(tributary_traces::carried(async move {
            let claim = executor.claim(&api, Uuid::new_v4());
            let again = NextAttempt {
                provider_key: &attempt.provider_key,
                request: &attempt.request,
                retried_by: &retried_by,
                approvals,
                guard,
                wait: executor.settings.wait,
                per_day: per_day.as_deref(),
                trace: trace.as_deref(),
            };
            let made = soon(payment_orders::retry(&executor.pool, &order, again, claim)).await?;
            let token = claim.token;
            Ok(begin(&executor, made, token).await)
        }));
        task.await.map_err(|_| lost())?
    }

    /// The answer to the request that began an attempt: the outcome if it is known in time.
    async fn first_reply(
        &self,
        order: &Order,
        sending: Option<JoinHandle<()>>,
    ) -> Result<Placed, StoreError> {
        tributary_traces::placed(&order.id, order.attempt);
        if let Some(sending) = sending {
            // it goes on when nobody waits any more
            let _ = tokio::time::timeout(self.executor.settings.wait, sending).await;
        }
        self.executor.at(Point::Kept).await;
        let reply =
            soon(payment_orders::reply(&self.executor.pool, order.id, true, &self.executor.owner)).await?;
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
