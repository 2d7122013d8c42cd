//! What may be paid: the `payments:` of a provider file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tributary_domain::Amount;

/// What of one provider may be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// By asset: no other asset is paid, and nothing where there are none.
    pub limits: BTreeMap<String, AssetLimit>,
    /// The accounts that may pay; every account without it.
    pub source_accounts: Option<BTreeSet<String>>,
    /// How long after a refusal a repeated request is taken for a person's wish to try again,
    /// rather than for the repetition of a lost answer.
    pub guard: Duration,
    /// How long an order waits to be sent before it has to be approved (again).
    pub expire_after: Duration,
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

    /// How long an order waits to be sent, unless one says otherwise.
    pub const EXPIRE_AFTER: Duration = Duration::from_secs(24 * 3600);

    /// Whether anything may be ordered at all.
    pub fn is_on(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Refuses what may not be paid, by itself; the error says why.
    pub fn check(&self, asset: &str, amount: Amount, source: &str) -> Result<(), String> {
        if self.source_accounts.as_ref().is_some_and(|allowed| !allowed.contains(source)) {
            return Err(format!("pay.source_accounts: {source:?} may not pay"));
        }
        let limit = self.limits.get(asset);
        let limit =
            limit.ok_or_else(|| format!("pay.limits: {asset} is not among the assets that may be paid"))?;
        match limit.per_payment {
            Some(most) if amount > most => {
                Err(format!("pay.limits: {amount} is more than {most}, the limit of one payment"))
            }
            _ => Ok(()),
        }
    }

    /// How many persons have to approve it first; 0 where it goes out by itself.
    pub fn approvals(&self, asset: &str, amount: Amount) -> u8 {
        let limit = self.limits.get(asset);
        match limit.and_then(|limit| limit.require_approval_above) {
            Some(above) if amount > above => limit.and_then(|limit| limit.approvals).unwrap_or(1),
            _ => 0,
        }
    }

    /// The most of an asset in a day.
    pub fn per_day(&self, asset: &str) -> Option<Amount> {
        self.limits.get(asset)?.per_day
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            source_accounts: None,
            guard: Self::GUARD,
            expire_after: Self::EXPIRE_AFTER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_is_refused_with_its_bound() {
        let amount = |text| Amount::parse("amount", text).unwrap();
        let limit = AssetLimit {
            per_payment: Some(amount("1000")),
            per_day: Some(amount("5000")),
            require_approval_above: Some(amount("500")),
            approvals: Some(2),
        };
        let policy = Policy {
            limits: BTreeMap::from([("GBP/2".to_owned(), limit)]),
            source_accounts: Some(BTreeSet::from(["a".to_owned()])),
            ..Policy::default()
        };
        assert_eq!(policy.check("GBP/2", amount("1000"), "a"), Ok(()));
        for (currency, units, source, why) in [
            ("GBP/2", "1001", "a", "more than 1000"),
            ("EUR/2", "1", "a", "EUR/2 is not among"),
            ("GBP/2", "1", "b", "\"b\" may not pay"),
        ] {
            let refused = policy.check(currency, amount(units), source).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(policy.approvals("GBP/2", amount("501")), 2);
        assert_eq!(policy.approvals("GBP/2", amount("500")), 0);
        let any_account = Policy { source_accounts: None, ..policy };
        assert_eq!(any_account.check("GBP/2", amount("1"), "b"), Ok(()));
        let off = Policy::default();
        assert!(
            !off.is_on() && off.check("JPY", amount("1"), "x").is_err(),
            "nothing is paid without limits"
        );
    }
}
