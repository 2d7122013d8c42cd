//! Where the model and a recorded call part, and how that is found out.

use serde_json::Value;
use thiserror::Error;

use super::error::{CallError, ErrorClass};
use super::recording::{Call, RecordedRow};

/// The first point at which the model and a recorded call part.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Disagreement {
    /// The recording lacks what a call of its kind needs.
    #[error("the recording cannot be replayed: {0}")]
    Unusable(&'static str),
    /// The model asks another request.
    #[error("request {number}: the model asks {asked}, recorded is {recorded}")]
    Request {
        /// Which request, counted from 1.
        number: usize,
        asked: String,
        /// The recorded one, or that there was none.
        recorded: String,
    },
    /// The model ends before the recorded call did.
    #[error("the model ends after {asked} requests, recorded are {recorded}")]
    Requests {
        /// The model's number of requests.
        asked: usize,
        /// The recorded number.
        recorded: usize,
    },
    /// The model fails otherwise than the recorded call.
    #[error("the model fails with {modelled:?}, recorded is {recorded:?}")]
    Failure {
        /// The model's failure.
        modelled: Option<CallError>,
        /// The recorded message and class.
        recorded: Option<(String, ErrorClass)>,
    },
    /// The model returns another number of rows.
    #[error("the model returns {modelled} rows, recorded are {recorded}")]
    RowCount {
        /// The model's number of rows.
        modelled: usize,
        /// The recorded number.
        recorded: usize,
    },
    /// The model returns another row.
    #[error("row {number}: the model returns {modelled:?}, recorded is {recorded:?}")]
    Row {
        /// Which row, counted from 1.
        number: usize,
        modelled: Box<RecordedRow>,
        recorded: Box<RecordedRow>,
    },
    /// The model comes to another state.
    #[error("the model's state is {modelled:?}, recorded is {recorded:?}")]
    State { modelled: Option<Value>, recorded: Option<Value> },
    /// The model differs on whether the next call follows at once.
    #[error("has more: the model says {modelled}, recorded is {recorded}")]
    HasMore { modelled: bool, recorded: bool },
    /// The model differs on whether Formance stores the rows.
    #[error("storage: the model says {modelled:?}, recorded is {recorded:?}")]
    Storage {
        /// Why the model's storage refuses the rows.
        modelled: Option<String>,
        /// Why the recorded one did.
        recorded: Option<String>,
    },
}

/// How a call ended that did not fail.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rows as they would be recorded.
    pub rows: Vec<RecordedRow>,
    /// The state to save, for lists.
    pub state: Option<Value>,
    /// Whether the next call follows at once.
    pub has_more: bool,
    /// Why storage refuses the rows.
    pub rejected: Option<String>,
}

/// Compares how the model ended with how the recorded call did.
pub fn compare(call: &Call, modelled: Result<Outcome, CallError>) -> Result<(), Disagreement> {
    match (modelled, call.error.as_deref().zip(call.error_class)) {
        (Ok(outcome), None) => {
            compare_rows(&outcome.rows, &call.rows)?;
            compare_end(call, outcome)
        }
        (Err(error), Some((message, class))) if error.class() == class && is_reason(&error, message) => {
            // A failed call returns nothing, and nothing of it is saved.
            compare_rows(&[], &call.rows)?;
            compare_end(call, Outcome::default())
        }
        (modelled, recorded) => Err(Disagreement::Failure {
            modelled: modelled.err(),
            recorded: recorded.map(|(message, class)| (message.to_owned(), class)),
        }),
    }
}

/// Whether the model failed in the same step as the recorded call, going by the
/// recorded message.
fn is_reason(modelled: &CallError, recorded: &str) -> bool {
    match modelled {
        CallError::Status { .. } => recorded.contains("unexpected status code"),
        CallError::Body { status, .. } => {
            recorded.contains(&format!("failed to unmarshal response with status {status}: "))
        }
        CallError::Amount(text) => {
            recorded.starts_with(&format!("failed to parse amount: {text}"))
                || recorded == format!("failed to parse amount {text} as integer")
        }
        CallError::Time(_) => recorded.starts_with("failed to parse createdAt: "),
        CallError::Initiation(_) => recorded.ends_with(": invalid request"),
        _ => false,
    }
}

fn compare_rows(modelled: &[RecordedRow], recorded: &[RecordedRow]) -> Result<(), Disagreement> {
    let pairs = modelled.iter().zip(recorded).enumerate();
    for (index, (modelled, recorded)) in pairs {
        if modelled != recorded {
            return Err(Disagreement::Row {
                number: index + 1,
                modelled: Box::new(modelled.clone()),
                recorded: Box::new(recorded.clone()),
            });
        }
    }
    if modelled.len() != recorded.len() {
        return Err(Disagreement::RowCount { modelled: modelled.len(), recorded: recorded.len() });
    }
    Ok(())
}

fn compare_end(call: &Call, outcome: Outcome) -> Result<(), Disagreement> {
    if outcome.state != call.state_out {
        return Err(Disagreement::State { modelled: outcome.state, recorded: call.state_out.clone() });
    }
    if outcome.has_more != call.has_more {
        return Err(Disagreement::HasMore { modelled: outcome.has_more, recorded: call.has_more });
    }
    if outcome.rejected != call.rejected_by_storage {
        return Err(Disagreement::Storage {
            modelled: outcome.rejected,
            recorded: call.rejected_by_storage.clone(),
        });
    }
    Ok(())
}
