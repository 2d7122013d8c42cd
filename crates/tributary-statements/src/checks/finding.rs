//! What checks find, and how it is told.

use tributary_domain::Amount;

use crate::{Currency, decimal};

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// C1: opening and booked entries are not the closing balance.
    DoesNotClose {
        /// Closing, less opening and entries: what is missing in the file, in minor units.
        missing: Amount,
        currency: Currency,
        /// It would close if reversals were turned: the provider's `reversal` setting.
        closes_inverted: bool,
    },
    /// C1: a balance or a booked entry is in another currency than the account.
    OtherCurrency { found: Currency, account: Currency },
    /// C2: a control total is not what there is.
    WrongTotal {
        name: String,
        /// Stated, less found, in minor units.
        missing: Option<Amount>,
        /// Stated and found.
        counts: Option<(u64, u64)>,
        currency: Currency,
    },
    /// C3: a statement does not open where the one before it closed.
    BrokenChain {
        before: String,
        after: String,
        /// Opening, less the closing before it: what moved in between.
        missing: Amount,
        currency: Currency,
    },
    /// C4: numbers that were left out.
    MissingNumbers { first: u64, last: u64 },
    /// A page of a statement whose other pages are not there.
    MissingPages { statement: String, page: String },
    /// C6: the balance is not what everything since the anchor makes.
    OffAnchor {
        /// The bank's, less ours.
        missing: Amount,
        currency: Currency,
    },
}

impl Finding {
    /// Whether the statement is to be put aside whole. The others are told, and published nevertheless.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::DoesNotClose { .. }
                | Self::OtherCurrency { .. }
                | Self::WrongTotal { .. }
                | Self::MissingPages { .. }
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let money = |amount: &Amount, currency: &Currency| decimal::written(amount.minor_units(), *currency);
        match self {
            Self::DoesNotClose { missing, currency, closes_inverted } => {
                write!(
                    f,
                    "opening balance and entries are {} short of the closing balance",
                    money(missing, currency)
                )?;
                match closes_inverted {
                    true => f.write_str(
                        "; it closes if reversals are inverted: set that, if the bank marks them so",
                    ),
                    false => f.write_str(": ask the bank for the file again, or for what is missing"),
                }
            }
            Self::OtherCurrency { found, account } => {
                write!(f, "the account is in {account}, and a balance or a booked entry in {found}")
            }
            Self::WrongTotal { name, missing, counts, currency } => {
                write!(f, "{name} is not what is in the file")?;
                if let Some(missing) = missing {
                    write!(f, ": {} is missing", money(missing, currency))?;
                }
                match counts {
                    Some((stated, found)) => write!(f, "; it says {stated}, and there are {found}"),
                    None => Ok(()),
                }
            }
            Self::BrokenChain { before, after, missing, currency } => {
                let missing = money(missing, currency);
                write!(
                    f,
                    "statement {after} does not open where {before} closed: {missing} is missing in between"
                )
            }
            Self::MissingNumbers { first, last } if first == last => {
                write!(f, "statement {first} is missing: ask the bank for it")
            }
            Self::MissingNumbers { first, last } => {
                write!(f, "statements {first} to {last} are missing: ask the bank for them")
            }
            Self::MissingPages { statement, page } => {
                write!(f, "of statement {statement} there is page {page}, and not those before and after it")
            }
            Self::OffAnchor { missing, currency } => {
                let missing = money(missing, currency);
                write!(
                    f,
                    "the bank's balance differs by {missing} from everything that was published since it last agreed"
                )
            }
        }
    }
}
