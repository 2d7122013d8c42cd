//! Sends one order's request and keeps what became of it.

use std::time::Duration;

use uuid::Uuid;

use super::elapsed::Moment;
use super::executor::{Executor, Route};
use super::points::Point;
use super::view;
use crate::records::{self, Applied};
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Act, Claim, Order};
use tributary_manifest::{Prepared, Sent};

/// What has to be left of a claim when the request's time is over.
const MARGIN: Duration = Duration::from_secs(1);
/// The pause before the outcome is kept again where the database refused it.
const KEEP_AGAIN: Duration = Duration::from_millis(200);

/// A request that is to be sent.
struct Sending<'a> {
    executor: &'a Executor,
    route: Route<'a>,
    order: &'a Order,
    claim: Claim<'a>,
}

/// Sends the request of `order`, which is claimed under `token`, and keeps the outcome.
pub(super) async fn send(executor: &Executor, route: Route<'_>, order: &Order, token: Uuid) {
    let claim = executor.claim(route.api, token);
    let sending = Sending { executor, route, order, claim };
    let sent = match sending.prepare().await {
        Ok(prepared) => sending.send(&prepared).await,
        Err(why) => Sent::Unsent(why),
    };
    executor.at(Point::Sent).await;
    let begun = Moment::now();
    loop {
        match soon(sending.keep(&sent)).await {
            Ok(()) => return,
            Err(error) if begun.elapsed() < claim.time => {
                tracing::error!(order = %order.id, %error, "the outcome of a payment cannot be stored yet; trying again");
                tokio::time::sleep(KEEP_AGAIN).await;
            }
            Err(error) => {
                // the claim is over: the order is unknown and will be looked up
                tracing::error!(order = %order.id, %error, "the outcome of a payment could not be stored; it will be looked up");
                return;
            }
        }
    }
}

impl Sending<'_> {
    async fn prepare(&self) -> Result<Prepared, String> {
        let view = view::of_order(&self.executor.pool, self.route, self.order).await?;
        self.route.api.prepare(&view).await
    }

    /// Sends, unless the order is not ours any more or so much time has passed that it soon
    /// will not be.
    async fn send(&self, prepared: &Prepared) -> Sent {
        let (executor, claim) = (self.executor, self.claim);
        let (id, timeout) = (self.order.id, self.route.api.timeout());
        let gate = move || -> futures::future::BoxFuture<'_, Result<(), String>> {
            Box::pin(async move {
                let begun = Moment::now();
                let ours = soon(payment_orders::sending(&executor.pool, id, claim)).await;
                if !ours.map_err(|error| error.to_string())? {
                    return Err("another instance works on it".to_owned());
                }
                executor.at(Point::Sending).await;
                // whoever slept meanwhile must not wake up and send what others sent since
                if begun.elapsed() + timeout + MARGIN > claim.time {
                    return Err("the process was paused for too long".to_owned());
                }
                Ok(())
            })
        };
        self.route.api.send(prepared, &gate).await
    }

    async fn keep(&self, sent: &Sent) -> Result<(), StoreError> {
        let Self { executor, route, order, claim } = *self;
        let (pool, provider) = (&executor.pool, route.provider);
        match sent {
            Sent::Accepted(state) => {
                let act = Act { actor: &executor.owner, what: "answered by the provider" };
                let applied = records::apply(pool, order.id, order.attempt, state, act).await?;
                if applied == Applied::Contradiction {
                    executor.park(order, claim.token, "the provider answered with another payment").await?;
                }
            }
            Sent::Refused(reason) => {
                tracing::warn!(%provider, order = %order.id, reason, "the provider refused a payment");
                let next = route.api.settle().unwrap_or(executor.settings.pause);
                payment_orders::refused(pool, order.id, claim, reason, next).await?;
            }
            Sent::Unsent(why) => {
                tracing::warn!(%provider, order = %order.id, why, "a payment was not sent; it is tried again later");
                payment_orders::unsent(pool, order.id, claim, why, executor.pause(order.lookups)).await?;
            }
            Sent::Unknown(why) => {
                tracing::error!(%provider, order = %order.id, why, "the outcome of a payment is unknown");
                payment_orders::unknown(pool, order.id, claim, why, executor.settings.pause).await?;
            }
        }
        Ok(())
    }
}
