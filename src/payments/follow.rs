//! Goes on with an order: sends what was not sent, finds out what became of a request, and follows
//! a payment until it has ended.

use std::time::Duration;

use tracing::Instrument as _;
use uuid::Uuid;

use super::elapsed::{after, left};
use super::executor::{Executor, Route};
use super::points::Point;
use super::{send, steps, view};
use crate::records;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Act, Order};
use tributary_domain::{OrderState, PaymentState};
use tributary_manifest::LookupOutcome;

/// How long a lookup may take: less than the claim for it lasts.
const LOOKUP_LIMIT: Duration = Duration::from_secs(20);
/// The longest pause between two lookups of an open payment.
const RAREST_LOOKUP: Duration = Duration::from_secs(6 * 3600);

/// An order at which something is due.
struct Due<'a> {
    executor: &'a Executor,
    route: Route<'a>,
    order: &'a Order,
    /// Of our claim on it.
    token: Uuid,
}

/// Does what is due at `order`, which is claimed under `token`.
pub(super) async fn go_on(executor: &Executor, order: &Order, token: Uuid) -> Result<(), StoreError> {
    let Some(route) = executor.route(&order.provider, order.kind) else {
        tracing::error!(provider = %order.provider, order = %order.id,
            "cannot continue with an order: its provider's file no longer has a section for it; restore that section");
        return executor.later(order, token, Some(executor.pause(order.lookups))).await;
    };
    let due = Due { executor, route, order, token };
    match order.state {
        OrderState::Recorded => {
            send::send(executor, route, order, token).await;
            Ok(())
        }
        OrderState::Unknown => due.find_out().await,
        _ => due.follow().await,
    }
}

/// How long it is until a payment that the last request made must show at the provider; `None` if it
/// must by now.
fn until_shown(route: Route<'_>, order: &Order) -> Option<Duration> {
    let settle = route.api.settle().unwrap_or_default();
    left(after(order.last_sent_at.unwrap_or(order.created_at), route.api.timeout() + settle), order.now)
}

impl Due<'_> {
    async fn look_up(&self) -> Option<LookupOutcome> {
        let span = tributary_traces::look_up(send::traced(self.order), self.order.lookups);
        let looking = async {
            let outcome = self.ask().await;
            let (word, failed) = match &outcome {
                Some(LookupOutcome::Found(_)) => ("found", false),
                Some(LookupOutcome::Several(_)) => ("several", true),
                Some(LookupOutcome::Missing) => ("missing", false),
                Some(LookupOutcome::Failed(_)) => ("failed", true),
                None => ("no lookup", false),
            };
            tributary_traces::came_to(word, failed);
            outcome
        };
        looking.instrument(span).await
    }

    async fn ask(&self) -> Option<LookupOutcome> {
        let Self { executor, route, order, .. } = *self;
        let given = match steps::given(executor, order).await {
            Ok(given) => given,
            Err(error) => return Some(LookupOutcome::Failed(error.to_string())),
        };
        let view = view::of_order(order, route.api, &given);
        let looked = route.api.look_up(&view);
        let looked = tokio::time::timeout(LOOKUP_LIMIT.min(executor.settings.claim / 2), looked).await;
        let outcome = looked.unwrap_or_else(|_| Some(LookupOutcome::Failed("it took too long".to_owned())));
        executor.at(Point::LookedUp).await;
        outcome
    }

    /// Keeps what a lookup proves, for a person who may have to decide: nothing of a payment that need not
    /// show yet.
    async fn note(&self, outcome: Option<&LookupOutcome>) -> Result<(), StoreError> {
        let found = match outcome {
            Some(LookupOutcome::Found(_) | LookupOutcome::Several(_)) => true,
            Some(LookupOutcome::Missing) if until_shown(self.route, self.order).is_none() => false,
            _ => return Ok(()),
        };
        soon(payment_orders::note_lookup(&self.executor.pool, self.order, found)).await
    }

    async fn later(&self, next: Option<Duration>) -> Result<(), StoreError> {
        self.executor.later(self.order, self.token, next).await
    }

    async fn park(&self, why: &str) -> Result<(), StoreError> {
        self.executor.park(self.order, self.token, why).await
    }

    async fn found(&self, state: &PaymentState, next: Duration) -> Result<(), StoreError> {
        let (pool, order) = (&self.executor.pool, self.order);
        let act = Act { actor: &self.executor.owner, what: "found at the provider" };
        let applied = soon(records::apply(pool, order.id, order.attempt, state, act)).await?;
        match applied.another() {
            Some(why) => {
                self.park(&format!("a lookup found another payment: {why}")).await?;
                self.later(None).await
            }
            // where it is still open, and still ours
            None => soon(payment_orders::look_up_again(pool, order.id, next, act)).await,
        }
    }

    async fn several(&self, several: usize) -> Result<(), StoreError> {
        let key = &self.order.provider_key;
        self.park(&format!("the provider has {several} payments under the provider key {key}")).await
    }

    /// What became of a request whose outcome is unknown.
    async fn find_out(&self) -> Result<(), StoreError> {
        let every = self.route.api.lookup_every().unwrap_or_default();
        let outcome = self.look_up().await;
        self.note(outcome.as_ref()).await?;
        match outcome {
            Some(LookupOutcome::Found(state)) => self.found(&state, every).await,
            Some(LookupOutcome::Several(several)) => self.several(several).await,
            Some(LookupOutcome::Failed(why)) => {
                tracing::warn!(provider = %self.route.provider, order = %self.order.id, why,
                    "cannot look up a payment of unknown outcome");
                self.later(Some(self.executor.pause(self.order.lookups))).await
            }
            Some(LookupOutcome::Missing) => self.not_found().await,
            None if self.order.refusal.is_some() => {
                self.park("a repeated request was refused; the first one may have moved money").await
            }
            None => self.send_again("its provider file has no lookup").await,
        }
    }

    /// The provider has no payment under the provider key, or does not show it yet.
    async fn not_found(&self) -> Result<(), StoreError> {
        let Self { executor, route, order, token } = *self;
        if let Some(wait) = until_shown(route, order) {
            return self.later(Some(wait.min(executor.pause(order.lookups)))).await;
        }
        match &order.refusal {
            // none of the requests made a payment, and the last one was refused
            Some(reason) => {
                let act = Act { actor: &executor.owner, what: "refused, and not found at the provider" };
                soon(payment_orders::failed(&executor.pool, order.id, token, reason, act)).await.map(|_| ())
            }
            None => self.send_again("it is not found there").await,
        }
    }

    /// Sends the same request under the same provider key, if the provider still knows it; else parks
    /// the order.
    async fn send_again(&self, why: &str) -> Result<(), StoreError> {
        let Self { executor, route, order, token } = *self;
        let first = order.first_sent_at.unwrap_or(order.created_at);
        let protected = route.api.provider_key().lifetime.is_some_and(|lifetime| {
            let ends = after(first, lifetime.as_duration());
            // the provider has to get it in time, not only we to send it
            left(ends, order.now).is_some_and(|left| left > route.api.timeout() * 2 + executor.settings.claim)
        });
        if protected {
            tracing::warn!(provider = %route.provider, order = %order.id, why, "a payment request is repeated under its provider key");
            send::send(executor, route, order, token).await;
            return Ok(());
        }
        self.park(&format!(
            "the outcome of its request is unknown, {why}, and the provider may have forgotten its provider key"
        ))
        .await
    }

    /// How a payment that the provider has stands now.
    async fn follow(&self) -> Result<(), StoreError> {
        let every = self.route.api.lookup_every().unwrap_or_default();
        let next = every.mul_f64(1.5_f64.powi(self.order.lookups.clamp(0, 20))).min(RAREST_LOOKUP.max(every));
        match self.look_up().await {
            Some(LookupOutcome::Found(state)) => self.found(&state, next).await,
            Some(LookupOutcome::Several(several)) => self.several(several).await,
            Some(LookupOutcome::Missing) => self.later(Some(next)).await,
            Some(LookupOutcome::Failed(why)) => {
                tracing::warn!(provider = %self.route.provider, order = %self.order.id, why,
                    "cannot look up an open payment");
                self.later(Some(next)).await
            }
            // the provider's records will say
            None => self.later(None).await,
        }
    }
}
