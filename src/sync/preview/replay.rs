//! What a replay of records in quarantine would do.

use std::time::Instant;

use sqlx::PgPool;

use super::{Adding, BATCH, Bounds, Parts, Preview, PreviewError};
use crate::config::FileText;
use crate::encryption;
use crate::records::Batch;
use crate::store::database::{LARGE, within};
use crate::store::quarantine::{self, Chosen, Quarantined, RefusedRecord};
use tributary_domain::{ProviderName, Record, Resource, parse_record};

/// What a replay of the `chosen` records, all of them of `provider`, would do if it had `file`. Writes nothing.
pub async fn preview_replay(
    pool: &PgPool,
    provider: &ProviderName,
    chosen: Chosen<'_>,
    file: &FileText,
    bounds: Bounds,
) -> Result<Preview, PreviewError> {
    let mut adding = Adding::new(pool);
    let (total, last) = within(LARGE, quarantine::measure(pool, chosen)).await?;
    adding.preview.total = total;
    let (begun, keys, mut after) = (Instant::now(), encryption::keyring(), i64::MIN);
    while adding.preview.tried < bounds.records && begun.elapsed() < bounds.time {
        let most = u64::from(BATCH).min(bounds.records - adding.preview.tried) as u32;
        let mut some = within(LARGE, quarantine::list_chosen(pool, &keys, chosen, after, most)).await?;
        some.retain(|record| Some(record.id) <= last && record.provider == provider.as_str());
        let Some(newest) = some.last().map(|record| record.id) else { break };
        let parts = parts_of(file, &some).await?;
        adding.preview.tried += some.len() as u64;
        let pulled = some.iter().any(|record| record.record.origin().is_some());
        for (resource, records) in adding.take(parts) {
            let batch = Batch { records, decides: pulled, ..Batch::default() };
            adding.rehearse(provider, resource, batch).await?;
        }
        after = newest;
    }
    Ok(adding.finish())
}

/// What records of the quarantine would become.
async fn parts_of(file: &FileText, some: &[Quarantined]) -> Result<Vec<Parts>, PreviewError> {
    let origins: Vec<_> = some.iter().filter_map(|record| record.record.origin().cloned()).collect();
    let mapped = match origins.is_empty() {
        true => Vec::new(),
        false => file.map_again(origins).await?,
    };
    let mut mapped = mapped.into_iter();
    let parts = some.iter().map(|record| match &record.record {
        RefusedRecord::Canonical(raw) => {
            let parsed = record.resource.parse().and_then(|resource: Resource| {
                parse_record(resource, raw).map_err(|error| error.to_string())
            });
            vec![parsed]
        }
        // all of it, or nothing
        RefusedRecord::Unmapped(_) => match mapped.next().unwrap_or_default().into_iter().collect() {
            Ok::<Vec<Record>, String>(records) => records.into_iter().map(Ok).collect(),
            Err(why) => vec![Err(why)],
        },
    });
    Ok(parts.collect())
}
