//! What type codes mean.

/// What a type code says of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Credit,
    Debit,
    /// A balance, which has a sign of its own.
    Status,
    /// No money.
    Nothing,
    /// Not known: no side is guessed.
    Unknown,
}

/// The side of a type code, by the ranges of the specification.
pub fn side(code: u32) -> Side {
    match code {
        1..=99 | 900..=919 | 700..=719 => Side::Status,
        100..=399 | 920..=959 | 720..=759 => Side::Credit,
        400..=699 | 960..=999 | 760..=799 => Side::Debit,
        890 => Side::Nothing,
        _ => Side::Unknown,
    }
}
