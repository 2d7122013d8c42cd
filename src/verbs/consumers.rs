//! Who polls.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, Failure, On, Verb, begin, commit};
use crate::store::consumers::{self, Consumer};
use tributary_domain::ProviderName;

/// Lists who polls, and how far behind they are.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

impl Verb for List {
    const NAME: &'static str = "consumers";
    type Answer = Vec<Consumer>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Consumer>, Failure> {
        Ok(consumers::list(on.pool, self.provider.as_ref()).await?)
    }
}

/// Forgets a consumer that is not to come back, so that nobody waits for it.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// The key, as the list shows it.
    pub key: String,
}

impl Verb for Forget {
    const NAME: &'static str = "consumers forget";
    type Answer = ();

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<(), Failure> {
        let Self { provider, key } = self;
        let mut transaction = begin(on, actor).await?;
        match consumers::forget_key(&mut *transaction, provider, key).await? {
            0 => Err(Failure::NotFound(format!(
                "no consumer of {provider} is called {key:?}; see `tributary consumers`"
            ))),
            _ => commit(transaction, actor, (Self::NAME, &format!("{provider}/{key}"), json!({}))).await,
        }
    }
}
