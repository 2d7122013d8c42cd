//! How records would be served if they were all that there is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::resource_of;
use crate::records::{self, Batch};
use crate::store::database::{LARGE, within};
use crate::store::feed::{self, Start};
use crate::store::feeds::{self, FeedPace};
use crate::store::{self, StoreError, balances};
use tributary_domain::{FeedName, ProviderName, Record, Resource};

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
