//! Whatever bytes come, a parser answers: no panic, no end out of sight, nothing beyond its limits. `FUZZ_CASES` says how
//! many cases each test draws, `FUZZ_SEED` (printed with each run) which ones, and `FUZZ_MINUTES` for how long to go on
//! with other seeds: `make fuzz-statements`.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tributary_reference::reference;
use tributary_statements::identity::{Ledger, Rules};
use tributary_statements::{Format, Level, Settings, checks, movements, read};

use tributary_standin::bank::{self as standin, Cut, Group, Message, Style};

use crate::bank;

/// Does with bytes all that can be done with a file.
fn put_through(bytes: &[u8], format: Option<Format>) {
    let settings = Settings { format, csv: Some(bank::description()), ..Settings::default() };
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

fn written(which: u8, cut: &Cut) -> String {
    let style = match which {
        0 => Style::Camt { message: Message::Statement, version: 8 },
        1 => Style::Camt { message: Message::Report, version: 2 },
        2 => Style::Mt940 { envelope: true },
        3 => Style::Mt942,
        4 => Style::Bai2(Group::Final),
        5 => Style::Ofx { xml: true },
        6 => Style::Ofx { xml: false },
        _ => Style::Csv { newest_first: true },
    };
    style.write(std::slice::from_ref(cut))
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

/// What is done to a file.
#[derive(Debug, Clone)]
enum Edit {
    /// So many bytes give way to a piece.
    Put(Index, usize, &'static str),
    /// They give way to bytes.
    Bytes(Index, usize, Vec<u8>),
    /// They come again, so many times.
    Repeat(Index, usize, usize),
    /// They go to another place.
    Move(Index, usize, Index),
    /// The file ends there.
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..30_usize, prop::sample::select(PIECES)).prop_map(|(at, n, piece)| Edit::Put(at, n, piece)),
        2 => (at(), 0..8_usize, prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(at, n, bytes)| Edit::Bytes(at, n, bytes)),
        2 => (at(), 1..200_usize, 1..50_usize).prop_map(|(at, n, times)| Edit::Repeat(at, n, times)),
        2 => (at(), 1..200_usize, at()).prop_map(|(at, n, to)| Edit::Move(at, n, to)),
        1 => at().prop_map(Edit::Cut),
    ]
}

impl Edit {
    fn of(&self, bytes: &mut Vec<u8>) {
        let span = |bytes: &Vec<u8>, at: &Index, n: usize| {
            let at = at.index(bytes.len() + 1);
            at..(at + n).min(bytes.len())
        };
        match self {
            Self::Put(at, n, piece) => drop(bytes.splice(span(bytes, at, *n), piece.bytes())),
            Self::Bytes(at, n, with) => drop(bytes.splice(span(bytes, at, *n), with.iter().copied())),
            Self::Repeat(at, n, times) => {
                let span = span(bytes, at, *n);
                let again = bytes[span.clone()].repeat(*times);
                bytes.splice(span.end..span.end, again);
            }
            Self::Move(at, n, to) => {
                let moved: Vec<u8> = bytes.drain(span(bytes, at, *n)).collect();
                let to = to.index(bytes.len() + 1);
                bytes.splice(to..to, moved);
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text:?}")))
}

/// The longest that one case may take: they are small, and the slowest machine reads thousands a minute.
const CASE_MAX: Duration = Duration::from_secs(30);

/// The most memory that the process may ever have, where the system tells.
const MEMORY_MAX_KIB: u64 = 1024 * 1024;

/// Puts cases of `strategy` through, as `format` where one is given, until the time is over.
fn fuzz(test: &str, strategy: &impl Strategy<Value = Vec<u8>>, format: Option<Format>) {
    let cases = number("FUZZ_CASES").map_or(300, |cases| cases.try_into().unwrap());
    let until = Instant::now() + Duration::from_secs(60 * number("FUZZ_MINUTES").unwrap_or(0));
    let mut seed = number("FUZZ_SEED").unwrap_or_else(rand::random);
    let mut put = 0;
    loop {
        println!("{test}: {cases} cases of FUZZ_SEED={seed}");
        let config =
            Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
        let ran = TestRunner::new(config).run(strategy, |bytes| {
            within(CASE_MAX, seed, || put_through(&bytes, format));
            Ok(())
        });
        if let Err(error) = ran {
            panic!("FUZZ_SEED={seed}: {error}");
        }
        put += cases;
        if Instant::now() >= until {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    let peak = peak_kib();
    println!("{test}: {put} cases, and {peak:?} KiB of memory at most");
    assert!(peak.is_none_or(|peak| peak < MEMORY_MAX_KIB), "{test}: {peak:?} KiB of memory");
}

/// Ends the process, and says by which seed, if `work` has no end in sight: no thread can be stopped.
fn within(most: Duration, seed: u64, work: impl FnOnce()) {
    let (done, waits) = mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if waits.recv_timeout(most) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("FUZZ_SEED={seed}: a case has not ended for {most:?}");
            std::process::abort();
        }
    });
    work();
    drop(done);
    guard.join().unwrap();
}

fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What the stand-in bank sends in this format, archives and all, and the samples of real banks, where they are.
fn corpus(format: standin::Format, samples: &[&str]) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(1);
    let ledger = standin::Ledger::random(&mut rng, 5, 3);
    let mail = standin::Mail::send(&ledger, format, true, 1);
    let sent = mail.files.into_iter().map(|file| file.bytes);
    let folders = samples.iter().filter_map(|folder| reference(&format!("statements/{folder}")));
    let real = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    sent.chain(real.map(|file| std::fs::read(file.unwrap().path()).unwrap())).collect()
}

fn edited(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec(edit(), 1..12);
    (prop::sample::select(corpus), edits).prop_map(|(mut bytes, edits)| {
        edits.iter().for_each(|edit| edit.of(&mut bytes));
        bytes
    })
}

/// Bytes of no file, as this format and as whatever they are taken for.
fn random(test: &str, format: Format) {
    let bytes = prop::collection::vec(any::<u8>(), 0..400);
    fuzz(test, &bytes, Some(format));
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..60);
    fuzz(test, &pieces.prop_map(|pieces| pieces.concat().into_bytes()), Some(format));
}

#[test]
fn camt_of_any_bytes_is_answered() {
    random("camt of random bytes", Format::Camt);
    let corpus = corpus(standin::Format::Camt, &["camt052", "camt053", "camt054", "pain002"]);
    fuzz("camt", &edited(corpus), None);
}

#[test]
fn mt_of_any_bytes_is_answered() {
    random("MT940 of random bytes", Format::Mt);
    fuzz("MT940 and MT942", &edited(corpus(standin::Format::Mt, &["mt940", "mt942"])), None);
}

#[test]
fn bai2_of_any_bytes_is_answered() {
    random("BAI2 of random bytes", Format::Bai2);
    fuzz("BAI2", &edited(corpus(standin::Format::Bai2, &["bai2", "nacha"])), None);
}

#[test]
fn ofx_of_any_bytes_is_answered() {
    random("OFX of random bytes", Format::Ofx);
    fuzz("OFX", &edited(corpus(standin::Format::Ofx, &["ofx"])), None);
}

#[test]
fn csv_of_any_bytes_is_answered() {
    random("CSV of random bytes", Format::Csv);
    fuzz("CSV", &edited(corpus(standin::Format::Csv, &["csv"])), Some(Format::Csv));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_that_is_cut_is_never_read_as_a_shorter_one(
        lines in bank::lines(),
        which in 0..7_u8,
        at in any::<prop::sample::Index>(),
    ) {
        let cut = bank::whole(lines);
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
        format!("<OFX><B>{}</B></OFX>", "\n  <A>1</A>".repeat(many)),
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
