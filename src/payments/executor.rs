//! What carrying orders out takes: who pays, how long things may take, and claims.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::PaymentSecret;
use super::points::{self, Point};
use super::policy::Policy;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Act, Claim, Order};
use tributary_domain::{PaymentKind, ProviderName};
use tributary_manifest::{PaymentApi, PaymentApis};

/// What a claim has besides the time of a request.
const CLAIM_ROOM: Duration = Duration::from_secs(5);
/// What it has at least, however short claims are: else nothing would ever be sent.
const LEAST_ROOM: Duration = Duration::from_secs(2);
/// The longest pause before a request that was not sent is sent after all.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Who moves the money of a provider, and how much.
#[derive(Debug)]
pub struct Payer {
    pub apis: PaymentApis,
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

/// How one kind of payment is ordered at one provider.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    pub provider: &'a ProviderName,
    pub kind: PaymentKind,
    pub payer: &'a Payer,
    pub api: &'a PaymentApi,
}

/// What all that is done with orders has in common.
pub(super) struct Executor {
    pub pool: PgPool,
    /// Who claims, as others see it.
    pub owner: String,
    pub payers: HashMap<ProviderName, Payer>,
    /// What keys at providers are made with; without it nothing new is ordered.
    pub secret: Option<PaymentSecret>,
    pub settings: Settings,
    pub tasks: TaskTracker,
}

impl Executor {
    /// `None` where the provider's file does not say how to pay. What was ordered is carried on by
    /// it, whether anything new may be ordered or not.
    pub fn route<'a>(&'a self, provider: &'a ProviderName, kind: PaymentKind) -> Option<Route<'a>> {
        let payer = self.payers.get(provider)?;
        Some(Route { provider, kind, payer, api: payer.apis.of(kind)? })
    }

    /// Says that this point is reached.
    pub async fn at(&self, point: Point) {
        if let Some(hook) = &self.settings.at {
            hook(point).await;
        }
    }

    /// A claim under `token` on an order of `api`: longer than its request may take, and no longer
    /// than the orders of a dead instance should wait.
    pub fn claim(&self, api: &PaymentApi, token: Uuid) -> Claim<'_> {
        let time = (api.timeout() * 2 + CLAIM_ROOM).min(self.settings.claim).max(api.timeout() + LEAST_ROOM);
        Claim { owner: &self.owner, token, time }
    }

    /// The pause before something is tried again that was tried `lookups` times.
    pub fn pause(&self, lookups: i32) -> Duration {
        (self.settings.pause * (1 << lookups.clamp(0, 9))).min(LONGEST_PAUSE)
    }

    /// Gives the claim of an order back; it is due again after `next`, or not of itself.
    pub async fn later(&self, order: &Order, token: Uuid, next: Option<Duration>) -> Result<(), StoreError> {
        let act = Act { actor: &self.owner, what: "next lookup scheduled" };
        soon(payment_orders::later(&self.pool, order.id, token, next, act)).await
    }

    /// Leaves the order to a person, loudly.
    pub async fn park(&self, order: &Order, token: Uuid, why: &str) -> Result<(), StoreError> {
        let act = Act { actor: &self.owner, what: "parked for a person" };
        if soon(payment_orders::park(&self.pool, order.id, token, why, act)).await? {
            self.alarm(order, why);
        }
        Ok(())
    }

    /// Says that the order was left to a person.
    pub fn alarm(&self, order: &Order, why: &str) {
        metrics::counter!("tributary_payment_alarms_total", "provider" => order.provider.to_string())
            .increment(1);
        tracing::error!(provider = %order.provider, order = %order.id, idempotency_key = order.idempotency_key, why,
            "a payment waits for a person's decision: see `tributary payouts show` and `resolve`");
    }
}
