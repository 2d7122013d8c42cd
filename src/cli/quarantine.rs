//! `tributary quarantine`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::database::{Database, Login};
use super::progress::{Shown, confirm};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::{CommandResult, Common};
use crate::config;
use crate::encryption;
use crate::store::quarantine::{self, Actor, Chosen, Group, Quarantined, Which};
use crate::sync::{self, Bounds, Replayed, Replayer};
use tributary_domain::{Origin, ProviderName, Resource};

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary quarantine groups --provider acme        what is here for the same fault, as one line
  tributary quarantine show 17                       the record as it came, on standard output
  tributary quarantine preview --group 8f14e45fceea167a --file acme-new.yaml    what it would do; nothing is written
  tributary quarantine replay --group 8f14e45fceea167a
  tributary quarantine replay --provider acme        after the mapping, or what refused them, was put right
  tributary quarantine discard --group 8f14e45fceea167a --reason 'test data of the bank'

A replay or a discard that was stopped goes on when the same is typed again.")]
pub enum QuarantineCommand {
    /// List what is here for the same fault, the most first.
    Groups {
        #[command(flatten)]
        which: WhichArgs,
        /// How many groups at most.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// List records and why they were refused.
    List {
        #[command(flatten)]
        which: WhichArgs,
        /// Only records of this group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["provider", "resource"])]
        group: Option<String>,
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
    /// Show what a replay of a group would do, with the provider's file or another one. Nothing is written.
    Preview {
        /// The group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP")]
        group: String,
        /// The provider file to try instead of the one that runs. No variable has to be set.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Try records again; what succeeds leaves the quarantine.
    Replay {
        #[command(flatten)]
        which: WhichArgs,
        /// Only the record of this id.
        #[arg(long, conflicts_with_all = ["provider", "resource"])]
        id: Option<i64>,
        /// Only records of this group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["id", "provider", "resource"])]
        group: Option<String>,
    },
    /// Delete records for good. Who did so and why is kept, and which records they were, but not what they held.
    Discard {
        /// The record's id; without it and --group, all that --provider and --resource name.
        #[arg(conflicts_with_all = ["provider", "resource"])]
        id: Option<i64>,
        /// Only records of this group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["id", "provider", "resource"])]
        group: Option<String>,
        #[command(flatten)]
        which: WhichArgs,
        /// Why, in a few words.
        #[arg(long, value_name = "TEXT", value_parser = why)]
        reason: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

fn why(text: &str) -> Result<String, String> {
    quarantine::why(text).map(str::to_owned)
}

/// What the options of a command choose.
fn chosen<'a>(id: Option<i64>, group: Option<&'a str>, which: &'a WhichArgs) -> Chosen<'a> {
    match (id, group) {
        (Some(id), _) => Chosen::One(id),
        (None, Some(group)) => Chosen::Group(group),
        (None, None) => Chosen::All(which.which()),
    }
}

/// Who types, as what is kept of a replay or a discard calls them.
fn person() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    format!("shell:{}", user.map_or_else(|| uid.to_string(), |user| user.name))
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
        QuarantineCommand::Groups { which, limit, form } => {
            groups(&database, which.which(), limit, form).await
        }
        QuarantineCommand::List { which, group, limit, form } => {
            list(&database, chosen(None, group.as_deref(), &which), limit, form).await
        }
        QuarantineCommand::Show { id, form } => show(&database, id, form).await,
        QuarantineCommand::Preview { group, file, form } => {
            preview(common, &database, &group, file.as_deref(), form).await
        }
        QuarantineCommand::Replay { which, id, group } => {
            replay(common, &database, chosen(id, group.as_deref(), &which)).await
        }
        QuarantineCommand::Discard { id, group, which, reason, yes } => {
            discard(&database, chosen(id, group.as_deref(), &which), &reason, yes).await
        }
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
        "group": record.group,
        "attempts": record.attempts, "first_seen": record.first_seen, "last_seen": record.last_seen,
        "stream": origin.map(|origin| &origin.stream), "partition": origin.map(|origin| &origin.partition),
        "raw": String::from_utf8_lossy(record.record.raw())})
}

const GROUPS: [Column; 7] = [
    words("GROUP"),
    numbers("RECORDS"),
    words("PROVIDER"),
    words("RESOURCE"),
    words("STREAM"),
    words("LAST SEEN"),
    words("FAULT"),
];

fn group_row(group: &Group) -> [String; 7] {
    let stream = group.stream.clone().unwrap_or_else(|| "(pushed)".to_owned());
    let (id, provider, resource) = (group.group.clone(), group.provider.clone(), group.resource.clone());
    [id, group.count.to_string(), provider, resource, stream, time(group.last_seen), group.fault.clone()]
}

async fn groups(database: &Database, which: Which<'_>, limit: u32, form: OutputArgs) -> CommandResult {
    let groups = quarantine::groups(&database.pool, which, limit).await?;
    match form.output {
        Output::Json => table::json(&groups),
        Output::Table => table::print(&GROUPS, groups.iter().map(group_row)),
    }
    Ok(())
}

async fn list(database: &Database, chosen: Chosen<'_>, limit: u32, form: OutputArgs) -> CommandResult {
    let (all, _) = quarantine::measure(&database.pool, chosen).await?;
    let keys = encryption::keyring();
    let records = quarantine::list_chosen(&database.pool, &keys, chosen, i64::MIN, limit).await?;
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
    let found = quarantine::find(&database.pool, &encryption::keyring(), id)
        .await
        .map_err(|error| error.to_string())?;
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

async fn preview(
    common: &Common,
    database: &Database,
    id: &str,
    file: Option<&Path>,
    form: OutputArgs,
) -> CommandResult {
    let group = quarantine::group(&database.pool, id).await?;
    let group =
        group.ok_or("no record of this group is in quarantine: `tributary quarantine groups` shows them")?;
    let file = super::preview::file_text(common, &group.provider, file)?;
    let provider: ProviderName = group.provider.parse()?;
    let chosen = Chosen::Group(id);
    let preview = sync::preview_replay(&database.pool, &provider, chosen, &file, Bounds::NONE).await?;
    super::preview::print(&preview, form.output);
    Ok(())
}

async fn replay(common: &Common, database: &Database, chosen: Chosen<'_>) -> CommandResult {
    let providers = config::load_providers(&common.providers, &config::environment)?;
    let compiled =
        providers.iter().filter_map(|provider| Some((provider.name.clone(), provider.compiled()?.clone())));
    let compiled: HashMap<_, _> = compiled.collect();
    if let Chosen::One(id) = chosen {
        find(database, id).await?;
    }
    let shown = Shown::new(Some(quarantine::measure(&database.pool, chosen).await?.0));
    let report = |done: &Replayed| shown.at(done.freed + done.refused, &format!("{} freed", done.freed));
    let done = Replayer::new(&database.pool, compiled).replay(chosen, &person(), &report).await;
    shown.end();
    let done = done?;
    println!(
        "{} freed ({} created, {} updated, {} unchanged), {} stay",
        done.freed, done.tally.created, done.tally.updated, done.tally.unchanged, done.refused
    );
    Ok(())
}

async fn discard(database: &Database, chosen: Chosen<'_>, why: &str, yes: bool) -> CommandResult {
    let question = match chosen {
        Chosen::One(id) => {
            find(database, id).await?;
            format!("Delete record {id} of the quarantine for good?")
        }
        _ => {
            let (count, _) = quarantine::measure(&database.pool, chosen).await?;
            format!("Delete {count} records of the quarantine for good?")
        }
    };
    if !confirm(&question, yes)? {
        return Ok(());
    }
    let shown = Shown::new(None);
    let report = |done: u64| shown.at(done, "discarded");
    let actor = Actor { name: &person(), why: Some(why) };
    let gone = sync::discard(&database.pool, chosen, actor, &report).await;
    shown.end();
    println!("{} discarded", gone?);
    Ok(())
}
