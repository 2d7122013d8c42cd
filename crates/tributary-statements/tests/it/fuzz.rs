//! Whatever bytes come, a parser answers: no panic, no end in sight, nothing beyond its limits.

use proptest::prelude::*;
use tributary_statements::identity::{Ledger, Rules};
use tributary_statements::{Format, Level, Settings, checks, movements, read};

use crate::bank::{self, Cut};
use crate::{bugs_csv, writer};

/// Does with bytes all that can be done with a file.
fn put_through(bytes: &[u8], format: Option<Format>) {
    let settings = Settings { format, csv: Some(bugs_csv::description()), ..Settings::default() };
    let Ok(statements) = read(bytes, &settings) else { return };
    let mut ledger = Ledger::new(Rules { level: Level::Details, ..Rules::default() });
    for statement in &statements {
        let _ = checks::of_statement(statement).iter().map(ToString::to_string).collect::<Vec<_>>();
        let _ = movements(statement, Level::Details);
        ledger.take(statement);
    }
    let _ = checks::chain(&statements);
    let _ = checks::missing_numbers(&statements);
}

const FORMATS: [Format; 5] = [Format::Camt, Format::Mt, Format::Bai2, Format::Ofx, Format::Csv];

fn written(which: u8, cut: &Cut) -> String {
    match which {
        0 => writer::camt(cut, false, true),
        1 => writer::camt(cut, true, false),
        2 => writer::mt940(cut, true),
        3 => writer::mt942(cut),
        4 => writer::bai2(cut),
        5 => writer::ofx(cut, true),
        6 => writer::ofx(cut, false),
        _ => writer::csv(cut, true),
    }
}

/// Pieces that mean something to one format or another.
const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "&",
    "&amp;",
    "&#x;",
    ";",
    ":",
    "\n:61:",
    "\n:86:",
    "\n:62M:",
    "\n-\n",
    "@@",
    "{4:",
    "\n88,",
    "\n16,",
    "\n49,",
    "/",
    ",",
    ",,",
    "\"",
    "(",
    "-",
    "+",
    "RD",
    "RC",
    "C",
    "D",
    "EUR",
    "é",
    "\u{202f}",
    "9999999999999999999999999999999999999999",
    "0230",
    "999?20",
    "<Ntry>",
    "<Amt Ccy=\"EUR\">",
    "<STMTTRN>",
    "<TRNAMT>",
    "<![CDATA[",
    "<!--",
    "<!DOCTYPE a>",
    "\0",
    "\u{feff}",
    "S,",
    "V,",
    "D,1000,",
    "99,",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        put_through(&bytes, None);
        for format in FORMATS {
            put_through(&bytes, Some(format));
        }
    }

    #[test]
    fn files_with_pieces_cut_out_and_put_in_are_answered(
        lines in bank::lines(),
        which in 0..8_u8,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, prop::sample::select(PIECES)), 1..12),
    ) {
        let cut = Cut { number: Some(1), first_day: 0, last_day: bank::DAYS - 1, opening: 5_000, lines };
        let mut bytes = written(which, &cut).into_bytes();
        for (at, length, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        put_through(&bytes, None);
    }

    #[test]
    fn a_file_that_is_cut_is_never_read_as_a_shorter_one(
        lines in bank::lines(),
        which in 0..7_u8,
        at in any::<prop::sample::Index>(),
    ) {
        let cut = Cut { number: Some(1), first_day: 0, last_day: bank::DAYS - 1, opening: 5_000, lines };
        let text = written(which, &cut);
        let part = &text[..at.index(text.len())];
        if let Ok(statements) = read(part.as_bytes(), &Settings::default()) {
            let entries: usize = statements.iter().map(|statement| statement.entries.len()).sum();
            let told = statements.iter().any(|statement| checks::of_statement(statement).iter().any(checks::Finding::is_fatal));
            prop_assert!(entries == cut.lines.len() || told || which == 3, "{}", part);
        }
    }
}

#[test]
fn what_nests_or_repeats_without_end_is_answered_soon() {
    let many = 200_000;
    for text in [
        "<a>".repeat(many),
        format!("<BkToCstmrStmt><Stmt><Ntry>{}", "<a>".repeat(many)),
        format!("<OFX>{}</OFX>", "<A>".repeat(many)),
        format!("<OFX>{}</OFX>", "<A>1".repeat(many)),
        format!("<OFX><A>{}</OFX>", "&<".repeat(many)),
        format!(":20:A\n:25:1\n{}", ":28C:1\n".repeat(many / 10)),
        format!(":20:A\n:25:1\n:60F:C260301EUR0,\n{}:62F:C260301EUR0,\n", ":86:999?20\n".repeat(many / 10)),
        format!("01,a/\n02,,,,,,/\n03,1,,,,,{}/\n", ",".repeat(many)),
        format!("01,a/\n{}", "88,/".repeat(many)),
        numbered_lines(":20:A\n:25:1\n:28C:1\n:60F:C260301EUR0,\n", ":86:", many, ":62F:C260301EUR0,\n"),
        numbered_lines(
            ":20:A\n:25:1\n:28C:1\n:60F:C260301EUR0,\n",
            ":61:260301C0,NTRFX//",
            20_000,
            ":62F:C260301EUR0,\n",
        ),
        ";".repeat(many),
        "\"".repeat(many),
    ] {
        put_through(text.as_bytes(), None);
    }
}

fn numbered_lines(before: &str, line: &str, many: usize, after: &str) -> String {
    let lines: String = (0..many).map(|number| format!("{line}{number}\n")).collect();
    format!("{before}{lines}{after}")
}
