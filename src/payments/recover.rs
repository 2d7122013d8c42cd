//! Goes on with an order whose request is over: finds out what became of it, and follows it
//! until it has ended.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::attempt::Means;
use super::points::Point;
use super::service::Inner;
use crate::provider::Looked;
use crate::records::{self, Seen};
use crate::store::StoreError;
use crate::store::payment_orders::{self, Act, Order};

/// How long a look may take: less than the claim for it holds.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// The longest pause between two looks at an open payment.
const RAREST_LOOK: Duration = Duration::from_secs(6 * 3600);

impl Inner {
    /// Does what is due at `order`, which is claimed under `token`.
    pub async fn go_on(&self, order: &Order, token: Uuid) -> Result<(), StoreError> {
        let Some(means) = self.means(order) else {
            tracing::error!(provider = order.provider, order = %order.id,
                "an order cannot go on: its provider's file does not say any more how to pay");
            return self.later(order, token, Some(self.pause(order.looks))).await;
        };
        match order.state.as_str() {
            "recorded" => {
                self.attempt(order, token).await;
                Ok(())
            }
            "unknown" => self.find_out(&means, order, token).await,
            _ => self.follow(&means, order, token).await,
        }
    }

    async fn look(&self, means: &Means<'_>, order: &Order) -> Option<Looked> {
        let view = match self.view(means, order).await {
            Ok(view) => view,
            Err(why) => return Some(Looked::Failed(why)),
        };
        let looked = means.payer.connection.look_up_payment(means.api, &view);
        let looked = tokio::time::timeout(LOOK_LIMIT.min(self.settings.claim / 2), looked).await;
        let looked = looked.unwrap_or_else(|_| Some(Looked::Failed("it took too long".to_owned())));
        self.at(Point::LookedUp).await;
        looked
    }

    async fn later(&self, order: &Order, token: Uuid, next: Option<Duration>) -> Result<(), StoreError> {
        let act = Act { actor: &self.owner, what: "to be looked at again" };
        payment_orders::later(&self.pool, order.id, token, next, act).await
    }

    async fn found(
        &self,
        order: &Order,
        token: Uuid,
        state: &crate::domain::PaymentState,
        next: Duration,
    ) -> Result<(), StoreError> {
        let act = Act { actor: &self.owner, what: "found at the provider" };
        match records::seen(&self.pool, order.id, order.attempt, state, act).await? {
            Seen::Contradiction => {
                self.park(
                    order,
                    Some(token),
                    "a look at the provider found another payment, or its opposite",
                )
                .await?;
                self.later(order, token, None).await
            }
            // where it is still open, and still ours
            Seen::Changed | Seen::Unchanged => {
                payment_orders::look_again(&self.pool, order.id, next, act).await
            }
        }
    }

    /// What became of a request whose outcome is unknown.
    async fn find_out(&self, means: &Means<'_>, order: &Order, token: Uuid) -> Result<(), StoreError> {
        let every = means.api.look_every().unwrap_or_default();
        let sent_at = order.last_sent_at.unwrap_or(order.created_at);
        match self.look(means, order).await {
            Some(Looked::Found(state)) => self.found(order, token, &state, every).await,
            Some(Looked::Several(several)) => {
                let why = format!("the provider has {several} payments under the key {}", order.provider_key);
                self.park(order, Some(token), &why).await
            }
            Some(Looked::Failed(why)) => {
                tracing::warn!(provider = %means.provider, order = %order.id, why, "cannot look for a payment");
                self.later(order, token, Some(self.pause(order.looks))).await
            }
            Some(Looked::Missing) => {
                let settle = means.api.settle().unwrap_or_default();
                let settled = after(sent_at, means.api.timeout + settle);
                if let Some(wait) = left(settled, order.now) {
                    return self.later(order, token, Some(wait.min(self.pause(order.looks)))).await;
                }
                match &order.refusal {
                    // none of the requests made a payment, and the last one was refused
                    Some(reason) => {
                        let act = Act { actor: &self.owner, what: "refused, and not found at the provider" };
                        payment_orders::failed(&self.pool, order.id, token, reason, act).await.map(|_| ())
                    }
                    None => self.send_again(means, order, token, "it is not found there").await,
                }
            }
            None if order.refusal.is_some() => {
                self.park(
                    order,
                    Some(token),
                    "a repeated request was refused; the first one may have moved money",
                )
                .await
            }
            None => self.send_again(means, order, token, "there is no way to look for it").await,
        }
    }

    /// Sends the same request under the same key, if the provider still knows the key; else leaves
    /// the order to a person.
    async fn send_again(
        &self,
        means: &Means<'_>,
        order: &Order,
        token: Uuid,
        why: &str,
    ) -> Result<(), StoreError> {
        let first = order.first_sent_at.unwrap_or(order.created_at);
        let protected = means.api.key.lifetime.is_some_and(|lifetime| {
            let ends = after(first, lifetime.as_duration());
            // the provider has to get it in time, not only we to send it
            left(ends, order.now).is_some_and(|left| left > means.api.timeout * 2 + self.settings.claim)
        });
        if protected {
            tracing::warn!(provider = %means.provider, order = %order.id, why, "a payment is sent again under its key");
            self.attempt(order, token).await;
            return Ok(());
        }
        let why = format!(
            "the outcome of its request is unknown, {why}, and its key at the provider protects no more"
        );
        self.park(order, Some(token), &why).await
    }

    /// How a payment does that the provider has.
    async fn follow(&self, means: &Means<'_>, order: &Order, token: Uuid) -> Result<(), StoreError> {
        let every = means.api.look_every().unwrap_or_default();
        let next = every.mul_f64(1.5_f64.powi(order.looks.clamp(0, 20))).min(RAREST_LOOK.max(every));
        match self.look(means, order).await {
            Some(Looked::Found(state)) => self.found(order, token, &state, next).await,
            Some(Looked::Several(several)) => {
                let why = format!("the provider has {several} payments under the key {}", order.provider_key);
                self.park(order, Some(token), &why).await
            }
            Some(Looked::Missing) => self.later(order, token, Some(next)).await,
            Some(Looked::Failed(why)) => {
                tracing::warn!(provider = %means.provider, order = %order.id, why, "cannot look at a payment");
                self.later(order, token, Some(next)).await
            }
            // the provider's records will tell
            None => self.later(order, token, None).await,
        }
    }
}

/// `period` after `at`, or as late as can be told.
pub(super) fn after(at: DateTime<Utc>, period: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(period)
        .ok()
        .and_then(|period| at.checked_add_signed(period))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What is left until `at`; `None` if it is over.
fn left(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    (at - now).to_std().ok().filter(|left| !left.is_zero())
}
