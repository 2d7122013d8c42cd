//! The kinds of records.

/// A kind of record that can be ingested.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Accounts,
    Balances,
    Beneficiaries,
    Transactions,
}

impl Resource {
    pub const ALL: [Self; 4] = [Self::Accounts, Self::Balances, Self::Beneficiaries, Self::Transactions];

    /// The name in paths and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Balances => "balances",
            Self::Beneficiaries => "beneficiaries",
            Self::Transactions => "transactions",
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Resource {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Accounts, Self::Balances, Self::Beneficiaries, Self::Transactions];
        all.into_iter().find(|resource| resource.as_str() == name).ok_or_else(|| {
            format!("{name:?} is no resource: take accounts, balances, beneficiaries or transactions")
        })
    }
}

/// A kind of record that is served as a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedName {
    Accounts,
    Beneficiaries,
    Transactions,
}

impl FeedName {
    /// Every feed that a provider has.
    pub const ALL: [Self; 3] = [Self::Accounts, Self::Beneficiaries, Self::Transactions];

    /// The name in paths and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Beneficiaries => "beneficiaries",
            Self::Transactions => "transactions",
        }
    }
}

impl std::fmt::Display for FeedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
