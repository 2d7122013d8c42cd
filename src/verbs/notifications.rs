//! What waited for a person.

use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::store::notifications::{self, Notification};
use tributary_domain::ProviderName;

/// Lists what waited for a person, and whether that could be told.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// How many at most, newest first: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

impl Verb for List {
    const NAME: &'static str = "notifications";
    type Answer = Vec<Notification>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Notification>, Failure> {
        Ok(notifications::list(on.pool, self.provider.as_ref(), self.limit.unwrap_or(50)).await?)
    }
}
