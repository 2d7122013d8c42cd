//! How a provider does, from the bank to Formance: gathered by the functions that the gauges and the commands call.

pub mod verdict;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::store::StoreError;
use crate::store::changes::{self, Backlog};
use crate::store::consumers::{self, Consumer};
use crate::store::feeds::{self, FeedHead};
use crate::store::leases::{self, GroupState};
use crate::store::payment_orders;
use crate::store::provider_pauses::{self, Pause};
use crate::store::quarantine::{self, Which};
use crate::store::request_log::{self, ClosedLane};
use crate::store::sync_runs::{self, Running};
use crate::sync;
use tributary_domain::{FeedName, OrderState, ProviderName};
use tributary_manifest::{CompiledProvider, StreamGroup};

/// How a provider does.
#[derive(Debug, Clone)]
pub struct Health {
    pub name: ProviderName,
    pub groups: Vec<GroupHealth>,
    pub feeds: Vec<FeedHealth>,
    pub consumers: Vec<Consumer>,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Orders that have not ended, by state.
    pub payments: Vec<(OrderState, i64)>,
    /// Who wants nothing read of it for now, and why.
    pub pause: Option<Pause>,
    /// What the provider wants no requests for now.
    pub closed: Vec<ClosedLane>,
}

/// How a group of streams does.
#[derive(Debug, Clone)]
pub struct GroupHealth {
    pub state: GroupState,
    pub streams: Vec<String>,
    /// How far apart its runs are at most, in seconds, as its file says.
    pub period: Option<f64>,
    pub last_success: Option<DateTime<Utc>>,
    /// The run that goes on.
    pub running: Option<Running>,
}

impl GroupHealth {
    /// Whether runs keep failing, so that it is tried more and more rarely.
    pub fn breaker_is_open(&self) -> bool {
        self.state.paused && self.state.failures >= i64::from(sync::PATIENCE)
    }
}

/// How a feed does.
#[derive(Debug, Clone)]
pub struct FeedHealth {
    pub feed: FeedName,
    /// None before anything was written.
    pub head: Option<FeedHead>,
    pub backlog: Option<Backlog>,
    /// How far the database's clock stands below what was issued, in seconds.
    pub clock_behind: f64,
}

/// A group of streams as its file schedules it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub name: String,
    pub streams: Vec<String>,
    /// How far apart its runs are at most, in seconds; none where it is read only when somebody asks.
    pub period: Option<f64>,
}

/// The groups of a provider that is pulled.
pub fn groups_of(compiled: &CompiledProvider) -> Vec<Group> {
    let group = |group: StreamGroup| Group {
        period: sync::period(compiled, &group),
        name: group.name,
        streams: group.streams,
    };
    compiled.groups().into_iter().map(group).collect()
}

/// A length of time: to the second below two minutes, to the minute below two hours, to the hour below two days.
pub fn length(seconds: f64) -> String {
    match seconds.round() as u64 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How each of these providers does, of which files declare these groups.
pub async fn of(pool: &PgPool, providers: &[(&ProviderName, &[Group])]) -> Result<Vec<Health>, StoreError> {
    let names: Vec<ProviderName> = providers.iter().map(|(name, _)| (*name).clone()).collect();
    let heads = feeds::heads(pool, &names).await?;
    let backlogs = changes::backlogs(pool, &names).await?;
    let behind = feeds::clocks_behind(pool, &names).await?;
    let consumers = consumers::list(pool, None).await?;
    let orders = payment_orders::open_counts(pool).await?;
    let closed = request_log::closed(pool, None).await?;
    let pauses = provider_pauses::of(pool, &names).await?;
    let mut all = Vec::with_capacity(providers.len());
    for (name, declared) in providers.iter().copied() {
        let feed = |feed: FeedName| FeedHealth {
            feed,
            head: heads.iter().find(|h| h.provider == name.as_str() && h.feed == feed.as_str()).cloned(),
            backlog: backlogs
                .iter()
                .find(|b| b.provider == name.as_str() && b.resource == feed.as_str())
                .cloned(),
            clock_behind: behind
                .iter()
                .find(|b| b.provider == name.as_str() && b.resource == feed.as_str())
                .map_or(0.0, |b| b.seconds),
        };
        let open = |of: OrderState| {
            let counts = orders.iter().filter(|open| open.provider == *name && open.state == of);
            (of, counts.map(|open| open.count).sum())
        };
        let which = Which { provider: Some(name), resource: None };
        all.push(Health {
            name: name.clone(),
            groups: groups(pool, name, declared).await?,
            feeds: FeedName::ALL.map(feed).into(),
            consumers: consumers.iter().filter(|c| c.provider == name.as_str()).cloned().collect(),
            quarantined: quarantine::count(pool, which).await?,
            payments: OrderState::ALL.into_iter().filter(|state| !state.has_ended()).map(open).collect(),
            pause: pauses.iter().find(|pause| pause.provider == name.as_str()).cloned(),
            closed: closed.iter().filter(|lane| lane.provider == name.as_str()).cloned().collect(),
        });
    }
    Ok(all)
}

/// How many versions of each provider were published in each of the 24 hours before `now`, oldest first; nothing of one
/// that has no feed.
pub async fn hourly(
    pool: &PgPool,
    names: &[ProviderName],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Vec<i64>>, StoreError> {
    let times: Vec<_> = (0..=24).rev().map(|hours| now - TimeDelta::hours(hours)).collect();
    let mut entries: HashMap<String, Vec<i64>> = HashMap::new();
    for at in feeds::progress(pool, names, &times).await? {
        entries.entry(at.provider).or_default().push(at.entries);
    }
    let between = |entries: Vec<i64>| entries.windows(2).map(|two| two[1] - two[0]).collect();
    Ok(entries.into_iter().map(|(name, entries)| (name, between(entries))).collect())
}

async fn groups(
    pool: &PgPool,
    name: &ProviderName,
    declared: &[Group],
) -> Result<Vec<GroupHealth>, StoreError> {
    let mut groups = Vec::new();
    let running = sync_runs::running(pool, name).await?;
    for lease in leases::states(pool, name).await? {
        let served = declared.iter().find(|group| group.name == lease.group);
        groups.push(GroupHealth {
            last_success: sync_runs::last_success(pool, name, &lease.group).await?,
            streams: served.map(|group| group.streams.clone()).unwrap_or_default(),
            period: served.and_then(|group| group.period),
            running: running.iter().find(|run| run.group == lease.group).cloned(),
            state: lease,
        });
    }
    Ok(groups)
}
