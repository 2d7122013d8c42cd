//! What may be paid: the `payments:` of a provider file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tributary_domain::{Amount, Asset};

/// What of one provider may be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// By asset; where there are any, no other asset is paid.
    pub limits: BTreeMap<String, AssetLimit>,
    /// The accounts that may pay; all where there are none.
    pub source_accounts: BTreeSet<String>,
    /// How long after a refusal a repeated request is taken for a person's wish to try again,
    /// rather than for the repetition of a lost answer.
    pub guard: Duration,
}

/// Bounds in minor units of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetLimit {
    pub per_payment: Option<Amount>,
    /// A day of UTC.
    pub per_day: Option<Amount>,
    /// Above this, persons have to approve.
    pub require_approval_above: Option<Amount>,
    /// How many persons, 1 to 10; 1 where it is not said.
    pub approvals: Option<u8>,
}

impl Policy {
    /// How long the guard is unless one says otherwise.
    pub const GUARD: Duration = Duration::from_secs(30);

    /// Refuses what may not be ordered; the error says why.
    pub fn check(&self, asset: &Asset, amount: Amount, source: &str) -> Result<(), String> {
        if !self.source_accounts.is_empty() && !self.source_accounts.contains(source) {
            return Err(format!("payments.source_accounts: {source:?} may not pay"));
        }
        if !self.limits.is_empty() && !self.limits.contains_key(asset.as_str()) {
            return Err(format!(
                "payments.limits: {} is not among the assets that may be paid",
                asset.as_str()
            ));
        }
        match self.limit(asset).and_then(|limit| limit.per_payment) {
            Some(most) if amount > most => {
                Err(format!("payments.limits: {amount} is more than {most}, the limit of one payment"))
            }
            _ => Ok(()),
        }
    }

    /// How many persons have to approve it first; 0 where it goes out by itself.
    pub fn approvals(&self, asset: &Asset, amount: Amount) -> u8 {
        let limit = self.limit(asset);
        match limit.and_then(|limit| limit.require_approval_above) {
            Some(above) if amount > above => limit.and_then(|limit| limit.approvals).unwrap_or(1),
            _ => 0,
        }
    }

    /// The most of an asset in a day.
    pub fn per_day(&self, asset: &Asset) -> Option<Amount> {
        self.limit(asset)?.per_day
    }

    fn limit(&self, asset: &Asset) -> Option<&AssetLimit> {
        self.limits.get(asset.as_str())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { limits: BTreeMap::new(), source_accounts: BTreeSet::new(), guard: Self::GUARD }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_is_refused_with_its_bound() {
        let amount = |text| Amount::parse("amount", text).unwrap();
        let asset = |text| Asset::parse("currency", text).unwrap();
        let limit = AssetLimit {
            per_payment: Some(amount("1000")),
            per_day: Some(amount("5000")),
            require_approval_above: Some(amount("500")),
            approvals: Some(2),
        };
        let policy = Policy {
            limits: BTreeMap::from([("GBP/2".to_owned(), limit)]),
            source_accounts: BTreeSet::from(["a".to_owned()]),
            ..Policy::default()
        };
        assert_eq!(policy.check(&asset("GBP/2"), amount("1000"), "a"), Ok(()));
        for (currency, units, source, why) in [
            ("GBP/2", "1001", "a", "more than 1000"),
            ("EUR/2", "1", "a", "EUR/2 is not among"),
            ("GBP/2", "1", "b", "\"b\" may not pay"),
        ] {
            let refused = policy.check(&asset(currency), amount(units), source).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(policy.approvals(&asset("GBP/2"), amount("501")), 2);
        assert_eq!(policy.approvals(&asset("GBP/2"), amount("500")), 0);
        assert_eq!(Policy::default().check(&asset("JPY"), amount("1"), "x"), Ok(()));
    }
}
