//! What providers want no requests for now.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, Failure, On, Verb, begin, commit};
use crate::store::request_log::{self, ClosedLane};
use tributary_domain::ProviderName;

/// Lists the requests that providers want none of for now.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those to this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

impl Verb for List {
    const NAME: &'static str = "limits list";
    type Answer = Vec<ClosedLane>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<ClosedLane>, Failure> {
        Ok(request_log::closed(on.pool, self.provider.as_ref()).await?)
    }
}

/// Sends requests again before the time that the provider named.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only these, as `limits list` shows them; without it, all.
    pub requests: Option<String>,
}

impl Verb for Lift {
    const NAME: &'static str = "limits lift";
    /// The requests that are sent again.
    type Answer = Vec<String>;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Vec<String>, Failure> {
        let Self { provider, requests } = self;
        let mut transaction = begin(on, actor).await?;
        let opened = request_log::open(&mut *transaction, provider, requests.as_deref()).await?;
        if opened.is_empty() {
            return Err(Failure::NotFound(format!(
                "nothing is closed of {provider} that could be lifted; see `tributary limits list`"
            )));
        }
        commit(transaction, actor, (Self::NAME, provider.as_str(), json!({"opened": opened}))).await?;
        Ok(opened)
    }
}
