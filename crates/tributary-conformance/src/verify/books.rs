//! Our side: what Formance must hold of what the feed told so far.

use std::collections::HashMap;

use tributary_formance::kept::shown::Names;
use tributary_formance::kept::{AccountType, PaymentKey, ShownPayment};
use tributary_formance::{Client, GoTime, Kind, PaymentStatus, Row, State};

use super::Unreadable;

/// What is asked for at once: the most that Tributary gives.
const PAGE_SIZE: usize = 1_000;

/// Where in a feed something was told: its number in it, from 1 on, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub number: u64,
    pub at: GoTime,
}

/// An account or beneficiary that was told.
#[derive(Debug)]
pub struct ToldAccount {
    pub kind: AccountType,
    pub place: Place,
    /// The look that last found it in Formance.
    pub seen: u32,
}

/// A payment that was told.
#[derive(Debug)]
pub struct ToldPayment {
    pub shown: ShownPayment,
    /// Where its first entry is.
    pub first: Place,
    /// Where the last entry is that changed what is shown of it.
    pub changed: Place,
    /// Whether it was ordered here: its identity is an idempotency key, and none of its entries' ids.
    pub is_order: bool,
    /// The look that last found it in Formance.
    pub seen: u32,
    /// The look that last found its initiation there.
    pub initiation_seen: u32,
}

/// The feeds of one API key, read as Formance reads them, and worked out as Formance does.
pub struct Books {
    pub feed: Client,
    states: [State; 3],
    numbers: [u64; 3],
    names: Names,
    pub accounts: HashMap<Box<str>, ToldAccount>,
    /// Apart from the table, which doubles as it grows.
    pub payments: HashMap<PaymentKey, Box<ToldPayment>>,
}

impl Books {
    /// Of the server at `endpoint`, with nothing read yet.
    pub fn new(endpoint: &str, key: &str) -> Self {
        Self {
            feed: Client::new(endpoint, key).with_page_size(PAGE_SIZE),
            states: Default::default(),
            numbers: [0; 3],
            names: Names::default(),
            accounts: HashMap::new(),
            payments: HashMap::new(),
        }
    }

    /// Reads on to the present end of all feeds.
    pub async fn advance(&mut self) -> Result<(), Unreadable> {
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            loop {
                let fetched = self.feed.fetch_next(kind, &self.states[i]).await;
                let fetched = fetched.map_err(|error| Unreadable::Feed { kind, error })?;
                self.states[i] = fetched.state;
                for row in &fetched.rows {
                    self.numbers[i] += 1;
                    self.take(kind, row, Place { number: self.numbers[i], at: row.watermark });
                }
                if !fetched.has_more {
                    break;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind, row: &Row, place: Place) {
        let kind = match kind {
            Kind::Accounts => AccountType::Internal,
            Kind::Beneficiaries => AccountType::External,
            Kind::Transactions => return self.take_payment(row, place),
        };
        // who comes first stays; an account comes before a beneficiary of its id, as it is read before it
        let new = ToldAccount { kind, place, seen: 0 };
        self.accounts.entry(row.reference.as_str().into()).or_insert(new);
    }

    fn take_payment(&mut self, row: &Row, place: Place) {
        let is_own = row.reference == row.payment_reference();
        match self.payments.get_mut(&PaymentKey::of(row)) {
            Some(told) => {
                told.is_order &= !is_own;
                if told.shown.take(row) {
                    told.changed = place;
                }
            }
            None => {
                let shown = ShownPayment::first(row, &mut self.names);
                let told = ToldPayment {
                    shown,
                    first: place,
                    changed: place,
                    is_order: !is_own,
                    seen: 0,
                    initiation_seen: 0,
                };
                self.payments.insert(PaymentKey::of(row), Box::new(told));
            }
        }
    }
}

/// What the feed said of one payment, in more detail than [`Books`] hold of all.
#[derive(Debug, Default)]
pub struct History {
    /// What is shown of it by its first entry alone.
    pub as_begun: Option<ShownPayment>,
    /// What is shown of it by those that Formance is known to have read.
    pub as_reached: Option<ShownPayment>,
    /// What each entry said: id, status, `createdAt`, and the amount in minor units.
    pub entries: Vec<(String, PaymentStatus, GoTime, String)>,
    /// Of an id that no payment has: the payment that has an entry of this id.
    pub part_of: Option<PaymentKey>,
    /// The other types under which its identity was told.
    pub other_types: Vec<String>,
}

/// Reads all transactions once more, for what they say of `of`; Formance has read up to the entry of the
/// number `reached`.
pub async fn histories(
    feed: &Client,
    of: impl IntoIterator<Item = PaymentKey>,
    reached: u64,
) -> Result<HashMap<PaymentKey, History>, Unreadable> {
    let mut found: HashMap<PaymentKey, History> =
        of.into_iter().map(|key| (key, History::default())).collect();
    let mut by_identity: HashMap<String, Vec<PaymentKey>> = HashMap::new();
    for key in found.keys() {
        by_identity.entry(key.identity.clone()).or_default().push(key.clone());
    }
    let (mut state, mut number, mut names) = (State::default(), 0, Names::default());
    loop {
        let kind = Kind::Transactions;
        let fetched = feed.fetch_next(kind, &state).await;
        let fetched = fetched.map_err(|error| Unreadable::Feed { kind, error })?;
        state = fetched.state;
        for row in &fetched.rows {
            number += 1;
            let own = PaymentKey::of(row);
            if let Some(history) = found.get_mut(&own) {
                history.tell(row, number <= reached, &mut names);
            }
            for key in by_identity.get(&own.identity).into_iter().flatten().filter(|key| **key != own) {
                let types = &mut found.get_mut(key).expect("a key of those asked for").other_types;
                let kind = own.kind.to_string();
                if !types.contains(&kind) {
                    types.push(kind);
                }
            }
            if row.reference != own.identity {
                for key in by_identity.get(&row.reference).into_iter().flatten() {
                    found.get_mut(key).expect("a key of those asked for").part_of = Some(own.clone());
                }
            }
        }
        if !fetched.has_more {
            return Ok(found);
        }
    }
}

impl History {
    fn tell(&mut self, row: &Row, is_reached: bool, names: &mut Names) {
        let payment = row.payment();
        self.entries.push((
            row.reference.clone(),
            payment.status,
            row.created_at,
            payment.amount.to_string(),
        ));
        if self.as_begun.is_none() {
            self.as_begun = Some(ShownPayment::first(row, names));
        }
        if is_reached {
            match &mut self.as_reached {
                Some(shown) => drop(shown.take(row)),
                None => self.as_reached = Some(ShownPayment::first(row, names)),
            }
        }
    }
}
