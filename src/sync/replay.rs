//! Takes records out of the quarantine once the reason is gone.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgPool;

use crate::encryption;
use crate::records::{self, Batch, Written};
use crate::store::database::{LARGE, soon, within};
use crate::store::quarantine::{self, Quarantined, RefusedRecord, Which};
use crate::store::{self, StoreError, Tally, raw_records};
use tributary_domain::{ProviderName, Record, Resource, parse_record};
use tributary_manifest::{CompiledProvider, MappedRecord};

/// Records that are looked at together.
const BATCH: u32 = 500;

/// What a replay has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records that left the quarantine.
    pub freed: u64,
    /// Records that stay, with the reason of now.
    pub refused: u64,
    /// What became of what was freed.
    pub tally: Tally,
}

/// What became of a record that was to be freed.
enum Freed {
    Written(Tally),
    /// Somebody else has it, or had it.
    Gone,
    /// It is not taken, for this reason; nothing is written.
    Refused(String),
}

/// Replays records of the quarantine: canonical ones as if they were pushed in, others through
/// the mapping of their manifest as it is now.
pub struct Replayer<'a> {
    pool: &'a PgPool,
    /// What maps the records of each provider that is pulled.
    providers: HashMap<ProviderName, Arc<CompiledProvider>>,
}

impl<'a> Replayer<'a> {
    /// Maps with `providers`, by their providers.
    pub fn new(pool: &'a PgPool, providers: HashMap<ProviderName, Arc<CompiledProvider>>) -> Self {
        Self { pool, providers }
    }

    /// Replays all records of `which`, in the order in which they came, and reports how far it is.
    pub async fn replay_all(
        &self,
        which: Which<'_>,
        report: &(dyn Fn(&Replayed) + Sync),
    ) -> Result<Replayed, StoreError> {
        let mut done = Replayed::default();
        let mut after = i64::MIN;
        loop {
            let records =
                within(LARGE, quarantine::list(self.pool, &encryption::keyring(), which, after, BATCH))
                    .await?;
            let Some(newest) = records.last().map(|record| record.id) else { return Ok(done) };
            for record in records {
                self.replay(&record, &mut done).await?;
                report(&done);
            }
            after = newest;
        }
    }

    /// Replays one record: what it becomes is written and it leaves the quarantine, together, or
    /// it stays with the reason of now.
    pub async fn replay(&self, record: &Quarantined, done: &mut Replayed) -> Result<(), StoreError> {
        let refusal = match self.mapped(record).await {
            Ok(mapped) => match within(LARGE, self.write(record, mapped)).await {
                Ok(Freed::Written(tally)) => {
                    done.tally += tally;
                    done.freed += 1;
                    return Ok(());
                }
                Ok(Freed::Gone) => return Ok(()),
                Ok(Freed::Refused(reason)) => reason,
                // what one record cannot have does not stop the others
                Err(StoreError::Failed(error)) => error.to_string(),
                Err(error) => return Err(error),
            },
            Err(reason) => reason,
        };
        soon(async { quarantine::refuse_again(&mut *self.pool.acquire().await?, record.id, &refusal).await })
            .await?;
        done.refused += 1;
        Ok(())
    }

    /// Writes what `record` has become, without the record itself.
    async fn write(
        &self,
        record: &Quarantined,
        (provider, resource, records): (ProviderName, Resource, Vec<Record>),
    ) -> Result<Freed, StoreError> {
        let mut transaction = store::begin(self.pool).await?;
        if quarantine::lock(&mut transaction, &[record.id]).await?.is_empty() {
            return Ok(Freed::Gone);
        }
        let became: Vec<String> = records.iter().map(|record| records::row_key(record).to_owned()).collect();
        let decides = record.record.origin().is_some() || !self.providers.contains_key(&provider);
        let batch = Batch { records, decides, ..Batch::default() };
        let Written { tally, refused, .. } =
            records::write(&mut transaction, &provider, resource, &batch).await?;
        if let Some((_, reason)) = refused.into_iter().next() {
            return Ok(Freed::Refused(reason));
        }
        if let Some(origin) = record.record.origin() {
            raw_records::link_state(&mut transaction, &provider, origin, &became).await?;
        }
        quarantine::discard(&mut transaction, &[record.id]).await?;
        transaction.commit().await?;
        Ok(Freed::Written(tally))
    }

    async fn mapped(&self, record: &Quarantined) -> Result<(ProviderName, Resource, Vec<Record>), String> {
        let provider: ProviderName = record.provider.parse()?;
        let origin = match &record.record {
            RefusedRecord::Canonical(raw) => {
                let resource: Resource = record.resource.parse()?;
                let parsed = parse_record(resource, raw).map_err(|error| error.to_string())?;
                return Ok((provider, resource, vec![parsed]));
            }
            RefusedRecord::Unmapped(origin) => origin,
        };
        let compiled = self.providers.get(&provider);
        let compiled = compiled.ok_or("its provider is not pulled, so that nothing can map it")?;
        let resource = compiled.resource_of(&origin.stream).map_err(|error| error.to_string())?;
        let mapped = compiled.map_again(vec![origin.clone()]).await.map_err(|error| error.to_string())?;
        let records = mapped.into_iter().flatten().map(|mapped| match mapped {
            MappedRecord::Canonical(record) => Ok(record),
            MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => Err(reason),
        });
        Ok((provider, resource, records.collect::<Result<_, _>>()?))
    }
}
