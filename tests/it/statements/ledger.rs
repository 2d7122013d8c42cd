//! The promise: one ledger, written in every format with every fault of banks, in random order, by two instances of which
//! each is stopped at random. What is published is the ledger, under the same ids in every order; and every broken
//! statement is put aside, and nothing else.

use std::collections::BTreeSet;
use std::sync::Mutex;

use axum::http::StatusCode;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::bank::{self, Cut, DAYS, Line};
use super::{FILE, balance, booked, instance, transactions, writer};
use crate::support::TestApp;
use crate::support::jobs::count;

/// What a file is, and what has to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// All of it is true.
    True,
    /// It does not close: put aside.
    Broken,
    /// It breaks off: refused.
    Truncated,
}

#[derive(Debug, Clone)]
struct Sent {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Camt { newer: bool, counts: bool },
    Mt { envelope: bool, counts: bool },
    Bai2,
    Ofx { xml: bool },
    Csv { newest_first: bool },
}

fn style(rng: &mut StdRng, case: u64) -> Style {
    match case % 5 {
        0 => Style::Camt { newer: rng.random(), counts: rng.random() },
        1 => Style::Mt { envelope: rng.random(), counts: rng.random() },
        2 => Style::Bai2,
        3 => Style::Ofx { xml: rng.random() },
        _ => Style::Csv { newest_first: rng.random() },
    }
}

fn ledger(rng: &mut StdRng) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..rng.random_range(1..24))
        .map(|_| Line {
            day: rng.random_range(0..DAYS),
            units: *[100, 100, 250, -100, -250, 4_999, -1].get(rng.random_range(0..7)).unwrap(),
            reference: rng.random_bool(0.5).then(|| rng.random_range(0..3)),
        })
        .collect();
    lines.sort_by_key(|line| line.day);
    lines
}

fn write(style: Style, cut: &Cut) -> String {
    match style {
        Style::Camt { newer, .. } => writer::camt(cut, false, newer),
        Style::Mt { envelope, .. } => writer::mt940(cut, envelope),
        Style::Bai2 => writer::bai2(cut),
        Style::Ofx { xml } => writer::ofx(cut, xml),
        Style::Csv { newest_first } => writer::csv(cut, newest_first),
    }
}

/// The statement in two files, a page each.
fn pages(cut: &Cut) -> [String; 2] {
    let (first, rest) = cut.lines.split_at(cut.lines.len() / 2);
    let half = Cut { lines: first.to_vec(), last_day: cut.last_day, ..cut.clone() };
    let rest = Cut { lines: rest.to_vec(), opening: half.closing(), ..cut.clone() };
    let number = cut.number.unwrap();
    let first = writer::mt940(&half, false).replace(":62F:", ":62M:");
    let page = writer::mt940(&rest, false).replace(":60F:", ":60M:");
    [first, page.replace(&format!(":28C:{number}/1"), &format!(":28C:{number}/2"))]
}

/// A file of the statement from which a line was lost.
fn broken(style: Style, cut: &Cut, rng: &mut StdRng) -> String {
    let mut short = cut.clone();
    let lost = short.lines.remove(rng.random_range(0..short.lines.len()));
    // the balances stay those of the whole
    let moved = Cut { opening: short.opening + lost.units, ..short.clone() };
    let (with_own, with_moved) = (write(style, &short), write(style, &moved));
    let (head, _) = with_own.split_once(first_after_opening(style)).unwrap();
    let (_, tail) = with_moved.split_once(first_after_opening(style)).unwrap();
    format!("{head}{}{tail}", first_after_opening(style))
}

/// What is written behind the opening balance, and before anything else that depends on it.
fn first_after_opening(style: Style) -> &'static str {
    match style {
        Style::Camt { .. } => "<Cd>CLBD</Cd>",
        _ => "\n:62F:",
    }
}

/// All that the bank sends of the ledger, in the order of its days.
fn files(rng: &mut StdRng, style: Style, lines: &[Line]) -> Vec<Sent> {
    let spans: Vec<u32> = (0..rng.random_range(0..5)).map(|_| rng.random_range(0..4)).collect();
    let windows: Vec<(u32, u32)> =
        (0..rng.random_range(0..5)).map(|_| (rng.random_range(0..DAYS), rng.random_range(0..4))).collect();
    let counts = matches!(style, Style::Camt { counts: true, .. } | Style::Mt { counts: true, .. });
    let cuts = match style {
        Style::Camt { .. } | Style::Mt { .. } => {
            bank::statements(lines, if counts { &spans } else { &[] }, counts)
        }
        Style::Bai2 => bank::statements(lines, &[], false),
        Style::Ofx { .. } | Style::Csv { .. } => bank::exports(lines, &windows),
    };
    let mut sent = Vec::new();
    for cut in &cuts {
        if matches!(style, Style::Csv { .. }) && cut.lines.is_empty() {
            continue;
        }
        let mut say = |kind: Kind, text: String| sent.push(Sent { kind, text });
        let text = write(style, cut);
        if matches!(style, Style::Camt { .. } | Style::Mt { .. })
            && !cut.lines.is_empty()
            && rng.random_bool(0.4)
        {
            say(Kind::Broken, broken(style, cut, rng));
        }
        if !matches!(style, Style::Csv { .. }) && rng.random_bool(0.4) {
            say(Kind::Truncated, text[..text.len() * 2 / 3].to_owned());
        }
        if rng.random_bool(0.4) {
            // the same statement in other bytes
            say(Kind::True, format!("{text}\n"));
        }
        if counts && matches!(style, Style::Camt { .. }) && rng.random_bool(0.3) {
            let created =
                |text: &str, at: &str| text.replace("<Acct>", &format!("<CreDtTm>{at}</CreDtTm><Acct>"));
            let mut before = cut.clone();
            before.lines.push(Line { day: cut.last_day, units: 31_337, reference: None });
            say(Kind::True, created(&write(style, &before), "2026-03-20T01:00:00"));
            say(Kind::True, created(&text, "2026-03-21T01:00:00"));
        } else if counts && matches!(style, Style::Mt { .. }) && cut.lines.len() > 1 && rng.random_bool(0.3) {
            pages(cut).into_iter().for_each(|page| say(Kind::True, page));
        } else {
            say(Kind::True, text);
        }
    }
    sent
}

/// Posts `sent` through both instances, each of which is stopped now and then in the middle of it.
async fn deliver(apps: [&TestApp; 2], sent: Vec<Sent>, seed: u64, kills: bool) {
    let left = Mutex::new(sent);
    let work = |app: &'static str, which: usize| {
        let (left, apps) = (&left, &apps);
        async move {
            let mut rng = StdRng::seed_from_u64(seed + which as u64);
            loop {
                let Some(file) = left.lock().unwrap().pop() else { return };
                let posting =
                    apps[which].post("/ingest/files", "application/octet-stream", file.text.clone());
                let polls = if kills && rng.random_bool(0.3) { rng.random_range(1..60) } else { usize::MAX };
                let (status, answer) = tokio::select! {
                    biased;
                    answered = posting => answered,
                    () = turns(polls) => {
                        // stopped: whoever sent it got no answer, and sends it again
                        left.lock().unwrap().push(file);
                        continue;
                    }
                };
                let put_aside = answer["files"][0]["statements"][0]["state"] == "put_aside";
                match (status, file.kind.clone()) {
                    (StatusCode::SERVICE_UNAVAILABLE, _) => left.lock().unwrap().push(file),
                    (StatusCode::BAD_REQUEST, Kind::Truncated) => {}
                    (StatusCode::OK, Kind::Broken) => assert!(put_aside, "{app}: {answer}"),
                    (StatusCode::OK, Kind::True) => assert!(!put_aside, "{app}: {answer}\n{}", file.text),
                    (status, kind) => panic!("{app}: {kind:?} is {status}: {answer}\n{}", file.text),
                }
            }
        }
    };
    tokio::join!(work("one", 0), work("other", 1));
}

/// Ready after so many turns of everything else.
async fn turns(polls: usize) {
    if polls == usize::MAX {
        std::future::pending::<()>().await;
    }
    for _ in 0..polls {
        tokio::task::yield_now().await;
    }
}

fn ids(rows: &[(String, String, i64)]) -> BTreeSet<&str> {
    rows.iter().map(|(id, ..)| id.as_str()).collect()
}

async fn check(case: u64, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (style, lines) = (style(&mut rng, case), ledger(&mut rng));
    let sent = files(&mut rng, style, &lines);
    let told = format!("case {case}, seed {seed}, {style:?}");
    let mut wanted: Vec<i64> = lines.iter().map(|line| i64::try_from(line.units).unwrap()).collect();
    wanted.sort_unstable();
    // what is sent first is the last of the list
    let in_order: Vec<Sent> = sent.iter().rev().cloned().collect();
    let alone = TestApp::with_file(FILE).await;
    deliver([&alone, &alone], in_order, seed, false).await;
    let mut mixed = sent.clone();
    mixed.extend(sent.iter().filter(|_| rng.random_bool(0.3)).cloned());
    mixed.shuffle(&mut rng);
    let one = TestApp::with_file(FILE).await;
    let other = instance(&one, FILE);
    deliver([&one, &other], mixed, seed, true).await;
    let (expected, rows) = (transactions(&alone).await, transactions(&one).await);
    assert_eq!(booked(&rows), wanted, "{told}: what is published is the ledger");
    assert_eq!(ids(&rows), ids(&expected), "{told}: under the same ids");
    assert_eq!(rows, expected, "{told}: as it is in order");
    let broken: BTreeSet<&str> =
        sent.iter().filter(|file| file.kind == Kind::Broken).map(|file| file.text.as_str()).collect();
    let put_aside = count(&one.pool, "select count(*) from statements where state = 'put_aside'").await;
    assert_eq!(
        put_aside,
        i64::try_from(broken.len()).unwrap(),
        "{told}: the broken ones are put aside, and no others"
    );
    assert_eq!(
        count(&one.pool, "select count(*) from statements where state = 'waiting'").await,
        0,
        "{told}"
    );
    if !matches!(style, Style::Ofx { .. } | Style::Csv { .. }) {
        let closing = 5_000 + wanted.iter().sum::<i64>();
        assert_eq!(balance(&one).await, Some(closing), "{told}: the balance is that of the last day");
        let odd = "select (broken_chains + missing_numbers + abs(off_by))::bigint from statement_accounts";
        assert_eq!(count(&one.pool, odd).await, 0, "{told}: and nothing is missing in the end");
    }
    one.publish_all().await;
    let served: BTreeSet<String> =
        one.feed("transactions").await.iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        served.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ids(&rows),
        "{told}: and in the feed"
    );
}

#[tokio::test]
async fn one_ledger_in_every_format_with_every_fault_is_published_once() {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10);
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    for case in 0..cases {
        let seed = seed.unwrap_or_else(rand::random::<u32>);
        eprintln!("FUZZ_SEED={seed}, case {case}");
        check(case, u64::from(seed)).await;
    }
}
