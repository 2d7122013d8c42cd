//! Records: found by amount and day, and the story of one.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::encryption;
use crate::records::story::{self, Story};
use crate::store::named_records::{self, Found, RecordName};
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

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Story, Failure> {
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
        Ok(story::of(on.pool, &encryption::keyring(), name, actor.proof()).await?)
    }
}

/// So many days are looked through where no first day is said.
const DAYS: u64 = 31;
/// So many transactions are shown at most.
pub const MOST: i64 = 100;

/// Lists transactions by their amount and day, the latest first, 100 at most.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Of so many minor units.
    #[schema(pattern = "^[0-9]{1,38}$")]
    pub amount: Option<String>,
    /// The first day (UTC) on which they were created; 31 days before the last one, if not given.
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<NaiveDate>,
    /// The last day (UTC); today, if not given.
    #[schema(value_type = Option<String>, format = Date)]
    pub to: Option<NaiveDate>,
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

impl Find {
    /// From which time on, and before which.
    fn between(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        let last = self.to.unwrap_or_else(|| Utc::now().date_naive());
        let first = self.from.or_else(|| last.checked_sub_days(Days::new(DAYS))).unwrap_or(last);
        (midnight(first), last.checked_add_days(Days::new(1)).map_or(DateTime::<Utc>::MAX_UTC, midnight))
    }
}

impl Verb for Find {
    const NAME: &'static str = "records find";
    type Answer = Vec<Found>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Found>, Failure> {
        let amount = self.amount.as_deref();
        if amount.is_some_and(|text| {
            text.is_empty() || text.len() > 38 || !text.bytes().all(|b| b.is_ascii_digit())
        }) {
            return Err(Failure::Invalid(
                "an amount is minor units, digits alone: 1250 is 12.50 EUR".to_owned(),
            ));
        }
        let between = self.between();
        Ok(named_records::transactions(on.pool, self.provider.as_ref(), amount, between, MOST).await?)
    }
}
