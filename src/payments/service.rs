//! Takes orders: what is new is recorded and sent, what was ordered before is told as it is now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::points::{self, Point};
use super::policy::Policy;
use super::view::{find_destination, party};
use super::{OrderRequest, key};
use crate::domain::{PaymentKind, ProviderName};
use crate::provider::{Connection, PaymentApi};
use crate::store::accounts;
use crate::store::payment_orders::{self, Again, Claim, Made, NewOrder, Order};
use crate::store::payment_refusals::{self, Refusal};
use crate::store::{StoreError, database};

/// Who moves the money of a provider, and how much.
#[derive(Debug)]
pub struct Payer {
    pub connection: Arc<Connection>,
    pub policy: Policy,
}

/// How long things take.
#[derive(Clone)]
pub struct Settings {
    /// How long a request waits for the outcome; Formance gives up after 10 s.
    pub wait: Duration,
    /// How long a claim on an order holds at most: longer than any request may take.
    pub claim: Duration,
    /// How often is looked for what is due.
    pub tick: Duration,
    /// The first pause before something is tried or looked at again; it doubles.
    pub pause: Duration,
    /// Called at each point at which a process may die.
    pub at: Option<Arc<dyn Fn(Point) -> BoxFuture<'static, ()> + Send + Sync>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(7),
            claim: Duration::from_secs(125),
            tick: Duration::from_secs(1),
            pause: Duration::from_secs(1),
            at: points::from_environment(),
        }
    }
}

/// What a request to pay is answered with.
#[derive(Debug)]
pub enum Placed {
    Order(Box<Order>),
    /// Another request is waiting for the outcome of the same order.
    Busy,
    Refused {
        status: u16,
        title: &'static str,
        detail: String,
    },
}

/// Takes and carries out orders. Cheap to clone.
#[derive(Clone)]
pub struct Payments(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub pool: PgPool,
    /// Who claims, as others see it.
    pub owner: String,
    pub payers: HashMap<ProviderName, Payer>,
    pub settings: Settings,
    pub tasks: TaskTracker,
}

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
        Self(Arc::new(Inner { pool, owner, payers, settings, tasks: TaskTracker::new() }))
    }

    /// Waits until every request that is under way has ended and was kept.
    pub async fn settled(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Takes the `body` of a request to pay. Whatever is refused is kept for the operator.
    pub async fn place(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        body: &[u8],
    ) -> Result<Placed, StoreError> {
        let request = OrderRequest::parse(body);
        let key = match &request {
            Ok(request) => Some(request.idempotency_key.clone()),
            Err(invalid) => invalid.idempotency_key.clone(),
        };
        let placed = match (self.payer(provider, kind), request) {
            (None, _) => refuse(
                501,
                "Not implemented",
                format!("the manifest of provider {provider} has no section `{}`", kind.section()),
            ),
            (_, Err(invalid)) => refuse(400, "Invalid request", invalid.detail),
            (Some((payer, api)), Ok(request)) => {
                self.place_order(provider, kind, payer, api, request).await?
            }
        };
        if let Placed::Refused { status, title, detail } = &placed {
            let idempotency_key = key.as_deref();
            let refusal = Refusal { provider, kind, idempotency_key, status: *status, title, detail, body };
            payment_refusals::keep(&self.0.pool, refusal).await?;
            tracing::warn!(%provider, %kind, status, detail, "a request to pay was refused");
        }
        Ok(placed)
    }

    fn payer(&self, provider: &ProviderName, kind: PaymentKind) -> Option<(&Payer, &Arc<PaymentApi>)> {
        let payer = self.0.payers.get(provider)?;
        Some((payer, payer.connection.payment_api(kind)?))
    }

    async fn place_order(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        payer: &Payer,
        api: &Arc<PaymentApi>,
        request: OrderRequest,
    ) -> Result<Placed, StoreError> {
        let find = || payment_orders::find(&self.0.pool, provider, kind, &request.idempotency_key);
        if let Some(order) = find().await? {
            return self.place_again(provider, kind, payer, api, &request, order).await;
        }
        if let Err(refused) = self.check(provider, kind, payer, api, &request).await? {
            return Ok(refused);
        }
        let (made, sending) = self.make(provider, kind, payer, api, &request).await?;
        match made {
            Made::Order(order) => self.first_reply(&order, sending).await,
            Made::TooMuch(sum) => Ok(too_much(&sum)),
            // another request was faster
            Made::Exists => match find().await? {
                Some(order) => self.place_again(provider, kind, payer, api, &request, order).await,
                None => Ok(Placed::Busy),
            },
        }
    }

    /// What can be found wrong before anything is recorded.
    async fn check(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        payer: &Payer,
        api: &Arc<PaymentApi>,
        request: &OrderRequest,
    ) -> Result<Result<(), Placed>, StoreError> {
        let invalid = |detail| Ok(Err(refuse(400, "Invalid request", detail)));
        let pool = &self.0.pool;
        let Some(source) = accounts::find_account(pool, provider, request.source.as_str()).await? else {
            return invalid(format!("sourceAccountId: there is no account {:?}", request.source.as_str()));
        };
        let Some(destination) = find_destination(pool, provider, kind, request.destination.as_str()).await?
        else {
            let id = request.destination.as_str();
            return invalid(format!("destinationAccountId: there is no account or beneficiary {id:?}"));
        };
        if let Err(detail) = payer.policy.check(&request.asset, request.amount, request.source.as_str()) {
            return invalid(detail);
        }
        let provider_key = key::provider_key(&api.key, provider, kind, &request.idempotency_key, 1);
        let order = json!({
            "key": provider_key, "idempotencyKey": request.idempotency_key, "attempt": 1,
            "amount": request.amount.to_string(), "currency": request.asset.as_str(),
            "description": request.description, "metadata": request.metadata.as_map(),
            "source": party(&source, "account"), "destination": party(&destination.0, destination.1),
        });
        match payer.connection.prepare_payment(api, &order).await {
            Ok(_) => Ok(Ok(())),
            Err(why) => invalid(format!("it cannot be ordered at the provider: {why}")),
        }
    }

    /// Records the order and begins to send it, whether the caller stays to hear of it or not.
    async fn make(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        payer: &Payer,
        api: &Arc<PaymentApi>,
        request: &OrderRequest,
    ) -> Result<(Made, Option<JoinHandle<()>>), StoreError> {
        let (inner, provider, request) = (Arc::clone(&self.0), provider.clone(), request.clone());
        let api = Arc::clone(api);
        let provider_key = key::provider_key(&api.key, &provider, kind, &request.idempotency_key, 1);
        let held = payer.policy.needs_approval(&request.asset, request.amount);
        let per_day = payer.policy.per_day(&request.asset).map(|most| most.to_string());
        let task = self.0.tasks.spawn(async move {
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
                held,
                wait: inner.settings.wait,
                per_day: per_day.as_deref(),
            };
            let claim = inner.new_claim(&api);
            let made = payment_orders::make(&inner.pool, &order, claim).await?;
            inner.at(Point::Recorded).await;
            let sending = inner.begin(&made, claim.token);
            Ok((made, sending))
        });
        task.await.map_err(|_| lost())?
    }

    /// An order of this key is there already.
    async fn place_again(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        payer: &Payer,
        api: &Arc<PaymentApi>,
        request: &OrderRequest,
        order: Order,
    ) -> Result<Placed, StoreError> {
        if order.fingerprint != request.fingerprint() {
            return Ok(refuse(
                422,
                "Key used before",
                format!("idempotencyKey: {:?} was used for another order", request.idempotency_key),
            ));
        }
        if order.state == "failed" {
            let (made, sending) = self.try_anew(provider, kind, payer, api, request, order.clone()).await?;
            match made {
                Made::Order(order) => return self.first_reply(&order, sending).await,
                Made::TooMuch(sum) => return Ok(too_much(&sum)),
                Made::Exists => {}
            }
        }
        let told = payment_orders::reply(&self.0.pool, order.id, false, &self.0.owner).await?;
        Ok(told.map_or(Placed::Busy, |order| Placed::Order(Box::new(order))))
    }

    /// Begins another attempt of a refused order, if it is late enough to be a person's wish.
    async fn try_anew(
        &self,
        provider: &ProviderName,
        kind: PaymentKind,
        payer: &Payer,
        api: &Arc<PaymentApi>,
        request: &OrderRequest,
        order: Order,
    ) -> Result<(Made, Option<JoinHandle<()>>), StoreError> {
        let guard = payer.policy.guard;
        let last_told = order.replied_at.unwrap_or(order.status_at);
        if (order.now - last_told).to_std().unwrap_or_default() < guard {
            return Ok((Made::Exists, None));
        }
        if let Err(refused) = self.check(provider, kind, payer, api, request).await? {
            let Placed::Refused { detail, .. } = refused else { return Ok((Made::Exists, None)) };
            tracing::warn!(%provider, order = %order.id, detail, "a refused order cannot be tried anew");
            return Ok((Made::Exists, None));
        }
        let (inner, api) = (Arc::clone(&self.0), Arc::clone(api));
        let attempt = order.attempt.saturating_add(1);
        let provider_key = key::provider_key(&api.key, provider, kind, &order.idempotency_key, attempt);
        let held = payer.policy.needs_approval(&request.asset, request.amount);
        let per_day = payer.policy.per_day(&request.asset).map(|most| most.to_string());
        let task = self.0.tasks.spawn(async move {
            let claim = inner.new_claim(&api);
            let again = Again {
                provider_key: &provider_key,
                held,
                guard,
                wait: inner.settings.wait,
                per_day: per_day.as_deref(),
            };
            let made = payment_orders::retry(&inner.pool, &order, again, claim).await?;
            inner.at(Point::Recorded).await;
            let sending = inner.begin(&made, claim.token);
            Ok((made, sending))
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
            let _ = tokio::time::timeout(self.0.settings.wait, sending).await;
        }
        self.0.at(Point::Kept).await;
        let told = payment_orders::reply(&self.0.pool, order.id, true, &self.0.owner).await?;
        Ok(told.map_or(Placed::Busy, |order| Placed::Order(Box::new(order))))
    }
}

impl Inner {
    /// Says that this point is reached.
    pub async fn at(&self, point: Point) {
        if let Some(hook) = &self.settings.at {
            hook(point).await;
        }
    }

    /// A claim that nobody else has, on an order of `api`: longer than its request may take, and
    /// no longer than the orders of a dead instance should wait.
    pub fn new_claim(&self, api: &PaymentApi) -> Claim<'_> {
        let time = (api.timeout * 2 + CLAIM_ROOM).min(self.settings.claim).max(api.timeout + LEAST_ROOM);
        Claim { owner: &self.owner, token: Uuid::new_v4(), time }
    }

    fn begin(self: &Arc<Self>, made: &Made, token: Uuid) -> Option<JoinHandle<()>> {
        let Made::Order(order) = made else { return None };
        let (inner, order) = (Arc::clone(self), Order::clone(order));
        (order.state == "recorded")
            .then(|| self.tasks.spawn(async move { inner.attempt(&order, token).await }))
    }
}

/// What a claim has besides the time of a request.
const CLAIM_ROOM: Duration = Duration::from_secs(5);
/// What it has at least, however short claims are: else nothing would ever be sent.
const LEAST_ROOM: Duration = Duration::from_secs(2);
fn refuse(status: u16, title: &'static str, detail: String) -> Placed {
    Placed::Refused { status, title, detail }
}

fn too_much(sum: &str) -> Placed {
    let detail = format!("payments.limits: with {sum} ordered today already, it is more than a day may have");
    refuse(400, "Invalid request", detail)
}

/// The task that recorded the order is gone: whether it did is not known, and the same request
/// again will tell.
fn lost() -> StoreError {
    database::worker_gone()
}
