//! The section `payments:` of a provider file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::payments::{AssetLimit, Policy};
use tributary_domain::{Amount, Asset, RecordError};
use tributary_manifest::Period;

/// What may be paid.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentsSection {
    /// The most that may be paid, one entry for each asset; an asset without one has no limit.
    limits: Vec<LimitEntry>,
    /// The ids of the accounts that may pay; all, where none is listed.
    source_accounts: BTreeSet<String>,
    /// How long after a refusal the same request is still taken for a repetition of it, at least
    /// 12s; 30s if not given.
    retry_guard: Period,
}

/// Amounts of one asset, in minor units.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LimitEntry {
    /// The asset, as Formance writes it: `GBP/2`.
    asset: String,
    /// The most of one payment, in minor units; no limit if not given.
    #[serde(default)]
    per_payment: Option<String>,
    /// The most of all payments of a day of UTC together, in minor units; no limit if not given.
    #[serde(default)]
    per_day: Option<String>,
    /// Payments of more than this, in minor units, wait for a person to approve them; none does if
    /// not given.
    #[serde(default)]
    require_approval_above: Option<String>,
    /// How many persons have to approve such a payment, 1 to 10; 1 if not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    approvals: Option<u8>,
}

/// A refusal is dated up to 5 s after the answer before it; what follows it has to be later.
const LEAST_GUARD: Duration = std::time::Duration::from_secs(12);

impl Default for PaymentsSection {
    fn default() -> Self {
        let guard = u32::try_from(Policy::GUARD.as_secs()).unwrap_or(u32::MAX);
        Self {
            limits: Vec::new(),
            source_accounts: BTreeSet::new(),
            retry_guard: Period::from_seconds(guard),
        }
    }
}

impl PaymentsSection {
    /// What it says, in minor units.
    pub fn policy(self) -> Result<Policy, String> {
        let mut limits = BTreeMap::new();
        for (i, entry) in self.limits.into_iter().enumerate() {
            let wrong = |error: RecordError| format!("payments.limits[{i}].{error}");
            let amount = |field, text: Option<String>| {
                text.map(|text| Amount::parse_unsigned(field, &text)).transpose().map_err(wrong)
            };
            let asset = Asset::parse("asset", &entry.asset).map_err(wrong)?;
            match entry.approvals {
                Some(_) if entry.require_approval_above.is_none() => {
                    return Err(format!(
                        "payments.limits[{i}].approvals: say above which amount, by require_approval_above"
                    ));
                }
                Some(persons) if !(1..=10).contains(&persons) => {
                    return Err(format!("payments.limits[{i}].approvals: take 1 to 10 persons"));
                }
                _ => {}
            }
            let limit = AssetLimit {
                per_payment: amount("per_payment", entry.per_payment)?,
                per_day: amount("per_day", entry.per_day)?,
                require_approval_above: amount("require_approval_above", entry.require_approval_above)?,
                approvals: entry.approvals,
            };
            if limits.insert(asset.as_str().to_owned(), limit).is_some() {
                return Err(format!("payments.limits[{i}].asset: {} is listed twice", asset.as_str()));
            }
        }
        let guard = self.retry_guard.as_duration();
        if guard < LEAST_GUARD {
            return Err(format!("payments.retry_guard: take at least {}s", LEAST_GUARD.as_secs()));
        }
        Ok(Policy { limits, source_accounts: self.source_accounts, guard })
    }
}
