//! Having providers read.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pauses::refuse_if_paused;
use super::{Actor, Failure, On, Verb, begin, commit};
use crate::store::{leases, sync_tasks};
use tributary_domain::ProviderName;

/// Has a provider's streams read at the next opportunity, by whatever instance. A pause after failed runs ends with it.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only this stream, with those above it; all without it.
    pub stream: Option<String>,
    /// Forget the cursors of the streams first, so that everything is read that the API goes back to.
    #[serde(default)]
    pub full: bool,
}

/// What will be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    pub streams: Vec<String>,
}

impl Verb for Sync {
    const NAME: &'static str = "sync";
    type Answer = Asked;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Asked, Failure> {
        let Self { provider, stream, full } = self;
        let known = sync_tasks::streams(on.pool, provider).await?;
        let streams = match stream {
            None if known.is_empty() => {
                return Err(Failure::NotFound(format!("nothing of {provider} is pulled")));
            }
            None => known,
            Some(stream) if known.contains(stream) => vec![stream.clone()],
            Some(stream) => {
                let known = known.join(", ");
                return Err(Failure::NotFound(format!("there is no stream {stream:?}; there are: {known}")));
            }
        };
        refuse_if_paused(on, provider).await?;
        let mut transaction = begin(on, actor).await?;
        for stream in &streams {
            match full {
                true => sync_tasks::ask_in_full(&mut transaction, provider, stream).await?,
                false => sync_tasks::ask(&mut transaction, provider, stream, None).await?,
            };
        }
        leases::end_pauses(&mut transaction, provider, &streams).await?;
        let details = json!({"streams": streams, "full": full});
        commit(transaction, actor, (Self::NAME, provider.as_str(), details)).await?;
        Ok(Asked { streams })
    }
}
