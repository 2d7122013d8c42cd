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
    use crate::gotime::GoTime;
    use crate::integer::Integer;
    use crate::row::{Payment, PaymentStatus, PaymentType};

    fn account() -> Row {
        Row {
            reference: "acc_1".into(),
            name: Some("Main".into()),
            created_at: GoTime::from_unix(0, 0),
            watermark: GoTime::from_unix(0, 0),
            metadata: None,
            payment: None,
        }
    }

    fn transaction(asset: &str) -> Row {
        let payment = Payment {
            parent: None,
            kind: PaymentType::PayIn,
            status: PaymentStatus::Succeeded,
            amount: Integer::parse("5").unwrap(),
            asset: asset.into(),
            source: None,
            destination: None,
        };
        Row { name: None, payment: Some(payment), ..account() }
    }

    fn without_id(row: Row) -> Row {
        Row { reference: String::new(), ..row }
    }

    fn without_date(row: Row) -> Row {
        Row { created_at: GoTime::ZERO, ..row }
    }

    #[test]
    fn the_first_bad_row_refuses_the_batch() {
        let rows = [account(), transaction("usd"), without_id(account())];
        assert_eq!(check(&rows), Err(Rejection::PaymentAsset));
        assert_eq!(check(&rows[..1]), Ok(()));
    }

    #[test]
    fn a_row_needs_an_id_a_date_and_if_it_moves_money_an_asset() {
        for (row, verdict) in [
            (account(), Ok(())),
            (without_id(account()), Err(Rejection::AccountReference)),
            (without_date(account()), Err(Rejection::AccountCreatedAt)),
            (transaction("USD/2"), Ok(())),
            (without_id(transaction("")), Err(Rejection::PaymentReference)),
            (without_date(transaction("")), Err(Rejection::PaymentCreatedAt)),
            (transaction(""), Err(Rejection::PaymentAsset)),
        ] {
            assert_eq!(check(std::slice::from_ref(&row)), verdict, "{row:?}");
        }
    }

    #[test]
    fn a_balance_needs_an_account_a_time_and_an_asset() {
        let balance = |account: &str, at, asset: &str| Balance {
            account_reference: account.into(),
            amount: Integer::parse("0").unwrap(),
            asset: asset.into(),
            at,
        };
        let now = GoTime::from_unix(1, 0);
        for (balance, verdict) in [
            (balance("acc_1", now, "JPY"), Ok(())),
            (balance("", now, "JPY"), Err(Rejection::AccountReference)),
            (balance("acc_1", GoTime::ZERO, "JPY"), Err(Rejection::BalanceCreatedAt)),
            (balance("acc_1", now, "jpy"), Err(Rejection::BalanceAsset)),
        ] {
            assert_eq!(check_balances(&[balance]), verdict);
        }
        assert_eq!(check_balances(&[]), Ok(()));
    }

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
