//! Money as jq: where it is, how it is written there, and what it is in minor units.

use super::Section;
use super::value;
use crate::language::form::file::MoneyForm;
use crate::language::form::stream::Money;

/// The money of a stream or a payment, as jq.
pub struct MoneyCode {
    /// Leads from the record to the money.
    pub path: String,
    /// On that: the code of its currency.
    pub currency: String,
    /// On that: the amount as it is written.
    pub written: String,
    /// On that, with `$_code`: its signed minor units, as text.
    pub amount: String,
}

/// The money that `money` names, in the `default` form of the file unless it has its own.
pub fn money(
    section: &mut Section<'_>,
    field: &str,
    money: Option<&Money>,
    default: Option<&MoneyForm>,
    variables: &[String],
) -> Option<MoneyCode> {
    let (path, form) = match money {
        None => (".".to_owned(), default),
        Some(Money::Form(form)) => (".".to_owned(), Some(form)),
        Some(Money::Where(code)) => {
            section.jq(field, code, variables);
            (code.clone(), default)
        }
    };
    let what = "how this API writes money, as in { decimal: .value, currency: .currency }; give it for the file, or here";
    let form = section.need(field, form, what)?;
    let amount = match (&form.decimal, &form.minor) {
        (Some(decimal), None) => value::text(decimal).map(|written| (written, "minor_units($_code)")),
        (None, Some(minor)) => value::text(minor).map(|written| (written, "_minor")),
        _ => Err("give one of `decimal` and `minor`".to_owned()),
    };
    match (amount, value::text(&form.currency)) {
        (Ok((written, read)), Ok(currency)) => {
            let amount = format!("({written} | {read})");
            Some(MoneyCode { path, currency, written, amount })
        }
        (Err(why), _) | (_, Err(why)) => {
            section.wrong(field, why);
            None
        }
    }
}

impl MoneyCode {
    /// jq on a record that binds `$asset` and `$amount`.
    pub fn bound(&self) -> String {
        format!(
            "_one(\"money\"; {}\n) as $_money | _named(\"money\"; $_money | {}) as $_code\n\
             | _named(\"money\"; $_code | umn) as $asset | _named(\"money\"; $_money | {}) as $amount",
            self.path, self.currency, self.amount
        )
    }

    /// jq on a record: the balances in it.
    pub fn balances(&self, owed: bool) -> String {
        let sign = if owed {
            " | if $out and . != \"0\" and (startswith(\"-\") | not) then \"-\" + . else . end"
        } else {
            ""
        };
        format!(
            "_named(\"money\"; [({}\n) | ({}) as $_code | {{ currency: ($_code | umn), amount: ({}{sign}) }}])",
            self.path, self.currency, self.amount
        )
    }

    /// jq on a record: an object with `amount` and `currency`, null where it has none.
    pub fn reported(&self) -> String {
        format!(
            "(({}\n) | if . == null then null else . as $_money | ({}) as $_code\n\
             | if $_code == null or ({}) == null then null\n\
             else {{ amount: ({} | ltrimstr(\"-\")), currency: ($_code | umn) }} end end)",
            self.path, self.currency, self.written, self.amount
        )
    }
}
