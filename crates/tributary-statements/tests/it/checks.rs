//! What statements prove about one another.

use tributary_domain::Amount;
use tributary_statements::checks::{self, Finding};
use tributary_statements::{Settings, Statement, read};

fn statement(number: u32, day: &str, opening: &str, closing: &str) -> Statement {
    let text = format!(":20:R\n:25:1\n:28C:{number}\n:60F:C{day}EUR{opening}\n:62F:C{day}EUR{closing}\n");
    read(text.as_bytes(), &Settings::default()).unwrap().remove(0)
}

fn money(units: i128) -> Amount {
    Amount::parse("amount", &units.to_string()).unwrap()
}

#[test]
fn a_lost_entry_is_told_as_the_sum_that_is_missing() {
    let Some(Finding::DoesNotClose { missing, .. }) = checks::closes(&statement(1, "260301", "1,00", "3,50"))
    else {
        panic!("it closes");
    };
    assert_eq!(missing.minor_units(), 250);
}

#[test]
fn a_restated_january_breaks_the_chain_to_its_followers() {
    let before = [
        statement(1, "260131", "0,", "5,"),
        statement(2, "260228", "5,", "7,"),
        statement(3, "260331", "7,", "8,"),
    ];
    assert_eq!(checks::chain(&before), []);
    let restated = [statement(1, "260131", "0,", "6,"), before[1].clone(), before[2].clone()];
    let found = checks::chain(&restated);
    let [Finding::BrokenChain { missing, .. }] = found.as_slice() else { panic!("one break") };
    assert_eq!(missing.minor_units(), -100);
}

#[test]
fn numbers_that_are_left_out_are_named_and_a_new_year_is_no_gap() {
    let numbered = |list: &[(u32, &str)]| -> Vec<Statement> {
        list.iter().map(|(number, day)| statement(*number, day, "0,", "0,")).collect()
    };
    let whole = numbered(&[(364, "251230"), (365, "251231"), (1, "260101"), (2, "260102"), (2, "260102")]);
    assert_eq!(checks::missing_numbers(&whole), []);
    let gap = numbered(&[(5, "260301"), (1, "260226"), (2, "260227"), (6, "260302")]);
    assert_eq!(checks::missing_numbers(&gap), [Finding::MissingNumbers { first: 3, last: 4 }]);
    let by_day = numbered(&[(35001, "260204"), (36001, "260205"), (37001, "260206")]);
    assert_eq!(checks::missing_numbers(&by_day), []);
    let lost_first = numbered(&[(364, "251230"), (365, "251231"), (3, "260103")]);
    assert_eq!(checks::missing_numbers(&lost_first), [Finding::MissingNumbers { first: 1, last: 2 }]);
}

#[test]
fn the_balance_is_everything_that_was_published_since_it_last_agreed() {
    let (before, after) = (statement(1, "260301", "0,", "5,"), statement(9, "260309", "0,", "8,"));
    let (anchor, now) = (before.closing().unwrap(), after.closing().unwrap());
    assert_eq!(checks::since_anchor(anchor, [money(500), money(-200)], now), None);
    let Some(Finding::OffAnchor { missing, .. }) = checks::since_anchor(anchor, [money(500)], now) else {
        panic!("it agrees");
    };
    assert_eq!(missing.minor_units(), -200);
}
