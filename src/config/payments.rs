//! The section `pay:` of a provider file.

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
    /// What may be paid, one entry for each asset: an asset without one is not paid, and nothing is
    /// where there is no list.
    limits: Option<Vec<LimitEntry>>,
    /// The ids of the accounts that may pay, one at least; every account where there is no list.
    source_accounts: Option<BTreeSet<String>>,
    /// How long after a refusal the same request is still taken for a repetition of it, at least
    /// 12s; 30s if not given.
    retry_guard: Period,
    /// How long an order waits to be sent, be it for an approval or for the provider, before whoever
    /// approved it has to do so again, at least 1m; 24h if not given.
    expire_after: Period,
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
const LEAST_GUARD: Duration = Duration::from_secs(12);
/// Less than a moment's trouble at a provider would send everything back to people.
const LEAST_EXPIRY: Duration = Duration::from_secs(60);

impl Default for PaymentsSection {
    fn default() -> Self {
        let guard = u32::try_from(Policy::GUARD.as_secs()).unwrap_or(u32::MAX);
        Self {
            limits: None,
            source_accounts: None,
            retry_guard: Period::from_seconds(guard),
            expire_after: Period::from_seconds(24 * 3600),
        }
    }
}

impl PaymentsSection {
    /// What it says, in minor units.
    pub fn policy(self) -> Result<Policy, String> {
        if self.limits.as_ref().is_some_and(Vec::is_empty) {
            return Err("pay.limits: lists no asset: list what may be paid, or leave `limits` out, and \
                        nothing is"
                .to_owned());
        }
        if self.source_accounts.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err("pay.source_accounts: lists no account: list those that may pay, or leave \
                        `source_accounts` out, and every account may"
                .to_owned());
        }
        let mut limits = BTreeMap::new();
        for (i, entry) in self.limits.into_iter().flatten().enumerate() {
            let wrong = |error: RecordError| format!("pay.limits[{i}].{error}");
            let amount = |field, text: Option<String>| {
                text.map(|text| Amount::parse_unsigned(field, &text)).transpose().map_err(wrong)
            };
            let asset = Asset::parse("asset", &entry.asset).map_err(wrong)?;
            match entry.approvals {
                Some(_) if entry.require_approval_above.is_none() => {
                    return Err(format!(
                        "pay.limits[{i}].approvals: say above which amount, by require_approval_above"
                    ));
                }
                Some(persons) if !(1..=10).contains(&persons) => {
                    return Err(format!("pay.limits[{i}].approvals: take 1 to 10 persons"));
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
                return Err(format!("pay.limits[{i}].asset: {} is listed twice", asset.as_str()));
            }
        }
        let guard = self.retry_guard.as_duration();
        if guard < LEAST_GUARD {
            return Err(format!("pay.retry_guard: take at least {}s", LEAST_GUARD.as_secs()));
        }
        let expire_after = self.expire_after.as_duration();
        if expire_after < LEAST_EXPIRY {
            return Err("pay.expire_after: take at least 1m".to_owned());
        }
        Ok(Policy { limits, source_accounts: self.source_accounts, guard, expire_after })
    }
}
