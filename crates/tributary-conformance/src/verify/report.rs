//! What a comparison found.

use serde::Serialize;

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A schedule by which Formance polls.
    Schedule,
    Account,
    /// One asset of an account.
    Balance,
    Beneficiary,
    /// A payout or transfer as the person who ordered it sees it.
    Initiation,
    Payment,
}

impl Subject {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Account => "account",
            Self::Balance => "balance",
            Self::Beneficiary => "beneficiary",
            Self::Initiation => "initiation",
            Self::Payment => "payment",
        }
    }
}

/// In what Formance and the feed differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Formance does not have what the feed told.
    Missing,
    /// Formance has what the feed never told.
    Extra,
    /// Formance lists it twice.
    Duplicate,
    /// A field has another value.
    Different,
    /// Formance does not poll it any more.
    Paused,
}

impl What {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Duplicate => "duplicate",
            Self::Different => "different",
            Self::Paused => "paused",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub of: Subject,
    pub what: What,
    /// The reference in Formance: the id in our feed; of a balance, account and asset.
    pub id: String,
    /// The payment's type, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The field that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// What Formance must hold, by the feed. Amounts are in minor units.
    pub expected: Option<String>,
    /// What it holds.
    pub formance: Option<String>,
    /// Why, where it is known.
    pub reason: Option<String>,
    /// Whether it will be gone with Formance's next poll, as far as one can tell; no reason to worry.
    pub waiting: bool,
}

impl Difference {
    pub(super) fn new(of: Subject, what: What, id: impl Into<String>) -> Self {
        Self {
            of,
            what,
            id: id.into(),
            kind: None,
            field: None,
            expected: None,
            formance: None,
            reason: None,
            waiting: false,
        }
    }

    /// What makes it the same as one that was found before.
    pub fn key(&self) -> (Subject, What, &str, Option<&str>, Option<&'static str>, Option<&str>) {
        (self.of, self.what, &self.id, self.kind.as_deref(), self.field, self.formance.as_deref())
    }
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Accounts and beneficiaries.
    pub accounts: u64,
    pub payments: u64,
    /// Assets of accounts.
    pub balances: u64,
    pub initiations: u64,
}

/// What one look found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Formance's address.
    pub url: String,
    /// The connector's name there.
    pub connector: String,
    /// The feed's address.
    pub endpoint: String,
    /// When the look ended, RFC 3339.
    pub at: String,
    pub compared: Compared,
    /// At most as many as were asked for, those that do not wait first.
    pub differences: Vec<Difference>,
    /// How many differ, those included that were left out above.
    pub different: u64,
    /// How many of the differences wait for Formance's next poll.
    pub waiting: u64,
}

impl Report {
    /// Whether there is anything that Formance's next poll will not mend.
    pub fn has_differences(&self) -> bool {
        self.different > 0
    }
}
