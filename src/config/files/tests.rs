//! What `manifest validate` says of `files`, but for where they are fetched from.

use crate::config::Provider;

/// The file with what is said of `files`, on lines of its own from the third on.
fn parse(files: &str) -> Result<Provider, String> {
    Provider::parse(&format!("provider: acme\nfiles:\n{files}"), &|_| None)
}

/// What is said of tables, from the fourth line on: whole, but for `without`, and with `instead`.
fn csv(without: &str, instead: &str) -> String {
    let whole = [
        "columns: { booked_on: Date, amount: Amount }",
        "decimal_mark: comma",
        "dates: day_month_year",
        "account: DE1",
        "currency: EUR",
    ];
    let kept: String =
        whole.iter().filter(|line| !line.starts_with(without)).map(|line| format!("    {line}\n")).collect();
    format!("  csv:\n{kept}    {instead}\n")
}

#[test]
fn each_mistake_is_told_with_its_line_and_what_to_write() {
    let mistakes = [
        (
            "  zone: Berlin\n",
            "line 3, column 3: files.zone: there is no time zone \"Berlin\"; write one such as Europe/Berlin, or UTC",
        ),
        (
            "  movements: lines\n",
            "line 3, column 14: files.movements: `lines` is none of these: write entries, or details",
        ),
        (
            "  interim: total\n",
            "line 3, column 12: files.interim: `total` is none of these: write cumulative, or delta",
        ),
        (
            "  reversals: turned\n",
            "line 3, column 14: files.reversals: `turned` is none of these: write standard, or inverted",
        ),
        ("  references: always\n", "line 3, column 15: files.references: write true or false"),
        ("  remittance: 1\n", "line 3, column 15: files.remittance: write true or false"),
        (
            "  decimal_mark: dot\n",
            "line 3, column 17: files.decimal_mark: `dot` is none of these: write point, or comma",
        ),
        (
            "  charset: latin\n",
            "line 3, column 3: files.charset: \"latin\" is not known: write one such as ISO-8859-15 or cp852",
        ),
        (
            "  currencies: { XYZ: 40 }\n",
            "line 3, column 17: files.currencies.XYZ: write three capital letters and at most 18 decimals, as in `{ XYZ: 6 }`",
        ),
        (
            "  currencies: { euro: 2 }\n",
            "line 3, column 17: files.currencies.euro: write three capital letters",
        ),
        (
            "  accounts: { DE1: \"\" }\n",
            "line 3, column 15: files.accounts.DE1: write the id that the account has here",
        ),
        (
            "  order_reference: endToEndId\n",
            "line 3, column 20: files.order_reference: is a text: write a list",
        ),
        ("  expect: { by: noon }\n", "line 3, column 13: files.expect.by: write a time such as \"08:00\""),
        ("  expect: { days: [mon] }\n", "files.expect: `by` is missing"),
        (
            "  expect: { by: \"08:00\", days: [] }\n",
            "line 3, column 26: files.expect.days: name a day that has a statement",
        ),
        (
            "  expect: { by: \"08:00\", days: [monday] }\n",
            "line 3, column 33: files.expect.days[0]: write mon, tue, wed, thu, fri, sat, sun",
        ),
        ("  form: /srv/in\n", "line 3, column 3: files.form: there is no such field: `from` is meant?"),
        (&csv("columns", ""), "line 4, column 5: files.csv: `columns` is missing"),
        (&csv("decimal_mark", ""), "line 4, column 5: files.csv: `decimal_mark` is missing"),
        (&csv("dates", ""), "line 4, column 5: files.csv: `dates` is missing"),
        (
            &csv("dates", "dates: iso"),
            "files.csv.dates: `iso` is none of these: write year_month_day, or day_month_year, or month_day_year",
        ),
        (&csv("columns", "columns: { amount: Amount }"), "files.csv.columns: `booked_on` is missing"),
        (
            &csv("columns", "columns: { booked_on: Date }"),
            "line 8, column 5: files.csv.columns: write `amount` (signed), or `amount` and `side`, or `credit` and `debit`: which way \
             money goes has to be said",
        ),
        (
            &csv("columns", "columns: { booked_on: Date, credit: In }"),
            "line 8, column 5: files.csv.columns: write `amount` (signed)",
        ),
        (
            &csv("columns", "columns: { booked_on: Date, amount: Amount, side: Side }"),
            "line 3, column 3: files.csv: `columns.side` takes `credit` and `debit`: what it says of money in, and of money out",
        ),
        (
            &csv("nothing", "separator: colon"),
            "line 9, column 5: files.csv.separator: write `;`, `,`, `|` or `tab`",
        ),
        (
            &csv("account", ""),
            "line 3, column 3: files.csv: write `account`, or `columns.account`: whose entries these are",
        ),
        (
            &csv("currency", ""),
            "line 3, column 3: files.csv: write `currency`, or `columns.currency`: what amounts are in",
        ),
        (
            &csv("nothing", "charset: latin"),
            "line 9, column 5: files.csv.charset: is not known: write one such as ISO-8859-15 or cp852",
        ),
    ];
    let other = mistakes.into_iter().filter_map(|(files, told)| {
        let error = parse(files).unwrap_err();
        // and nothing else: no API is missing that there is none of
        let is_it = error.contains(told) && error.lines().count() == 1;
        (!is_it).then(|| format!("{told}\n  but: {error}"))
    });
    assert_eq!(other.collect::<Vec<String>>(), Vec::<String>::new());
    assert!(parse(&csv("nothing", "separator: tab")).is_ok(), "and what the table changes is whole");
}
