//! What a history of years costs: camt.053 files of each day, taken one after the other as `tributary statement import` does.
//! Prints; asserts nothing but that everything was taken.
//!
//! cargo bench --bench history -- --years 10 --entries 200

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

mod baseline;

use baseline::Baseline;
use chrono::{Days, NaiveDate};
use private_pg::PrivatePostgres;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tributary::config::Provider;
use tributary::store;
use tributary::sync::{Imported, Importer, files_in};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FILE: &str =
    "provider: bank\nfiles: { zone: Europe/Berlin, accounts: { DE02120300000000202051: main } }\n";

#[tokio::main]
async fn main() -> Result<()> {
    let argument = |name: &str, usual: u32| {
        let mut args = std::env::args().skip_while(|arg| arg != name);
        args.nth(1).and_then(|count| count.parse().ok()).unwrap_or(usual)
    };
    let (years, entries) = (argument("--years", 10), argument("--entries", 200));
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-statements-{}", std::process::id()));
    let (database, history) = (folder.join("database"), folder.join("history"));
    std::fs::create_dir_all(&database)?;
    let days = write(&history, years, entries)?;
    let private = PrivatePostgres::open(&database).await?;
    let pool = PgPool::connect(&private.url()).await?;
    store::migrate(&pool).await?;
    let (before, mut baseline) = (mebibytes("VmHWM:")?, Baseline::read()?);
    for turn in ["first", "again"] {
        let begun = Instant::now();
        let imported = import(&pool, &history, turn == "first").await?;
        let seconds = begun.elapsed().as_secs_f64();
        match turn {
            "first" => {
                let all = (days * entries) as usize;
                if imported.entries as usize != all
                    || !imported.unread.is_empty()
                    || !imported.put_aside.is_empty()
                {
                    return Err(format!("not all of {all} entries were taken: {imported:?}").into());
                }
                let speed = all as f64 / seconds;
                let compared = baseline.compare("statements.rs: history, entries/s", all, speed);
                println!(
                    "{days} files of {entries} entries each: {seconds:.1} s, {speed:.0} entries/s ({compared})"
                );
                let highest = mebibytes("VmHWM:")?;
                let compared = baseline.compare("statements.rs: history, MiB at its highest", all, highest);
                println!("memory at its highest: {highest:.0} MiB, {before:.0} of it before ({compared})");
            }
            _ => println!("the same again, all of it known: {seconds:.1} s for {} files", imported.known),
        }
    }
    pool.close().await;
    private.close().await?;
    std::fs::remove_dir_all(folder)?;
    baseline.save_if_asked()
}

async fn import(pool: &PgPool, history: &Path, show: bool) -> Result<Imported> {
    let provider = Provider::parse(FILE, &|_| None)?;
    let files = provider.files.ok_or("the file has `files`")?;
    let importer = Importer { pool: pool.clone(), provider: provider.name, files, decides: true };
    let paths = files_in(&[history.to_owned()], &[])?;
    let (begun, every) = (Instant::now(), (paths.len() as u64 / 10).max(1));
    let report = |done: &Imported| {
        if show && done.files.is_multiple_of(every) {
            println!("  {} entries after {:.1} s", done.entries, begun.elapsed().as_secs_f64());
        }
    };
    let (imported, ended) = importer.import(paths, &CancellationToken::new(), &report).await;
    ended?;
    Ok(imported)
}

/// Writes the statements of so many years, a folder for each; gives how many days they have.
fn write(history: &Path, years: u32, entries: u32) -> Result<u32> {
    let first = NaiveDate::from_ymd_opt(2016, 1, 1).ok_or("a day")?;
    let (mut opening, days) = (0_i64, years * 365);
    for number in 0..days {
        let day = first + Days::new(u64::from(number));
        let year = history.join(day.format("%Y").to_string());
        std::fs::create_dir_all(&year)?;
        let (text, closing) = statement(number, day, opening, entries)?;
        std::fs::write(year.join(format!("{day}.xml")), text)?;
        opening = closing;
    }
    Ok(days)
}

/// A statement as banks write it, and its closing balance in cents.
fn statement(number: u32, day: NaiveDate, opening: i64, entries: u32) -> Result<(String, i64)> {
    let (mut body, mut closing) = (String::new(), opening);
    for place in 0..entries {
        let id = u64::from(number) * 1_000 + u64::from(place);
        let cents = i64::try_from(id * 7_919 % 100_000)? + 1;
        let is_credit = id % 3 != 0;
        closing += if is_credit { cents } else { -cents };
        write!(
            body,
            "<Ntry><NtryRef>{place}</NtryRef><Amt Ccy=\"EUR\">{}.{:02}</Amt><CdtDbtInd>{}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt><AcctSvcrRef>REF-{id}</AcctSvcrRef><BkTxCd><Domn>\
             <Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls><TxDtls><Refs><EndToEndId>\
             E2E-{id}</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>Müller &amp; Co {place}</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>\
             DE02120300000000202051</IBAN></Id></DbtrAcct></RltdPties><RmtInf><Ustrd>Invoice {id} of {day}</Ustrd></RmtInf></TxDtls>\
             </NtryDtls></Ntry>",
            cents / 100,
            cents % 100,
            if is_credit { "CRDT" } else { "DBIT" }
        )?;
    }
    let balance = |code: &str, units: i64| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{}.{:02}</Amt><CdtDbtInd>{}</CdtDbtInd>\
             <Dt><Dt>{day}</Dt></Dt></Bal>",
            units.abs() / 100,
            units.abs() % 100,
            if units < 0 { "DBIT" } else { "CRDT" }
        )
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt>\
         <GrpHdr><MsgId>M{number}</MsgId></GrpHdr><Stmt><Id>S{number}</Id><ElctrncSeqNb>{}</ElctrncSeqNb><Acct><Id><IBAN>\
         DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>{}{}{body}</Stmt></BkToCstmrStmt></Document>",
        number + 1,
        balance("OPBD", opening),
        balance("CLBD", closing)
    );
    Ok((text, closing))
}

/// A number of the process's own status, in MiB.
fn mebibytes(field: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("the system does not say")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("the system does not say")?.parse()?;
    Ok(kib / 1024.0)
}
