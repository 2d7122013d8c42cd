//! Takes records out of the quarantine once the reason is gone.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use crate::encryption;
use crate::records::{self, Batch, Written};
use crate::store::database::{LARGE, within};
use crate::store::quarantine::{self, Begun, Chosen, Progress, Quarantined, RefusedRecord};
use crate::store::{self, StoreError, Tally, raw_records};
use tributary_domain::{ProviderName, Record, Resource, parse_record};
use tributary_manifest::{CompiledProvider, MappedRecord};

/// Records that are written together.
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

/// How far a replay is.
#[derive(Default)]
struct Pass {
    done: Replayed,
    /// The ids of those that somebody else had just then: they come last.
    skipped: Vec<i64>,
}

/// What a record becomes, or why it stays.
type Mapped = Result<Vec<Record>, String>;

/// Records of one provider and kind, which are written by one statement each.
struct Piece {
    provider: ProviderName,
    resource: Resource,
    /// Whether they may decide about payments that were ordered.
    decides: bool,
    records: Vec<(Quarantined, Mapped)>,
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

    /// Replays the `chosen` records of what has `begun`, in the order in which they came, and reports how far it is.
    /// Each batch is one transaction: what records become is written as they leave the quarantine, or they stay with the
    /// reason of now. Where it is stopped before its end, a new replay does the rest.
    pub async fn replay(
        &self,
        chosen: Chosen<'_>,
        begun: Begun,
        report: &(dyn Fn(&Replayed) + Sync),
    ) -> Result<Replayed, StoreError> {
        let mut pass = Pass::default();
        let (keys, mut after) = (encryption::keyring(), i64::MIN);
        loop {
            let listed = quarantine::list_chosen(self.pool, &keys, chosen, after, BATCH);
            let mut records = within(LARGE, listed).await?;
            // what comes meanwhile was not there when somebody decided
            records.retain(|record| record.id <= begun.last);
            let Some(newest) = records.last().map(|record| record.id) else { break };
            for piece in self.pieces(records).await {
                self.replay_piece(begun.action, piece, &mut pass).await?;
            }
            report(&pass.done);
            after = newest;
        }
        self.replay_skipped(begun.action, &mut pass).await?;
        quarantine::end(self.pool, begun.action).await?;
        Ok(pass.done)
    }

    /// Replays what somebody else had just then, as the transaction of a replay that was killed has for a moment.
    async fn replay_skipped(&self, action: i64, pass: &mut Pass) -> Result<(), StoreError> {
        while let Some(id) = pass.skipped.pop() {
            if within(LARGE, quarantine::wait_for(self.pool, id)).await?
                && let Some(record) = quarantine::find(self.pool, &encryption::keyring(), id).await?
            {
                for piece in self.pieces(vec![record]).await {
                    self.replay_piece(action, piece, pass).await?;
                }
            }
        }
        Ok(())
    }

    /// Replays a piece in one transaction; where the database refuses one of its records, each in its own, so that what
    /// one cannot have does not stop the others.
    async fn replay_piece(&self, action: i64, piece: Piece, pass: &mut Pass) -> Result<(), StoreError> {
        let Piece { provider, resource, decides, records } = piece;
        let of = |records| Piece { provider: provider.clone(), resource, decides, records };
        let failed = match self.write(action, of(records.clone()), pass).await {
            Err(StoreError::Failed(error)) => error,
            other => return other,
        };
        if let [(record, _)] = &records[..] {
            let why = Err(failed.to_string());
            return self.write(action, of(vec![(record.clone(), why)]), pass).await;
        }
        for (record, mapped) in records {
            let alone = of(vec![(record.clone(), mapped)]);
            match self.write(action, alone, pass).await {
                Err(StoreError::Failed(error)) => {
                    let why = Err(error.to_string());
                    self.write(action, of(vec![(record, why)]), pass).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn write(&self, action: i64, mut piece: Piece, pass: &mut Pass) -> Result<(), StoreError> {
        // each time around, at least one more of them stays
        loop {
            match within(LARGE, self.try_write(action, &piece)).await? {
                Ok(Pass { done, skipped }) => {
                    pass.done.freed += done.freed;
                    pass.done.refused += done.refused;
                    pass.done.tally += done.tally;
                    pass.skipped.extend(skipped);
                    return Ok(());
                }
                Err(refused) => {
                    for (at, why) in refused {
                        piece.records[at].1 = Err(why);
                    }
                }
            }
        }
    }

    /// Writes what the records of `piece` become, without the records themselves, and the reasons of those that stay.
    /// Where more of them are refused, nothing is written; gives their places.
    async fn try_write(
        &self,
        action: i64,
        piece: &Piece,
    ) -> Result<Result<Pass, Vec<(usize, String)>>, StoreError> {
        let mut transaction = store::begin(self.pool).await?;
        let written = self.write_within(&mut transaction, action, piece).await;
        // whoever tries the records again must not find them locked by what failed
        match written {
            Ok(Ok(_)) => transaction.commit().await?,
            _ => transaction.rollback().await?,
        }
        written
    }

    async fn write_within(
        &self,
        transaction: &mut PgConnection,
        action: i64,
        piece: &Piece,
    ) -> Result<Result<Pass, Vec<(usize, String)>>, StoreError> {
        let ids: Vec<i64> = piece.records.iter().map(|(record, _)| record.id).collect();
        let mut there = quarantine::lock(&mut *transaction, &ids).await?;
        there.sort_unstable();
        let mut batch = Batch { decides: piece.decides, ..Batch::default() };
        let (mut freed, mut stay, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut skipped = Vec::new();
        for (at, (record, mapped)) in piece.records.iter().enumerate() {
            match mapped {
                // somebody else has it, or had it
                _ if there.binary_search(&record.id).is_err() => skipped.push(record.id),
                Ok(records) => {
                    freed.push(record.id);
                    places.extend(records.iter().map(|_| at));
                    batch.records.extend(records.iter().cloned());
                }
                Err(why) => stay.push((record, why.as_str())),
            }
        }
        let Written { tally, refused, .. } = match batch.records.is_empty() {
            true => Written::default(),
            false => records::write(&mut *transaction, &piece.provider, piece.resource, &batch).await?,
        };
        if !refused.is_empty() {
            return Ok(Err(refused.into_iter().map(|(place, why)| (places[place], why)).collect()));
        }
        for (record, mapped) in &piece.records {
            if let (Some(origin), Ok(records), true) =
                (record.record.origin(), mapped, freed.binary_search(&record.id).is_ok())
            {
                let became: Vec<String> =
                    records.iter().map(|record| records::row_key(record).to_owned()).collect();
                raw_records::link_state(&mut *transaction, &piece.provider, origin, &became).await?;
            }
        }
        quarantine::release(&mut *transaction, &freed).await?;
        quarantine::refuse_again(&mut *transaction, &stay).await?;
        let done = Replayed { freed: freed.len() as u64, refused: stay.len() as u64, tally };
        let progress = Progress { freed: done.freed, stayed: done.refused, discarded: 0 };
        quarantine::advance(&mut *transaction, action, progress).await?;
        Ok(Ok(Pass { done, skipped }))
    }

    /// What `records` become, in pieces of one provider and kind that follow each other.
    async fn pieces(&self, records: Vec<Quarantined>) -> Vec<Piece> {
        let mapped = self.map_all(&records).await;
        let mut pieces: Vec<Piece> = Vec::new();
        for (record, mapped) in records.into_iter().zip(mapped) {
            // the database has only names of both
            let (Ok(provider), Ok(stored)) =
                (record.provider.parse::<ProviderName>(), record.resource.parse())
            else {
                continue;
            };
            let decides = record.record.origin().is_some() || !self.providers.contains_key(&provider);
            let resource = self.resource_of(&provider, &record).unwrap_or(stored);
            match pieces.last_mut() {
                Some(piece)
                    if (&piece.provider, piece.resource, piece.decides) == (&provider, resource, decides) =>
                {
                    piece.records.push((record, mapped));
                }
                _ => pieces.push(Piece { provider, resource, decides, records: vec![(record, mapped)] }),
            }
        }
        pieces
    }

    fn resource_of(&self, provider: &ProviderName, record: &Quarantined) -> Option<Resource> {
        self.providers.get(provider)?.resource_of(&record.record.origin()?.stream).ok()
    }

    /// What each of `records` becomes. Those of one stream that follow each other are mapped together.
    async fn map_all(&self, records: &[Quarantined]) -> Vec<Mapped> {
        let mut mapped = Vec::with_capacity(records.len());
        let stream = |record: &Quarantined| record.record.origin().map(|origin| origin.stream.clone());
        for alike in records.chunk_by(|a, b| a.provider == b.provider && stream(a) == stream(b)) {
            match self.map(alike).await {
                Ok(all) => mapped.extend(all),
                // one of them stops the others: each for itself
                Err(_) if alike.len() > 1 => {
                    for one in alike {
                        let alone = self.map(std::slice::from_ref(one)).await;
                        mapped.push(alone.and_then(|mut alone| {
                            alone.pop().unwrap_or_else(|| Err("it becomes nothing".to_owned()))
                        }));
                    }
                }
                Err(why) => mapped.push(Err(why)),
            }
        }
        mapped
    }

    /// What records of one stream, or canonical ones, become; the error is one of all of them.
    async fn map(&self, alike: &[Quarantined]) -> Result<Vec<Mapped>, String> {
        let Some(first) = alike.first() else { return Ok(Vec::new()) };
        if first.record.origin().is_none() {
            let parsed = alike.iter().map(|record| {
                let resource: Resource = record.resource.parse()?;
                let RefusedRecord::Canonical(raw) = &record.record else { return Ok(Vec::new()) };
                Ok(vec![parse_record(resource, raw).map_err(|error| error.to_string())?])
            });
            return Ok(parsed.collect());
        }
        let provider: ProviderName = first.provider.parse()?;
        let compiled = self.providers.get(&provider);
        let compiled = compiled.ok_or("its provider is not pulled, so that nothing can map it")?;
        let origins = alike.iter().filter_map(|record| record.record.origin().cloned()).collect();
        let mapped = compiled.map_again(origins).await.map_err(|error| error.to_string())?;
        let whole = |records: Vec<MappedRecord>| {
            let records = records.into_iter().map(|mapped| match mapped {
                MappedRecord::Canonical(record) => Ok(record),
                MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => Err(reason),
            });
            records.collect()
        };
        Ok(mapped.into_iter().map(whole).collect())
    }
}
