//! Orders to pay at a stand-in: what goes wrong with each, which key was used before, and what was
//! executed. The money itself moves in the books, like any other record.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cut::cut;
use tributary_domain::Status;

/// What goes wrong with one request to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentFault {
    /// Nothing.
    None,
    /// Refused, with this message; no money moves.
    Refuse(String),
    /// No answer; no money moves.
    SilentBefore,
    /// The money moves; no answer.
    SilentAfter,
    /// 500; no money moves.
    ErrorBefore,
    /// The money moves; 500.
    ErrorAfter,
    /// 500; the money moves so much later.
    ErrorThenExecute(Duration),
    /// The money moves; the answer breaks off.
    LoseAnswer,
    /// The money moves; the answer is no JSON.
    Garbage,
    /// The money moves; the answer comes so much later.
    Late(Duration),
    /// So many minor units move, whatever was ordered.
    OtherAmount(i64),
    /// A part of the money moves, and no more.
    Partial,
    /// No money moves; the answer tells of somebody else's payment, as one that the key had made.
    Foreign,
}

/// How a payment is executed otherwise than it was ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    OtherAmount(i64),
    Partial,
    Foreign,
}

impl PaymentFault {
    /// What kind of fault it is.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Refuse(_) => "refuse",
            Self::SilentBefore => "silent_before",
            Self::SilentAfter => "silent_after",
            Self::ErrorBefore => "error_before",
            Self::ErrorAfter => "error_after",
            Self::ErrorThenExecute(_) => "error_then_execute",
            Self::LoseAnswer => "lose_answer",
            Self::Garbage => "garbage",
            Self::Late(_) => "late",
            Self::OtherAmount(_) => "other_amount",
            Self::Partial => "partial",
            Self::Foreign => "foreign",
        }
    }
}

/// What a request under a key that was used before does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It is told of the first one's payment.
    Replay,
    Refuse,
    /// The key is forgotten: the money moves again.
    Forget,
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The client's key.
    pub key: String,
    /// The id of the record that shows it.
    pub id: String,
    /// In minor units.
    pub amount_minor: i64,
    /// What the record's status means now.
    pub status: Status,
}

/// Where orders come in. Whoever executes one holds the books first.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Counter>);

#[derive(Default)]
struct Counter {
    faults: VecDeque<PaymentFault>,
    on_duplicate: Option<OnDuplicate>,
    at_once: Option<Status>,
    allows_alike: bool,
    hidden: bool,
    /// How many requests met which fault.
    fired: BTreeMap<&'static str, u64>,
    /// Draws a fault for each request, this many of a thousand.
    chance: Option<(SmallRng, u32)>,
    orders: HashMap<String, usize>,
    /// What was quoted, in order: the position of the account that pays, and how many minor units.
    quotes: Vec<(usize, i64)>,
    /// The records of what was drafted, by key.
    drafts: HashMap<String, usize>,
    /// Key and record of what was executed, in order.
    executed: Vec<(String, usize)>,
    notes: HashMap<usize, Note>,
}

/// What a record shows of the order that it came of.
#[derive(Clone)]
pub(crate) struct Note {
    /// The client's key.
    pub key: String,
    /// The client's text: a note, a reference.
    pub text: Option<String>,
}

/// How a payment is to be entered.
pub(crate) struct Entry {
    pub status: Status,
    /// Kept from readers.
    pub hidden: bool,
}

/// What became of an order, with the position of its record.
pub(crate) enum Executed {
    Now(usize),
    Before(usize),
    Refused,
}

impl Desk {
    pub fn set_faults(&self, faults: impl IntoIterator<Item = PaymentFault>) {
        self.lock().faults = faults.into_iter().collect();
    }

    pub fn set_on_duplicate(&self, on_duplicate: OnDuplicate) {
        self.lock().on_duplicate = Some(on_duplicate);
    }

    pub fn set_outcome(&self, at_once: Option<Status>) {
        self.lock().at_once = at_once;
    }

    pub fn allow_alike(&self, allowed: bool) {
        self.lock().allows_alike = allowed;
    }

    pub fn hide(&self, hidden: bool) {
        self.lock().hidden = hidden;
    }

    pub fn set_chance(&self, per_mille: u32, seed: u64) {
        self.lock().chance = Some((SmallRng::seed_from_u64(seed), per_mille));
    }

    /// How many requests to pay met which fault, by [`PaymentFault::name`].
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.lock().fired.clone()
    }

    // As with the books: what a panicking test left behind is still the truth.
    fn lock(&self) -> MutexGuard<'_, Counter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client wrote of this record; `None` of what nobody ordered.
    pub fn note(&self, record: usize) -> Option<Note> {
        self.lock().notes.get(&record).cloned()
    }

    /// The records of `key`.
    pub fn records(&self, key: &str) -> Vec<usize> {
        self.lock().executed.iter().filter(|(of, _)| of == key).map(|(_, record)| *record).collect()
    }

    /// Key and record of what was executed, in order.
    pub fn executed(&self) -> Vec<(String, usize)> {
        self.lock().executed.clone()
    }

    /// Keeps a quote: an account by position, and minor units. Gives its number.
    pub fn quote(&self, account: usize, amount_minor: i64) -> usize {
        let mut counter = self.lock();
        counter.quotes.push((account, amount_minor));
        counter.quotes.len() - 1
    }

    /// The quotes, by number.
    pub fn quotes(&self) -> Vec<(usize, i64)> {
        self.lock().quotes.clone()
    }

    /// Lets `enter` write the record of a payment that is drafted, if there is none of its key.
    pub fn draft(&self, note: Note, enter: impl FnOnce() -> usize) -> usize {
        let mut counter = self.lock();
        if let Some(record) = counter.drafts.get(&note.key) {
            return *record;
        }
        let record = enter();
        counter.drafts.insert(note.key.clone(), record);
        counter.notes.insert(record, note);
        record
    }

    /// The record of what was drafted under `key`.
    pub fn drafted(&self, key: &str) -> Option<usize> {
        self.lock().drafts.get(key).copied()
    }

    /// Whether payments like recent ones are taken.
    pub fn allows_alike(&self) -> bool {
        self.lock().allows_alike
    }

    /// Lets `enter` write the record of the order, if its key was not used before: then
    /// `usual` happens.
    pub fn execute(&self, note: Note, usual: OnDuplicate, enter: impl FnOnce(Entry) -> usize) -> Executed {
        let mut counter = self.lock();
        if let Some(record) = counter.orders.get(&note.key).copied() {
            match counter.on_duplicate.unwrap_or(usual) {
                OnDuplicate::Replay => return Executed::Before(record),
                OnDuplicate::Refuse => return Executed::Refused,
                OnDuplicate::Forget => {}
            }
        }
        let status = counter.at_once.unwrap_or(Status::Pending);
        let record = enter(Entry { status, hidden: counter.hidden });
        counter.orders.insert(note.key.clone(), record);
        counter.executed.push((note.key.clone(), record));
        counter.notes.insert(record, note);
        Executed::Now(record)
    }

    fn draw(&self) -> PaymentFault {
        let mut counter = self.lock();
        let fault = counter.faults.pop_front().unwrap_or_else(|| counter.by_chance());
        *counter.fired.entry(fault.name()).or_default() += 1;
        fault
    }

    /// Answers one request to pay by `execute`, or goes wrong; `refuse` words a refusal, and
    /// `broken` is the provider's own fault.
    pub async fn attend<E>(
        &self,
        twisted: impl Fn(Twist) -> Result<Response, E> + Send + 'static,
        refuse: impl FnOnce(String) -> E,
        broken: E,
    ) -> Result<Response, E> {
        let fault = self.draw();
        match fault {
            PaymentFault::OtherAmount(minor) => return twisted(Twist::OtherAmount(minor)),
            PaymentFault::Partial => return twisted(Twist::Partial),
            PaymentFault::Foreign => return twisted(Twist::Foreign),
            _ => {}
        }
        let execute = move || twisted(Twist::None);
        match fault {
            PaymentFault::None
            | PaymentFault::OtherAmount(_)
            | PaymentFault::Partial
            | PaymentFault::Foreign => execute(),
            PaymentFault::Refuse(message) => Err(refuse(message)),
            PaymentFault::SilentBefore => std::future::pending().await,
            PaymentFault::SilentAfter => {
                execute()?;
                std::future::pending().await
            }
            PaymentFault::ErrorBefore => Err(broken),
            PaymentFault::ErrorAfter => {
                execute()?;
                Err(broken)
            }
            PaymentFault::ErrorThenExecute(after) => {
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // nobody is there to be told
                    execute().ok();
                });
                Err(broken)
            }
            PaymentFault::LoseAnswer => Ok(cut(execute()?, || {}).await),
            PaymentFault::Garbage => {
                execute()?;
                Ok("<html>All is well</html>".into_response())
            }
            PaymentFault::Late(by) => {
                let answer = execute()?;
                tokio::time::sleep(by).await;
                Ok(answer)
            }
        }
    }
}

impl Counter {
    fn by_chance(&mut self) -> PaymentFault {
        let Some((rng, per_mille)) = &mut self.chance else { return PaymentFault::None };
        if rng.random_range(0..1_000) >= *per_mille {
            return PaymentFault::None;
        }
        match rng.random_range(0..9) {
            0 => PaymentFault::Refuse("not today".to_owned()),
            1 => PaymentFault::SilentBefore,
            2 => PaymentFault::SilentAfter,
            3 => PaymentFault::ErrorBefore,
            4 => PaymentFault::ErrorAfter,
            5 => PaymentFault::ErrorThenExecute(Duration::from_millis(rng.random_range(1..100))),
            6 => PaymentFault::LoseAnswer,
            7 => PaymentFault::Garbage,
            _ => PaymentFault::Late(Duration::from_millis(rng.random_range(1..600))),
        }
    }
}
