//! Currencies and their minor units. All amounts are integers of minor units.

/// A currency that the bank keeps accounts or takes payments in.
#[derive(Debug)]
pub(super) struct Currency {
    /// ISO 4217 code.
    pub code: &'static str,
    /// How many minor units of it one pound sterling buys (the decimals are in this number: 195
    /// yen, 392 fils).
    minor_per_pound: u64,
}

pub(super) static GBP: Currency = Currency { code: "GBP", minor_per_pound: 100 };
pub(super) static EUR: Currency = Currency { code: "EUR", minor_per_pound: 116 };
pub(super) static JPY: Currency = Currency { code: "JPY", minor_per_pound: 195 };
pub(super) static USD: Currency = Currency { code: "USD", minor_per_pound: 128 };
pub(super) static KWD: Currency = Currency { code: "KWD", minor_per_pound: 392 };

/// The currency of the account with this number: one account each in five currencies (two, none
/// and three decimals), then GBP and EUR in turn.
pub(super) fn of_account(number: usize) -> &'static Currency {
    match number {
        0 => &GBP,
        1 => &EUR,
        2 => &JPY,
        3 => &USD,
        4 => &KWD,
        n if n % 2 == 1 => &GBP,
        _ => &EUR,
    }
}

/// What `amount_minor` of one currency is in another, in its minor units, cut, and at least 1.
pub(super) fn convert(amount_minor: u64, from: &Currency, to: &Currency) -> u64 {
    (amount_minor * to.minor_per_pound / from.minor_per_pound).max(1)
}
