//! What a provider file would make of records that are here, before it runs: they are mapped in the workshop and written
//! by the functions that write them otherwise, in transactions that are never committed.

mod differing;
mod remap;
mod replay;
mod served;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::records::{self, Batch, Written};
use crate::store::database::{LARGE, within};
use crate::store::named_records;
use crate::store::quarantine;
use crate::store::{self, StoreError, Tally};
use crate::sync::FilesAgain;
use crate::workshop::WorkshopError;
use tributary_domain::{ProviderName, Record, Resource};

use differing::differing;
pub use remap::preview_remap;
pub use replay::preview_replay;
pub use served::served_alone;

/// Records that are mapped and written together.
const BATCH: u32 = 500;
/// How many changes are shown field by field.
const EXAMPLES: usize = 20;
/// How many faults are told apart.
const FAULTS: usize = 1_000;

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most records.
    pub records: u64,
    /// After this long no further batch is begun.
    pub time: Duration,
}

impl Bounds {
    /// All of it, however long that takes.
    pub const NONE: Self = Self { records: u64::MAX, time: Duration::MAX };
}

/// What would become of records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// How many records there are.
    pub total: u64,
    /// How many of them were tried; fewer where that would have taken too long.
    pub tried: u64,
    /// How many of these would be taken.
    pub taken: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// States that a later one of the same record stands for.
    pub superseded: u64,
    /// Why the others would be, or stay, in quarantine, the most first.
    pub refused: Vec<Refusal>,
    /// The first changes of what is published.
    pub examples: Vec<Example>,
    /// What reading the statement files again would do, where there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesAgain>,
}

/// Records that would be in quarantine for the same fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub fault: String,
    pub count: u64,
    /// The reason of the first of them, as it is.
    pub reason: String,
}

/// A record of which something else would be published than is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub resource: String,
    pub id: String,
    /// Whether nothing of it is published or about to be.
    pub is_new: bool,
    /// Those that differ.
    pub fields: Vec<Field>,
}

/// A field as it is served now, and as it would be; nothing where it is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub now: Option<String>,
    pub then: Option<String>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
}

/// Parts of what a record becomes, or why it has none.
type Parts = Vec<Result<Record, String>>;

/// What a preview adds up, batch by batch.
struct Adding<'a> {
    pool: &'a PgPool,
    preview: Preview,
    faults: BTreeMap<String, (u64, String)>,
}

/// What was written, had it been committed.
struct Rehearsed {
    tally: Tally,
    /// By places among the records.
    refused: Vec<(usize, String)>,
    before: HashMap<String, Value>,
    after: HashMap<String, Value>,
}

impl<'a> Adding<'a> {
    fn new(pool: &'a PgPool) -> Self {
        Self { pool, preview: Preview::default(), faults: BTreeMap::new() }
    }

    /// Counts `parts` of records, and gives what is to be written of them, by resource.
    fn take(&mut self, parts: Vec<Parts>) -> BTreeMap<Resource, Vec<Record>> {
        let mut written: BTreeMap<Resource, Vec<Record>> = BTreeMap::new();
        for parts in parts {
            self.preview.taken += u64::from(parts.iter().all(Result::is_ok));
            for part in parts {
                match part {
                    Ok(record) => written.entry(resource_of(&record)).or_default().push(record),
                    Err(why) => self.refuse(why),
                }
            }
        }
        written
    }

    fn refuse(&mut self, why: String) {
        let mut fault = quarantine::fault(&why);
        if self.faults.len() >= FAULTS && !self.faults.contains_key(&fault) {
            fault = "other faults".to_owned();
        }
        let seen = self.faults.entry(fault).or_insert((0, why));
        seen.0 += 1;
    }

    /// Writes `batch`, and takes it back. Where the database refuses a part of it, in halves: what one cannot have does
    /// not stop the others.
    async fn rehearse(
        &mut self,
        provider: &ProviderName,
        resource: Resource,
        batch: Batch,
    ) -> Result<(), PreviewError> {
        let mut open = vec![batch];
        while let Some(mut batch) = open.pop() {
            if batch.records.is_empty() {
                continue;
            }
            let written = records::rehearsed(try_write(self.pool, provider, resource, &batch));
            match within(LARGE, written).await {
                Ok(rehearsed) => self.add(resource, &batch, rehearsed),
                Err(StoreError::Failed(error)) if batch.records.len() == 1 => {
                    self.preview.taken = self.preview.taken.saturating_sub(1);
                    self.refuse(error.to_string());
                }
                Err(StoreError::Failed(_)) => {
                    let second = batch.records.split_off(batch.records.len() / 2);
                    open.push(Batch { records: second, refused: Vec::new(), ..batch });
                    open.push(batch);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn add(&mut self, resource: Resource, batch: &Batch, rehearsed: Rehearsed) {
        let Rehearsed { tally, refused, before, mut after } = rehearsed;
        self.preview.created += tally.created;
        self.preview.updated += tally.updated;
        self.preview.unchanged += tally.unchanged;
        self.preview.taken = self.preview.taken.saturating_sub(refused.len() as u64);
        refused.into_iter().for_each(|(_, why)| self.refuse(why));
        for record in &batch.records {
            let id = records::row_key(record);
            let Some(then) = after.remove(id) else { continue };
            if self.preview.examples.len() == EXAMPLES {
                return;
            }
            let now = before.get(id);
            let fields = differing(now.unwrap_or(&Value::Null), &then);
            if !fields.is_empty() {
                let (resource, id) = (resource.as_str().to_owned(), id.to_owned());
                self.preview.examples.push(Example { resource, id, is_new: now.is_none(), fields });
            }
        }
    }

    fn finish(self) -> Preview {
        let refused =
            self.faults.into_iter().map(|(fault, (count, reason))| Refusal { fault, count, reason });
        let mut refused: Vec<Refusal> = refused.collect();
        refused.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
        Preview { refused, ..self.preview }
    }
}

/// Writes `batch` in a transaction that is taken back.
async fn try_write(
    pool: &PgPool,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Rehearsed, StoreError> {
    let mut transaction = store::begin(pool).await?;
    let rehearsed = rehearse_within(&mut transaction, provider, resource, batch).await;
    transaction.rollback().await?;
    rehearsed
}

async fn rehearse_within(
    transaction: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    batch: &Batch,
) -> Result<Rehearsed, StoreError> {
    let mut ids: Vec<&str> = batch.records.iter().map(records::row_key).collect();
    ids.dedup();
    let before = named_records::latest(&mut *transaction, provider, resource, &ids).await?;
    let Written { tally, refused, .. } = records::write(&mut *transaction, provider, resource, batch).await?;
    let after = named_records::latest(&mut *transaction, provider, resource, &ids).await?;
    Ok(Rehearsed { tally, refused, before, after })
}

fn resource_of(record: &Record) -> Resource {
    match record {
        Record::Account(_) => Resource::Accounts,
        Record::Beneficiary(_) => Resource::Beneficiaries,
        Record::Balances(_) => Resource::Balances,
        Record::Transaction(_) => Resource::Transactions,
    }
}
