//! How a provider does, from the bank to Formance: gathered by the functions that the gauges and the commands call.

use chrono::{DateTime, Utc};

use super::error::PageError;
use crate::http::SharedState;
use crate::store::StoreError;
use crate::store::changes::{self, Backlog};
use crate::store::consumers::{self, Consumer};
use crate::store::feeds::{self, FeedHead};
use crate::store::leases::{self, GroupState};
use crate::store::payment_orders;
use crate::store::quarantine::{self, Which};
use crate::store::request_log::{self, ClosedLane};
use crate::store::sync_runs::{self, Running};
use crate::sync;
use tributary_domain::{FeedName, OrderState, ProviderName};

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

/// The providers that this instance serves, by name.
pub fn providers(state: &SharedState) -> Vec<ProviderName> {
    let mut names: Vec<ProviderName> = state.providers.keys().cloned().collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

/// The provider that a query names; none where it names none. A name that cannot be one is refused, as a list of all
/// providers would be taken for that of one.
pub fn named(text: &str) -> Result<Option<ProviderName>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let named = text.parse().map_err(|_| PageError::not_found("There is no provider of this name."))?;
    Ok(Some(named))
}

/// How each of `names` does.
pub async fn of(state: &SharedState, names: &[ProviderName]) -> Result<Vec<Health>, StoreError> {
    let pool = &state.pool;
    let heads = feeds::heads(pool, names).await?;
    let backlogs = changes::backlogs(pool, names).await?;
    let behind = feeds::clocks_behind(pool, names).await?;
    let consumers = consumers::list(pool, None).await?;
    let orders = payment_orders::open_counts(pool).await?;
    let closed = request_log::closed(pool, None).await?;
    let mut all = Vec::with_capacity(names.len());
    for name in names {
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
            groups: groups(state, name).await?,
            feeds: FeedName::ALL.map(feed).into(),
            consumers: consumers.iter().filter(|c| c.provider == name.as_str()).cloned().collect(),
            quarantined: quarantine::count(pool, which).await?,
            payments: OrderState::ALL.into_iter().filter(|state| !state.has_ended()).map(open).collect(),
            closed: closed.iter().filter(|lane| lane.provider == name.as_str()).cloned().collect(),
        });
    }
    Ok(all)
}

async fn groups(state: &SharedState, name: &ProviderName) -> Result<Vec<GroupHealth>, StoreError> {
    let mut groups = Vec::new();
    let running = sync_runs::running(&state.pool, name).await?;
    for lease in leases::states(&state.pool, name).await? {
        let served = state.providers.get(name).into_iter().flat_map(|served| &served.groups);
        let served = served.into_iter().find(|group| group.name == lease.group);
        groups.push(GroupHealth {
            last_success: sync_runs::last_success(&state.pool, name, &lease.group).await?,
            streams: served.map(|group| group.streams.clone()).unwrap_or_default(),
            period: served.and_then(|group| group.period),
            running: running.iter().find(|run| run.group == lease.group).cloned(),
            state: lease,
        });
    }
    Ok(groups)
}
