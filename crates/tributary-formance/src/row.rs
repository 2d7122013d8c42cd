//! What a successful call hands to Formance.

use std::fmt;

use super::gojson::assign::TextMap;
use super::gotime::GoTime;
use super::integer::Integer;

/// An account, a beneficiary or a transaction, as the client hands it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's own `id`.
    pub reference: String,
    /// `accountName` or `ownerName`; `None` for transactions.
    pub name: Option<String>,
    /// `createdAt`, in the offset in which it was served.
    pub created_at: GoTime,
    /// The time by which the list is walked: `updatedAt` of a transaction,
    /// `createdAt` of everything else.
    pub watermark: GoTime,
    /// `metadata`; `None` if absent or `null`.
    pub metadata: TextMap,
    /// What only transactions (and payouts and transfers) have.
    pub payment: Option<Payment>,
}

impl Row {
    /// The transaction's part.
    ///
    /// # Panics
    /// If the row is an account or a beneficiary.
    pub fn payment(&self) -> &Payment {
        self.payment.as_ref().expect("the row is a transaction")
    }

    /// What identifies the payment in Formance, together with its type: the
    /// related transaction's id if there is one, else the row's own.
    pub fn payment_reference(&self) -> &str {
        let parent = self.payment.as_ref().and_then(|p| p.parent.as_deref());
        parent.unwrap_or(&self.reference)
    }
}

/// What a transaction has beyond an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// `relatedTransactionID`, or the idempotency key of a payout or transfer;
    /// `None` if absent or empty.
    pub parent: Option<String>,
    /// `type`.
    pub kind: PaymentType,
    /// `status`.
    pub status: PaymentStatus,
    /// `amount`, in minor units of the asset.
    pub amount: Integer,
    /// `currency`, not checked yet: that is storage's part.
    pub asset: String,
    /// `sourceAccountID`; may be an empty string.
    pub source: Option<String>,
    /// `destinationAccountID`; may be an empty string.
    pub destination: Option<String>,
}

/// One asset's balance on one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The `accountID` that the answer names, which need not be the one asked.
    pub account_reference: String,
    /// In minor units of the asset.
    pub amount: Integer,
    /// `currency`, not checked yet.
    pub asset: String,
    /// The answer's `at`, common to all its balances.
    pub at: GoTime,
}

/// Declares an enum of words, each with Formance's own name and the wire's.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $shown:literal / $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The word as it stands on the wire, `None` if there is no such word.
            pub fn from_wire(word: &str) -> Option<Self> {
                match word {
                    $($wire => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The word as it stands on the wire.
            pub fn as_wire(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }
        }

        /// As Formance's own API shows it.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $shown),+ })
            }
        }
    };
}

words! {
    /// A payment's type. An absent one becomes `Other`.
    PaymentType {
        /// Money that comes in.
        PayIn = "PAY-IN" / "PAYIN",
        /// Money that goes out.
        Payout = "PAYOUT" / "PAYOUT",
        /// Money that moves between own accounts.
        Transfer = "TRANSFER" / "TRANSFER",
        /// Anything else.
        #[default]
        Other = "OTHER" / "OTHER",
    }
}

words! {
    /// A payment's status. An absent one becomes `Other`.
    PaymentStatus {
        /// Not decided yet.
        Pending = "PENDING" / "PENDING",
        /// Done.
        Succeeded = "SUCCEEDED" / "SUCCEEDED",
        /// Did not happen.
        Failed = "FAILED" / "FAILED",
        /// Called off.
        Cancelled = "CANCELLED" / "CANCELLED",
        /// Ran out of time.
        Expired = "EXPIRED" / "EXPIRED",
        /// Given back: subtracts the row's amount.
        Refunded = "REFUNDED" / "REFUNDED",
        /// Could not be given back.
        RefundedFailure = "REFUNDED_FAILURE" / "REFUNDED_FAILURE",
        /// Taken again after a refund: adds the row's amount.
        RefundReversed = "REFUND_REVERSED" / "REFUND_REVERSED",
        /// Contested.
        Dispute = "DISPUTE" / "DISPUTE",
        /// Contested without success.
        DisputeWon = "DISPUTE_WON" / "DISPUTE_WON",
        /// Contested with success.
        DisputeLost = "DISPUTE_LOST" / "DISPUTE_LOST",
        /// Reserved: the payment starts at 0.
        Authorisation = "AUTHORISATION" / "AUTHORISATION",
        /// Taken after a reservation: adds the row's amount.
        Capture = "CAPTURE" / "CAPTURE",
        /// Could not be taken.
        CaptureFailed = "CAPTURE_FAILED" / "CAPTURE_FAILED",
        /// Anything else.
        #[default]
        Other = "OTHER" / "OTHER",
    }
}
