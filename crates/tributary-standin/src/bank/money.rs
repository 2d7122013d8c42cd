//! Minor units as the formats write them.

use super::ledger::Currency;

/// Digits without a sign, and the parts behind `mark`: `12,50`. A currency without parts has none, and no mark.
pub fn decimal(units: i128, currency: Currency, mark: char) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = currency.decimals + 1);
    let (whole, parts) = digits.split_at(digits.len() - currency.decimals);
    if parts.is_empty() { whole.to_owned() } else { format!("{whole}{mark}{parts}") }
}

/// The same with its sign.
pub fn signed(units: i128, currency: Currency, mark: char) -> String {
    format!("{}{}", if units < 0 { "-" } else { "" }, decimal(units, currency, mark))
}

/// Text as XML holds it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
