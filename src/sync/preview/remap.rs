//! What mapping kept records again would change.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Instant;

use sqlx::PgPool;

use super::{Adding, BATCH, Bounds, Preview, PreviewError};
use crate::config::FileText;
use crate::encryption;
use crate::records::{self, Batch};
use crate::store::database::{LARGE, within};
use crate::store::{StoreError, raw_records, transactions};
use crate::workshop::WorkshopError;
use tributary_domain::{ProviderName, Record, Resource};

/// The most records of a stream that are told apart: what is kept of each is a number, so that it takes no more than
/// about 100 MB.
const MOST_IDS: usize = 5_000_000;

/// Which records have come, as numbers made of their ids: two of the same number are too rare to be counted with.
#[derive(Default)]
struct Seen {
    numbers: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    fn number(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }
}

/// What mapping the kept records of `provider` again would change if it had `file`; of one `stream`, or of all. Writes
/// nothing, and takes no lease: what a run brings meanwhile may or may not be among it.
pub async fn preview_remap(
    pool: &PgPool,
    provider: &ProviderName,
    stream: Option<&str>,
    file: &FileText,
    bounds: Bounds,
) -> Result<Preview, PreviewError> {
    let streams = file.streams().await?.streams;
    if let Some(stream) = stream
        && streams.iter().all(|(name, _)| name != stream)
    {
        let names: Vec<&str> = streams.iter().map(|(name, _)| name.as_str()).collect();
        let why = format!("there is no stream {stream:?}; there are: {}", names.join(", "));
        return Err(WorkshopError::Wrong(why).into());
    }
    let mut adding = Adding::new(pool);
    let begun = Instant::now();
    let wanted = streams
        .iter()
        .filter(|(name, resource)| resource.is_some() && stream.is_none_or(|stream| stream == name));
    for (name, _) in wanted {
        adding.preview.total += within(LARGE, raw_records::count(pool, provider, name)).await?;
        let left = Bounds {
            records: bounds.records.saturating_sub(adding.preview.tried),
            time: bounds.time.saturating_sub(begun.elapsed()),
        };
        adding.remap_stream(provider, name, file, left).await?;
    }
    Ok(adding.finish())
}

impl Adding<'_> {
    /// From the latest record on: the first state of a record that comes is its last, which is the one that counts, so
    /// that nothing but ids is kept, and a part that is looked at is looked at rightly.
    async fn remap_stream(
        &mut self,
        provider: &ProviderName,
        stream: &str,
        file: &FileText,
        bounds: Bounds,
    ) -> Result<(), PreviewError> {
        let begun = Instant::now();
        let mut seen = Seen::default();
        let (keys, mut before, mut read) = (encryption::keyring(), i64::MAX, 0);
        while read < bounds.records && begun.elapsed() < bounds.time && seen.numbers.len() < MOST_IDS {
            let most = u64::from(BATCH).min(bounds.records - read) as u32;
            let kept = raw_records::list_back(self.pool, &keys, provider, stream, before, most);
            let kept = within(LARGE, kept).await?;
            let Some(oldest) = kept.first().map(|kept| kept.position) else { break };
            read += kept.len() as u64;
            let mapped = file.map_again(kept.into_iter().map(|kept| kept.origin).collect()).await?;
            for (resource, states) in self.take(mapped) {
                self.remap_batch(provider, resource, states, &mut seen).await?;
            }
            before = oldest;
        }
        self.preview.tried += read;
        Ok(())
    }

    /// Rehearses `states`, in the order in which they came; those of `seen` records come before what was rehearsed.
    async fn remap_batch(
        &mut self,
        provider: &ProviderName,
        resource: Resource,
        states: Vec<Record>,
        seen: &mut Seen,
    ) -> Result<(), PreviewError> {
        let ids: Vec<&str> = states.iter().map(records::row_key).collect();
        let mut there: HashSet<String> = HashSet::new();
        if resource == Resource::Transactions {
            let mut connection = self.pool.acquire().await.map_err(StoreError::from)?;
            there = transactions::existing(&mut connection, provider, &ids).await?;
        }
        // all states of a transaction that is not there yet are written; else the last one
        let is_new = |id: &str| resource == Resource::Transactions && !there.contains(id);
        let last: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let numbers: Vec<u64> = ids.iter().map(|id| seen.number(id)).collect();
        let mut wanted = Vec::with_capacity(states.len());
        for (place, id) in ids.iter().enumerate() {
            let came_later = seen.numbers.contains(&numbers[place]);
            wanted.push(!came_later && (is_new(id) || last[id] == place));
            match (wanted[place], came_later && is_new(id)) {
                (true, _) => {}
                // a later batch has it, which is not there to be compared with
                (false, true) => self.preview.updated += 1,
                (false, false) => self.preview.superseded += 1,
            }
        }
        seen.numbers.extend(numbers);
        let mut wanted = wanted.into_iter();
        let records = states.into_iter().filter(|_| wanted.next().unwrap_or_default()).collect();
        let batch = Batch { records, backfill: true, decides: true, may_amend: true, ..Batch::default() };
        self.rehearse(provider, resource, batch).await
    }
}
