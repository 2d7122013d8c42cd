//! An order to pay as far as what its provider says of it is concerned: which words are news, and
//! which contradict what was said before. Pure, so that every pair of states can be tried.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Amount, PaymentKind, PaymentState, Status, Transaction};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Durable; nothing was sent.
    Recorded,
    /// Waits for a person's approval.
    Held,
    /// Its request is under way.
    Sending,
    /// The provider has it.
    Pending,
    Succeeded,
    Failed,
    /// A request was sent and its outcome is not known.
    Unknown,
    /// Waits for a person's decision.
    Parked,
}

impl OrderState {
    pub const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Held,
        Self::Sending,
        Self::Pending,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Parked,
    ];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Parked => "parked",
        }
    }

    /// Whether the order has come to its end, as far as is known.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl std::fmt::Display for OrderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for OrderState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.as_str() == name).ok_or_else(|| format!("{name:?} is no state of an order"))
    }
}

/// How far a status is from the beginning; an order goes no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing is decided.
    Open,
    /// No money moved.
    NotMoved,
    /// The money moved.
    Moved,
    /// Something came of it after the money had moved: a refund, a dispute.
    Followed,
}

impl Progress {
    /// What `status` says about the money.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Pending | Status::Authorisation | Status::Other => Self::Open,
            Status::Failed | Status::Cancelled | Status::Expired | Status::CaptureFailed => Self::NotMoved,
            Status::Succeeded | Status::Capture => Self::Moved,
            Status::Refunded
            | Status::RefundedFailure
            | Status::RefundReversed
            | Status::Dispute
            | Status::DisputeWon
            | Status::DisputeLost => Self::Followed,
        }
    }
}

/// What the provider calls a payment: whatever it gave for it identifies its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderNames {
    /// The provider key that was sent with the request.
    pub provider_key: String,
    /// The id that an answer, a lookup or a record named.
    pub payment_id: Option<String>,
    /// Whatever else it calls it by.
    pub reference: Option<String>,
    /// The id of the record that was recognised as the movement.
    pub record_id: Option<String>,
}

impl ProviderNames {
    /// Whether `id`, of a record or of a record's parent, is that of the payment.
    pub fn has_id(&self, id: &str) -> bool {
        [&self.payment_id, &self.reference, &self.record_id].into_iter().flatten().any(|name| name == id)
    }

    /// Whether a record that refers to `reference` is of the payment.
    pub fn has_reference(&self, reference: &str) -> bool {
        let given = [&self.payment_id, &self.reference].into_iter().flatten();
        self.provider_key == reference || given.into_iter().any(|name| name == reference)
    }
}

/// What is read of an order when its provider says something.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    pub id: Uuid,
    pub kind: PaymentKind,
    pub idempotency_key: String,
    pub asset: String,
    pub amount: Amount,
    pub source_account_id: String,
    pub destination_account_id: String,
    pub state: OrderState,
    /// As served to Formance.
    pub status: Status,
    /// From 1 on.
    pub attempt: i32,
    pub names: ProviderNames,
    /// The provider's time of what it said last.
    pub updated_at: Option<DateTime<Utc>>,
    /// What its record said besides, as JSON.
    pub metadata: serde_json::Value,
}

/// An attempt that was refused, and followed by another.
#[derive(Debug, Clone)]
pub struct PastAttempt {
    pub kind: PaymentKind,
    pub idempotency_key: String,
    pub asset: String,
    pub amount: Amount,
    pub names: ProviderNames,
}

/// An order of whose movement the provider may report under an id that is not known yet.
#[derive(Debug, Clone)]
pub struct Unidentified {
    pub asset: String,
    pub amount: Amount,
    pub source_account_id: String,
    pub created_at: DateTime<Utc>,
    /// Whether a record that refers to something unknown may still be its movement: the order is
    /// open, so that the provider may yet say by what else it calls the payment.
    pub awaits_reference: bool,
}

/// How long before its order a record may be dated and still be its movement: clocks differ.
const DATED_BEFORE: TimeDelta = TimeDelta::days(1);

impl Unidentified {
    /// Whether `record` may be its movement.
    pub fn may_be(&self, record: &Transaction) -> bool {
        let source = record.source_account_id.as_ref();
        (record.order_reference.is_none() || self.awaits_reference)
            && self.asset == record.asset.as_str()
            && self.amount == record.amount
            && source.is_none_or(|source| source.as_str() == self.source_account_id)
            && record.created_at.as_utc() >= self.created_at - DATED_BEFORE
    }
}

/// What a provider says of the payment of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub attempt: i32,
    pub status: Status,
    /// When it got this status.
    pub at: Option<DateTime<Utc>>,
    pub payment_id: Option<String>,
    pub reference: Option<String>,
    /// Of a record of the movement.
    pub record: Option<SaidByRecord>,
    pub reason: Option<String>,
}

/// What only a record says.
#[derive(Debug, Clone, PartialEq)]
pub struct SaidByRecord {
    pub id: String,
    pub updated_at: Option<DateTime<Utc>>,
    /// By how much that time may be before that of an earlier state, since its clock cannot tell.
    pub tolerance: TimeDelta,
    pub metadata: serde_json::Value,
}

/// How an order is to be changed by what was said.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderChange {
    /// The order as it is then.
    pub order: Ordered,
    /// The status is another one, since then (by our clock, where the provider names no time) and for this reason.
    pub moved: Option<(Option<DateTime<Utc>>, Option<String>)>,
    /// Whether it has ended, so that nothing is due any more.
    pub ended: bool,
    /// Whether its lookups are counted anew.
    pub recount_lookups: bool,
}

/// What became of what was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Nothing is news without it.
    pub change: Option<OrderChange>,
    /// It is the opposite of what was said before, or of another payment: a person has to decide.
    pub contradiction: bool,
    /// It is another status than is known, of an older state by the provider's time: no news.
    pub older: bool,
}

impl Ordered {
    /// Whether `record` is of what was ordered: its asset, its amount and, where it names one, the
    /// account that pays.
    pub fn agrees(&self, record: &Transaction) -> bool {
        let source = record.source_account_id.as_ref();
        record.asset.as_str() == self.asset
            && record.amount == self.amount
            && source.is_none_or(|source| source.as_str() == self.source_account_id)
    }

    /// How the payment of which the provider tells differs from what was ordered; `None` where it
    /// agrees in all that is told of it.
    pub fn differs(&self, told: &PaymentState) -> Option<String> {
        let amount = told.amount.filter(|amount| *amount != self.amount);
        let asset = told.asset.as_deref().filter(|asset| *asset != self.asset);
        let destination = told.destination.as_deref().filter(|id| *id != self.destination_account_id);
        let parts = [
            amount.map(|amount| format!("it is of {amount} and not of {}", self.amount)),
            asset.map(|asset| format!("it is in {asset} and not in {}", self.asset)),
            destination.map(|id| format!("it goes to {id} and not to {}", self.destination_account_id)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// What `said` changes. `of_another`: the id that it names is known to be another order's.
    pub fn verdict_on(&self, said: &Said, of_another: bool) -> Verdict {
        let none = |contradiction| Verdict { change: None, contradiction, older: false };
        if self.attempt != said.attempt {
            return none(false);
        }
        if self.is_older(said) {
            return Verdict { older: said.status != self.status, ..none(false) };
        }
        if of_another || self.is_other_payment(said) {
            return none(true);
        }
        let (said_progress, reported) = (Progress::of(said.status), Progress::of(self.status));
        // money that moved and of which it is then said that it did not has come back: Formance takes no
        // FAILED after SUCCEEDED, but a refund
        let returned = (reported, said_progress) == (Progress::Moved, Progress::NotMoved);
        let said = &if returned { Said { status: Status::Refunded, ..said.clone() } } else { said.clone() };
        let said_progress = Progress::of(said.status);
        let moves = said.status != self.status
            && (said_progress > reported
                || (said_progress, reported) == (Progress::Followed, Progress::Followed));
        let mut contradiction = returned;
        if reported > Progress::Open && said_progress > Progress::Open && said.status != self.status {
            if !moves && reported == Progress::Followed {
                // what came of it is known, what was before is said again
                return none(false);
            }
            // that what failed went well after all is served
            contradiction |= !moves || reported == Progress::NotMoved;
        }
        let change = self.change(said, moves, said_progress, reported);
        Verdict { change, contradiction, older: false }
    }

    /// Whether a record says what was before, by the provider's time. Where the clock cannot tell, a status
    /// that is further on is the later one.
    fn is_older(&self, said: &Said) -> bool {
        let Some(record) = &said.record else { return false };
        self.updated_at.zip(record.updated_at).is_some_and(|(known, at)| {
            let further = Progress::of(said.status) > Progress::of(self.status);
            known > at && !(further && known - record.tolerance <= at)
        })
    }

    fn is_other_payment(&self, said: &Said) -> bool {
        let of_record = said.record.as_ref().map(|record| record.id.as_str());
        let record_differs =
            self.names.record_id.as_deref().zip(of_record).is_some_and(|(known, said)| known != said);
        let id_differs = self.names.payment_id.is_some()
            && said.payment_id.as_deref().is_some_and(|id| !self.names.has_id(id));
        record_differs || id_differs
    }

    fn change(
        &self,
        said: &Said,
        moves: bool,
        progress: Progress,
        reported: Progress,
    ) -> Option<OrderChange> {
        let mut order = self.clone();
        let record_id = said.record.as_ref().map(|record| record.id.clone());
        order.names.payment_id =
            self.names.payment_id.clone().or_else(|| said.payment_id.clone()).or_else(|| record_id.clone());
        order.names.reference = said.reference.clone().or_else(|| self.names.reference.clone());
        order.names.record_id = self.names.record_id.clone().or(record_id);
        if let Some(record) = &said.record {
            order.updated_at = record.updated_at.max(self.updated_at);
            order.metadata = record.metadata.clone();
        }
        if moves {
            order.status = said.status;
        }
        let was_open = matches!(
            self.state,
            OrderState::Recorded | OrderState::Sending | OrderState::Unknown | OrderState::Parked
        );
        let same = (&order.names, order.updated_at, &order.metadata)
            == (&self.names, self.updated_at, &self.metadata);
        if !moves && !was_open && same {
            return None;
        }
        order.state = match (moves, progress) {
            (false, _) if reported > Progress::Open => self.state,
            (false, _) => OrderState::Pending,
            (true, Progress::NotMoved) => OrderState::Failed,
            (true, _) => OrderState::Succeeded,
        };
        Some(OrderChange {
            order,
            moved: moves.then(|| (said.at, said.reason.clone())),
            ended: moves || reported > Progress::Open,
            recount_lookups: moves || self.state != OrderState::Pending,
        })
    }
}

#[cfg(test)]
mod tests;
