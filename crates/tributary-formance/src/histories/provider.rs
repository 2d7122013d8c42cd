//! The provider: tells of many payments at a time, by its own clock.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, SecondsFormat, SubsecRound, TimeDelta, Utc};
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::Expected;
use super::lives::{Life, Step, Telling};
use crate::row::PaymentType;

/// Of how many payments it tells at a time.
const UNDER_WAY: usize = 20;
/// How often something is said again after a step, for no reason.
const SAID_AGAIN: f64 = 0.2;

pub(super) struct Provider {
    rng: SmallRng,
    now: DateTime<Utc>,
    payments: Vec<Payment>,
}

impl Provider {
    pub(super) fn new(mut rng: SmallRng, payments: usize, telling: Telling) -> Self {
        let payments = (0..payments).map(|number| Payment::random(number, &mut rng, telling)).collect();
        let now = DateTime::from_timestamp(1_767_225_600, 0).expect("the beginning of 2026");
        Self { rng, now, payments }
    }

    /// Adds what it says next: one step of one payment, perhaps followed by
    /// something that it has said before. Gives whether there was a step left.
    pub(super) fn tell(&mut self, records: &mut Vec<Value>) -> bool {
        let open: Vec<_> = (0..self.payments.len()).filter(|&at| self.payments[at].is_open()).collect();
        let Some(last) = open.len().min(UNDER_WAY).checked_sub(1) else { return false };
        self.tick();
        let place = open[self.rng.random_range(0..=last)];
        records.push(self.payments[place].tell(self.now));
        if self.rng.random_bool(SAID_AGAIN) {
            records.extend(self.say_again());
        }
        true
    }

    fn say_again(&mut self) -> Option<Value> {
        self.tick();
        let place = self.rng.random_range(0..self.payments.len());
        let is_changed = self.rng.random_bool(0.5);
        let payment = &mut self.payments[place];
        let part = self.rng.random_range(0..payment.said.len().max(1));
        if is_changed {
            payment.annotate(part, self.now);
        }
        payment.said.get(&part).cloned()
    }

    /// At least a second, so that dates cut to the second still ascend.
    fn tick(&mut self) {
        let micros = self.rng.random_range(1_000_000..3_600_000_000);
        self.now += TimeDelta::microseconds(micros);
    }

    pub(super) fn expected(&self) -> Vec<Expected> {
        self.payments.iter().map(Payment::expected).collect()
    }
}

/// A payment and what was said of it.
struct Payment {
    identity: String,
    kind: PaymentType,
    /// The members that none of its records, nor of its children's, ever changes.
    members: Value,
    /// How many digits of the second, and which offset, its dates have.
    precision: u16,
    offset: FixedOffset,
    /// Whether its records tell `updatedAt`.
    is_dated: bool,
    /// How long it was there before it was first told of.
    age: TimeDelta,
    life: Life,
    told: usize,
    /// The last record of each part.
    said: BTreeMap<usize, Value>,
}

impl Payment {
    fn random(number: usize, rng: &mut SmallRng, telling: Telling) -> Self {
        const KINDS: [PaymentType; 4] =
            [PaymentType::PayIn, PaymentType::Payout, PaymentType::Transfer, PaymentType::Other];
        let kind = KINDS[rng.random_range(0..KINDS.len())];
        let currency = ["EUR/2", "USD/2", "JPY", "KWD/3", "BTC/8"][rng.random_range(0..5)];
        let account = format!("acc_{}", rng.random_range(1..=5));
        let other = format!("acc_{}", rng.random_range(6..=9));
        let beneficiary = format!("ben_{}", rng.random_range(1..=5));
        let (source, destination) = match kind {
            PaymentType::PayIn => (None, Some(account)),
            PaymentType::Payout => (Some(account), Some(beneficiary)),
            PaymentType::Transfer => (Some(account), Some(other)),
            PaymentType::Other => (None, None),
        };
        let offset_hours = [0, 0, 2, -5][rng.random_range(0..4)];
        Self {
            identity: format!("tx_{number}"),
            kind,
            members: json!({"type": kind.as_wire(), "currency": currency,
                "sourceAccountID": source, "destinationAccountID": destination}),
            precision: [0, 3, 6][rng.random_range(0..3)],
            offset: FixedOffset::east_opt(offset_hours * 3600).expect("a few hours"),
            is_dated: rng.random_bool(0.8),
            age: TimeDelta::seconds(rng.random_range(0..200_000)),
            life: Life::random(rng, telling),
            told: 0,
            said: BTreeMap::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.told < self.life.steps.len()
    }

    /// The record of its next step, at the moment `now`.
    fn tell(&mut self, now: DateTime<Utc>) -> Value {
        let Step { part, status, amount } = self.life.steps[self.told];
        self.told += 1;
        let mut record = self.said.remove(&part).unwrap_or_else(|| self.first_record(part, now));
        record["status"] = status.as_wire().into();
        record["amount"] = amount.to_string().into();
        self.date(&mut record, now);
        self.said.insert(part, record.clone());
        record
    }

    fn first_record(&self, part: usize, now: DateTime<Utc>) -> Value {
        let created_at = if part == 0 { now - self.age } else { now };
        let created_at = created_at.trunc_subsecs(self.precision).with_timezone(&self.offset);
        let mut record = self.members.clone();
        record["createdAt"] = created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into();
        record["id"] = match part {
            0 => self.identity.clone().into(),
            child => format!("{}.{child}", self.identity).into(),
        };
        if part > 0 {
            record["relatedTransactionID"] = self.identity.clone().into();
        }
        record
    }

    /// Gives what was last said of a part a new note, if anything was said.
    fn annotate(&mut self, part: usize, now: DateTime<Utc>) {
        if let Some(mut record) = self.said.remove(&part) {
            record["metadata"] = json!({"note": now.timestamp_micros().to_string()});
            self.date(&mut record, now);
            self.said.insert(part, record);
        }
    }

    fn date(&self, record: &mut Value, now: DateTime<Utc>) {
        if self.is_dated {
            record["updatedAt"] = now.to_rfc3339_opts(SecondsFormat::Micros, true).into();
        }
    }

    fn expected(&self) -> Expected {
        let last = self.life.steps.last().expect("a life has a first status");
        Expected {
            identity: self.identity.clone(),
            kind: self.kind,
            amount: self.life.amount,
            status: last.status,
        }
    }
}
