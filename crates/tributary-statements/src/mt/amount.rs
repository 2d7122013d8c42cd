//! Amounts and balances: `C230101EUR1234,5`.

use tributary_domain::Amount;

use crate::{Balance, BalanceKind, Currency, Settings, StatedDate, date, decimal};

/// `15d`: digits and a comma. Without a comma it is whole units, never minor units.
pub fn units(text: &str, currency: Currency) -> Result<i128, String> {
    let (whole, fraction) = decimal::split(text, ',');
    if whole.is_empty() {
        return Err(format!("{text:?} is no amount"));
    }
    decimal::minor_units(whole, fraction, currency).map_err(|_| {
        format!("{text:?} is no amount of {currency}: it takes digits, and decimals behind a comma, without a sign")
    })
}

/// A mark, a date, a currency and an amount. Some banks leave the currency of the closing balance out.
pub fn balance(
    text: &str,
    kind: BalanceKind,
    of_account: Option<Currency>,
    settings: &Settings,
) -> Result<(Balance, bool), String> {
    let wrong = || format!("{text:?} is no balance, such as \"C230101EUR1234,56\"");
    let text = text.trim_end();
    let negative = match text.get(..1) {
        Some("C") => false,
        Some("D") => true,
        _ => return Err(wrong()),
    };
    let day = text.get(1..7).ok_or_else(wrong)?;
    let (date, bent) = date::yymmdd(day).ok_or_else(wrong)?;
    let rest = text.get(7..).ok_or_else(wrong)?;
    let (currency, number) = currency(rest, of_account, settings)?;
    let units = units(number, currency)?;
    let amount = decimal::amount(if negative { -units } else { units })?;
    Ok((Balance { kind, amount, currency, date: Some(StatedDate::day(date, day)) }, bent))
}

/// A currency in front, if there is one, and what follows it.
pub fn currency<'a>(
    text: &'a str,
    of_account: Option<Currency>,
    settings: &Settings,
) -> Result<(Currency, &'a str), String> {
    match text.get(..3) {
        Some(code) if code.bytes().all(|b| b.is_ascii_alphabetic()) => {
            Ok((settings.currency(code)?, &text[3..]))
        }
        _ => Ok((of_account.ok_or_else(|| format!("{text:?} has no currency"))?, text)),
    }
}

/// A control total of MT942: `5EUR123,45`.
pub fn total(text: &str, of_account: Option<Currency>, settings: &Settings) -> Result<(u64, Amount), String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, rest) = text.split_at(digits);
    let count = count.parse().map_err(|_| format!("{text:?} has no number of entries"))?;
    let (currency, number) = currency(rest, of_account, settings)?;
    Ok((count, decimal::amount(units(number, currency)?)?))
}
