//! Records that no page may hold. What is done to many of them at once is not here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::text::numbers;
use super::{Actor, Failure, On, Verb, begin, commit, note};
use crate::encryption;
use crate::store::quarantine::{self, Quarantined, Which};
use crate::sync::{Replayed, Replayer};
use tributary_domain::{ProviderName, Resource};

/// A record in quarantine, as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownRecord {
    pub id: i64,
    pub provider: String,
    pub resource: String,
    pub reason: String,
    pub attempts: i32,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// None of a canonical record.
    pub stream: Option<String>,
    pub partition: Option<String>,
    pub raw: String,
}

impl From<Quarantined> for ShownRecord {
    fn from(record: Quarantined) -> Self {
        let origin = record.record.origin();
        Self {
            stream: origin.map(|origin| origin.stream.clone()),
            partition: origin.map(|origin| origin.partition.clone()),
            raw: String::from_utf8_lossy(record.record.raw()).into_owned(),
            id: record.id,
            provider: record.provider,
            resource: record.resource,
            reason: record.reason,
            attempts: record.attempts,
            first_seen: record.first_seen,
            last_seen: record.last_seen,
        }
    }
}

/// Lists records and why they were refused.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only records of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Only records of this kind: accounts, balances, beneficiaries or transactions.
    #[schema(pattern = "^(accounts|balances|transactions|beneficiaries)$")]
    pub resource: Option<String>,
    /// How many records at most: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

/// Some of the records, and how many there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub all: u64,
    pub records: Vec<ShownRecord>,
}

impl Verb for List {
    const NAME: &'static str = "quarantine list";
    type Answer = Listed;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Listed, Failure> {
        let resource = self.resource.as_deref().map(str::parse::<Resource>).transpose();
        let which = Which { provider: self.provider.as_ref(), resource: resource.map_err(Failure::Invalid)? };
        let all = quarantine::count(on.pool, which).await?;
        let limit = self.limit.unwrap_or(50);
        let records = quarantine::list(on.pool, &encryption::keyring(), which, i64::MIN, limit).await?;
        Ok(Listed { all, records: records.into_iter().map(ShownRecord::from).collect() })
    }
}

/// Shows a record as it came.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// The record's id, as `quarantine list` shows it.
    pub id: i64,
}

impl Verb for Show {
    const NAME: &'static str = "quarantine show";
    type Answer = ShownRecord;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<ShownRecord, Failure> {
        Ok(find(on, self.id).await?.into())
    }
}

async fn find(on: On<'_>, id: i64) -> Result<Quarantined, Failure> {
    quarantine::find(on.pool, &encryption::keyring(), id).await?.ok_or_else(|| {
        Failure::NotFound(format!(
            "there is no record {id} in quarantine; `tributary quarantine list` shows what there is"
        ))
    })
}

/// The most records that are named at once.
const MOST: usize = 500;

fn checked(ids: &[i64]) -> Result<String, Failure> {
    if ids.is_empty() || ids.len() > MOST {
        return Err(Failure::Invalid(format!("say which records, up to {MOST} of them, by their ids")));
    }
    Ok(ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Tries records again; what succeeds leaves the quarantine.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Their ids, up to 500.
    #[schema(min_items = 1)]
    #[serde(deserialize_with = "numbers")]
    pub ids: Vec<i64>,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Records that left the quarantine.
    pub freed: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Records that stay, with the reason of now.
    pub stay: u64,
}

impl From<Replayed> for Outcome {
    fn from(done: Replayed) -> Self {
        let tally = done.tally;
        let (created, updated, unchanged) = (tally.created, tally.updated, tally.unchanged);
        Self { freed: done.freed, created, updated, unchanged, stay: done.refused }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { freed, created, updated, unchanged, stay } = self;
        write!(f, "{freed} freed ({created} created, {updated} updated, {unchanged} unchanged), {stay} stay")
    }
}

impl Verb for Replay {
    const NAME: &'static str = "quarantine replay";
    type Answer = Outcome;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Outcome, Failure> {
        let subject = checked(&self.ids)?;
        let mut records = Vec::new();
        for id in &self.ids {
            records.push(find(on, *id).await?);
        }
        note(on, actor, (Self::NAME, &subject, json!({}))).await?;
        let pulled = on.declared.iter();
        let pulled = pulled.filter_map(|(name, compiled)| Some((name.clone(), compiled.clone()?)));
        let replayer = Replayer::new(on.pool, pulled.collect());
        let mut done = Replayed::default();
        for record in &records {
            replayer.replay(record, &mut done).await?;
        }
        Ok(done.into())
    }
}

/// Deletes records for good.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    /// Their ids, up to 500.
    #[schema(min_items = 1)]
    #[serde(deserialize_with = "numbers")]
    pub ids: Vec<i64>,
}

/// How many records are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    pub discarded: u64,
}

impl Verb for Discard {
    const NAME: &'static str = "quarantine discard";
    type Answer = Discarded;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Discarded, Failure> {
        let subject = checked(&self.ids)?;
        let mut transaction = begin(on, actor).await?;
        let discarded = quarantine::discard(&mut transaction, &self.ids).await?;
        if discarded == 0 {
            return Err(Failure::NotFound(format!("none of {subject} is in quarantine")));
        }
        commit(transaction, actor, (Self::NAME, &subject, json!({"discarded": discarded}))).await?;
        Ok(Discarded { discarded })
    }
}
