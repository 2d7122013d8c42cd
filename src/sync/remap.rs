//! Maps the records that were kept again, with the manifest as it is now: what a mapping had
//! wrong is put right without asking the provider for anything.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::foreground::Busy;
use super::puller::Puller;
use super::sink::{SinkError, page_limit};
use crate::encryption;
use crate::records::{self, Batch, Written};
use crate::store::database::{LARGE, within};
use crate::store::leases::{self, Holder, Lease};
use crate::store::quarantine::{self, Refused, RefusedRecord};
use crate::store::raw_records::{self, KeptRecord, Linked};
use crate::store::{self, StoreError, Tally, transactions};
use tributary_domain::{Origin, Record, Resource};
use tributary_manifest::{MappedRecord, RemapError, StreamGroup};

/// Records that are mapped and committed together.
const BATCH: u32 = 1_000;

/// What mapping again has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remapped {
    /// Records as the provider sent them.
    pub read: u64,
    /// What became of what they are mapped to.
    pub tally: Tally,
    /// States that a later one of the same record stands for.
    pub superseded: u64,
    /// Records that have no place, which are in quarantine.
    pub quarantined: u64,
    /// Records that left the quarantine.
    pub freed: u64,
}

/// How mapping again ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RemapOutcome {
    Done(Remapped),
    /// Stopped in between; what was committed stands, and doing it again does the rest.
    Interrupted(Remapped),
    /// Another instance is at this group.
    Busy {
        group: String,
        holder: Holder,
    },
}

/// Why it did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RemapFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Map(#[from] RemapError),
}

impl From<sqlx::Error> for RemapFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What is to be mapped again, and what gets the progress.
pub struct RemapRequest<'a> {
    /// Only this stream; all without it.
    pub stream: Option<&'a str>,
    pub busy: Busy<'a>,
    pub report: &'a (dyn Fn(&Remapped) + Sync),
}

impl Puller {
    /// How many records are kept of the stream, or of all.
    pub async fn kept(&self, stream: Option<&str>) -> Result<u64, StoreError> {
        let mut kept = 0;
        for name in self.groups.iter().flat_map(|group| &group.streams) {
            if stream.is_none_or(|stream| stream == name) {
                kept += within(LARGE, raw_records::count(&self.pool, &self.provider, name)).await?;
            }
        }
        Ok(kept)
    }

    /// Maps kept records again in the order in which they came, and writes what is different.
    /// Holds the leases of the groups meanwhile, so that nothing newer is written in between.
    pub async fn remap(
        &self,
        request: &RemapRequest<'_>,
        stop: &CancellationToken,
    ) -> Result<RemapOutcome, RemapFailure> {
        let mut done = Remapped::default();
        for group in &self.groups {
            let wanted = |name: &&String| request.stream.is_none_or(|stream| stream == name.as_str());
            let streams: Vec<&String> = group.streams.iter().filter(wanted).collect();
            if streams.is_empty() {
                continue;
            }
            let lease = match self.take(group, &request.busy).await? {
                Ok(lease) => lease,
                Err(holder) => return Ok(RemapOutcome::Busy { group: group.name.clone(), holder }),
            };
            let result = tokio::select! {
                result = self.remap_group(&lease.taken().lease, group, &streams, request, &mut done) => Some(result),
                () = stop.cancelled() => None,
            };
            lease.give_back().await?;
            match result {
                Some(result) => result?,
                None => return Ok(RemapOutcome::Interrupted(done)),
            }
        }
        Ok(RemapOutcome::Done(done))
    }

    async fn remap_group(
        &self,
        lease: &Lease,
        group: &StreamGroup,
        streams: &[&String],
        request: &RemapRequest<'_>,
        done: &mut Remapped,
    ) -> Result<(), RemapFailure> {
        for stream in group.streams.iter().filter(|stream| streams.contains(stream)) {
            match self.compiled.resource_of(stream) {
                Ok(resource) => self.remap_stream(lease, stream, resource, request, done).await?,
                // it only feeds others
                Err(RemapError::NoResource(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn remap_stream(
        &self,
        lease: &Lease,
        stream: &str,
        resource: Resource,
        request: &RemapRequest<'_>,
        done: &mut Remapped,
    ) -> Result<(), RemapFailure> {
        let last = self.last_states(stream).await?;
        // ids that this brings: their earlier states are news
        let mut born = HashSet::new();
        let (keys, mut after) = (encryption::keyring(), i64::MIN);
        loop {
            let kept =
                within(LARGE, raw_records::list(&self.pool, &keys, &self.provider, stream, after, BATCH))
                    .await?;
            let Some(newest) = kept.last().map(|kept| kept.position) else { return Ok(()) };
            let mapped = self.compiled.map_again(origins(&kept)).await?;
            let piece = sort(&kept, mapped);
            let written = self.write_again(lease, resource, (&kept, piece), &last, &mut born);
            let written = within(page_limit(lease), written).await?;
            done.read += kept.len() as u64;
            done.tally += written.tally;
            done.superseded += written.superseded;
            done.quarantined += written.quarantined;
            done.freed += written.freed;
            (request.report)(done);
            after = newest;
        }
    }

    /// Writes what a batch of kept records is mapped to now, under `lease`.
    async fn write_again(
        &self,
        lease: &Lease,
        resource: Resource,
        (kept, mut piece): (&[KeptRecord], Piece),
        last: &HashMap<String, MappedAt>,
        born: &mut HashSet<String>,
    ) -> Result<Remapped, RemapFailure> {
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, lease).await?;
        if resource == Resource::Transactions {
            let ids: Vec<&str> = piece.states.iter().map(|state| records::row_key(&state.record)).collect();
            let there = transactions::existing(&mut transaction, &self.provider, &ids).await?;
            born.extend(ids.iter().filter(|id| !there.contains(**id)).map(|id| (*id).to_owned()));
        }
        raw_records::link(&mut transaction, &self.provider, &became(kept, &piece)).await?;
        let before = piece.states.len();
        piece.states.retain(|state| {
            let id = records::row_key(&state.record);
            born.contains(id) || last.get(id) == Some(&state.place)
        });
        let superseded = (before - piece.states.len()) as u64;
        let records = piece.states.into_iter().map(|state| state.record).collect();
        let batch = Batch { records, refused: piece.refused, backfill: true, decides: true, may_amend: true };
        let Written { tally, refused, .. } =
            records::write(&mut transaction, &self.provider, resource, &batch).await?;
        let quarantined = (batch.refused.len() + refused.len()) as u64;
        let mapped = || piece.mapped.iter().map(|index| &kept[*index].origin);
        let raw: Vec<&[u8]> = mapped().map(|origin| origin.record.as_slice()).collect();
        let identities: Vec<Option<&[u8]>> = mapped().map(|origin| origin.identity.as_deref()).collect();
        let freed = quarantine::free(&mut transaction, &self.provider, resource, &raw, &identities).await?;
        if !leases::confirm(&mut transaction, lease).await? {
            return Err(SinkError::LeaseLost.into());
        }
        transaction.commit().await?;
        Ok(Remapped { tally, superseded, quarantined, freed, ..Remapped::default() })
    }

    /// Which state of each record came last: the only one that a record that is there already
    /// may be brought to, as the ones before it are history that has been served.
    async fn last_states(&self, stream: &str) -> Result<HashMap<String, MappedAt>, RemapFailure> {
        let mut last = HashMap::new();
        let (keys, mut after) = (encryption::keyring(), i64::MIN);
        loop {
            let kept =
                within(LARGE, raw_records::list(&self.pool, &keys, &self.provider, stream, after, BATCH))
                    .await?;
            let Some(newest) = kept.last().map(|kept| kept.position) else { return Ok(last) };
            let mapped = self.compiled.map_again(origins(&kept)).await?;
            for state in sort(&kept, mapped).states {
                last.insert(records::row_key(&state.record).to_owned(), state.place);
            }
            after = newest;
        }
    }
}

/// Position of the raw record, and place among what it is mapped to.
type MappedAt = (i64, usize);

struct MappedState {
    place: MappedAt,
    record: Record,
}

/// What a batch of raw records is mapped to.
#[derive(Default)]
struct Piece {
    states: Vec<MappedState>,
    refused: Vec<Refused>,
    /// Places of the raw records of which everything has its place.
    mapped: Vec<usize>,
}

fn origins(kept: &[KeptRecord]) -> Vec<Origin> {
    kept.iter().map(|kept| kept.origin.clone()).collect()
}

/// The raw records that become others than before, and what they become now.
fn became(kept: &[KeptRecord], piece: &Piece) -> Vec<Linked> {
    let mut now: HashMap<i64, Vec<String>> = HashMap::new();
    for state in &piece.states {
        let (ids, id) = (now.entry(state.place.0).or_default(), records::row_key(&state.record));
        if ids.iter().all(|known| known != id) {
            ids.push(id.to_owned());
        }
    }
    let linked = kept.iter().map(|kept| {
        let became = now.remove(&kept.position).unwrap_or_default();
        (kept.became != became).then(|| Linked {
            stream: kept.origin.stream.clone(),
            position: kept.position,
            became,
        })
    });
    linked.flatten().collect()
}

fn sort(kept: &[KeptRecord], mapped: Vec<Vec<MappedRecord>>) -> Piece {
    let mut piece = Piece::default();
    for (index, (kept, mapped)) in kept.iter().zip(mapped).enumerate() {
        let refused_before = piece.refused.len();
        for (at, record) in mapped.into_iter().enumerate() {
            match record {
                MappedRecord::Canonical(record) => {
                    piece.states.push(MappedState { place: (kept.position, at), record });
                }
                MappedRecord::Unmappable { origin, reason } => {
                    piece.refused.push(Refused { record: RefusedRecord::Unmapped(origin), reason });
                }
                MappedRecord::Refused { record, reason } => {
                    let json = record.to_json().to_string().into_bytes();
                    piece.refused.push(Refused { record: RefusedRecord::Canonical(json), reason });
                }
            }
        }
        if piece.refused.len() == refused_before {
            piece.mapped.push(index);
        }
    }
    piece
}
