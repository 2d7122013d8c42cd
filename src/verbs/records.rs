//! The story of a record.

use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::encryption;
use crate::records::story::{self, Story};
use crate::store::named_records::RecordName;
use tributary_domain::{ProviderName, Resource};

/// Shows the story of a record: what it came from, its versions, who has fetched them, and its order.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Its id, its reference, or the idempotency key of its order.
    #[schema(min_length = 1, pattern = "^[^\\u0000]*$")]
    pub name: String,
    /// Its provider, where several have a record of this name.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Its kind, where several have the name.
    #[schema(pattern = "^(accounts|balances|beneficiaries|transactions)$")]
    pub resource: Option<String>,
}

impl Verb for Show {
    const NAME: &'static str = "records show";
    type Answer = Story;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Story, Failure> {
        let wanted = self.name.as_str();
        if wanted.contains('\0') {
            return Err(Failure::Invalid("no record has NUL in its name".to_owned()));
        }
        let mut found = story::find(on.pool, wanted, self.provider.as_ref()).await?;
        let resource = self.resource.as_deref().map(str::parse::<Resource>).transpose();
        let resource = resource.map_err(Failure::Invalid)?;
        found.retain(|found| resource.is_none_or(|resource| resource.as_str() == found.resource));
        let name = match found.len() {
            1 => found.swap_remove(0),
            0 => {
                return Err(Failure::NotFound(format!(
                    "there is no record {wanted:?}; one that was refused is in `tributary quarantine list`, and a request \
                     to pay in `tributary payouts list --refused`"
                )));
            }
            several => {
                let which =
                    |name: &RecordName| format!("{} of {} ({})", name.id, name.provider, name.resource);
                let which = found.iter().map(which).collect::<Vec<_>>().join(", ");
                let how = "say which with --provider, --resource, or the id";
                return Err(Failure::Refused(format!(
                    "{several} records are called {wanted:?}: {which}; {how}"
                )));
            }
        };
        Ok(story::of(on.pool, &encryption::keyring(), name).await?)
    }
}
