//! The two ways in which money is moved on order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Amount, Status, TransactionType};

/// What kind of movement is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PaymentKind {
    /// To a beneficiary.
    Payout,
    /// Between accounts of one's own.
    Transfer,
}

impl PaymentKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Payout, Self::Transfer];

    /// The name in JSON and tables; also the type of the transaction that shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "PAYOUT",
            Self::Transfer => "TRANSFER",
        }
    }

    /// The section of a manifest that describes it, and the path where it is ordered.
    pub fn section(self) -> &'static str {
        match self {
            Self::Payout => "payouts",
            Self::Transfer => "transfers",
        }
    }
}

impl From<PaymentKind> for TransactionType {
    fn from(kind: PaymentKind) -> Self {
        match kind {
            PaymentKind::Payout => Self::Payout,
            PaymentKind::Transfer => Self::Transfer,
        }
    }
}

impl std::str::FromStr for PaymentKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("{name:?} is neither payout nor transfer"))
    }
}

impl std::fmt::Display for PaymentKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is known of a payment that the provider has.
#[derive(Debug, Clone, PartialEq)]
pub struct PaymentState {
    /// The id of the provider's record of it, where the provider names it.
    pub id: Option<String>,
    /// Whatever else the provider calls it by.
    pub reference: Option<String>,
    pub status: Status,
    pub reason: Option<String>,
    /// When it got this status.
    pub at: Option<DateTime<Utc>>,
    /// How much it is of, what (`GBP/2`) and to whom (the provider's own id), each where it is told:
    /// a payment that differs from its order there is another one.
    pub amount: Option<Amount>,
    pub asset: Option<String>,
    pub destination: Option<String>,
}
