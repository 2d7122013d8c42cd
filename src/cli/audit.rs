//! `tributary audit`: what operators did, and whether the audit of payments is as it was written.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Common;
use super::database::{Database, Login};
use super::progress::Shown;
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::way::{At, Way};
use crate::payments::audit::{Broken, Chain, hex};
use crate::store::operator_audit::Done;
use crate::store::{StoreError, payment_audit};
use crate::verbs;

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary audit verify                 follow the chain, and print its head: note it outside of the database
  tributary audit list                   what operators did
  tributary audit verify --head 5f0c…    and check that a head which was noted is still in it

Exit code: 0 if all is as it was written, 1 if not (the first row that differs is named), 2 if that could not be
checked.")]
pub enum AuditCommand {
    /// Check that no row of the audit of payments was changed, taken out, put in or moved.
    Verify(VerifyArgs),
    /// List what operators did, newest first, and who they were.
    List(ListArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub struct VerifyArgs {
    /// A head that was printed, logged or noted before; several may be given.
    #[arg(long, value_name = "HASH", value_parser = head)]
    head: Vec<String>,
}

fn head(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err("it is 64 hexadecimal digits".to_owned())
    }
}

/// How many rows are read at once.
const AT_ONCE: i64 = 5_000;
/// Exit code where the chain could not be followed.
const COULD_NOT_CHECK: u8 = 2;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with an audit.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error(
        "no row has the head {0}: the audit was rewritten behind it, or it is the audit of another database"
    )]
    NoSuchHead(String),
}

pub async fn run(common: &Common, command: AuditCommand) -> ExitCode {
    let args = match command {
        AuditCommand::Verify(args) => args,
        AuditCommand::List(args) => {
            return match list(common, args).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("tributary: {error}");
                    ExitCode::from(COULD_NOT_CHECK)
                }
            };
        }
    };
    match try_verify(common, args).await {
        Ok(Ok(chain)) => {
            println!("{} rows, each as it was written", chain.position);
            if chain.erased > 0 {
                println!("{} of them were erased: who did what and when still holds", chain.erased);
            }
            println!("head {}", hex(&chain.hash));
            ExitCode::SUCCESS
        }
        Ok(Err(wrong)) => {
            eprintln!("tributary: the audit is not as it was written: {wrong}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::from(COULD_NOT_CHECK)
        }
    }
}

const DONE: [Column; 5] = [words("AT"), words("PERSON"), words("LOGIN"), words("VERB"), words("SUBJECT")];

async fn list(common: &Common, args: ListArgs) -> Result<(), Error> {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let done = way.perform_and_close(&verbs::audit::List { limit: Some(args.limit) }).await?;
    let row = |done: &Done| {
        [time(done.at), done.person.clone(), done.login.clone(), done.verb.clone(), done.subject.clone()]
    };
    match args.form.output {
        Output::Json => table::json(&done),
        Output::Table => table::print(&DONE, done.iter().map(row)),
    }
    Ok(())
}

async fn try_verify(common: &Common, args: VerifyArgs) -> Result<Result<Chain, Wrong>, Error> {
    let database = Database::open_migrated(common, Login::Owner, 2).await?;
    let verified = verify(&database, args.head.into_iter().collect()).await;
    database.close().await;
    Ok(verified?)
}

/// Follows the chain, and looks for `heads` in it.
async fn verify(database: &Database, mut heads: HashSet<String>) -> Result<Result<Chain, Wrong>, StoreError> {
    let mut snapshot = payment_audit::snapshot(&database.pool).await?;
    if let Some(id) = payment_audit::unchained(&mut snapshot).await? {
        return Ok(Err(Broken::Unchained(id).into()));
    }
    let end = payment_audit::head(&mut snapshot).await?;
    let shown = Shown::new(end.as_ref().map(|end| end.position.max(0).unsigned_abs()));
    let mut chain = Chain::default();
    heads.remove(&hex(&chain.hash));
    loop {
        let links = payment_audit::behind(&mut snapshot, chain.position, AT_ONCE).await?;
        if links.is_empty() {
            break;
        }
        for link in &links {
            if let Err(broken) = chain.follow(link) {
                return Ok(Err(broken.into()));
            }
            if !heads.is_empty() {
                heads.remove(&hex(&chain.hash));
            }
        }
        shown.at(chain.position.max(0).unsigned_abs(), "");
    }
    shown.end();
    if let Err(broken) = chain.end(end.as_ref()) {
        return Ok(Err(broken.into()));
    }
    Ok(match heads.into_iter().next() {
        Some(head) => Err(Wrong::NoSuchHead(head)),
        None => Ok(chain),
    })
}
