//! The check between a successful call and Formance's tables.
//!
//! It looks at one row after the other and refuses the whole batch for the first
//! bad one. The state is not saved then, so the same call comes again, with the
//! same result: the feed is stuck.

use std::sync::LazyLock;

use regex::Regex;
use thiserror::Error;

use super::row::{Balance, Row};

/// Why a batch is refused. The messages are Formance's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Rejection {
    /// An account or beneficiary, or an answer with balances, without an id.
    #[error("missing account reference: validation error")]
    AccountReference,
    /// An account or beneficiary created at the zero time.
    #[error("missing account createdAt: validation error")]
    AccountCreatedAt,
    /// A transaction without an id.
    #[error("missing payment reference: validation error")]
    PaymentReference,
    /// A transaction created at the zero time.
    #[error("missing payment createdAt: validation error")]
    PaymentCreatedAt,
    /// A transaction whose currency is not an asset.
    #[error("invalid payment asset: validation error")]
    PaymentAsset,
    /// Balances at the zero time.
    #[error("missing balance createdAt: validation error")]
    BalanceCreatedAt,
    /// A balance whose currency is not an asset.
    #[error("invalid balance asset: validation error")]
    BalanceAsset,
}

/// Checks the rows of one call.
pub fn check(rows: &[Row]) -> Result<(), Rejection> {
    rows.iter().try_for_each(check_row)
}

fn check_row(row: &Row) -> Result<(), Rejection> {
    match &row.payment {
        None if row.reference.is_empty() => Err(Rejection::AccountReference),
        None if row.created_at.is_zero() => Err(Rejection::AccountCreatedAt),
        Some(_) if row.reference.is_empty() => Err(Rejection::PaymentReference),
        Some(_) if row.created_at.is_zero() => Err(Rejection::PaymentCreatedAt),
        Some(payment) if !is_asset(&payment.asset) => Err(Rejection::PaymentAsset),
        _ => Ok(()),
    }
}

/// Checks the balances of one call.
pub fn check_balances(balances: &[Balance]) -> Result<(), Rejection> {
    balances.iter().try_for_each(|balance| {
        if balance.account_reference.is_empty() {
            Err(Rejection::AccountReference)
        } else if balance.at.is_zero() {
            Err(Rejection::BalanceCreatedAt)
        } else if !is_asset(&balance.asset) {
            Err(Rejection::BalanceAsset)
        } else {
            Ok(())
        }
    })
}

/// Whether Formance takes `text` for an asset: a code of up to 17 capitals and
/// digits, perhaps a suffix, perhaps a precision, as in `USD/2` or `USDC_ETH/6`.
pub fn is_asset(text: &str) -> bool {
    static ASSET: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[A-Z][A-Z0-9]{0,16}(_[A-Z]{1,16})?(/[0-9]{1,6})?$").expect("a valid expression")
    });
    ASSET.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_told_from_other_text() {
        for asset in ["USD/2", "JPY", "JPY/0", "BTC/8", "A", "A1B2", "USDC_ETH/6", "USD/000002"] {
            assert!(is_asset(asset), "{asset}");
        }
        let long = "A".repeat(18);
        for text in [
            "",
            "usd",
            "usd/2",
            "USD/",
            "USD/2/3",
            "US D/2",
            "EURO-X/2",
            "1USD",
            "USD_",
            "USD_E1",
            "USD/0000002",
            "USD/٢",
            "USD\n",
            " USD",
            &long,
        ] {
            assert!(!is_asset(text), "{text:?}");
        }
    }
}
