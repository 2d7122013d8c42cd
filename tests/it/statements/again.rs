//! `remap` of statement files: what was taken is read again with the provider's file as it is now. Texts are put right, what
//! closes now is published, and no movement gets another id.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use tributary::config::Provider;
use tributary::payments::Policy;
use tributary::sync::{FilesAgain, RereadFailure, RereadOutcome, Rereader};
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::bank::{Cut, Style};

use super::orders::{fetched, statement};
use super::{FILE, balance, booked, camt, day, mt940, post, transactions, written};
use crate::support::TestApp;
use crate::support::jobs::{AT_THE_GATE, WAIT_FOR_LOCKS, count, until};
use crate::support::logins;
use crate::support::process::{Place, signal};
use crate::support::till::{Formance, Till, quick};

/// The file, with another name for a text of tables.
fn renamed() -> String {
    FILE.replace("    decimal_mark", "    texts: { Details: remittanceInformation }\n    decimal_mark")
}

/// What reads the files of `app` again, by a provider file that no instance has.
pub fn rereader(app: &TestApp, file: &str) -> Rereader {
    let files = Provider::parse(file, &|_| None).unwrap().files.unwrap();
    Rereader { pool: app.service.clone(), provider: app.name().clone(), files, pulled: false }
}

/// Reads them again, to the end.
pub async fn reread(app: &TestApp, file: &str) -> FilesAgain {
    match rereader(app, file).reread(&CancellationToken::new(), &|_| {}).await.unwrap() {
        RereadOutcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

/// A table of a day, with a text.
fn table(cut: &Cut) -> String {
    let mut cut = cut.clone();
    for line in &mut cut.lines {
        line.text = format!("Rent of {}", line.units);
    }
    written(Style::Csv { newest_first: false }, &cut)
}

/// Metadata of each transaction, by id.
async fn told(app: &TestApp) -> BTreeMap<String, Value> {
    let rows: Vec<(String, Value)> =
        sqlx::query_as("select id, metadata from transactions").fetch_all(&app.pool).await.unwrap();
    rows.into_iter().collect()
}

/// Everything that statements and their movements are, but when they were changed.
async fn everything(app: &TestApp) -> Vec<String> {
    let rows = "select s::text from statements s union all select m::text from statement_movements m
                union all select a::text from statement_accounts a union all select t::text from transactions t
                union all select b::text from balances b union all select c.seq || c.body::text from changes c order by 1";
    sqlx::query_scalar(rows).fetch_all(&app.pool).await.unwrap()
}

#[tokio::test]
async fn texts_are_put_right_under_the_same_ids_and_once() {
    let app = TestApp::with_file(FILE).await;
    let tables = [table(&day(1, 0, &[100, -30])), table(&day(2, 70, &[5]))];
    for text in &tables {
        post(&app, text).await;
    }
    app.publish_all().await;
    let (before, rows) = (told(&app).await, transactions(&app).await);
    assert!(before.values().all(|told| told["Details"].is_string()), "{before:?}");
    let done = reread(&app, &renamed()).await;
    assert_eq!((done.files, done.updated, done.created, done.published), (2, 3, 0, 0), "{done:?}");
    assert!(done.stays.is_empty(), "{done:?}");
    let after = told(&app).await;
    assert!(after.values().all(|told| told["remittanceInformation"].is_string()), "{after:?}");
    assert_eq!(transactions(&app).await, rows, "ids, statuses and amounts stay");
    assert_eq!(app.publish().await, 3, "a version each, and of nothing else");
    // as if they had been taken by that file
    let fresh = TestApp::with_file(&renamed()).await;
    for text in &tables {
        post(&fresh, text).await;
    }
    assert_eq!(told(&fresh).await, after);
    let (before, again) = (everything(&app).await, reread(&app, &renamed()).await);
    assert_eq!((again.updated, again.unchanged), (0, 3), "{again:?}");
    assert_eq!(everything(&app).await, before);
}

/// A statement of a bank that turns the sign of what it takes back: `units` out, as money in that is reversed.
fn inverted(number: u32, opening: i128, units: i128) -> String {
    let text = camt(&day(number, opening, &[-units]));
    let (head, entry) = text.split_once("<Ntry>").unwrap();
    let turned = "<CdtDbtInd>CRDT</CdtDbtInd><RvslInd>true</RvslInd>";
    format!("{head}<Ntry>{}", entry.replacen("<CdtDbtInd>DBIT</CdtDbtInd>", turned, 1))
}

/// One of a bank that marks it, and keeps the sign.
fn marked(number: u32, opening: i128, units: i128) -> String {
    let turned = "<CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd>";
    let text = camt(&day(number, opening, &[-units]));
    let (head, entry) = text.split_once("<Ntry>").unwrap();
    format!("{head}<Ntry>{}", entry.replacen("<CdtDbtInd>DBIT</CdtDbtInd>", turned, 1))
}

fn by_inverted() -> String {
    FILE.replace("files:\n", "files:\n  reversals: inverted\n")
}

#[tokio::test]
async fn what_was_put_aside_and_closes_now_is_published_and_what_does_not_any_more_stays() {
    let app = TestApp::with_file(FILE).await;
    let texts = [camt(&day(1, 0, &[1_000])), inverted(2, 1_000, 50), camt(&day(3, 950, &[7]))];
    for text in &texts {
        post(&app, text).await;
    }
    post(&app, &marked(4, 957, 20)).await;
    assert_eq!(booked(&transactions(&app).await), [-20, 7, 1_000]);
    let before = transactions(&app).await;
    let rehearsed = rereader(&app, &by_inverted()).rehearse(tributary::sync::Bounds::NONE).await.unwrap();
    assert_eq!(rehearsed.published, 1, "{rehearsed:?}");
    assert_eq!(transactions(&app).await, before, "what would come of it is not written");

    let done = reread(&app, &by_inverted()).await;
    assert_eq!((done.published, done.created, done.stays.len()), (1, 1, 1), "{done:?}");
    assert!(done.stays[0].contains("statement 4 of DE1/EUR does not close any more"), "{done:?}");
    let after = transactions(&app).await;
    assert_eq!(booked(&after), [-50, -20, 7, 1_000]);
    assert!(before.iter().all(|row| after.contains(row)), "{before:?} {after:?}");
    let wrong = "select count(*) from statements where state = 'put_aside'";
    assert_eq!(count(&app.pool, wrong).await, 0);
    let standing: (i32, i32, i64) =
        sqlx::query_as("select broken_chains, missing_numbers, off_by::bigint from statement_accounts")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!((standing, balance(&app).await), ((0, 0, 0), Some(937)));
    // the same id as where the file was right from the beginning
    let fresh = TestApp::with_file(&by_inverted()).await;
    for text in &texts {
        post(&fresh, text).await;
    }
    let fresh = transactions(&fresh).await;
    assert!(fresh.iter().all(|row| after.contains(row)), "{fresh:?} {after:?}");
    // an instance that knew the account goes on from there
    let next = post(&app, &camt(&day(5, 937, &[1]))).await;
    assert_eq!((&next["statements"][0]["state"], &next["warnings"]), (&json!("published"), &json!([])));
    let (before, again) = (everything(&app).await, reread(&app, &by_inverted()).await);
    assert_eq!((again.published, again.updated, again.created), (0, 0, 0), "{again:?}");
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn what_would_give_the_same_money_another_id_is_refused_before_anything_is_written() {
    let app = TestApp::with_file(FILE).await;
    post(&app, &table(&day(1, 0, &[100]))).await;
    post(&app, &table(&day(2, 100, &[5]))).await;
    let before = everything(&app).await;
    for (from, to, said) in [
        ("      code: Type\n", "", "other days, amounts, references or codes"),
        ("      value_on: Value date\n", "", "other days, amounts, references or codes"),
        ("account: Account", "account: Type", "other statements, or as those of other accounts"),
    ] {
        // texts that could be put right are not, either
        let file = renamed().replace(from, to);
        assert_ne!(file, renamed());
        let refused = match rereader(&app, &file).reread(&CancellationToken::new(), &|_| {}).await.unwrap() {
            RereadOutcome::Refused(done) => done.refused,
            other => panic!("{other:?}"),
        };
        assert!(refused.len() == 2 && refused[0].contains(said), "{refused:?}");
        assert_eq!(everything(&app).await, before);
    }
    for (from, to, said) in [
        ("files:\n", "files:\n  movements: details\n", "movements: entries"),
        ("DE1: main", "DE1: other", "\"main\""),
    ] {
        let file = renamed().replace(from, to);
        let failed = rereader(&app, &file).reread(&CancellationToken::new(), &|_| {}).await.unwrap_err();
        assert!(matches!(failed, RereadFailure::Take(_)) && failed.to_string().contains(said), "{failed}");
        assert_eq!(everything(&app).await, before);
    }
}

#[tokio::test]
async fn pages_and_what_was_erased_stay_as_they_are() {
    let app = TestApp::with_file(FILE).await;
    let pages = [
        ":20:A\n:25:DE1\n:28C:7/1\n:60F:C260302EUR0,\n:61:2603020302CR1,NTRFNONREF\n:62M:C260302EUR1,\n-\n",
        ":20:A\n:25:DE1\n:28C:7/2\n:60M:C260302EUR1,\n:61:2603020302CR2,NTRFNONREF\n:62F:C260302EUR3,\n-\n",
    ];
    for page in pages {
        post(&app, page).await;
    }
    post(&app, &mt940(&day(2, 300, &[5]))).await;
    app.rewrite("update statement_files set bytes = null, key_id = null where seq = 3").await;
    let before = everything(&app).await;
    let done = reread(&app, FILE).await;
    assert_eq!((done.files, done.unchanged, done.updated), (2, 2, 0), "{done:?}");
    assert!(done.stays.is_empty(), "{done:?}");
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn orders_that_met_their_entries_stay_as_they_are() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let file = format!("provider: bank\nfiles: {{ accounts: {{ DE1: \"{}\" }} }}\n", till.account);
    let files = Provider::parse(&file, &|_| None).unwrap().files.unwrap();
    let key = till.bank_keys("k").await.remove(0);
    fetched(&till, &files, statement(1, 10_000, -1500, &key, "")).await;
    let back = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>";
    fetched(&till, &files, statement(2, 8_500, 1500, &key, back)).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
    let orders = "select o::text || (select string_agg(a::text, '' order by a.id) from payment_audit a) from payment_orders o";
    let before: Vec<String> = sqlx::query_scalar(orders).fetch_all(&till.app.pool).await.unwrap();
    // as if another text had been taken of each
    till.app.rewrite("update transactions set metadata = '{\"old\": \"text\"}'").await;
    let mut rereader = rereader(&till.app, &file);
    rereader.pulled = true;
    let done = rereader.reread(&CancellationToken::new(), &|_| {}).await.unwrap();
    let RereadOutcome::Done(done) = done else { panic!("{done:?}") };
    assert!(done.updated >= 1 && done.created == 0 && done.quarantined == 0, "{done:?}");
    assert_eq!(sqlx::query_scalar::<_, String>(orders).fetch_all(&till.app.pool).await.unwrap(), before);
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
    assert_eq!(till.moved("k").await, 1);
}

/// A place with a provider file, and the commands that are typed there.
async fn run(app: &TestApp, place: &Place, args: &[&str]) -> (i32, String, String) {
    let mut command = place.command(args);
    let output = command.env("DATABASE_URL", logins::service(&app.url).await).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn declare(place: &Place, file: &str) {
    std::fs::write(place.0.join("providers/acme.yaml"), file).unwrap();
}

#[tokio::test]
async fn a_killed_command_goes_on_when_the_same_is_typed_again() {
    let app = TestApp::with_file(FILE).await;
    let mut opening = 0;
    for number in 1..=20 {
        let cut = day(number, opening, &[i128::from(number), -1]);
        opening = cut.closing();
        post(&app, &table(&cut)).await;
    }
    let (rows, changes) =
        (transactions(&app).await, "select count(*) from changes where resource = 'transactions'");
    assert_eq!(count(&app.pool, changes).await, 40);
    // it stops before it commits the twelfth file
    let mut gate = PgConnection::connect(&app.url).await.unwrap();
    sqlx::raw_sql("select pg_advisory_lock(1)").execute(&mut gate).await.unwrap();
    app.sql(
        "create function wait_at() returns trigger language plpgsql as $$
         begin
           if new.amount = 12 and exists (select from transactions
                where amount = 11 and metadata ? 'remittanceInformation') then
             perform pg_advisory_xact_lock_shared(1);
           end if;
           return new;
         end $$",
    )
    .await;
    app.sql("create trigger wait_at before update on transactions for each row execute function wait_at()")
        .await;
    let place = Place::new("statements-again-killed");
    declare(&place, &renamed());
    let mut command = place.command(&["remap", "acme"]);
    let mut killed = command.env("DATABASE_URL", logins::service(&app.url).await).spawn().unwrap();
    until(&app.pool, WAIT_FOR_LOCKS, 1).await;
    signal(&killed, Signal::SIGKILL);
    killed.wait().await.unwrap();
    drop(gate);
    until(&app.pool, AT_THE_GATE, 0).await;
    let renamed = "select count(*) from transactions where metadata ? 'remittanceInformation'";
    assert_eq!(count(&app.pool, renamed).await, 22, "eleven files were committed");
    let (code, out, err) = run(&app, &place, &["remap", "acme"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("20 statement files read again: 0 created, 18 updated, 22 unchanged"), "{out}");
    assert_eq!((count(&app.pool, renamed).await, transactions(&app).await), (40, rows));
    assert_eq!(count(&app.pool, changes).await, 80, "a change each, whoever made it");
}

#[tokio::test]
async fn the_command_shows_before_what_it_does_and_refuses_what_it_must_not() {
    let (app, place) = (TestApp::with_file(FILE).await, Place::new("statements-again"));
    declare(&place, &renamed());
    let (code, _, err) = run(&app, &place, &["remap", "acme"]).await;
    assert!(code == 2 && err.contains("no statement file was taken"), "{err}");
    post(&app, &table(&day(1, 0, &[100, -30]))).await;
    let files = ["remap", "acme", "--stream", "statement files"];
    let would = "1 statement files read again: 0 created, 2 updated, 0 unchanged, 0 quarantined; 0 statements published";
    let (code, out, err) = run(&app, &place, &[&files[..], &["--dry-run"]].concat()).await;
    assert!(code == 0 && out.starts_with(&format!("nothing written: {would}")), "{out}{err}");
    // a file that does not run yet
    std::fs::write(place.0.join("new.yaml"), FILE).unwrap();
    let (code, out, err) = run(&app, &place, &["remap", "acme", "--dry-run", "--file", "new.yaml"]).await;
    assert!(code == 0 && out.contains("0 updated, 2 unchanged"), "{out}{err}");
    assert!(told(&app).await.values().all(|told| told["Details"].is_string()), "nothing was written");
    let (code, out, err) = run(&app, &place, &files).await;
    assert!(code == 0 && out.starts_with(would), "{out}{err}");
    let audited = "select count(*) from operator_audit where verb = 'remap' and subject = 'acme'";
    assert_eq!(count(&app.pool, audited).await, 1);
    let before = everything(&app).await;
    declare(&place, &FILE.replace("      code: Type\n", ""));
    let (code, out, err) = run(&app, &place, &["remap", "acme", "--dry-run"]).await;
    assert!(code == 0 && out.contains("refused, so that nothing would be written"), "{out}{err}");
    let (code, out, err) = run(&app, &place, &["remap", "acme"]).await;
    assert!(
        code == 1 && out.is_empty() && err.contains("set `files` of the provider's file back"),
        "{out}{err}"
    );
    assert_eq!(everything(&app).await, before);
    declare(&place, &FILE.replace("files:\n", "files:\n  movements: details\n"));
    let (code, _, err) = run(&app, &place, &["remap", "acme"]).await;
    assert!(code == 1 && err.contains("set `files` back to those"), "{err}");
    assert_eq!(everything(&app).await, before);
    declare(&place, "provider: acme\npush: all\n");
    let (code, _, err) = run(&app, &place, &files).await;
    assert!(code == 2 && err.contains("its file has no `files`"), "{err}");
}
