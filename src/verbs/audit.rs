//! What operators did.

use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::store::operator_audit::{self, Done};

/// Lists what operators did, newest first, and who they were.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// How many at most: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

impl Verb for List {
    const NAME: &'static str = "audit list";
    type Answer = Vec<Done>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Done>, Failure> {
        Ok(operator_audit::list(on.pool, self.limit.unwrap_or(50)).await?)
    }
}
