//! Sends one order's request and keeps what became of it.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::elapsed::Moment;
use super::points::Point;
use super::service::{Inner, Payer};
use crate::domain::{PaymentKind, ProviderName};
use crate::provider::{PaymentApi, Prepared, Sent};
use crate::records::{self, Seen};
use crate::store::StoreError;
use crate::store::payment_orders::{self, Act, Claim, Order};

/// What has to be left of a claim when the request's time is over.
const MARGIN: Duration = Duration::from_secs(1);
/// The longest pause before a request that was not sent is sent after all.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What an order needs of its provider.
pub(super) struct Means<'a> {
    pub provider: ProviderName,
    pub kind: PaymentKind,
    pub payer: &'a Payer,
    pub api: &'a Arc<PaymentApi>,
}

impl Inner {
    /// The provider's side of an order; `None` where its file does not say how to pay any more.
    pub fn means(&self, order: &Order) -> Option<Means<'_>> {
        let (provider, kind) = (order.provider.parse().ok()?, order.kind.parse().ok()?);
        let payer = self.payers.get(&provider)?;
        Some(Means { api: payer.connection.payment_api(kind)?, provider, kind, payer })
    }

    /// Sends the request of `order`, which is claimed under `token`, and keeps the outcome.
    pub async fn attempt(&self, order: &Order, token: Uuid) {
        let Some(means) = self.means(order) else { return };
        let claim = Claim { token, ..self.new_claim(means.api) };
        let sent = match self.prepare(&means, order).await {
            Ok(prepared) => self.send(&means, order, &prepared, claim).await,
            Err(why) => Sent::Unsent(why),
        };
        self.at(Point::Sent).await;
        let begun = Moment::now();
        loop {
            match self.keep(&means, order, claim, &sent).await {
                Ok(()) => return,
                Err(error) if begun.elapsed() < claim.time => {
                    tracing::error!(order = %order.id, %error, "the outcome of a payment cannot be kept; again");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => {
                    // the claim is over: the order is unknown and will be looked up
                    tracing::error!(order = %order.id, %error, "the outcome of a payment could not be kept");
                    return;
                }
            }
        }
    }

    async fn prepare(&self, means: &Means<'_>, order: &Order) -> Result<Prepared, String> {
        let view = self.view(means, order).await?;
        means.payer.connection.prepare_payment(means.api, &view).await
    }

    /// Sends, unless the order is not ours any more or so much time has passed that it soon
    /// will not be.
    async fn send(&self, means: &Means<'_>, order: &Order, prepared: &Prepared, claim: Claim<'_>) -> Sent {
        let id = order.id;
        let timeout = means.api.timeout;
        let gate = move || -> futures::future::BoxFuture<'_, Result<(), String>> {
            Box::pin(async move {
                let begun = Moment::now();
                let ours = payment_orders::sending(&self.pool, id, claim).await;
                if !ours.map_err(|error| error.to_string())? {
                    return Err("another instance works on it".to_owned());
                }
                self.at(Point::Sending).await;
                // whoever slept meanwhile must not wake up and send what others sent since
                if begun.elapsed() + timeout + MARGIN > claim.time {
                    return Err("the process was held up".to_owned());
                }
                Ok(())
            })
        };
        means.payer.connection.send_payment(means.api, prepared, &gate).await
    }

    async fn keep(
        &self,
        means: &Means<'_>,
        order: &Order,
        claim: Claim<'_>,
        sent: &Sent,
    ) -> Result<(), StoreError> {
        let (pool, provider) = (&self.pool, &means.provider);
        match sent {
            Sent::Accepted(state) => {
                let act = Act { actor: &self.owner, what: "answered by the provider" };
                if records::seen(pool, order.id, order.attempt, state, act).await? == Seen::Contradiction {
                    self.park(order, Some(claim.token), "the provider answered with another payment").await?;
                }
            }
            Sent::Refused(reason) => {
                tracing::warn!(%provider, order = %order.id, reason, "the provider refused a payment");
                let next = means.api.settle().unwrap_or(self.settings.pause);
                payment_orders::refused(pool, order.id, claim, reason, next).await?;
            }
            Sent::Unsent(why) => {
                tracing::warn!(%provider, order = %order.id, why, "a payment was not sent; again later");
                payment_orders::unsent(pool, order.id, claim, why, self.pause(order.looks)).await?;
            }
            Sent::Unknown(why) => {
                tracing::error!(%provider, order = %order.id, why, "the outcome of a payment is unknown");
                payment_orders::unknown(pool, order.id, claim, why, self.settings.pause).await?;
            }
        }
        Ok(())
    }

    /// The pause before something is tried again that was tried `looks` times.
    pub fn pause(&self, looks: i32) -> Duration {
        (self.settings.pause * (1 << looks.clamp(0, 9))).min(LONGEST_PAUSE)
    }

    /// Leaves the order to a person, loudly.
    pub async fn park(&self, order: &Order, token: Option<Uuid>, why: &str) -> Result<(), StoreError> {
        let act = Act { actor: &self.owner, what: "left to a person" };
        if payment_orders::park(&self.pool, order.id, token, why, act).await? {
            metrics::counter!("tributary_payment_alarms_total", "provider" => order.provider.clone())
                .increment(1);
            tracing::error!(provider = order.provider, order = %order.id, key = order.idempotency_key, why,
                "a payment waits for a person: see `tributary payouts show` and `resolve`");
        }
        Ok(())
    }
}
