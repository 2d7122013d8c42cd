//! What a provider file would make of records that are here, before it runs: they are mapped in the workshop and written
//! by the functions that write them otherwise, in transactions that are never committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::config::FileText;
use crate::encryption;
use crate::records::{self, Batch, Written};
use crate::store::database::{LARGE, within};
use crate::store::feed::{self, Start};
use crate::store::feeds::{self, FeedPace};
use crate::store::named_records;
use crate::store::quarantine::{self, Chosen, Quarantined, RefusedRecord};
use crate::store::raw_records::{self, KeptRecord};
use crate::store::{self, StoreError, Tally, balances, transactions};
use crate::workshop::WorkshopError;
use tributary_domain::{FeedName, ProviderName, Record, Resource, parse_record};

/// Records that are mapped and written together.
const BATCH: u32 = 500;
/// How many changes are shown field by field.
const EXAMPLES: usize = 20;

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

/// Where a state comes from: the position of the raw record, and its place among what that becomes.
type MappedAt = (i64, usize);

impl<'a> Adding<'a> {
    fn new(pool: &'a PgPool) -> Self {
        Self { pool, preview: Preview::default(), faults: BTreeMap::new() }
    }

    async fn remap_stream(
        &mut self,
        provider: &ProviderName,
        stream: &str,
        file: &FileText,
        bounds: Bounds,
    ) -> Result<(), PreviewError> {
        let begun = Instant::now();
        // which state of each record comes last: the only one that is written where the record is there already
        let mut last: HashMap<String, MappedAt> = HashMap::new();
        let mut batches = Vec::new();
        let (keys, mut after, mut read) = (encryption::keyring(), i64::MIN, 0);
        while read < bounds.records && begun.elapsed() < bounds.time {
            let most = u64::from(BATCH).min(bounds.records - read) as u32;
            let kept = raw_records::list(self.pool, &keys, provider, stream, after, most);
            let kept: Vec<KeptRecord> = within(LARGE, kept).await?;
            let Some(newest) = kept.last().map(|kept| kept.position) else { break };
            read += kept.len() as u64;
            let positions: Vec<i64> = kept.iter().map(|kept| kept.position).collect();
            let mapped = file.map_again(kept.into_iter().map(|kept| kept.origin).collect()).await?;
            let mut states: Vec<(MappedAt, Record)> = Vec::new();
            for (position, parts) in positions.into_iter().zip(mapped) {
                self.preview.taken += u64::from(parts.iter().all(Result::is_ok));
                for (at, part) in parts.into_iter().enumerate() {
                    match part {
                        Ok(record) => {
                            last.insert(records::row_key(&record).to_owned(), (position, at));
                            states.push(((position, at), record));
                        }
                        Err(why) => self.refuse(why),
                    }
                }
            }
            batches.push(states);
            after = newest;
        }
        self.preview.tried += read;
        let mut born = HashSet::new();
        for states in batches {
            self.remap_batch(provider, states, &last, &mut born).await?;
        }
        Ok(())
    }

    async fn remap_batch(
        &mut self,
        provider: &ProviderName,
        states: Vec<(MappedAt, Record)>,
        last: &HashMap<String, MappedAt>,
        born: &mut HashSet<String>,
    ) -> Result<(), PreviewError> {
        let Some(resource) = states.first().map(|(_, record)| resource_of(record)) else { return Ok(()) };
        let mut before: HashSet<String> = HashSet::new();
        if resource == Resource::Transactions {
            let ids: Vec<&str> = states.iter().map(|(_, record)| records::row_key(record)).collect();
            let mut connection = self.pool.acquire().await.map_err(StoreError::from)?;
            let there = transactions::existing(&mut connection, provider, &ids).await?;
            let new = ids.iter().filter(|id| !there.contains(**id)).map(|id| (*id).to_owned());
            before = born.clone();
            born.extend(new);
        }
        let mut batch = Batch { backfill: true, decides: true, may_amend: true, ..Batch::default() };
        for (at, record) in states {
            let id = records::row_key(&record);
            match (before.contains(id), born.contains(id) || last.get(id) == Some(&at)) {
                // an earlier batch brought it, which is not there to be compared with
                (true, _) => self.preview.updated += 1,
                (false, true) => batch.records.push(record),
                (false, false) => self.preview.superseded += 1,
            }
        }
        self.rehearse(provider, resource, batch).await
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
        let seen = self.faults.entry(quarantine::fault(&why)).or_insert((0, why));
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

/// The most records of which it is shown how they are served.
const SERVED: usize = 1_000;

/// How `records` would be served if they were all that there is: what they are, and the JSON. They are written and
/// published for a provider of a name that nobody else has, and taken back. `Failed` where the database refuses one.
pub async fn served_alone(pool: &PgPool, records: Vec<Record>) -> Result<Vec<(String, String)>, StoreError> {
    records::rehearsed(within(LARGE, try_serve(pool, records))).await
}

async fn try_serve(pool: &PgPool, all: Vec<Record>) -> Result<Vec<(String, String)>, StoreError> {
    let name = format!("playground-{}", Uuid::now_v7().simple());
    let name: ProviderName = name.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?;
    let mut transaction = store::begin(pool).await?;
    let mut by_resource: BTreeMap<Resource, Vec<Record>> = BTreeMap::new();
    for record in all.into_iter().take(SERVED) {
        by_resource.entry(resource_of(&record)).or_default().push(record);
    }
    let mut accounts = Vec::new();
    for (resource, records) in by_resource {
        if resource == Resource::Balances {
            accounts.extend(records.iter().map(|record| records::row_key(record).to_owned()));
        }
        let batch = Batch { records, ..Batch::default() };
        records::write(&mut transaction, &name, resource, &batch).await?;
    }
    let mut served = Vec::new();
    // no child waits for a parent that is not in the sample
    let pace = FeedPace { per_second: 1_000_000, parent_wait: Duration::ZERO };
    for feed in [FeedName::Accounts, FeedName::Beneficiaries, FeedName::Transactions] {
        while feeds::publish(&mut *transaction, &name, feed, pace, SERVED as i32).await?.more {}
        let page =
            feed::slice(&mut transaction, &name, feed, Start::Position(1), SERVED as i64, None).await?;
        if let Some(page) = page.filter(|page| page.entries > 0) {
            served.push((format!("GET /{feed}"), pretty(&page.array)));
        }
    }
    for id in accounts {
        if let Some(found) = balances::of_account(&mut *transaction, &name, &id).await? {
            let held: Vec<Value> = found
                .balances
                .into_iter()
                .map(|(currency, amount)| serde_json::json!({"amount": amount, "currency": currency}))
                .collect();
            let body = serde_json::json!({"id": found.served_id, "accountID": found.served_id, "at": found.at,
                "balances": held});
            served.push((format!("GET /accounts/{}/balances", found.served_id), format!("{body:#}")));
        }
    }
    transaction.rollback().await?;
    Ok(served)
}

fn pretty(json: &[u8]) -> String {
    let parsed = serde_json::from_slice::<Value>(json);
    parsed.map_or_else(|_| String::from_utf8_lossy(json).into_owned(), |value| format!("{value:#}"))
}

fn resource_of(record: &Record) -> Resource {
    match record {
        Record::Account(_) => Resource::Accounts,
        Record::Beneficiary(_) => Resource::Beneficiaries,
        Record::Balances(_) => Resource::Balances,
        Record::Transaction(_) => Resource::Transactions,
    }
}

/// The fields in which `then` differs from `now`. When something was published is no news of it.
fn differing(now: &Value, then: &Value) -> Vec<Field> {
    let (now, then) = (flat(now), flat(then));
    let names: std::collections::BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let differ = names.into_iter().filter(|name| *name != "updatedAt" && now.get(*name) != then.get(*name));
    let field = |name: &String| Field {
        name: name.clone(),
        now: now.get(name).cloned(),
        then: then.get(name).cloned(),
    };
    differ.map(field).collect()
}

/// Fields by their names, those of metadata below it; texts without quotes.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut fields = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(inner) => {
                fields.extend(inner.iter().map(|(key, value)| (format!("{name}.{key}"), shown(value))));
            }
            value => drop(fields.insert(name.clone(), shown(value))),
        }
    }
    fields
}
