//! The canonical record: the connector's own field names, for everything that is ingested.

use super::{Account, Balances, Beneficiary, Resource, Transaction};

/// Why a record cannot be taken. Its text says what is wrong with which field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(String);

impl RecordError {
    /// `field` is the canonical name, `what` completes the sentence.
    pub fn new(field: &'static str, what: impl std::fmt::Display) -> Self {
        Self(format!("{field}: {what}"))
    }
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// A record of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Account(Account),
    Balances(Balances),
    Beneficiary(Beneficiary),
    Transaction(Transaction),
}

/// Takes the canonical JSON of a record of `resource`.
pub fn parse_record(resource: Resource, json: &[u8]) -> Result<Record, RecordError> {
    match resource {
        Resource::Accounts => Account::from_json(json).map(Record::Account),
        Resource::Balances => Balances::from_json(json).map(Record::Balances),
        Resource::Beneficiaries => Beneficiary::from_json(json).map(Record::Beneficiary),
        Resource::Transactions => Transaction::from_json(json).map(Record::Transaction),
    }
}
