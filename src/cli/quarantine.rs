//! `tributary quarantine`.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::database::{Database, Login};
use super::progress::{Shown, confirm};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::{CommandResult, Common};
use crate::config;
use crate::store::quarantine::{self, Quarantined, Which};
use crate::sync::{Replayed, Replayer};
use tributary_domain::{Origin, ProviderName, Resource};

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary quarantine list --provider acme
  tributary quarantine show 17                       the record as it came, on standard output
  tributary quarantine replay --provider acme        after the mapping, or what refused them, was put right
  tributary quarantine discard 17 --yes")]
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

pub async fn run(common: &Common, command: QuarantineCommand) -> CommandResult {
    let database = Database::open_migrated(common, Login::Service, 4).await?;
    let result = match command {
        QuarantineCommand::List { which, limit, form } => list(&database, which.which(), limit, form).await,
        QuarantineCommand::Show { id, form } => show(&database, id, form).await,
        QuarantineCommand::Replay { which, id } => replay(common, &database, which.which(), id).await,
        QuarantineCommand::Discard { id, which, yes } => discard(&database, id, which.which(), yes).await,
    };
    database.close().await;
    result
}

const RECORDS: [Column; 6] = [
    numbers("ID"),
    words("PROVIDER"),
    words("RESOURCE"),
    numbers("ATTEMPTS"),
    words("FIRST SEEN"),
    words("REASON"),
];

fn row(record: &Quarantined) -> [String; 6] {
    let (id, attempts) = (record.id.to_string(), record.attempts.to_string());
    let (provider, resource) = (record.provider.clone(), record.resource.clone());
    [id, provider, resource, attempts, time(record.first_seen), record.reason.clone()]
}

fn described(record: &Quarantined) -> serde_json::Value {
    let origin = record.record.origin();
    json!({"id": record.id, "provider": record.provider, "resource": record.resource, "reason": record.reason,
        "attempts": record.attempts, "first_seen": record.first_seen, "last_seen": record.last_seen,
        "stream": origin.map(|origin| &origin.stream), "partition": origin.map(|origin| &origin.partition),
        "raw": String::from_utf8_lossy(record.record.raw())})
}

async fn list(database: &Database, which: Which<'_>, limit: u32, form: OutputArgs) -> CommandResult {
    let all = quarantine::count(&database.pool, which).await?;
    let records = quarantine::list(&database.pool, which, i64::MIN, limit).await?;
    match form.output {
        Output::Json => table::json(&records.iter().map(described).collect::<Vec<_>>()),
        Output::Table => table::print(&RECORDS, records.iter().map(row)),
    }
    let more = all.saturating_sub(records.len() as u64);
    if more > 0 {
        eprintln!("and {more} more; --limit shows more of them");
    }
    Ok(())
}

async fn find(database: &Database, id: i64) -> Result<Quarantined, String> {
    let found = quarantine::find(&database.pool, id).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| {
        format!("there is no record {id} in quarantine; `tributary quarantine list` shows what there is")
    })
}

async fn show(database: &Database, id: i64, form: OutputArgs) -> CommandResult {
    let record = find(database, id).await?;
    if form.output == Output::Json {
        table::json(&described(&record));
        return Ok(());
    }
    eprintln!("{} of {}: {}", record.resource, record.provider, record.reason);
    eprintln!(
        "{} attempts, first {}, last {}",
        record.attempts,
        time(record.first_seen),
        time(record.last_seen)
    );
    match record.record.origin() {
        Some(Origin { stream, partition, .. }) if partition.is_empty() => eprintln!("of the stream {stream}"),
        Some(Origin { stream, partition, .. }) => eprintln!("of the stream {stream}, partition {partition}"),
        None => eprintln!("a canonical record"),
    }
    println!("{}", String::from_utf8_lossy(record.record.raw()));
    Ok(())
}

async fn replay(common: &Common, database: &Database, which: Which<'_>, id: Option<i64>) -> CommandResult {
    let providers = config::load_providers(&common.providers, &config::environment)?;
    let compiled =
        providers.iter().filter_map(|provider| Some((provider.name.clone(), provider.compiled()?.clone())));
    let compiled: HashMap<_, _> = compiled.collect();
    let replayer = Replayer::new(&database.pool, compiled);
    let done = match id {
        Some(id) => {
            let mut done = Replayed::default();
            replayer.replay(&find(database, id).await?, &mut done).await?;
            done
        }
        None => {
            let shown = Shown::new(Some(quarantine::count(&database.pool, which).await?));
            let report =
                |done: &Replayed| shown.at(done.freed + done.refused, &format!("{} freed", done.freed));
            let done = replayer.replay_all(which, &report).await;
            shown.end();
            done?
        }
    };
    println!(
        "{} freed ({} created, {} updated, {} unchanged), {} stay",
        done.freed, done.tally.created, done.tally.updated, done.tally.unchanged, done.refused
    );
    Ok(())
}

async fn discard(database: &Database, id: Option<i64>, which: Which<'_>, yes: bool) -> CommandResult {
    let gone = match id {
        Some(id) => {
            find(database, id).await?;
            if !confirm(&format!("Delete record {id} of the quarantine for good?"), yes)? {
                return Ok(());
            }
            quarantine::discard(&mut *database.pool.acquire().await?, &[id]).await?
        }
        None => {
            let count = quarantine::count(&database.pool, which).await?;
            if !confirm(&format!("Delete {count} records of the quarantine for good?"), yes)? {
                return Ok(());
            }
            quarantine::discard_all(&database.pool, which).await?
        }
    };
    println!("{gone} discarded");
    Ok(())
}
