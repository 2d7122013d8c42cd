//! What was read.

use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::store::sync_runs::{self, Run, RunStream, RunWarning};
use tributary_domain::ProviderName;

/// A run with what became of its streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownRun {
    #[serde(flatten)]
    pub run: Run,
    pub streams: Vec<RunStream>,
    pub what_was_odd: Vec<RunWarning>,
}

/// Lists what was read, when and how it went.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only the runs of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// How many runs, the newest first: 20, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub last: Option<u32>,
}

/// The most that is asked for at once: each run is two more statements.
const MOST: u32 = 1_000;

impl Verb for List {
    const NAME: &'static str = "runs";
    type Answer = Vec<ShownRun>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<ShownRun>, Failure> {
        let mut shown = Vec::new();
        let last = self.last.unwrap_or(20).min(MOST);
        for run in sync_runs::list(on.pool, self.provider.as_ref(), last).await? {
            let streams = sync_runs::streams(on.pool, run.id).await?;
            let what_was_odd = sync_runs::warnings(on.pool, run.id).await?;
            shown.push(ShownRun { run, streams, what_was_odd });
        }
        Ok(shown)
    }
}
