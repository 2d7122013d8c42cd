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

/// What was paid on a loan, as a whole; 721 to 728 say what parts of it were for.
pub const LOAN_PAYMENT: u32 = 720;

/// Whether a type code is of a part of [`LOAN_PAYMENT`].
pub fn is_part_of_loan_payment(code: u32) -> bool {
    (721..=728).contains(&code)
}

/// The side of a type code: by the ranges of the specification, and of loans (700 to 799), whose codes have no ranges,
/// by its table.
pub fn side(code: u32) -> Side {
    match code {
        1..=99 | 900..=919 | 701 | 703 | 705 | 707 | 709 => Side::Status,
        100..=399 | 920..=959 | LOAN_PAYMENT | 721..=728 => Side::Credit,
        400..=699 | 960..=999 | 760 => Side::Debit,
        890 => Side::Nothing,
        _ => Side::Unknown,
    }
}
