//! The quarantine by what is the same fault.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::super::{StoreError, without_nul};
use super::Which;
use tributary_domain::{ProviderName, Resource};

/// Records that are here for the same fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What the group is called: 16 hexadecimal digits.
    pub group: String,
    pub provider: String,
    pub resource: String,
    /// The stream of a record that its mapping could not take; none of what was pushed.
    pub stream: Option<String>,
    /// The reason that they have in common, with `…` and `#` for what varies.
    pub fault: String,
    /// The reason of the latest, as it is.
    pub latest_reason: String,
    pub count: i64,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// The ids of the latest of them, three at most.
    pub samples: Vec<i64>,
}

/// Up to `most` groups of records, the largest first. Counts by an index that holds all that it takes, and looks at one
/// record of each group that it gives.
pub async fn groups(pool: &PgPool, which: Which<'_>, most: u32) -> Result<Vec<Group>, StoreError> {
    let groups = sqlx::query_as!(
        Group,
        r#"with g as materialized (
             select fault_group, count(*) as count, min(first_seen) as first_seen, max(last_seen) as last_seen,
                    max(id) as latest, (array_agg(id order by id desc))[1:3] as samples
             from quarantine
             where ($1::text is null or provider = $1) and ($2::text is null or resource = $2)
             group by fault_group order by count(*) desc, fault_group limit $3)
           select g.fault_group as "group!", q.provider, q.resource, q.stream, q.fault, q.reason as latest_reason,
                  g.count as "count!", g.first_seen as "first_seen!", g.last_seen as "last_seen!",
                  g.samples as "samples!"
           from g join quarantine q on q.id = g.latest
           order by g.count desc, g.fault_group"#,
        which.provider.map(ProviderName::as_str),
        which.resource.map(Resource::as_str),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(groups)
}

/// The group of this id; `None` where no record is in it.
pub async fn group(pool: &PgPool, id: &str) -> Result<Option<Group>, StoreError> {
    let group = sqlx::query_as!(
        Group,
        r#"select g.fault_group as "group!", q.provider, q.resource, q.stream, q.fault, q.reason as latest_reason,
                  g.count as "count!", g.first_seen as "first_seen!", g.last_seen as "last_seen!",
                  g.samples as "samples!"
           from (select fault_group, count(*) as count, min(first_seen) as first_seen, max(last_seen) as last_seen,
                        max(id) as latest, (array_agg(id order by id desc))[1:3] as samples
                 from quarantine where fault_group = $1 group by fault_group) g
           join quarantine q on q.id = g.latest"#,
        without_nul(id)
    )
    .fetch_optional(pool)
    .await?;
    Ok(group)
}
