//! What can happen to one payment.
//!
//! ```text
//! [PENDING] ──> SUCCEEDED ──────────────────┐
//!     └──> FAILED | CANCELLED | EXPIRED     ├──> [DISPUTE ──> DISPUTE_WON | DISPUTE_LOST]
//! AUTHORISATION ──> CAPTURE, or children ───┘    [REFUNDED | REFUNDED_FAILURE, or children]
//!     └──> CANCELLED | EXPIRED | CAPTURE_FAILED        └──> [REFUND_REVERSED]
//! ```

use rand::Rng;
use rand::rngs::SmallRng;

use crate::row::PaymentStatus;

/// In which order the parts of one payment are told: the payment itself, its
/// refunds, its captures and its disputes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// One after the other: the payment itself does not change any more once its
    /// first child was told, nor does a child once the next was.
    InTurn,
    /// All at once, as they happen. Served with the dates that the provider gives,
    /// such a history leaves stale statuses in Formance: a late change of an old
    /// part has to be served with the latest date within the payment.
    Interleaved,
}

/// One status of one part of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// 0 is the payment itself, all others are its children.
    pub part: usize,
    pub status: PaymentStatus,
    /// What the record says, in minor units.
    pub amount: i128,
}

/// All that happens to one payment, and what is left of its amount.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub steps: Vec<Step>,
    pub amount: i128,
}

impl Life {
    pub(super) fn random(rng: &mut SmallRng, telling: Telling) -> Self {
        let asked = asked(rng);
        let mut writer = Writer { rng, telling, steps: Vec::new(), parts: 1, own: asked, held: asked };
        let is_settled = if writer.chance(0.4) { writer.authorise() } else { writer.pay() };
        if is_settled {
            let aftermath = writer.aftermath();
            writer.merge(aftermath);
        }
        Self { steps: writer.steps, amount: writer.held }
    }
}

/// Amounts of every length that a record may have, most of them short.
fn asked(rng: &mut SmallRng) -> i128 {
    let digits =
        if rng.random_bool(0.9) { rng.random_range(1..=5_u32) } else { rng.random_range(6..=38_u32) };
    rng.random_range(1..10_i128.pow(digits))
}

/// Writes a life down as it comes to mind.
struct Writer<'a> {
    rng: &'a mut SmallRng,
    telling: Telling,
    steps: Vec<Step>,
    /// How many parts there are so far.
    parts: usize,
    /// The amount that the payment's own records say.
    own: i128,
    /// What is left of the money that has moved.
    held: i128,
}

impl Writer<'_> {
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn one_of(&mut self, statuses: &[PaymentStatus]) -> PaymentStatus {
        statuses[self.rng.random_range(0..statuses.len())]
    }

    /// All of it or a part of it, at least 1.
    fn portion(&mut self, of: i128) -> i128 {
        if self.chance(0.3) { of } else { self.rng.random_range(1..=of) }
    }

    fn own(&self, status: PaymentStatus) -> Step {
        Step { part: 0, status, amount: self.own }
    }

    fn new_part(&mut self) -> usize {
        self.parts += 1;
        self.parts - 1
    }

    /// A payment in one go. Gives whether it happened.
    fn pay(&mut self) -> bool {
        use PaymentStatus::*;
        let fails = self.chance(0.15);
        if fails || self.chance(0.7) {
            self.steps.push(self.own(Pending));
        }
        let outcome = if fails {
            self.one_of(&[Failed, Cancelled, Expired])
        } else if self.chance(0.1) {
            Other
        } else {
            Succeeded
        };
        let stays_pending = !self.steps.is_empty() && self.chance(0.1);
        if !stays_pending {
            self.steps.push(self.own(outcome));
        }
        !stays_pending && outcome == Succeeded
    }

    /// A payment in two steps. Gives whether anything was captured.
    fn authorise(&mut self) -> bool {
        use PaymentStatus::*;
        self.held = 0;
        self.steps.push(self.own(Authorisation));
        if self.chance(0.25) {
            let outcome = self.one_of(&[Cancelled, Expired, CaptureFailed, Authorisation]);
            if outcome != Authorisation {
                self.steps.push(self.own(outcome));
            }
        } else if self.chance(0.5) {
            self.own = self.portion(self.own);
            self.held = self.own;
            self.steps.push(self.own(Capture));
        } else {
            self.capture_by_children();
        }
        self.held > 0
    }

    fn capture_by_children(&mut self) {
        let mut left = self.own;
        for _ in 0..self.rng.random_range(1..=3) {
            if left == 0 {
                return;
            }
            let (part, amount) = (self.new_part(), self.portion(left));
            let fails = self.chance(0.15);
            let status = if fails { PaymentStatus::CaptureFailed } else { PaymentStatus::Capture };
            self.steps.push(Step { part, status, amount });
            if !fails {
                left -= amount;
                self.held += amount;
            }
        }
    }

    /// What may follow once money has moved: for each part its steps in order, the
    /// payment itself first.
    fn aftermath(&mut self) -> Vec<Vec<Step>> {
        // Told in turn, the payment itself is silent once its first child was told.
        let may_change = self.parts == 1 || self.telling == Telling::Interleaved;
        let mut own = Vec::new();
        if may_change && self.chance(0.25) {
            own.extend(self.dispute(0, self.own));
        }
        let mut children = Vec::new();
        if self.chance(0.15) {
            let (part, amount) = (self.new_part(), self.portion(self.held));
            children.push(self.dispute(part, amount));
        }
        // A record of the payment itself gives all of it back or nothing.
        if may_change && self.own == self.held && self.chance(0.25) {
            own.extend(self.refund(0, self.own));
        } else if self.chance(0.5) {
            children.extend(self.refund_by_children());
        }
        [vec![own], children].concat()
    }

    fn refund_by_children(&mut self) -> Vec<Vec<Step>> {
        let mut refunds = Vec::new();
        // What was reversed is not given back again: a later refund may be told
        // before the reversal.
        let mut left = self.held;
        for _ in 0..self.rng.random_range(1..=3) {
            if left > 0 {
                let (part, amount) = (self.new_part(), self.portion(left));
                refunds.push(self.refund(part, amount));
                left -= amount;
            }
        }
        refunds
    }

    fn dispute(&mut self, part: usize, amount: i128) -> Vec<Step> {
        use PaymentStatus::*;
        let outcome = self.one_of(&[DisputeWon, DisputeLost, Dispute]);
        let mut steps = vec![Step { part, status: Dispute, amount }];
        if outcome != Dispute {
            steps.push(Step { part, status: outcome, amount });
        }
        steps
    }

    fn refund(&mut self, part: usize, amount: i128) -> Vec<Step> {
        use PaymentStatus::*;
        if self.chance(0.15) {
            return vec![Step { part, status: RefundedFailure, amount }];
        }
        self.held -= amount;
        let mut steps = vec![Step { part, status: Refunded, amount }];
        if self.chance(0.2) {
            self.held += amount;
            steps.push(Step { part, status: RefundReversed, amount });
        }
        steps
    }

    /// Adds the parts' steps, in turn or interleaved. Each part's own order stays.
    fn merge(&mut self, mut parts: Vec<Vec<Step>>) {
        parts.retain(|steps| !steps.is_empty());
        while !parts.is_empty() {
            let place = match self.telling {
                Telling::InTurn => 0,
                Telling::Interleaved => self.rng.random_range(0..parts.len()),
            };
            self.steps.push(parts[place].remove(0));
            parts.retain(|steps| !steps.is_empty());
        }
    }
}
