//! `tributary quarantine`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::database::{Database, Login};
use super::progress::{Shown, confirm};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::way::{self, At, Way};
use super::{CommandResult, Common};
use crate::store::quarantine::{self as store, Which};
use crate::sync::{Replayed, Replayer};
use crate::verbs::quarantine::{self, Discarded, Listed, Outcome, ShownRecord};
use crate::verbs::{self, On, Verb as _};
use tributary_domain::{ProviderName, Resource};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary quarantine list --provider acme
  tributary quarantine show 17                       the record as it came, on standard output
  tributary quarantine replay --provider acme        after the mapping, or what refused them, was put right
  tributary quarantine discard 17 --yes")]
pub struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// List records and why they were refused.
    List {
        #[command(flatten)]
        which: WhichArgs,
        /// How many records at most.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Print a record as it came; where it came from, on standard error.
    Show {
        /// The record's id, as `quarantine list` shows it.
        id: i64,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Try records again; what succeeds leaves the quarantine.
    Replay {
        #[command(flatten)]
        which: WhichArgs,
        /// Only the record of this id.
        #[arg(long)]
        id: Option<i64>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Delete records for good.
    Discard {
        /// The record's id; without it, all that --provider and --resource name.
        id: Option<i64>,
        #[command(flatten)]
        which: WhichArgs,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        form: OutputArgs,
    },
}

#[derive(Args)]
pub struct WhichArgs {
    /// Only records of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Only records of this kind: accounts, balances, beneficiaries or transactions.
    #[arg(long)]
    resource: Option<Resource>,
}

impl WhichArgs {
    fn which(&self) -> Which<'_> {
        Which { provider: self.provider.as_ref(), resource: self.resource }
    }
}

pub async fn run(common: &Common, args: QuarantineArgs) -> CommandResult {
    let at = &args.at;
    match args.command {
        QuarantineCommand::List { which, limit, form } => {
            let resource = which.resource.map(|resource| resource.as_str().to_owned());
            let list = quarantine::List { provider: which.provider, resource, limit: Some(limit) };
            let way = Way::open(common, at, Login::Service).await?;
            print(&way.perform_and_close(&list).await?, form);
        }
        QuarantineCommand::Show { id, form } => {
            let way = Way::open(common, at, Login::Service).await?;
            show(&way.perform_and_close(&quarantine::Show { id }).await?, form);
        }
        QuarantineCommand::Replay { id: Some(id), form, .. } => {
            let way = Way::open_with_files(common, at, Login::Service).await?;
            let outcome = way.perform_and_close(&quarantine::Replay { ids: vec![id] }).await?;
            form.done(&outcome, &outcome.to_string());
        }
        QuarantineCommand::Replay { id: None, which, form } => {
            at.only_database("quarantine replay, of all records,")?;
            let database = Database::open_migrated(common, Login::Service, 4).await?;
            let result = replay_all(common, &database, which.which(), form).await;
            database.close().await;
            return result;
        }
        QuarantineCommand::Discard { id: Some(id), yes, form, .. } => {
            let way = Way::open(common, at, Login::Service).await?;
            let result = discard(&way, id, yes, form).await;
            way.close().await;
            return result;
        }
        QuarantineCommand::Discard { id: None, which, yes, form } => {
            at.only_database("quarantine discard, of all records,")?;
            let database = Database::open_migrated(common, Login::Service, 4).await?;
            let result = discard_all(&database, which.which(), yes, form).await;
            database.close().await;
            return result;
        }
    }
    Ok(())
}

const RECORDS: [Column; 6] = [
    numbers("ID"),
    words("PROVIDER"),
    words("RESOURCE"),
    numbers("ATTEMPTS"),
    words("FIRST SEEN"),
    words("REASON"),
];

fn row(record: &ShownRecord) -> [String; 6] {
    let (id, attempts) = (record.id.to_string(), record.attempts.to_string());
    let (provider, resource) = (record.provider.clone(), record.resource.clone());
    [id, provider, resource, attempts, time(record.first_seen), record.reason.clone()]
}

fn print(listed: &Listed, form: OutputArgs) {
    match form.output {
        Output::Json => table::json(&listed.records),
        Output::Table => table::print(&RECORDS, listed.records.iter().map(row)),
    }
    let more = listed.all.saturating_sub(listed.records.len() as u64);
    if more > 0 {
        eprintln!("and {more} more; --limit shows more of them");
    }
}

fn show(record: &ShownRecord, form: OutputArgs) {
    if form.output == Output::Json {
        return table::json(record);
    }
    eprintln!("{} of {}: {}", record.resource, record.provider, record.reason);
    eprintln!(
        "{} attempts, first {}, last {}",
        record.attempts,
        time(record.first_seen),
        time(record.last_seen)
    );
    match (&record.stream, record.partition.as_deref()) {
        (Some(stream), None | Some("")) => eprintln!("of the stream {stream}"),
        (Some(stream), Some(partition)) => eprintln!("of the stream {stream}, partition {partition}"),
        (None, _) => eprintln!("a canonical record"),
    }
    println!("{}", record.raw);
}

async fn replay_all(
    common: &Common,
    database: &Database,
    which: Which<'_>,
    form: OutputArgs,
) -> CommandResult {
    let declared = way::declared(common)?;
    note(database, quarantine::Replay::NAME, which).await?;
    let pulled = declared.into_iter().filter_map(|(name, compiled)| Some((name, compiled?)));
    let replayer = Replayer::new(&database.pool, pulled.collect());
    let shown = Shown::new(Some(store::count(&database.pool, which).await?));
    let report = |done: &Replayed| shown.at(done.freed + done.refused, &format!("{} freed", done.freed));
    let done = replayer.replay_all(which, &report).await;
    shown.end();
    let outcome = Outcome::from(done?);
    form.done(&outcome, &outcome.to_string());
    Ok(())
}

/// Writes into the audit of operators that this is done to all records of `which`.
async fn note(database: &Database, verb: &str, which: Which<'_>) -> CommandResult {
    let declared = verbs::Declared::new();
    let on = On { pool: &database.pool, declared: &declared };
    let provider = which.provider.map_or("all", ProviderName::as_str);
    let details = json!({"resource": which.resource.map(Resource::as_str)});
    Ok(verbs::note(on, &way::typed(), (verb, provider, details)).await?)
}

async fn discard(way: &Way, id: i64, yes: bool, form: OutputArgs) -> CommandResult {
    way.perform(&quarantine::Show { id }).await?;
    if confirm(&format!("Delete record {id} of the quarantine for good?"), yes)? {
        let gone = way.perform(&quarantine::Discard { ids: vec![id] }).await?;
        form.done(&gone, &format!("{} discarded", gone.discarded));
    }
    Ok(())
}

async fn discard_all(database: &Database, which: Which<'_>, yes: bool, form: OutputArgs) -> CommandResult {
    let count = store::count(&database.pool, which).await?;
    if confirm(&format!("Delete {count} records of the quarantine for good?"), yes)? {
        note(database, quarantine::Discard::NAME, which).await?;
        let discarded = store::discard_all(&database.pool, which).await?;
        form.done(&Discarded { discarded }, &format!("{discarded} discarded"));
    }
    Ok(())
}
