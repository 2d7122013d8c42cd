//! The check against servers that are wrong in a known way, and against one that is not.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::naive::{Config, Defect, serve};
use super::{Check, CouldNotRun, Options, Report, Silent, Verdict, run};

const KEY: &str = "a-key";

/// Starts a server with a defect; gives its address. It ends with the test's runtime.
async fn server(defect: Defect) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = Config { defect, key: KEY.into(), delay: Duration::from_millis(60) };
    tokio::spawn(serve(listener, config, std::future::pending()));
    url
}

fn options(defect: Defect) -> Options {
    // a busy machine is not a slow server
    let slow = Duration::from_secs(9);
    let options = Options { retry_delay: Duration::from_millis(1), slow, ..Options::default() };
    match defect {
        Defect::SlowPages => Options { slow: Duration::from_millis(50), ..options },
        _ => options,
    }
}

async fn check(defect: Defect) -> Report {
    run(&server(defect).await, KEY, &options(defect), &Silent).await.unwrap()
}

fn problems(report: &Report) -> BTreeSet<(&'static str, Verdict)> {
    let bad = report.findings.iter().filter(|finding| finding.verdict >= Verdict::Warning);
    bad.map(|finding| (finding.check.name(), finding.verdict)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_and_every_check_finds_one() {
    let mut checks = JoinSet::new();
    for &defect in Defect::ALL {
        checks.spawn(async move { (defect, check(defect).await) });
    }
    let mut provoked = BTreeSet::new();
    for (defect, report) in checks.join_all().await {
        let Some((check_of, verdict)) = defect.found_by() else { continue };
        let problems = problems(&report);
        println!("{}: {problems:?}", defect.name());
        let worst = report.of(check_of).map(|finding| finding.verdict).max();
        assert_eq!(worst, Some(verdict), "{}:\n{}", defect.name(), report.to_table());
        assert!(report.verdict >= verdict);
        provoked.extend(problems.into_iter().map(|(check, _)| check));
    }
    let all: BTreeSet<_> = Check::ALL.iter().map(|check| check.name()).collect();
    let silent: Vec<_> = all.difference(&provoked).collect();
    assert!(silent.is_empty(), "no defect provokes {silent:?}");
}

#[tokio::test]
async fn nothing_is_said_of_a_correct_log_that_grows_while_it_is_read() {
    let report = check(Defect::None).await;
    assert!(problems(&report).is_empty(), "{}", report.to_table());
    assert_eq!(report.verdict, Verdict::Ok);
    let late: Vec<_> = report.of(Check::LateRows).filter(|finding| finding.verdict == Verdict::Ok).collect();
    assert_eq!(late.len(), 1, "transactions came meanwhile: {}", report.to_table());
    assert!(report.notes.is_empty() && report.rows.transactions >= 420);
}

#[tokio::test]
async fn watching_polls_until_its_time_is_over() {
    let watch = Options {
        watch: Duration::from_millis(20),
        poll_every: Duration::from_millis(5),
        ..options(Defect::None)
    };
    let url = server(Defect::None).await;
    let still = run(&url, KEY, &options(Defect::None), &Silent).await.unwrap();
    let watched = run(&url, KEY, &watch, &Silent).await.unwrap();
    assert!(problems(&watched).is_empty(), "{}", watched.to_table());
    let polls = |report: &Report| report.of(Check::LoopDrains).next().unwrap().seen.clone();
    assert_eq!(polls(&still), "4 polls of both forms");
    assert_ne!(polls(&watched), "4 polls of both forms");
}

#[tokio::test]
async fn a_bound_of_rows_is_kept_and_told() {
    let few = Options { max_rows: 200, ..options(Defect::None) };
    let report = run(&server(Defect::None).await, KEY, &few, &Silent).await.unwrap();
    assert!(problems(&report).is_empty(), "{}", report.to_table());
    assert_eq!(report.rows.transactions, 200);
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert!(report.notes[0].contains("first 200 rows of transactions"), "{:?}", report.notes);
}

#[tokio::test]
async fn named_accounts_are_asked_for_their_balances() {
    let named = |id: &str| Options { accounts: vec![id.to_owned()], ..options(Defect::None) };
    let url = server(Defect::None).await;
    let verdict = |report: &Report| report.of(Check::BalancesAnswer).next().unwrap().verdict;
    assert_eq!(verdict(&run(&url, KEY, &named("acc_03"), &Silent).await.unwrap()), Verdict::Ok);
    assert_eq!(verdict(&run(&url, KEY, &named("acc_99"), &Silent).await.unwrap()), Verdict::Fail);
}

#[tokio::test]
async fn what_cannot_be_checked_says_why() {
    let options = options(Defect::None);
    let url = server(Defect::None).await;
    let ask = async |url: &str, key: &str| run(url, key, &options, &Silent).await.unwrap_err();
    assert_eq!(ask(&url, "another").await, CouldNotRun::KeyRefused { url: url.clone(), status: 401 });
    assert_eq!(ask(&url, "new\nline").await, CouldNotRun::Key);
    assert_eq!(ask("nonsense", KEY).await, CouldNotRun::Url);
    let prefixed = format!("{url}/nowhere");
    assert_eq!(ask(&prefixed, KEY).await, CouldNotRun::NoApi { url: prefixed.clone() });
    // a port that was free a moment ago
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(ask(&format!("http://{closed}"), KEY).await, CouldNotRun::Unreachable { .. }));
}
