//! Proof that the model is faithful: it is given what the real client was given
//! and answered, and has to ask the same requests and come to the same end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use thiserror::Error;

use super::disagreement::{Disagreement, Outcome, compare};
use super::error::CallError;
use super::fetch::{Fetch, Progress};
use super::initiation::{Initiation, Movement};
use super::integer::Integer;
use super::message::{Answer, Kind, Request};
use super::recording::{Call, CallKind, Exchange, Input, RecordedOrder, RecordedRow};
use super::row::{Balance, Row};
use super::state::{State, Watermark};
use super::{balances, storage};

/// What became of a recording.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many calls of each kind the model reproduced.
    pub agreed: BTreeMap<CallKind, usize>,
    /// The calls that it did not: case, kind, and where they part.
    pub disagreements: Vec<(u64, CallKind, Disagreement)>,
}

/// Why a recording could not be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("the recording cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line is not a recorded call.
    #[error("line {number} of the recording: {source}")]
    Line {
        /// Which line, counted from 1.
        number: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Replays every call of a recording (a file of one JSON object per line).
pub fn replay_file(path: &Path) -> Result<Report, ReplayError> {
    let mut report = Report::default();
    for (index, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let call: Call =
            serde_json::from_str(&line?).map_err(|source| ReplayError::Line { number: index + 1, source })?;
        match replay(&call) {
            Ok(()) => *report.agreed.entry(call.kind).or_default() += 1,
            Err(why) => report.disagreements.push((call.case, call.kind, why)),
        }
    }
    Ok(report)
}

/// Runs one recorded call through the model.
pub fn replay(call: &Call) -> Result<(), Disagreement> {
    let mut tape = Tape { exchanges: &call.exchanges, asked: 0 };
    let ended = match call.kind {
        CallKind::Accounts => fetch(call, Kind::Accounts, &mut tape),
        CallKind::Beneficiaries => fetch(call, Kind::Beneficiaries, &mut tape),
        CallKind::Transactions => fetch(call, Kind::Transactions, &mut tape),
        CallKind::Balances => account_balances(call, &mut tape),
        CallKind::Payouts => initiate(call, Movement::Payout, &mut tape),
        CallKind::Transfers => initiate(call, Movement::Transfer, &mut tape),
    };
    let ended = match ended {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Parted(disagreement)) => return Err(disagreement),
    };
    tape.ended()?;
    compare(call, ended)
}

/// Why the model does not come to an outcome.
enum Stop {
    Failed(CallError),
    Parted(Disagreement),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

impl From<Disagreement> for Stop {
    fn from(disagreement: Disagreement) -> Self {
        Self::Parted(disagreement)
    }
}

/// Answers the model's requests with the recorded answers, as long as it asks
/// the recorded requests.
struct Tape<'a> {
    exchanges: &'a [Exchange],
    asked: usize,
}

impl Tape<'_> {
    fn ask(&mut self, request: &Request) -> Result<Answer, Disagreement> {
        let next = self.exchanges.get(self.asked);
        self.asked += 1;
        let recorded = next.map(|exchange| Request {
            method: exchange.method,
            path: exchange.path.clone(),
            query: exchange.query.clone(),
            body: exchange.body.clone(),
        });
        match next {
            Some(exchange) if recorded.as_ref() == Some(request) => {
                Ok(Answer { status: exchange.status, body: exchange.answer.clone().into_bytes() })
            }
            _ => Err(Disagreement::Request {
                number: self.asked,
                asked: request.to_string(),
                recorded: recorded.map_or_else(|| "no request".to_owned(), |r| r.to_string()),
            }),
        }
    }

    fn ended(&self) -> Result<(), Disagreement> {
        if self.asked == self.exchanges.len() {
            return Ok(());
        }
        Err(Disagreement::Requests { asked: self.asked, recorded: self.exchanges.len() })
    }
}

fn fetch(call: &Call, kind: Kind, tape: &mut Tape<'_>) -> Result<Outcome, Stop> {
    let page_size = call.page_size.ok_or(Disagreement::Unusable("pageSize is missing"))?;
    let state = match &call.state_in {
        Some(state) => State::from_json(kind, state.get().as_bytes())?,
        None => State::default(),
    };
    let mut fetch = Fetch::new(kind, page_size, state);
    let fetched = loop {
        let answer = tape.ask(&fetch.request())?;
        match fetch.answer(&answer)? {
            Progress::Ask(next) => fetch = next,
            Progress::Done(fetched) => break fetched,
        }
    };
    let state = fetched.state.to_json(kind)?;
    Ok(Outcome {
        rows: fetched.rows.iter().map(recorded_row).collect(),
        state: serde_json::from_str(&state).ok(),
        has_more: fetched.has_more,
        rejected: storage::check(&fetched.rows).err().map(|r| r.to_string()),
    })
}

fn account_balances(call: &Call, tape: &mut Tape<'_>) -> Result<Outcome, Stop> {
    let Some(Input::Account { account_id }) = &call.input else {
        return Err(Disagreement::Unusable("the account is missing").into());
    };
    let answer = tape.ask(&balances::request(account_id)?)?;
    let found = balances::answer(&answer)?;
    Ok(Outcome {
        rows: found.iter().map(recorded_balance).collect(),
        rejected: storage::check_balances(&found).err().map(|r| r.to_string()),
        ..Outcome::default()
    })
}

fn initiate(call: &Call, movement: Movement, tape: &mut Tape<'_>) -> Result<Outcome, Stop> {
    let Some(Input::Order(order)) = &call.input else {
        return Err(Disagreement::Unusable("the order is missing").into());
    };
    let answer = tape.ask(&initiation(order)?.request(movement)?)?;
    let row = movement.answer(&answer)?;
    let recorded = RecordedRow {
        // For payouts and transfers the key alone was recorded as the payment's
        // reference, also where it is missing and the row's own id takes over.
        payment_reference: row.payment().parent.clone(),
        ..recorded_row(&row)
    };
    Ok(Outcome {
        rows: vec![recorded],
        rejected: storage::check(&[row]).err().map(|r| r.to_string()),
        ..Outcome::default()
    })
}

fn initiation(order: &RecordedOrder) -> Result<Initiation, Disagreement> {
    let amount = Integer::parse(&order.amount);
    Ok(Initiation {
        reference: order.reference.clone(),
        amount: amount.ok_or(Disagreement::Unusable("the amount is no integer"))?,
        asset: order.asset.clone(),
        source: order.source.clone(),
        destination: order.destination.clone(),
        description: order.description.clone(),
        metadata: order.metadata.clone(),
    })
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn recorded_row(row: &Row) -> RecordedRow {
    let common = RecordedRow {
        reference: row.reference.clone(),
        created_at: Some(row.created_at.to_string()),
        metadata: row.metadata.clone().filter(|map| !map.is_empty()),
        ..RecordedRow::default()
    };
    let Some(payment) = &row.payment else {
        return common;
    };
    RecordedRow {
        parent: payment.parent.clone(),
        kind: Some(payment.kind.to_string()),
        status: Some(payment.status.to_string()),
        amount: Some(payment.amount.to_string()),
        asset: given(&payment.asset),
        source: payment.source.clone(),
        destination: payment.destination.clone(),
        payment_reference: given(row.payment_reference()),
        ..common
    }
}

fn recorded_balance(balance: &Balance) -> RecordedRow {
    RecordedRow {
        reference: balance.account_reference.clone(),
        amount: Some(balance.amount.to_string()),
        asset: given(&balance.asset),
        created_at: Some(balance.at.to_string()),
        ..RecordedRow::default()
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
