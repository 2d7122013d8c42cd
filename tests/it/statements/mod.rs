//! Statement files: what a bank sends becomes what moved, once, whatever it sends and whoever takes it.

mod again;
mod books;
mod bucket;
mod changes_of_mind;
mod folder;
mod import;
mod killed;
mod ledger;
mod orders;
mod posted;
mod screen;
mod sftp;
pub mod shipped;

use axum::http::StatusCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tributary::config::Provider;
use tributary::sync::{FileFetcher, FilesRun, FilesRunOutcome};
use tributary_standin::bank::{self, Cut, Line, Message, Style};

use crate::support::TestApp;

/// A provider whose bank sends files of any format.
const FILE: &str = "provider: acme
feed: { pace: 1000/s }
files:
  zone: Europe/Berlin
  accounts: { DE1: main, DE89370400440532013000: main }
  csv:
    columns:
      booked_on: Booking date
      value_on: Value date
      amount: Amount
      balance: Balance
      currency: Currency
      account: Account
      reference: Reference
      code: Type
      status: Status
    pending: [Pending]
    no_entries: [Total]
    decimal_mark: comma
    dates: day_month_year
";

/// A day of a bank: what moved, in minor units, from an opening balance on.
pub fn day(number: u32, opening: i128, units: &[i128]) -> Cut {
    let on = bank::day(number - 1);
    let lines = units.iter().map(|units| Line::new(on, *units)).collect();
    Cut::new(Some(number), (on, on), opening, lines)
}

fn written(style: Style, cut: &Cut) -> String {
    style.write(std::slice::from_ref(cut))
}

/// A camt.053 of it.
fn camt(cut: &Cut) -> String {
    written(Style::Camt { message: Message::Statement, version: 8 }, cut)
}

/// A camt.052 of it.
fn report(cut: &Cut) -> String {
    written(Style::Camt { message: Message::Report, version: 2 }, cut)
}

/// An MT940 of it.
pub fn mt940(cut: &Cut) -> String {
    written(Style::Mt940 { envelope: false }, cut)
}

/// The statements of so many days, each of which moves 100 more than its number.
fn statements(days: u32) -> Vec<(String, String)> {
    let mut opening = 0;
    let of_day = |number| {
        let cut = day(number, opening, &[i128::from(number) + 100]);
        opening = cut.closing();
        (format!("{number:02}.xml"), camt(&cut))
    };
    (1..=days).map(of_day).collect()
}

/// Fetches the files that there are.
async fn fetch(fetcher: &FileFetcher) -> FilesRun {
    match fetcher.fetch_now(&CancellationToken::new()).await.unwrap() {
        FilesRunOutcome::Ended(run) => run,
        other => panic!("{other:?}"),
    }
}

/// What the runs warn of.
async fn warnings(app: &TestApp) -> Vec<String> {
    let sql = "select text from sync_run_warnings order by run, text";
    sqlx::query_scalar(sql).fetch_all(&app.pool).await.unwrap()
}

/// Posts a file, which has to be taken; gives what became of it.
async fn post(app: &TestApp, text: &str) -> Value {
    let (status, answer) =
        app.post("/ingest/files?name=a", "application/octet-stream", text.to_owned()).await;
    assert_eq!(status, StatusCode::OK, "{answer}\n{text}");
    answer["files"][0].clone()
}

/// Id, status and signed minor units of each transaction, by id.
async fn transactions(app: &TestApp) -> Vec<(String, String, i64)> {
    let sql = "select id, status, (case when source_account_id is null then amount else -amount end)::bigint
               from transactions where provider = 'acme' order by id";
    sqlx::query_as(sql).fetch_all(&app.pool).await.unwrap()
}

/// Signed minor units of what was booked, sorted.
fn booked(transactions: &[(String, String, i64)]) -> Vec<i64> {
    let booked = transactions.iter().filter(|(_, status, _)| status == "SUCCEEDED");
    let mut units: Vec<i64> = booked.map(|(.., units)| *units).collect();
    units.sort_unstable();
    units
}

/// The balance of the account, in minor units.
async fn balance(app: &TestApp) -> Option<i64> {
    let sql = "select amount::bigint from balances where provider = 'acme' and account_id = 'main'";
    sqlx::query_scalar(sql).fetch_optional(&app.pool).await.unwrap()
}

/// A second instance over the database of `app`, with a provider file of its own: it knows nothing that the first one knows.
fn instance(app: &TestApp, file: &str) -> TestApp {
    let keys = || (app.connector_key.clone(), app.ingest_key.clone());
    let mut other = TestApp::with_keys(app, app.service.clone(), keys());
    other.provider = Provider::parse(file, &|_| None).unwrap();
    TestApp::with_keys(&other, app.service.clone(), keys())
}
