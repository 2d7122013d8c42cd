//! Where a run's pages go: rows, cursor and counts of a page are committed together, and only
//! while the run has its lease.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::Utc;
use metrics::counter;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{SyncProgress, WarnedOf, warned};
use crate::encryption;
use crate::records::{self, Batch, Written};
use crate::store::database::{soon, within};
use crate::store::leases::{self, Lease};
use crate::store::quarantine::{Refused, RefusedRecord};
use crate::store::sync_open_records::{self, OpenRow};
use crate::store::sync_runs::{self, Counts};
use crate::store::{self, StoreError, Tally, feeds, raw_records, sync_cursors, sync_known_next};
use tributary_domain::{FeedName, ProviderName, Record, RecordError, Resource, parse_record};
use tributary_manifest::{
    CompiledProvider, MappedRecord, OpenRecord, PageSink, RecordPage, StreamGroup, Warning, Warnings,
};

/// How long the commit of a page may take at most: several times as long as whoever holds the lease
/// may be silent, and long enough for a page that had to wait for others.
pub fn page_limit(lease: &Lease) -> Duration {
    (lease.time * 4).max(LEAST_PAGE_LIMIT)
}

const LEAST_PAGE_LIMIT: Duration = Duration::from_secs(15);

/// Why a page was not committed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another instance took the work over, since this one was silent for too long.
    #[error("another instance took the work over")]
    LeaseLost,
    /// What an open record was mapped to cannot be read any more.
    #[error(
        "the open record {key:?} of the stream {stream} cannot be read ({error}); to give it up, delete its row of \
         sync_open_records"
    )]
    OpenRecord { stream: String, key: String, error: RecordError },
}

impl From<sqlx::Error> for SinkError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Commits the pages of one run.
pub struct DatabaseSink<'a> {
    pool: &'a PgPool,
    lease: &'a Lease,
    run: Uuid,
    groups: &'a [StreamGroup],
    progress: &'a SyncProgress,
    /// Streams of accounts and of beneficiaries that have not ended yet.
    open_streams: HashMap<Resource, usize>,
    /// What the run brought so far.
    pub tally: Tally,
    pub quarantined: u64,
    /// What was odd, pages and quarantine included.
    pub warned: WarnedOf,
    /// Pages committed so far.
    pub pages: u64,
}

impl<'a> DatabaseSink<'a> {
    /// A sink for the pages of `run`, which reads under `lease` a group of `compiled`, of which
    /// `groups` are all.
    pub fn new(
        pool: &'a PgPool,
        lease: &'a Lease,
        run: Uuid,
        compiled: &CompiledProvider,
        groups: &'a [StreamGroup],
        progress: &'a SyncProgress,
    ) -> Self {
        let streams: BTreeSet<&str> =
            groups.iter().filter(|group| group.name == lease.group).flat_map(streams).collect();
        let open_streams = [Resource::Accounts, Resource::Beneficiaries]
            .map(|resource| (resource, compiled.streams_of(resource, &streams)))
            .into();
        Self {
            pool,
            lease,
            run,
            groups,
            progress,
            open_streams,
            tally: Tally::default(),
            quarantined: 0,
            warned: WarnedOf::default(),
            pages: 0,
        }
    }

    fn provider(&self) -> &'a ProviderName {
        &self.lease.provider
    }

    /// Whether the last stream of the page's resource in this group ends with it.
    fn ends_resource(&mut self, page: &RecordPage) -> bool {
        let Some(open) = self.open_streams.get_mut(&page.resource) else { return false };
        if page.end_of_stream {
            *open = open.saturating_sub(1);
        }
        *open == 0
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        page: &RecordPage,
        batch: &Batch,
        ended: bool,
        warnings: &mut Warnings,
    ) -> Result<(Counts, WarnedOf), SinkError> {
        leases::limit_silence(connection, self.lease).await?;
        if let Some(feed) = first_sync_feed(page.resource).filter(|_| page.first_of_stream) {
            feeds::await_first_sync(connection, self.provider(), feed).await?;
        }
        let Written { tally, refused, shared_ids } =
            records::write(connection, self.provider(), page.resource, batch).await?;
        let quarantined = (batch.refused.len() + refused.len()) as u64;
        if quarantined > 0 {
            *warnings.entry(Warning::Refused).or_default() += quarantined;
        }
        for (_, reason) in refused.iter().rev().take(shared_ids as usize) {
            *warnings.entry(Warning::SharedId(reason.clone())).or_default() += 1;
        }
        for (warning, times) in [(Warning::Older, tally.older), (Warning::Amended, tally.amended)] {
            if times > 0 {
                *warnings.entry(warning).or_default() += times;
            }
        }
        let warned = WarnedOf::new(&page.stream, &page.partition, warnings);
        let open: Vec<OpenRow> = page.open.iter().map(open_row).collect();
        let (stream, partition) = (&page.stream, &page.partition);
        sync_open_records::save(connection, self.provider(), stream, partition, &open, &page.closed).await?;
        if !page.raw.is_empty() {
            let keys = encryption::keyring();
            raw_records::keep(connection, &keys, self.provider(), stream, partition, &page.raw).await?;
        }
        if let Some(cursor) = &page.cursor {
            sync_cursors::save(connection, self.provider(), stream, partition, cursor).await?;
        }
        if ended {
            finish_first_read(connection, self.lease, page.resource, self.groups).await?;
        }
        let counts = Counts { tally, quarantined, requests: page.requests, warnings: warned.total() };
        sync_runs::add(connection, self.run, &page.stream, counts).await?;
        self.keep(connection, &page.stream, &warned).await?;
        // last, so that the lease's row is locked no longer than it has to be
        let ours = leases::confirm(connection, self.lease).await?;
        if ours { Ok((counts, warned)) } else { Err(SinkError::LeaseLost) }
    }

    /// Keeps what was odd of `stream` with the run.
    async fn keep(
        &self,
        connection: &mut PgConnection,
        stream: &str,
        warned: &WarnedOf,
    ) -> Result<(), StoreError> {
        let rows: Vec<(&str, u64, &str)> =
            warned.iter().map(|(_, kind, warned)| (kind, warned.times, warned.text.as_str())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sync_runs::add_warnings(connection, self.run, stream, &rows).await
    }

    fn report(&mut self, page: &RecordPage, counts: Counts) {
        let Counts { tally, quarantined, requests, .. } = counts;
        self.tally += tally;
        self.quarantined += quarantined;
        self.pages += 1;
        self.progress.add_records(tally.created + tally.updated + tally.unchanged);
        self.progress.add_requests(requests);
        for (outcome, count) in [
            ("created", tally.created),
            ("updated", tally.updated),
            ("unchanged", tally.unchanged),
            ("quarantined", quarantined),
        ] {
            counter!("tributary_ingested_total", "provider" => self.provider().to_string(),
                "resource" => page.resource.as_str(), "outcome" => outcome)
            .increment(count);
        }
    }
}

/// What is to be written of the mapped `records`.
fn batch(records: Vec<MappedRecord>, history: bool) -> Batch {
    let mut batch = Batch { backfill: history, decides: true, ..Batch::default() };
    for record in records {
        match record {
            MappedRecord::Canonical(record) => batch.records.push(record),
            MappedRecord::Unmappable { origin, reason } => {
                batch.refused.push(Refused { record: RefusedRecord::Unmapped(origin), reason });
            }
            MappedRecord::Refused { record, reason } => {
                let json = record.to_json().to_string().into_bytes();
                batch.refused.push(Refused { record: RefusedRecord::Canonical(json), reason });
            }
        }
    }
    batch
}

fn streams(group: &StreamGroup) -> impl Iterator<Item = &str> {
    group.streams.iter().map(String::as_str)
}

/// The feed that waits for the end of the first full sync, if the resource has one.
fn first_sync_feed(resource: Resource) -> Option<FeedName> {
    match resource {
        Resource::Accounts => Some(FeedName::Accounts),
        Resource::Beneficiaries => Some(FeedName::Beneficiaries),
        Resource::Balances | Resource::Transactions => None,
    }
}

/// The open record that is kept as `row`, mapped to records of `resource`.
fn open_record(row: OpenRow, resource: Resource) -> Result<OpenRecord, (String, RecordError)> {
    let canonical = match canonical_records(&row.canonical, resource) {
        Ok(canonical) => canonical,
        Err(error) => return Err((row.key, error)),
    };
    Ok(OpenRecord {
        key: row.key,
        record: row.record,
        canonical,
        at: row.at,
        first_seen: Some(row.first_seen),
        checked_at: Some(row.checked_at),
        missed_at: row.missed_at,
    })
}

/// The records in `json`, an array of canonical ones.
fn canonical_records(json: &[u8], resource: Resource) -> Result<Vec<Record>, RecordError> {
    let records: Vec<Box<RawValue>> = serde_json::from_slice(json)?;
    records.iter().map(|record| parse_record(resource, record.get().as_bytes())).collect()
}

fn open_row(open: &OpenRecord) -> OpenRow {
    let now = Utc::now();
    OpenRow {
        key: open.key.clone(),
        record: open.record.clone(),
        canonical: Value::from_iter(open.canonical.iter().map(Record::to_json)).to_string().into_bytes(),
        at: open.at,
        first_seen: open.first_seen.unwrap_or(now),
        checked_at: open.checked_at.unwrap_or(now),
        missed_at: open.missed_at,
    }
}

/// Notes that the first full read of `resource` by the lease's group is over, and lets its feed go
/// if that of every group of `groups` that brings such records is.
pub async fn finish_first_read(
    connection: &mut PgConnection,
    lease: &Lease,
    resource: Resource,
    groups: &[StreamGroup],
) -> Result<(), StoreError> {
    let Some(feed) = first_sync_feed(resource) else { return Ok(()) };
    let bringing = groups.iter().filter(|group| group.resources.contains(&resource));
    let bringing: Vec<&str> = bringing.map(|group| group.name.as_str()).collect();
    if leases::finish_first_read(connection, lease, resource, &bringing).await? {
        feeds::end_first_sync(connection, &lease.provider, feed).await?;
    }
    Ok(())
}

impl PageSink for DatabaseSink<'_> {
    type Error = SinkError;

    async fn cursor(
        &mut self,
        stream: &str,
        partition: &str,
    ) -> Result<Option<serde_json::Value>, SinkError> {
        soon(async {
            let mut connection = self.pool.acquire().await?;
            Ok(sync_cursors::load(&mut connection, self.provider(), stream, partition).await?)
        })
        .await
    }

    async fn open_records(
        &mut self,
        stream: &str,
        resource: Resource,
        partition: &str,
    ) -> Result<Vec<OpenRecord>, SinkError> {
        let rows = within(page_limit(self.lease), async {
            let mut connection = self.pool.acquire().await?;
            sync_open_records::load(&mut connection, self.provider(), stream, partition).await
        });
        let rows = rows.await?;
        let unreadable = |(key, error)| SinkError::OpenRecord { stream: stream.to_owned(), key, error };
        rows.into_iter().map(|row| open_record(row, resource).map_err(unreadable)).collect()
    }

    async fn next_known(&mut self, stream: &str, next: &str) -> Result<bool, SinkError> {
        Ok(soon(sync_known_next::load(self.pool, self.provider(), stream, next)).await?)
    }

    async fn note_next(&mut self, stream: &str, next: &str) -> Result<(), SinkError> {
        Ok(soon(sync_known_next::save(self.pool, self.provider(), stream, next)).await?)
    }

    async fn warn(&mut self, stream: &str, partition: &str, warnings: Warnings) -> Result<(), SinkError> {
        let warned = WarnedOf::new(stream, partition, &warnings);
        soon(async {
            let mut transaction = store::begin(self.pool).await?;
            leases::limit_silence(&mut transaction, self.lease).await?;
            let counts = Counts { warnings: warned.total(), ..Counts::default() };
            sync_runs::add(&mut transaction, self.run, stream, counts).await?;
            self.keep(&mut transaction, stream, &warned).await?;
            if !leases::confirm(&mut transaction, self.lease).await? {
                return Err(SinkError::LeaseLost);
            }
            Ok(transaction.commit().await?)
        })
        .await?;
        warned::report(self.provider(), stream, partition, &warnings);
        self.warned.append(warned);
        Ok(())
    }

    async fn page(&mut self, mut page: RecordPage) -> Result<(), SinkError> {
        let batch = batch(std::mem::take(&mut page.records), page.history);
        let records = batch.records.len();
        let span = tributary_traces::commit_page(&page.stream, page.resource.as_str(), records);
        let ended = self.ends_resource(&page);
        let mut warnings = page.warnings.clone();
        let (counts, warned) = within(page_limit(self.lease), async {
            let mut transaction = store::begin(self.pool).await?;
            let written = self.write(&mut transaction, &page, &batch, ended, &mut warnings).await?;
            transaction.commit().await?;
            Ok::<_, SinkError>(written)
        })
        .instrument(span)
        .await?;
        self.report(&page, counts);
        warned::report(self.provider(), &page.stream, &page.partition, &warnings);
        self.warned.append(warned);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(canonical: &Value) -> OpenRow {
        OpenRow {
            key: "k".to_owned(),
            record: b"{}".to_vec(),
            canonical: canonical.to_string().into_bytes(),
            at: None,
            first_seen: Utc::now(),
            checked_at: Utc::now(),
            missed_at: None,
        }
    }

    #[test]
    fn what_an_open_record_was_mapped_to_survives_being_kept() {
        let transaction = |id: &str| {
            json!({"id": id, "createdAt": "2026-03-01T12:00:00.5Z", "type": "PAYIN", "status": "PENDING",
                "currency": "EUR/2", "amount": "1"})
        };
        let row = kept(&json!([transaction("a"), transaction("b")]));
        let open = open_record(row, Resource::Transactions).unwrap();
        let ids: Vec<&str> = open.canonical.iter().map(records::row_key).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(open_record(open_row(&open), Resource::Transactions), Ok(open));
    }

    #[test]
    fn an_open_record_that_cannot_be_read_is_told_and_not_taken_for_one_that_became_nothing() {
        for broken in [json!({}), json!([{"id": "a"}]), json!(["a"])] {
            let (key, error) = open_record(kept(&broken), Resource::Transactions).unwrap_err();
            assert!(key == "k" && !error.to_string().is_empty(), "{broken}");
        }
    }
}
