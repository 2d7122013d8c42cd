//! Sends one order's request and keeps what became of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Instrument as _;
use uuid::Uuid;

use super::elapsed::Moment;
use super::executor::{Executor, Route};
use super::points::Point;
use super::steps;
use crate::records;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Act, Bounds, Claim, Order, Passed};
use tributary_domain::OrderState;
use tributary_manifest::{Given, Sent};
use tributary_traces::Ordered;

/// What has to be left of a claim when the request's time is over.
const MARGIN: Duration = Duration::from_secs(1);
/// The pause before the outcome is kept again where the database refused it.
const KEEP_AGAIN: Duration = Duration::from_millis(200);

/// Why a request is not sent.
enum Shut {
    /// The order waits for a person by now.
    ForNow,
    /// It is tried again, unless another instance works on it.
    Because(String),
}

/// A request that is to be sent.
struct Sending<'a> {
    executor: &'a Executor,
    route: Route<'a>,
    order: &'a Order,
    /// What its steps gave.
    given: Given,
    claim: Claim<'a>,
}

/// Sends the request of `order`, which is claimed under `token`, and keeps the outcome.
pub(super) async fn send(executor: &Executor, route: Route<'_>, order: &Order, token: Uuid) {
    let span = tributary_traces::send_payment(traced(order), order.tries);
    send_and_keep(executor, route, order, token).instrument(span).await;
}

/// What the spans of work on `order` say of it.
pub(super) fn traced(order: &Order) -> Ordered<'_> {
    Ordered {
        provider: order.provider.as_str(),
        kind: order.kind.as_str(),
        id: &order.id,
        attempt: order.attempt,
        trace: order.trace.as_deref(),
    }
}

async fn send_and_keep(executor: &Executor, route: Route<'_>, order: &Order, token: Uuid) {
    let claim = executor.claim(route.api, token);
    let given = match order.state {
        OrderState::Recorded => steps::carry_out(executor, route, order, claim).await,
        // what was sent had all that its steps gave
        _ => steps::given(executor, order).await.map(Some),
    };
    let given = match given {
        Ok(Some(given)) => given,
        Ok(None) => return,
        Err(error) => {
            // its claim ends by itself, and whoever takes it up goes on behind the last step that is kept
            tracing::error!(order = %order.id, %error, "the steps of a payment cannot be carried out yet");
            return;
        }
    };
    let sending = Sending { executor, route, order, given, claim };
    let Some(sent) = sending.send().await else { return };
    let (outcome, failed) = outcome(&sent);
    tributary_traces::came_to(outcome, failed);
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

/// What a try came to, in a word, and whether that is trouble.
fn outcome(sent: &Sent) -> (&'static str, bool) {
    match sent {
        Sent::Accepted(_) => ("accepted", false),
        Sent::Refused(_) => ("refused", true),
        Sent::Unsent(_) => ("unsent", true),
        Sent::Unknown(_) => ("unknown", true),
    }
}

impl Sending<'_> {
    /// Sends the request as it was kept with the order; `None` where it may not be sent any more, and
    /// the order waits for a person.
    async fn send(&self) -> Option<Sent> {
        let prepared = match self.route.api.thaw(&self.order.request, &self.order.provider_key, &self.given) {
            Ok(prepared) => prepared,
            Err(why) => {
                let why = format!("its request can no longer be sent as it was recorded: {why}");
                return match self.executor.park(self.order, self.claim.token, &why).await {
                    Ok(()) => None,
                    Err(error) => Some(Sent::Unsent(error.to_string())),
                };
            }
        };
        let shut = AtomicBool::new(false);
        let gate = || -> futures::future::BoxFuture<'_, Result<(), String>> {
            Box::pin(async {
                let passed = self.pass_gate().await;
                shut.store(matches!(passed, Err(Shut::ForNow)), Ordering::Relaxed);
                passed.map_err(|shut| match shut {
                    Shut::ForNow => "it may not be sent now".to_owned(),
                    Shut::Because(why) => why,
                })
            })
        };
        let sent = self.route.api.send(&prepared, &gate).await;
        (!shut.into_inner()).then_some(sent)
    }

    /// Whether the request may go out at this very moment: the order is still ours, for long enough,
    /// and what was sent today leaves room for it.
    async fn pass_gate(&self) -> Result<(), Shut> {
        let Self { executor, route, order, claim, .. } = *self;
        let begun = Moment::now();
        let bounds = self.bounds();
        let passed = soon(payment_orders::sending(&executor.pool, order, claim, &bounds)).await;
        match passed.map_err(|error| Shut::Because(error.to_string()))? {
            Passed::Open => {}
            Passed::NotOurs => return Err(Shut::Because("another instance works on it".to_owned())),
            Passed::Shut(state, why) => {
                if state == OrderState::Parked {
                    executor.alarm(order, &why);
                } else {
                    tracing::error!(provider = %order.provider, order = %order.id, idempotency_key = order.idempotency_key,
                        why, "a payment is not sent and waits for an approval: see `tributary payouts approve`");
                }
                return Err(Shut::ForNow);
            }
        }
        executor.at(Point::Sending).await;
        // whoever slept meanwhile must not wake up and send what others sent since
        if begun.elapsed() + route.api.timeout() + MARGIN > claim.time {
            return Err(Shut::Because("the process was paused for too long".to_owned()));
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        let (policy, order) = (&self.route.payer.policy, self.order);
        Bounds {
            refused: policy.check(&order.asset, order.amount, &order.source_account_id).err(),
            per_day: policy.per_day(&order.asset).map(|most| most.to_string()),
            expire_after: policy.expire_after,
        }
    }

    async fn keep(&self, sent: &Sent) -> Result<(), StoreError> {
        let Self { executor, route, order, claim, .. } = *self;
        let (pool, provider) = (&executor.pool, route.provider);
        match sent {
            Sent::Accepted(state) => {
                let act = Act { actor: &executor.owner, what: "answered by the provider" };
                let applied = records::apply(pool, order.id, order.attempt, state, act).await?;
                if let Some(why) = applied.another() {
                    let why = format!("the provider answered with another payment: {why}");
                    executor.park(order, claim.token, &why).await?;
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
