//! The story of one record: what it came from, what was made of it, when it was served and who has fetched it; of an
//! order, what was done about it. Typed, for whoever shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::PgPool;
use uuid::Uuid;

use crate::encryption::Keyring;
use crate::store::named_records::{self, Attempt, Held, RecordName, Unpublished, Version};
use crate::store::payment_audit::{self, Audited};
use crate::store::payment_orders::{self, Order, Step};
use crate::store::raw_records::{self, KeptOf};
use crate::store::{StoreError, consumers};
use tributary_domain::{ApiKeyDigest, ProviderName, served_id_to_original};

/// How much of a record is shown at most: the latest versions, answers and children.
const MOST: u32 = 200;

/// All that is known of a record.
#[derive(Debug, Serialize, Deserialize)]
pub struct Story {
    #[serde(flatten)]
    pub name: RecordName,
    /// As its table has it; none of balances that have no account.
    pub now: Option<Value>,
    /// Of an account, what it holds.
    pub balances: Vec<Held>,
    /// What it came from, oldest first; nothing where the provider's file does not say `keep_raw`, or it was pushed.
    pub came: Vec<Came>,
    /// What was published of it, oldest first. Each is what the mapping made of an answer that said something new.
    pub versions: Vec<Published>,
    /// What is committed and not published yet.
    pub unpublished: Vec<Unpublished>,
    /// The transactions that are related to it.
    pub children: Vec<String>,
    /// The order that it belongs to.
    pub order: Option<OrderStory>,
}

/// A state of a record as the provider sent it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Came {
    pub position: i64,
    pub stream: String,
    pub partition: String,
    /// When the request was sent that got it.
    pub asked_at: String,
    /// When it last came like this.
    pub kept_at: DateTime<Utc>,
    /// Whether it was pending and is not listed any more.
    pub vanished: bool,
    /// As it came, digit by digit; none where it cannot be read.
    pub record: Option<Box<RawValue>>,
    /// Why not.
    pub unreadable: Option<String>,
}

/// A version with who has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Published {
    #[serde(flatten)]
    pub version: Version,
    pub fetched: Vec<Fetched>,
}

/// Whether a consumer has fetched a version: it reads in order, so it has when it came past its position.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Fetched {
    /// `key:NAME`, or `file:acme/connector`.
    pub consumer: String,
    pub fetched: bool,
    /// When it polled last: so by then at the latest, if it has fetched it.
    pub polled_at: DateTime<Utc>,
}

/// An order with what was done about it.
#[derive(Debug, Serialize, Deserialize)]
pub struct OrderStory {
    pub id: Uuid,
    pub idempotency_key: String,
    pub state: String,
    pub status: String,
    pub attempt: i32,
    pub provider_payment_id: Option<String>,
    /// The attempts before this one.
    pub attempts: Vec<Attempt>,
    /// The steps of all attempts.
    pub steps: Vec<Step>,
    /// Every change, oldest first; none where the login of the database may not read the audit, as that of the service.
    pub audit: Option<Vec<Audited>>,
}

/// The records that are called `wanted`: by their id, also as it is served; of an order, by its idempotency key or by
/// what the provider calls the payment.
pub async fn find(
    pool: &PgPool,
    wanted: &str,
    provider: Option<&ProviderName>,
) -> Result<Vec<RecordName>, StoreError> {
    let original = served_id_to_original(wanted);
    let names: Vec<&str> = [Some(wanted), original.as_deref()].into_iter().flatten().collect();
    named_records::find(pool, &names, provider).await
}

/// The story of a record that [`find`] gave. What is encrypted is opened with `keys`; where that fails, the story says
/// so in its place. The audit of an order is in it for a login that may read it, and for the operator who shows `proof`.
pub async fn of(
    pool: &PgPool,
    keys: &Keyring,
    name: RecordName,
    proof: Option<&ApiKeyDigest>,
) -> Result<Story, StoreError> {
    let order = order_of(pool, &name).await?;
    let mut ids = vec![name.id.clone()];
    if let Some(order) = &order {
        ids.extend(order.provider_payment_id.clone());
        ids.extend(named_records::record_of(pool, order.id).await?);
    }
    let came = raw_records::of_record(pool, keys, &name.provider, &ids, MOST).await?;
    let is_transaction = name.resource == "transactions";
    // a child of an order names its idempotency key
    let parent = order.as_ref().map_or(&name.id, |order| &order.idempotency_key);
    let children = match is_transaction {
        true => named_records::children(pool, &name.provider, parent, MOST.into()).await?,
        false => Vec::new(),
    };
    let balances = match is_transaction || name.resource == "beneficiaries" {
        true => Vec::new(),
        false => named_records::balances(pool, &name.provider, &name.id).await?,
    };
    let order = match order {
        Some(order) => Some(order_story(pool, order, proof).await?),
        None => None,
    };
    Ok(Story {
        now: named_records::row(pool, &name).await?,
        balances,
        came: came.into_iter().map(Came::from).collect(),
        versions: published(pool, &name).await?,
        unpublished: named_records::unpublished(pool, &name).await?,
        children: children.into_iter().filter(|child| *child != name.id).collect(),
        order,
        name,
    })
}

async fn order_of(pool: &PgPool, name: &RecordName) -> Result<Option<Order>, StoreError> {
    let Ok(id) = Uuid::try_parse(&name.id) else { return Ok(None) };
    let order = payment_orders::get(pool, id).await?;
    Ok(order.filter(|order| name.resource == "transactions" && order.provider.as_str() == name.provider))
}

async fn order_story(
    pool: &PgPool,
    order: Order,
    proof: Option<&ApiKeyDigest>,
) -> Result<OrderStory, StoreError> {
    let audit = payment_audit::of_order(pool, order.id, proof).await?;
    Ok(OrderStory {
        id: order.id,
        state: order.state.to_string(),
        status: order.status.as_str().to_owned(),
        attempt: order.attempt,
        attempts: named_records::attempts(pool, order.id).await?,
        steps: payment_orders::all_steps(pool, &order).await?,
        audit,
        idempotency_key: order.idempotency_key,
        provider_payment_id: order.provider_payment_id,
    })
}

async fn published(pool: &PgPool, name: &RecordName) -> Result<Vec<Published>, StoreError> {
    let versions = named_records::versions(pool, name, MOST.into()).await?;
    let progress = match versions.is_empty() {
        true => Vec::new(),
        false => consumers::progress(pool, &name.provider, &name.resource).await?,
    };
    let published = versions.into_iter().map(|version| {
        let fetched = progress.iter().map(|consumer| Fetched {
            consumer: consumer.key.clone(),
            fetched: consumer.position >= version.position,
            polled_at: consumer.polled_at,
        });
        Published { fetched: fetched.collect(), version }
    });
    Ok(published.collect())
}

impl From<KeptOf> for Came {
    fn from(kept: KeptOf) -> Self {
        let record = kept.record.and_then(|record| {
            let text = String::from_utf8(record).map_err(|_| "it is no text".to_owned())?;
            RawValue::from_string(text).map_err(|_| "it is no JSON".to_owned())
        });
        let (record, unreadable) = match record {
            Ok(record) => (Some(record), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            position: kept.position,
            stream: kept.stream,
            partition: kept.partition,
            asked_at: kept.asked_at,
            kept_at: kept.kept_at,
            vanished: kept.vanished,
            record,
            unreadable,
        }
    }
}
