//! Sums of amounts of any length: neither Go's integers nor the database's
//! numerics end where a machine's do.

use std::cmp::Ordering;

use crate::integer::Integer;

/// An amount split into its sign and its decimal digits, the last one first.
struct Signed {
    negative: bool,
    digits: Vec<u8>,
}

/// `a + b`.
pub(super) fn add(a: &Integer, b: &Integer) -> Integer {
    total(Signed::of(a), Signed::of(b))
}

/// `a - b`.
pub(super) fn subtract(a: &Integer, b: &Integer) -> Integer {
    let b = Signed::of(b);
    total(Signed::of(a), Signed { negative: !b.negative, ..b })
}

/// Nothing.
pub(super) fn zero() -> Integer {
    Integer::parse("0").expect("a digit is an integer")
}

fn total(a: Signed, b: Signed) -> Integer {
    if a.negative == b.negative {
        return Signed { negative: a.negative, digits: together(&a.digits, &b.digits) }.into_integer();
    }
    let (larger, smaller) = if compare(&a.digits, &b.digits) == Ordering::Less { (b, a) } else { (a, b) };
    Signed { negative: larger.negative, digits: apart(&larger.digits, &smaller.digits) }.into_integer()
}

impl Signed {
    fn of(integer: &Integer) -> Self {
        let text = integer.as_str();
        let digits = text.trim_start_matches('-').bytes().rev().map(|digit| digit - b'0').collect();
        Self { negative: text.starts_with('-'), digits }
    }

    fn into_integer(self) -> Integer {
        let sign = if self.negative { "-" } else { "" };
        let digits: String = self.digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
        Integer::parse(&format!("{sign}{digits}")).expect("a sign and digits are an integer")
    }
}

/// Compares two numbers without leading zeros.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn together(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carried = 0;
    let mut digits = Vec::new();
    for place in 0..a.len().max(b.len()) {
        let sum = digit(a, place) + digit(b, place) + carried;
        digits.push(sum % 10);
        carried = sum / 10;
    }
    digits.push(carried);
    digits
}

/// `larger - smaller`, as the names say.
fn apart(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut borrowed = 0;
    let mut digits = Vec::new();
    for place in 0..larger.len() {
        let difference = 10 + digit(larger, place) - digit(smaller, place) - borrowed;
        digits.push(difference % 10);
        borrowed = 1 - difference / 10;
    }
    digits
}

fn digit(digits: &[u8], place: usize) -> u8 {
    digits.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn integer(text: &str) -> Integer {
        Integer::parse(text).unwrap()
    }

    #[test]
    fn sums_go_on_where_machine_integers_end() {
        let nines = "9".repeat(60);
        let one_more = format!("1{}", "0".repeat(60));
        assert_eq!(add(&integer(&nines), &integer("1")), integer(&one_more));
        assert_eq!(subtract(&integer(&one_more), &integer("1")), integer(&nines));
        assert_eq!(subtract(&integer("1"), &integer(&one_more)), integer(&format!("-{nines}")));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_machine_integers(a in -1_000_000_i128..1_000_000, b in any::<i64>()) {
            for b in [i128::from(b), i128::from(b % 1_000), -a, a] {
                let (left, right) = (integer(&a.to_string()), integer(&b.to_string()));
                prop_assert_eq!(add(&left, &right), integer(&(a + b).to_string()));
                prop_assert_eq!(subtract(&left, &right), integer(&(a - b).to_string()));
            }
        }
    }
}
