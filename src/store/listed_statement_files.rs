//! Files of statements, as operators list them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::StoreError;
use tributary_domain::ProviderName;

/// A file that was taken, and what became of its statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
    pub provider: String,
    /// Its number here: later ones have larger ones.
    pub file: i64,
    /// As it was called.
    pub name: String,
    /// Of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// `push`, `console`, `import`, or the place of its source.
    pub source: String,
    /// Bytes.
    pub size: i64,
    /// Of its statements.
    pub formats: Vec<String>,
    pub received_at: DateTime<Utc>,
    /// How often the same bytes came again, and when last: that changed nothing.
    pub repeats: i32,
    pub repeated_at: Option<DateTime<Utc>>,
    /// Whether its bytes were erased.
    pub erased: bool,
    pub statements: i64,
    /// Those of them that are published, by themselves or with their other pages.
    pub published: i64,
    /// Those that were put aside, and did not come whole since.
    pub put_aside: i64,
    /// Why the first of these was, and the sum that is missing in minor units.
    pub reason: Option<String>,
    pub missing: Option<String>,
    /// Those that wait for their other pages.
    pub waiting: i64,
}

impl ListedFile {
    /// What became of its statements, in words.
    pub fn became(&self) -> String {
        let of = |count: i64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let missing = self.missing.as_ref().map(|missing| format!(", missing {missing}")).unwrap_or_default();
        let parts = [
            of(self.published, "published"),
            of(
                self.put_aside,
                &format!("put aside ({}{missing})", self.reason.as_deref().unwrap_or_default()),
            ),
            of(self.waiting, "waiting for other pages"),
            of(self.statements - self.published - self.put_aside - self.waiting, "without effect"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Up to `most` files of one provider or of all, the latest first, of those that came before the one that is `before`
/// here.
pub async fn taken(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    before: Option<i64>,
    most: u32,
) -> Result<Vec<ListedFile>, StoreError> {
    let files = sqlx::query_as!(
        ListedFile,
        r#"with listed as (
             select f.provider, f.seq, f.name, f.sha256, f.source, f.size, f.received_at, f.repeats, f.repeated_at, f.erased
             from (select distinct a.provider from statement_accounts a where $1::text is null or a.provider = $1) p
               cross join lateral (
                 select o.provider, o.seq, o.name, o.sha256, o.source, o.size, o.received_at, o.repeats, o.repeated_at,
                        o.bytes is null as erased
                 from statement_files o where o.provider = p.provider and o.seq < $2
                 order by o.seq desc limit $3) f
             order by f.seq desc limit $3)
           select l.provider as "provider!", l.seq as "file!", l.name as "name!", encode(l.sha256, 'hex') as "sha256!",
                  l.source as "source!", l.size as "size!", l.received_at as "received_at!", l.repeats as "repeats!",
                  l.repeated_at, l.erased as "erased!", s.formats as "formats!", s.statements as "statements!",
                  s.published as "published!", s.put_aside as "put_aside!", s.waiting as "waiting!", first.reason,
                  first.missing
           from listed l
             cross join lateral (
               select coalesce(array_agg(distinct o.format), '{}') as formats, count(*) as statements,
                      count(*) filter (where o.state in ('published', 'joined')) as published,
                      count(*) filter (where o.state = 'put_aside' and o.settled_at is null) as put_aside,
                      count(*) filter (where o.state = 'waiting') as waiting
               from statements o where o.provider = l.provider and o.sha256 = l.sha256) s
             left join lateral (
               select o.reason, o.missing::text as missing from statements o
               where o.provider = l.provider and o.sha256 = l.sha256 and o.state = 'put_aside' and o.settled_at is null
               order by o.place limit 1) first on true
           order by l.seq desc"#,
        provider.map(ProviderName::as_str),
        before.unwrap_or(i64::MAX),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(files)
}

/// A file that was seen where its bank puts them, and was not taken: it has not been the same for long enough, is not
/// complete, or cannot be read; the warnings of runs say which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    pub provider: String,
    pub path: String,
    /// As it is now.
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
}

/// Up to `most` of them, of one provider or of all, the latest first.
pub async fn not_taken(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    most: u32,
) -> Result<Vec<SeenFile>, StoreError> {
    let files = sqlx::query_as!(
        SeenFile,
        "select provider, path, first_seen, last_seen from statement_sightings
         where sha256 is null and ($1::text is null or provider = $1) order by first_seen desc, path limit $2",
        provider.map(ProviderName::as_str),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(files)
}
