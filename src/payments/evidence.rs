//! What the provider shows of an order at this moment: for a person who is about to say that no money
//! moved, which lets it be ordered again.

use uuid::Uuid;

use super::follow;
use super::intake::Payments;
use crate::store::StoreError;
use crate::store::payment_orders;
use tributary_manifest::LookupOutcome;

/// What a lookup at the provider proves of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// No money moved: nothing was ever sent, or the provider has no payment under the order's key,
    /// although whatever was sent must show there by now.
    Missing,
    /// The provider has a payment under the key; says which.
    Found(String),
    /// Neither of the two; says why.
    Unclear(String),
}

impl Payments {
    /// Looks for the payment of the order `id` at its provider, now. Changes nothing.
    pub async fn evidence(&self, id: Uuid) -> Result<Evidence, StoreError> {
        let Some(order) = payment_orders::get(&self.0.pool, id).await? else {
            return Ok(Evidence::Unclear(format!("there is no order {id}")));
        };
        if order.last_sent_at.is_none() {
            return Ok(Evidence::Missing);
        }
        let Some(route) = self.0.route(&order.provider, order.kind) else {
            return Ok(Evidence::Unclear("its provider's file does not say how to pay".to_owned()));
        };
        if let Some(left) = follow::until_settled(route, &order) {
            let seconds = left.as_secs() + 1;
            return Ok(Evidence::Unclear(format!("a payment may take {seconds} s more to show there")));
        }
        Ok(match follow::look_up(&self.0, route, &order).await {
            Some(LookupOutcome::Missing) => Evidence::Missing,
            Some(LookupOutcome::Found(state)) => {
                let id = state.id.or(state.reference).unwrap_or_else(|| "without an id".to_owned());
                Evidence::Found(format!("{id}, {}", state.status.as_str()))
            }
            Some(LookupOutcome::Several(several)) => Evidence::Found(format!("{several} payments")),
            Some(LookupOutcome::Failed(why)) => Evidence::Unclear(why),
            None => Evidence::Unclear("its provider's file has no `lookup`".to_owned()),
        })
    }
}
