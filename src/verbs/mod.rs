//! What operators do and look up, each as one type: its fields are what has to be said, [`Verb::run`] does it. The command,
//! the admin API and the form of the console all make such a value and give it to [`perform`], so that they cannot come to
//! differ: who may, what is checked, what is written and what is audited is here. [`VERBS`] lists every command that
//! there is, and which of the three ways it has.

pub mod audit;
pub mod consumers;
pub mod doctor;
pub mod keys;
pub mod limits;
pub mod notifications;
pub mod operators;
pub mod pauses;
pub mod payouts;
pub mod quarantine;
pub mod records;
pub mod remap;
pub mod runs;
pub mod statements;
pub mod sync;
mod table;
mod text;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};

use crate::config::{self, FileText};
use crate::statements::Files;
use crate::store::{self, StoreError, operator_audit};
use crate::sync::{Bounds, PreviewError};
use crate::workshop::WorkshopError;
use tributary_domain::{ApiKeyDigest, ProviderName, Role};
use tributary_manifest::{CompiledProvider, Period};

pub use table::{Access, Entry, Field, Kind, OPERATE, VERBS, entry};

/// Who does it.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Whoever typed a command that works on the database; what they may, their login of it says.
    Command {
        /// Of the operating system.
        user: String,
    },
    /// An operator, who has shown a key or a session.
    Operator {
        name: String,
        role: Role,
        /// The digest of what was shown: the database asks for it.
        proof: ApiKeyDigest,
    },
}

impl Actor {
    /// Who it is, as people say it.
    pub fn name(&self) -> &str {
        match self {
            Self::Command { user: name } | Self::Operator { name, .. } => name,
        }
    }

    /// What an operator has shown.
    pub fn proof(&self) -> Option<&ApiKeyDigest> {
        match self {
            Self::Command { .. } => None,
            Self::Operator { proof, .. } => Some(proof),
        }
    }
}

/// What is known of each provider that a file declares.
pub type Declared = HashMap<ProviderName, OfFile>;

/// What verbs need to know of a provider's file.
#[derive(Debug, Clone, Default)]
pub struct OfFile {
    /// What maps its records; `None` where nothing is pulled.
    pub compiled: Option<Arc<CompiledProvider>>,
    /// The file itself, to be tried on records.
    pub file: Option<FileText>,
    /// How its statement files are read; `None` where it has none.
    pub files: Option<Arc<Files>>,
    /// Whether it is of an API that is read.
    pub has_api: bool,
}

impl From<&config::Provider> for OfFile {
    fn from(provider: &config::Provider) -> Self {
        Self {
            compiled: provider.compiled().cloned(),
            file: Some(provider.file.clone()),
            files: provider.files.clone(),
            has_api: !matches!(provider.source, config::Source::Push),
        }
    }
}

/// What it is done to, and how long whoever asks waits.
#[derive(Clone, Copy)]
pub struct On<'a> {
    pub pool: &'a PgPool,
    /// Only what the verb needs to know of the files; a command loads them for those that do.
    pub declared: &'a Declared,
    wait: Wait<'a>,
}

/// Is told how many records are done, and what became of them.
pub type Report<'a> = &'a (dyn Fn(u64, &str) + Sync);

/// How long whoever asks waits for what takes long.
#[derive(Clone, Copy)]
enum Wait<'a> {
    /// As for an answer: the rest is done after it, and a preview looks at a part.
    Answer,
    /// Until the end.
    End(Report<'a>),
}

impl<'a> On<'a> {
    /// For whoever waits for an answer alone: what takes longer goes on in the background.
    pub fn answering(pool: &'a PgPool, declared: &'a Declared) -> Self {
        Self { pool, declared, wait: Wait::Answer }
    }

    /// For whoever waits until all is done.
    pub fn to_the_end(pool: &'a PgPool, declared: &'a Declared) -> Self {
        Self::reporting(pool, declared, &|_, _| {})
    }

    /// As [`On::to_the_end`], for whoever wants to know how far it is.
    pub fn reporting(pool: &'a PgPool, declared: &'a Declared, report: Report<'a>) -> Self {
        Self { pool, declared, wait: Wait::End(report) }
    }

    /// How much a preview looks at.
    fn bounds(self) -> Bounds {
        match self.wait {
            Wait::Answer => ANSWERED,
            Wait::End(_) => Bounds::NONE,
        }
    }

    /// What maps the records of each provider that is pulled.
    fn pulled(self) -> HashMap<ProviderName, Arc<CompiledProvider>> {
        let compiled = |(name, of): (&ProviderName, &OfFile)| Some((name.clone(), of.compiled.clone()?));
        self.declared.iter().filter_map(compiled).collect()
    }

    /// The text that was given of a file for `provider`, or else the file that declares it.
    fn file(
        self,
        provider: &ProviderName,
        given: Option<&str>,
        folder: Option<&PathBuf>,
    ) -> Result<FileText, Failure> {
        if let Some(text) = given.filter(|text| !text.trim().is_empty()) {
            return Ok(FileText::new(text, folder.cloned()));
        }
        let declared = self.declared.get(provider).and_then(|of| of.file.clone());
        declared.ok_or_else(|| {
            Failure::NotFound(format!("no provider file declares {provider}: give one that is to be tried"))
        })
    }
}

/// How much a preview looks at before it answers.
pub const ANSWERED: Bounds = Bounds { records: 2_000, time: Duration::from_secs(20) };

/// Why it is not done. The text is for whoever asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was said makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The role of the operator may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is nothing of this name.
    #[error("{0}")]
    NotFound(String),
    /// The state of what it is about refuses it.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(StoreError),
    /// What it takes besides the database is not there.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error.refusal() {
            _ if error.broke("operators_role_may") => Self::Forbidden(said(error)),
            Some(refusal) => Self::Refused(refusal.to_owned()),
            None => Self::Store(error),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<PreviewError> for Failure {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Store(error) => error.into(),
            PreviewError::Workshop(WorkshopError::Unavailable(why)) => Self::Unavailable(why),
            PreviewError::Workshop(error) => Self::Refused(error.to_string()),
        }
    }
}

/// What the database refused something with, in its own words.
fn said(error: StoreError) -> String {
    error.refusal().map_or_else(|| error.to_string(), str::to_owned)
}

/// One thing that an operator does or looks up.
pub trait Verb: Serialize + DeserializeOwned + utoipa::ToSchema + Send + Sync + 'static {
    /// As it is typed, and as [`VERBS`] has it.
    const NAME: &'static str;
    /// What it gives.
    type Answer: Serialize + DeserializeOwned + Send;

    /// Does it, for somebody who may.
    fn run(&self, on: On<'_>, actor: &Actor) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// What of the answer is shown this once, and by no page again.
    fn secret(_answer: &Self::Answer) -> Option<&str> {
        None
    }
}

/// Does `verb` for `actor`, if their role may.
pub async fn perform<V: Verb>(verb: &V, on: On<'_>, actor: &Actor) -> Result<V::Answer, Failure> {
    if let Actor::Operator { name, role, .. } = actor {
        let roles = entry(V::NAME).roles();
        if !roles.contains(role) {
            let may: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            return Err(Failure::Forbidden(format!(
                "{name} is {}, and `{}` is for: {}",
                role.as_str(),
                V::NAME,
                may.join(", ")
            )));
        }
    }
    verb.run(on, actor).await
}

/// A transaction that the database knows `actor` in, if it is an operator.
async fn begin(on: On<'_>, actor: &Actor) -> Result<Transaction<'static, Postgres>, Failure> {
    let mut transaction = store::begin(on.pool).await?;
    if let Actor::Operator { proof, .. } = actor {
        operator_audit::prove(&mut transaction, proof).await?;
    }
    Ok(transaction)
}

/// Writes what is done into the audit of operators; gives the entry's number.
async fn write(
    transaction: &mut Transaction<'static, Postgres>,
    actor: &Actor,
    (verb, subject, details): (&str, &str, Value),
) -> Result<i64, Failure> {
    let user = match actor {
        Actor::Command { user } => Some(user.as_str()),
        Actor::Operator { .. } => None,
    };
    Ok(operator_audit::note(&mut **transaction, verb, subject, &details, user).await?)
}

/// Writes what is done into the audit of operators, and commits it.
async fn commit(
    mut transaction: Transaction<'static, Postgres>,
    actor: &Actor,
    what: (&str, &str, Value),
) -> Result<(), Failure> {
    write(&mut transaction, actor, what).await?;
    transaction.commit().await?;
    Ok(())
}

/// Writes into the audit of operators what is about to be done in transactions of its own.
pub async fn note(on: On<'_>, actor: &Actor, what: (&str, &str, Value)) -> Result<(), Failure> {
    commit(begin(on, actor).await?, actor, what).await
}

/// A length of time as people write it: `90d`.
fn period(text: &str) -> Result<Duration, Failure> {
    Period::try_from(text.to_owned()).map(|period| period.as_duration()).map_err(Failure::Invalid)
}

fn from_now(time: Duration) -> DateTime<Utc> {
    let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    Utc::now().checked_add_signed(time).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
