//! Where a run's pages go: rows, cursor and counts of a page are committed together.

use std::collections::HashMap;

use chrono::Utc;
use metrics::counter;
use serde_json::value::RawValue;
use sqlx::PgPool;
use uuid::Uuid;

use super::Progress;
use crate::domain::{FeedName, ProviderName, Resource, parse_record};
use crate::provider::{Connection, MappedRecord, OpenRecord, Page, PageSink};
use crate::store::batch::{self, Batch};
use crate::store::quarantine::Refused;
use crate::store::sync_open_records::{self, OpenRow};
use crate::store::{StoreError, Tally, feeds, sync_cursors, sync_runs};

/// Commits the pages of one run.
pub struct DatabaseSink<'a> {
    pool: &'a PgPool,
    provider: &'a ProviderName,
    run: Uuid,
    progress: &'a Progress,
    /// Streams of accounts and of beneficiaries that have not ended yet.
    open_streams: HashMap<Resource, usize>,
    /// What the run brought so far.
    pub tally: Tally,
    pub quarantined: u64,
}

impl<'a> DatabaseSink<'a> {
    /// A sink for the pages of `run` over `connection`.
    pub fn new(
        pool: &'a PgPool,
        provider: &'a ProviderName,
        run: Uuid,
        connection: &Connection,
        progress: &'a Progress,
    ) -> Self {
        let open_streams = [Resource::Accounts, Resource::Beneficiaries]
            .map(|resource| (resource, connection.streams_of(resource)))
            .into();
        Self { pool, provider, run, progress, open_streams, tally: Tally::default(), quarantined: 0 }
    }

    /// The feed that may go with this page: its last stream ends.
    fn feed_to_release(&mut self, page: &Page) -> Option<FeedName> {
        let feed = held_feed(page.resource)?;
        let open = self.open_streams.get_mut(&page.resource)?;
        if page.end_of_stream {
            *open = open.saturating_sub(1);
        }
        (*open == 0).then_some(feed)
    }

    fn parse(&self, page: &Page) -> Batch {
        let mut batch = Batch { backfill: page.history, ..Batch::default() };
        for record in &page.records {
            match record {
                MappedRecord::Canonical(json) => match parse_record(page.resource, json) {
                    Ok(record) => batch.records.push(record),
                    Err(error) => {
                        batch.refused.push(Refused { raw: json.clone(), reason: error.to_string() })
                    }
                },
                MappedRecord::Unmappable { raw, reason } => {
                    batch.refused.push(Refused { raw: raw.clone(), reason: reason.clone() });
                }
            }
        }
        batch
    }

    fn report(&mut self, page: &Page, tally: Tally, quarantined: usize) {
        self.tally += tally;
        self.quarantined += quarantined as u64;
        self.progress.add_records(tally.created + tally.updated + tally.unchanged);
        for (outcome, count) in [
            ("created", tally.created),
            ("updated", tally.updated),
            ("unchanged", tally.unchanged),
            ("quarantined", quarantined as u64),
        ] {
            counter!("tributary_ingested_total", "provider" => self.provider.to_string(),
                "resource" => page.resource.as_str(), "outcome" => outcome)
            .increment(count);
        }
        for (warning, count) in &page.warnings {
            tracing::warn!(provider = %self.provider, stream = page.stream, count, "{warning}");
        }
        if quarantined > 0 {
            tracing::error!(provider = %self.provider, stream = page.stream, quarantined, "records were quarantined");
        }
    }
}

/// The feed whose first full sync is held back until its end, if the resource has one.
fn held_feed(resource: Resource) -> Option<FeedName> {
    match resource {
        Resource::Accounts => Some(FeedName::Accounts),
        Resource::Beneficiaries => Some(FeedName::Beneficiaries),
        Resource::Balances | Resource::Transactions => None,
    }
}

fn open_record(row: OpenRow) -> OpenRecord {
    let canonical: Vec<Box<RawValue>> = serde_json::from_slice(&row.canonical).unwrap_or_default();
    OpenRecord {
        key: row.key,
        record: row.record,
        canonical: canonical.iter().map(|record| record.get().as_bytes().to_vec()).collect(),
        at: row.at,
        first_seen: Some(row.first_seen),
        checked_at: Some(row.checked_at),
    }
}

fn open_row(open: &OpenRecord) -> OpenRow {
    let now = Utc::now();
    OpenRow {
        key: open.key.clone(),
        record: open.record.clone(),
        canonical: [b"[", open.canonical.join(&b","[..]).as_slice(), b"]"].concat(),
        at: open.at,
        first_seen: open.first_seen.unwrap_or(now),
        checked_at: open.checked_at.unwrap_or(now),
    }
}

impl PageSink for DatabaseSink<'_> {
    type Error = StoreError;

    async fn cursor(
        &mut self,
        stream: &str,
        partition: &str,
    ) -> Result<Option<serde_json::Value>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        sync_cursors::load(&mut connection, self.provider, stream, partition).await
    }

    async fn open_records(&mut self, stream: &str, partition: &str) -> Result<Vec<OpenRecord>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let rows = sync_open_records::load(&mut connection, self.provider, stream, partition).await?;
        Ok(rows.into_iter().map(open_record).collect())
    }

    async fn page(&mut self, page: Page) -> Result<(), StoreError> {
        let batch = self.parse(&page);
        let ended = self.feed_to_release(&page);
        let mut transaction = self.pool.begin().await?;
        if let Some(feed) = held_feed(page.resource).filter(|_| page.first_of_stream) {
            feeds::hold_new(&mut transaction, self.provider, feed).await?;
        }
        let tally = batch::write(&mut transaction, self.provider, page.resource, &batch).await?;
        let open: Vec<OpenRow> = page.open.iter().map(open_row).collect();
        let (stream, partition) = (&page.stream, &page.partition);
        sync_open_records::save(&mut transaction, self.provider, stream, partition, &open, &page.closed)
            .await?;
        if let Some(cursor) = &page.cursor {
            sync_cursors::save(&mut transaction, self.provider, stream, partition, cursor).await?;
        }
        if let Some(feed) = ended {
            feeds::release(&mut transaction, self.provider, feed).await?;
        }
        sync_runs::add(&mut transaction, self.run, tally, batch.refused.len()).await?;
        transaction.commit().await?;
        self.report(&page, tally, batch.refused.len());
        Ok(())
    }
}
