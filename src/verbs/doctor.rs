//! What is wrong, and what to type.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::health::{self, Group, Health, verdict};
use crate::store::{api_keys, leases, payment_orders};
use tributary_domain::{OrderState, ProviderName};

/// An API key that ends within so many days is told of.
const ENDS_WITHIN_DAYS: i64 = 14;

/// Says what is wrong, from the banks to Formance, and what to type.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Doctor {
    /// Only what is about this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to do something.
    Wrong,
    /// It passes by itself, or is not due yet.
    Note,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    /// The provider, or else the part that it is about.
    pub about: String,
    pub what: String,
    /// What to type next.
    pub command: String,
}

impl Verb for Doctor {
    const NAME: &'static str = "doctor";
    type Answer = Vec<Finding>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<Finding>, Failure> {
        let now = leases::clock(on.pool).await?;
        let mut providers: Vec<(&ProviderName, Vec<Group>)> = on
            .declared
            .iter()
            .filter(|(name, _)| self.provider.as_ref().is_none_or(|only| only == *name))
            .map(|(name, of)| (name, of.compiled.as_deref().map(health::groups_of).unwrap_or_default()))
            .collect();
        providers.sort_by_key(|(name, _)| name.as_str());
        if let Some(only) = self.provider.as_ref().filter(|_| providers.is_empty()) {
            return Err(Failure::NotFound(format!("no provider file declares {only}")));
        }
        let named: Vec<_> = providers.iter().map(|(name, groups)| (*name, groups.as_slice())).collect();
        let mut findings = Vec::new();
        for health in health::of(on.pool, &named).await? {
            findings.extend(verdict::reasons(&health, now).into_iter().map(|reason| Finding {
                severity: if reason.lasts { Severity::Wrong } else { Severity::Note },
                about: health.name.to_string(),
                what: reason.text,
                command: reason.command,
            }));
            findings.extend(of_payments(&health));
        }
        findings.extend(self.of_keys(on, now).await?);
        if self.provider.is_none() {
            findings.extend(of_orders_elsewhere(on).await?);
        }
        findings.sort_by_key(|finding| finding.severity);
        Ok(findings)
    }
}

impl Doctor {
    /// API keys that end soon.
    async fn of_keys(&self, on: On<'_>, now: DateTime<Utc>) -> Result<Vec<Finding>, Failure> {
        let keys = api_keys::list(on.pool, self.provider.as_ref()).await?;
        let soon = now + TimeDelta::days(ENDS_WITHIN_DAYS);
        let ending = keys.into_iter().filter(|key| key.state() == "valid").filter_map(|key| {
            let ends = key.expires_at.filter(|at| *at <= soon)?;
            Some(Finding {
                severity: Severity::Note,
                about: key.provider.clone(),
                what: format!(
                    "the API key {} ends at {}",
                    key.name,
                    ends.to_rfc3339_opts(SecondsFormat::Secs, true)
                ),
                command: format!("tributary keys rotate --provider {} --name {}", key.provider, key.name),
            })
        });
        Ok(ending.collect())
    }
}

/// Orders that wait for a person.
fn of_payments(health: &Health) -> Vec<Finding> {
    let waiting =
        [(OrderState::Parked, "for somebody to say what became of them"), (OrderState::Held, "for approval")];
    let of = |(state, why): (OrderState, &str)| {
        let count = health.payments.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
        (count > 0).then(|| Finding {
            severity: Severity::Wrong,
            about: health.name.to_string(),
            what: format!("{count} payments wait {why}"),
            command: format!("tributary payouts list --provider {} --state {}", health.name, state.as_str()),
        })
    };
    waiting.into_iter().filter_map(of).collect()
}

/// Open orders of providers that no file declares any more.
async fn of_orders_elsewhere(on: On<'_>) -> Result<Vec<Finding>, Failure> {
    let open = payment_orders::open_counts(on.pool).await?;
    let lost = open.into_iter().filter(|open| open.count > 0 && !on.declared.contains_key(&open.provider));
    Ok(lost.map(|open| Finding {
        severity: Severity::Wrong,
        about: open.provider.to_string(),
        what: format!(
            "{} payments are {}, and no file declares their provider: nobody carries them on. Put the file back",
            open.count,
            open.state.as_str()
        ),
        command: format!("tributary payouts list --provider {}", open.provider),
    }).collect())
}
