//! Records that no page may hold: looked at, and tried with another file; `act` tries them again and deletes them.

mod act;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::encryption;
use crate::store::quarantine::{self, Action, Chosen, Group, Quarantined, Which};
use crate::sync;
use tributary_domain::{ProviderName, Resource};

pub use act::{Discard, Discarded, Outcome, Replay, discard, replay};

/// A record in quarantine, as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownRecord {
    pub id: i64,
    pub provider: String,
    pub resource: String,
    pub reason: String,
    /// The group of what is here for the same fault.
    pub group: String,
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
            group: record.group,
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
    /// Only records of this group, as `quarantine groups` shows it.
    pub group: Option<String>,
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
        let which = which(self.provider.as_ref(), self.resource.as_deref())?;
        let chosen = self.group.as_deref().map_or(Chosen::All(which), Chosen::Group);
        let (mut all, _) = quarantine::measure(on.pool, chosen).await?;
        let limit = self.limit.unwrap_or(50);
        let mut records =
            quarantine::list_chosen(on.pool, &encryption::keyring(), chosen, i64::MIN, limit).await?;
        // the records of a group are of one provider and kind: all of them are wanted, or none
        let is_wanted = |record: &Quarantined| {
            which.provider.is_none_or(|provider| provider.as_str() == record.provider)
                && which.resource.is_none_or(|resource| resource.as_str() == record.resource)
        };
        if !records.iter().all(is_wanted) {
            (all, records) = (0, Vec::new());
        }
        Ok(Listed { all, records: records.into_iter().map(ShownRecord::from).collect() })
    }
}

fn which<'a>(provider: Option<&'a ProviderName>, resource: Option<&str>) -> Result<Which<'a>, Failure> {
    let resource = resource.map(str::parse::<Resource>).transpose().map_err(Failure::Invalid)?;
    Ok(Which { provider, resource })
}

/// Lists what is here for the same fault as one group, the largest first.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Only records of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Only records of this kind: accounts, balances, beneficiaries or transactions.
    #[schema(pattern = "^(accounts|balances|transactions|beneficiaries)$")]
    pub resource: Option<String>,
    /// How many groups at most: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

impl Verb for Groups {
    const NAME: &'static str = "quarantine groups";
    type Answer = Vec<Group>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Group>, Failure> {
        let which = which(self.provider.as_ref(), self.resource.as_deref())?;
        Ok(quarantine::groups(on.pool, which, self.limit.unwrap_or(50)).await?)
    }
}

/// Lists who had records replayed or discarded, newest first, and how far that is.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Actions {
    /// Only of this group.
    pub group: Option<String>,
    /// How many at most: 20, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

impl Verb for Actions {
    const NAME: &'static str = "quarantine actions";
    type Answer = Vec<Action>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Action>, Failure> {
        Ok(quarantine::actions(on.pool, self.group.as_deref(), self.limit.unwrap_or(20)).await?)
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

/// Shows what a replay of a group would do with another provider file, or with the one that runs. Nothing is written.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// The group, as `quarantine groups` shows it.
    pub group: String,
    /// The text of a provider file; the one that runs, if not given.
    pub file: Option<String>,
    /// Where descriptions are that it uses, besides those that ship: of whoever types a command.
    #[serde(skip)]
    #[schema(ignore)]
    pub folder: Option<PathBuf>,
}

impl Verb for Preview {
    const NAME: &'static str = "quarantine preview";
    type Answer = sync::Preview;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<sync::Preview, Failure> {
        let group = quarantine::group(on.pool, &self.group).await?.ok_or_else(|| nothing(&self.group))?;
        let provider: ProviderName = group.provider.parse().map_err(Failure::Refused)?;
        let file = on.file(&provider, self.file.as_deref(), self.folder.as_ref())?;
        let chosen = Chosen::Group(&self.group);
        Ok(sync::preview_replay(on.pool, &provider, chosen, &file, on.bounds()).await?)
    }
}

fn nothing(what: &str) -> Failure {
    Failure::NotFound(format!(
        "nothing of {what} is in quarantine: it was replayed or discarded, or never here"
    ))
}
