//! The tables that have encrypted columns, all together: which keys their rows still need.

use serde::Serialize;
use sqlx::PgPool;

use super::StoreError;

/// How many rows of a table are encrypted with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    pub table: String,
    /// `None`: not encrypted.
    pub key_id: Option<String>,
    pub rows: i64,
}

/// Which keys are in use where. Reads the tables whole.
pub async fn key_uses(pool: &PgPool) -> Result<Vec<KeyUse>, StoreError> {
    let uses = sqlx::query_as!(
        KeyUse,
        r#"select 'provider_tokens' as "table!", key_id, count(*) as "rows!" from provider_tokens group by key_id
           union all
           select 'raw_records', key_id, count(*) from raw_records group by key_id
           union all
           select 'quarantine', key_id, count(*) from quarantine group by key_id
           union all
           select 'statement_files', key_id, count(*) from statement_files where bytes is not null group by key_id
           order by 1, 2 nulls last"#
    )
    .fetch_all(pool)
    .await?;
    Ok(uses)
}
