//! What the two processes say to each other, as JSON.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use tributary_domain::{Origin, Record, Resource, Transaction, parse_record};
use tributary_manifest::{MappedRecord, Sample};

#[derive(Serialize, Deserialize)]
pub struct Asked {
    pub file: String,
    pub folder: Option<PathBuf>,
    pub task: Task,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Streams,
    Again(Vec<Came>),
    Sample { stream: String, text: String, is_answer: bool, parent: String, now: String },
}

impl Task {
    pub fn again(origins: Vec<Origin>) -> Self {
        Self::Again(origins.into_iter().map(Came::of).collect())
    }

    pub fn sample(stream: &str, sample: Sample) -> Self {
        let Sample { text, is_answer, parent, now } = sample;
        Self::Sample { stream: stream.to_owned(), text, is_answer, parent, now }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// What is wrong with the file, or with what it was to be tried on.
    Wrong(String),
    Streams(Streams),
    /// What each record becomes.
    Again(Vec<Vec<Became>>),
    Sample(Vec<Row>),
}

/// The provider of a file, its streams, and the resources that their records become; none of one that only feeds others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Streams {
    pub provider: Option<String>,
    pub streams: Vec<(String, Option<String>)>,
}

/// A row of a sample, and what it becomes, or why its stream fails at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// JSON, in the digits of the sample.
    pub row: String,
    pub becomes: Result<Vec<Became>, String>,
}

/// A part of what a row becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// A record in its canonical form.
    Record {
        resource: String,
        record: Value,
        /// Whether the provider's status is one that its file does not know.
        status_unknown: bool,
    },
    /// None, for this reason.
    Refused(String),
}

impl Became {
    pub fn of(mapped: MappedRecord) -> Self {
        let record = match mapped {
            MappedRecord::Canonical(record) => record,
            MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => {
                return Self::Refused(reason);
            }
        };
        let (resource, status_unknown) = match &record {
            Record::Account(_) => (Resource::Accounts, false),
            Record::Beneficiary(_) => (Resource::Beneficiaries, false),
            Record::Balances(_) => (Resource::Balances, false),
            Record::Transaction(transaction) => (Resource::Transactions, transaction.status_unknown),
        };
        Self::Record { resource: resource.as_str().to_owned(), record: record.to_json(), status_unknown }
    }

    /// The record, or why there is none.
    pub fn record(self) -> Result<Record, String> {
        match self {
            Self::Refused(reason) => Err(reason),
            Self::Record { resource, record, status_unknown } => {
                let parsed = parse_record(resource.parse()?, record.to_string().as_bytes());
                Ok(match parsed.map_err(|error| error.to_string())? {
                    Record::Transaction(transaction) => {
                        Record::Transaction(Transaction { status_unknown, ..transaction })
                    }
                    other => other,
                })
            }
        }
    }
}

/// A record as it came.
#[derive(Serialize, Deserialize)]
pub struct Came {
    stream: String,
    partition: String,
    record: String,
    parent: String,
    asked_at: String,
    identity: Option<String>,
    vanished: bool,
}

impl Came {
    fn of(origin: Origin) -> Self {
        Self {
            record: STANDARD.encode(origin.record),
            parent: STANDARD.encode(origin.parent),
            identity: origin.identity.map(|identity| STANDARD.encode(identity)),
            stream: origin.stream,
            partition: origin.partition,
            asked_at: origin.asked_at,
            vanished: origin.vanished,
        }
    }

    /// The record again; the error says that it did not come whole.
    pub fn origin(self) -> Result<Origin, String> {
        let bytes = |text: String| STANDARD.decode(text).map_err(|error| error.to_string());
        Ok(Origin {
            record: bytes(self.record)?,
            parent: bytes(self.parent)?,
            identity: self.identity.map(bytes).transpose()?,
            stream: self.stream,
            partition: self.partition,
            asked_at: self.asked_at,
            vanished: self.vanished,
        })
    }
}
