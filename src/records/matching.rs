//! Which of a provider's records are news of orders to pay. Pure: decides over what was read of
//! the orders, in the order of the records.

use std::collections::HashSet;

use uuid::Uuid;

use tributary_domain::{
    OrderChange, OrderState, Ordered, PastAttempt, PaymentKind, Progress, Said, SaidByRecord, Transaction,
    TransactionType, Unidentified,
};

/// What is to be done with a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It is written as it is.
    Write,
    /// As it is, and a person has to check it.
    WriteLoudly(&'static str),
    /// It shows what came of an order's movement: written with the order's payment as its parent.
    Child { parent: String, kind: PaymentKind },
    /// It says of an order what is known, or follows from it; it is no transaction of its own.
    Known,
    /// It says something else of an order than is known, and is older by the provider's time.
    Older,
    /// It is news of an order and changes it; no transaction of its own.
    News(Box<OrderChange>),
    /// It says the opposite of what was served: a person has to decide. No transaction of its own.
    Contradiction(Option<Box<OrderChange>>),
    /// It may be the movement of an order, or belongs to what may be: it waits until that is known.
    Wait,
    /// As [`Decision::Wait`], and the order is parked, for this reason.
    WaitAndPark(Uuid, String),
    /// It is not taken, for this reason; a lie about an order is loud.
    Refuse { reason: String, loud: bool },
}

/// What is known when a batch of records is decided about.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The orders that a record of the batch names in some way.
    pub orders: Vec<Ordered>,
    pub attempts: Vec<PastAttempt>,
    /// Those that a record without a name may belong to.
    pub unidentified: Vec<Unidentified>,
    /// Whether there is any order, of whatever size, whose movement is not identified.
    pub some_unidentified: bool,
    /// Ids of records that wait, except where those are decided about now.
    pub unmatched: HashSet<String>,
    /// Ids that are among the transactions.
    pub written: HashSet<String>,
}

impl Known {
    /// Decides about `record`, and remembers what follows from that for those that come after it.
    /// `decides`: it may decide about money, unlike what is pushed of a provider that is pulled.
    pub fn decide(&mut self, record: &Transaction, decides: bool) -> Decision {
        let decision = self.own_id(record).or_else(|| self.movement(record, decides));
        let decision = decision.or_else(|| self.past_attempt(record, decides));
        let decision = decision.or_else(|| self.child(record, decides)).or_else(|| self.waits(record));
        let decision = decision.unwrap_or(Decision::Write);
        match &decision {
            Decision::Wait | Decision::WaitAndPark(..) => {
                self.unmatched.insert(record.id.as_str().to_owned());
            }
            Decision::News(change) | Decision::Contradiction(Some(change)) => {
                if let Some(order) = self.orders.iter_mut().find(|order| order.id == change.order.id) {
                    *order = change.order.clone();
                }
            }
            _ => {}
        }
        decision
    }

    fn own_id(&self, record: &Transaction) -> Option<Decision> {
        let id = record.id.as_str();
        let order = self.orders.iter().find(|order| order.id.to_string() == id)?;
        let reason = format!("id: {id} is the id of a payment that was ordered ({})", order.idempotency_key);
        Some(Decision::Refuse { reason, loud: true })
    }

    /// The record is the movement of an order.
    fn movement(&self, record: &Transaction, decides: bool) -> Option<Decision> {
        let order = self.order_of(record, decides)?;
        let agrees = order.agrees(record);
        if !decides {
            return Some(pushed(order, record, agrees));
        }
        let another = order.names.record_id.as_deref().is_some_and(|known_as| known_as != record.id.as_str());
        if another {
            return Some(Decision::WriteLoudly("the provider shows a second record of one payment"));
        }
        if agrees {
            return Some(self.said(order, record));
        }
        let differs = format!(
            "the provider's record {} has {} {}{}, which is not what was ordered",
            record.id.as_str(),
            record.amount,
            record.asset.as_str(),
            record.source_account_id.as_ref().map(|id| format!(" from {}", id.as_str())).unwrap_or_default()
        );
        Some(match order.state {
            // whoever sends it says first what became of that
            OrderState::Sending => Decision::Wait,
            OrderState::Pending | OrderState::Unknown => Decision::WaitAndPark(order.id, differs),
            OrderState::Parked => Decision::Wait,
            _ if order.names.has_id(record.id.as_str()) => Decision::Contradiction(None),
            _ => Decision::WriteLoudly("a record refers to a payment, but has another amount"),
        })
    }

    /// By the record's own id, else by what it refers to: of several, the one that it agrees with. What
    /// was not sent cannot be what a provider speaks of; whoever else speaks of it (`decides` is
    /// false) is heard, to be refused.
    fn order_of(&self, record: &Transaction, decides: bool) -> Option<&Ordered> {
        let by_id = |order: &&Ordered| order.names.has_id(record.id.as_str());
        let sent =
            |order: &&Ordered| !decides || !matches!(order.state, OrderState::Recorded | OrderState::Held);
        let by_reference = |order: &&Ordered| {
            let reference = record.order_reference.as_deref();
            record.kind != TransactionType::Payin
                && sent(order)
                && reference.is_some_and(|reference| order.names.has_reference(reference))
        };
        let found = self.orders.iter().filter(by_id).max_by_key(|order| order.agrees(record));
        found.or_else(|| {
            let free = |order: &Ordered| order.names.record_id.is_none();
            self.orders.iter().filter(by_reference).max_by_key(|order| (order.agrees(record), free(order)))
        })
    }

    fn said(&self, order: &Ordered, record: &Transaction) -> Decision {
        let id = record.id.as_str();
        let of_another = self.orders.iter().any(|other| other.id != order.id && other.names.has_id(id));
        let verdict = order.verdict_on(&said_by(order, record), of_another);
        match (verdict.contradiction, verdict.change) {
            (true, change) => Decision::Contradiction(change.map(Box::new)),
            (false, Some(change)) => Decision::News(Box::new(change)),
            (false, None) if verdict.older => Decision::Older,
            (false, None) => Decision::Known,
        }
    }

    /// The record is of an attempt that was refused; its order may have moved on.
    fn past_attempt(&self, record: &Transaction, decides: bool) -> Option<Decision> {
        let attempt = self.attempts.iter().find(|attempt| {
            attempt.names.has_id(record.id.as_str())
                || record.kind != TransactionType::Payin
                    && record
                        .order_reference
                        .as_deref()
                        .is_some_and(|reference| attempt.names.has_reference(reference))
        })?;
        let agrees = attempt.asset == record.asset.as_str() && attempt.amount == record.amount;
        Some(if Progress::of(record.status) <= Progress::NotMoved && agrees {
            Decision::Known
        } else if decides {
            Decision::WriteLoudly("the provider shows money that moved for an attempt that it had refused")
        } else {
            not_its_to_say(&attempt.idempotency_key, true)
        })
    }

    /// The record shows what came of an order's movement.
    fn child(&self, record: &Transaction, decides: bool) -> Option<Decision> {
        let related = record.related_id.as_ref()?.as_str();
        let of_payment = |kind: PaymentKind, key: &str| record.kind == kind.into() && related == key;
        let of_order = self
            .orders
            .iter()
            .find(|order| order.names.has_id(related) || of_payment(order.kind, &order.idempotency_key));
        let (kind, key) = match of_order {
            Some(order) => (order.kind, &order.idempotency_key),
            None => {
                let attempt = self.attempts.iter().find(|attempt| attempt.names.has_id(related))?;
                (attempt.kind, &attempt.idempotency_key)
            }
        };
        // what follows a payment that went well decides nothing about it
        let follows = of_order.is_some_and(|order| order.state == OrderState::Succeeded)
            && Progress::of(record.status) == Progress::Followed;
        if !decides && !follows {
            return Some(not_its_to_say(key, true));
        }
        Some(Decision::Child { parent: key.clone(), kind })
    }

    /// The record may be the movement of an order that is not identified, or belongs to what may.
    fn waits(&self, record: &Transaction) -> Option<Decision> {
        let id = record.id.as_str();
        let related = record.related_id.as_ref().map(|related| related.as_str());
        let belongs =
            self.unmatched.contains(id) || related.is_some_and(|related| self.unmatched.contains(related));
        let is_written = |id: &str| self.written.contains(id);
        let parent_unknown =
            self.some_unidentified && related.is_some_and(|related| !is_written(id) && !is_written(related));
        let may_be = record.kind != TransactionType::Payin
            && !is_written(id)
            && self.unidentified.iter().any(|order| order.may_be(record));
        (belongs || parent_unknown || may_be).then_some(Decision::Wait)
    }
}

/// What a record does that was pushed, though its provider is pulled.
fn pushed(order: &Ordered, record: &Transaction, agrees: bool) -> Decision {
    let (said, told) = (Progress::of(record.status), Progress::of(order.status));
    // what an order was before it got where it is
    let is_past = said == Progress::Open || (said, told) == (Progress::Moved, Progress::Followed);
    if agrees && (record.status == order.status || is_past) {
        return Decision::Known;
    }
    let is_opposite = told > Progress::Open && (said == Progress::NotMoved) != (told == Progress::NotMoved);
    not_its_to_say(&order.idempotency_key, !agrees || is_opposite)
}

fn not_its_to_say(key: &str, loud: bool) -> Decision {
    let reason = format!(
        "it is about a payment that was ordered ({key}): as its provider is pulled, only what is read there \
         decides about that"
    );
    Decision::Refuse { reason, loud }
}

fn said_by(order: &Ordered, record: &Transaction) -> Said {
    let updated_at = record.provider_updated_at.map(|at| at.as_utc());
    let not_moved = Progress::of(record.status) == Progress::NotMoved;
    Said {
        attempt: order.attempt,
        status: record.status,
        at: Some(updated_at.unwrap_or(record.created_at.as_utc())),
        payment_id: None,
        reference: None,
        record: Some(SaidByRecord {
            id: record.id.as_str().to_owned(),
            updated_at,
            tolerance: record.clock_tolerance(),
            metadata: serde_json::json!(record.metadata.as_map()),
        }),
        reason: not_moved.then(|| format!("the provider's records say {}", record.status.as_str())),
    }
}

#[cfg(test)]
mod tests;
