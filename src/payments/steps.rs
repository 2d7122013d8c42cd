//! Carries out what goes before the request that moves the money: a quote, a draft. Each step is durable on both
//! sides of its request, and what it gave is kept before anything takes it.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Instrument as _;

use super::executor::{Executor, Route};
use super::points::Point;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Act, Claim, Order};
use tributary_manifest::{Given, PaymentApi, StepOutcome};

/// What the steps of an order gave so far.
pub(super) async fn given(executor: &Executor, order: &Order) -> Result<Given, StoreError> {
    if order.request["steps"].is_null() {
        // most have none: nothing is asked for
        return Ok(Given::new());
    }
    let steps = soon(payment_orders::steps(&executor.pool, order)).await?;
    Ok(steps.into_iter().filter_map(|step| Some((step.name, step.gave?))).collect())
}

/// Carries out the steps of an order that was not sent yet, and is claimed by `claim`; gives what all of them gave.
/// `None` where the order is done with for now: a step has to be asked for again later, or the payment is not made.
pub(super) async fn carry_out(
    executor: &Executor,
    route: Route<'_>,
    order: &Order,
    claim: Claim<'_>,
) -> Result<Option<Given>, StoreError> {
    loop {
        let given = given(executor, order).await?;
        let name = match PaymentApi::next_step(&order.request, &given) {
            Ok(None) => return Ok(Some(given)),
            Ok(Some(name)) => name,
            Err(why) => {
                executor.park(order, claim.token, &why).await?;
                return Ok(None);
            }
        };
        let step = take(executor, route, order, claim, &name, &given);
        if !step.instrument(tributary_traces::take_step(&name)).await? {
            return Ok(None);
        }
    }
}

/// Takes one step, and gives whether the next can be taken.
async fn take(
    executor: &Executor,
    route: Route<'_>,
    order: &Order,
    claim: Claim<'_>,
    name: &str,
    given: &Given,
) -> Result<bool, StoreError> {
    let pool = &executor.pool;
    let ours = AtomicBool::new(true);
    let gate = || -> futures::future::BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let asking = soon(payment_orders::ask_step(pool, order, claim, name)).await;
            let asking = asking.map_err(|error| error.to_string())?;
            ours.store(asking, Ordering::Relaxed);
            executor.at(Point::Asking).await;
            if asking {
                Ok(())
            } else {
                Err("another instance works on it, or it waits for a person".to_owned())
            }
        })
    };
    let outcome = route.api.ask_step(&order.request, &order.provider_key, name, given, &gate).await;
    executor.at(Point::Asked).await;
    if !ours.into_inner() {
        return Ok(false);
    }
    match outcome {
        StepOutcome::Given(value) => {
            soon(payment_orders::step_gave(pool, order, &executor.owner, name, &value)).await?;
            Ok(true)
        }
        StepOutcome::Refused(why) => {
            tracing::warn!(provider = %route.provider, order = %order.id, why, "the provider refused a step of a payment");
            let act = Act { actor: &executor.owner, what: "a step was refused by the provider" };
            soon(payment_orders::failed(pool, order.id, claim.token, &why, act)).await?;
            Ok(false)
        }
        StepOutcome::Later(why) => {
            tracing::warn!(provider = %route.provider, order = %order.id, why, "a step of a payment is asked for again later");
            let pause = executor.pause(order.lookups);
            soon(payment_orders::unsent(pool, order.id, claim, &why, pause)).await?;
            Ok(false)
        }
    }
}
