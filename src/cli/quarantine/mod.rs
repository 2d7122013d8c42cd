//! `tributary quarantine`.

mod print;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::database::Login;
use super::preview;
use super::progress::{Shown, confirm};
use super::table::OutputArgs;
use super::way::{At, Way, typed};
use super::{CommandResult, Common};
use crate::store::quarantine::{Chosen, Which, why};
use crate::verbs::On;
use crate::verbs::quarantine::{self, Discarded, Outcome};
use tributary_domain::{ProviderName, Resource};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary quarantine groups                        what is here for the same fault, on a line
  tributary quarantine list --provider acme
  tributary quarantine show 17                       the record as it came, on standard output
  tributary quarantine preview --group 0a1b2c3d4e5f6071 --file acme-new.yaml
  tributary quarantine replay --group 0a1b2c3d4e5f6071
  tributary quarantine replay --provider acme        after the mapping, or what refused them, was put right
  tributary quarantine discard 17 --yes --reason \"test data\"")]
pub struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// List what is here for the same fault as one group, the largest first.
    Groups {
        #[command(flatten)]
        which: WhichArgs,
        /// How many groups at most.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// List who had records replayed or discarded, newest first, and how far that is.
    Actions {
        /// Only of this group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_name = "N")]
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
    /// Show what a replay of a group would do. Nothing is written.
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
    /// Try records again; what succeeds leaves the quarantine. Where it is stopped, the same again does the rest.
    Replay {
        #[command(flatten)]
        which: WhichArgs,
        /// Only the record of this id.
        #[arg(long, conflicts_with_all = ["provider", "resource"])]
        id: Option<i64>,
        /// Only records of this group, as `quarantine groups` shows it.
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["id", "provider", "resource"])]
        group: Option<String>,
        #[command(flatten)]
        form: OutputArgs,
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
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        form: OutputArgs,
    },
}

fn reason(text: &str) -> Result<String, String> {
    why(text).map(str::to_owned)
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
    fn all(&self) -> Chosen<'_> {
        Chosen::All(Which { provider: self.provider.as_ref(), resource: self.resource })
    }

    /// As a verb takes them.
    fn named(self) -> (Option<ProviderName>, Option<String>) {
        (self.provider, self.resource.map(|resource| resource.as_str().to_owned()))
    }
}

pub async fn run(common: &Common, args: QuarantineArgs) -> CommandResult {
    let at = &args.at;
    let open = async || Way::open(common, at, Login::Service).await;
    match args.command {
        QuarantineCommand::Groups { which, limit, form } => {
            let (provider, resource) = which.named();
            let groups = quarantine::Groups { provider, resource, limit: Some(limit) };
            print::groups(&open().await?.perform_and_close(&groups).await?, form);
        }
        QuarantineCommand::Actions { group, limit, form } => {
            let actions = quarantine::Actions { group, limit: Some(limit) };
            print::actions(&open().await?.perform_and_close(&actions).await?, form);
        }
        QuarantineCommand::List { which, group, limit, form } => {
            let (provider, resource) = which.named();
            let list = quarantine::List { provider, resource, group, limit: Some(limit) };
            print::records(&open().await?.perform_and_close(&list).await?, form);
        }
        QuarantineCommand::Show { id, form } => {
            print::show(&open().await?.perform_and_close(&quarantine::Show { id }).await?, form);
        }
        QuarantineCommand::Preview { group, file, form } => {
            let previewed = try_group(common, at, group, file.as_deref()).await?;
            preview::print(&previewed, form.output);
        }
        QuarantineCommand::Replay { which, id, group, form } => {
            let verb = quarantine::Replay { ids: id.into_iter().collect(), group };
            replay(common, at, &which, &verb, form).await?;
        }
        QuarantineCommand::Discard { id, group, which, reason, yes, form } => {
            let verb = quarantine::Discard { ids: id.into_iter().collect(), group, reason };
            discard(common, at, &which, &verb, (yes, form)).await?;
        }
    }
    Ok(())
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn try_group(
    common: &Common,
    at: &At,
    group: String,
    file: Option<&Path>,
) -> Result<crate::sync::Preview, Error> {
    let (file, folder) = preview::given(common, file)?;
    let way = match file {
        Some(_) => Way::open(common, at, Login::Service).await?,
        None => Way::open_with_texts(common, at, Login::Service).await?,
    };
    way.perform_and_close(&quarantine::Preview { group, file, folder }).await
}

/// Replays what the verb names; where it names nothing, all of `which`, on the database alone.
async fn replay(
    common: &Common,
    at: &At,
    which: &WhichArgs,
    verb: &quarantine::Replay,
    form: OutputArgs,
) -> CommandResult {
    let all = verb.ids.is_empty() && verb.group.is_none();
    if all {
        at.only_database("quarantine replay, of all records,")?;
    }
    let way = Way::open_with_files(common, at, Login::Service).await?;
    let shown = Shown::new(None);
    let report = |done: u64, freed: &str| shown.at(done, freed);
    let outcome = match &way {
        Way::Database { database, declared } if all => {
            let on = On::reporting(&database.pool, declared, &report);
            quarantine::replay(on, &typed(), which.all()).await.map_err(Error::from)
        }
        way => way.perform_reporting(verb, &report).await,
    };
    shown.end();
    way.close().await;
    let outcome: Outcome = outcome?;
    form.done(&outcome, &outcome.to_string());
    Ok(())
}

/// Deletes what the verb names; where it names nothing, all of `which`, on the database alone.
async fn discard(
    common: &Common,
    at: &At,
    which: &WhichArgs,
    verb: &quarantine::Discard,
    (yes, form): (bool, OutputArgs),
) -> CommandResult {
    let all = verb.ids.is_empty() && verb.group.is_none();
    if all {
        at.only_database("quarantine discard, of all records,")?;
    }
    let way = Way::open(common, at, Login::Service).await?;
    let gone = try_discard(&way, which, verb, yes).await;
    way.close().await;
    if let Some(gone) = gone? {
        form.done(&gone, &gone.to_string());
    }
    Ok(())
}

/// `None` where somebody who was asked does not want it.
async fn try_discard(
    way: &Way,
    which: &WhichArgs,
    verb: &quarantine::Discard,
    yes: bool,
) -> Result<Option<Discarded>, Error> {
    if let [id] = verb.ids[..] {
        way.perform(&quarantine::Show { id }).await?;
    }
    let (provider, resource) = match verb.group {
        Some(_) => (None, None),
        None => (which.provider.clone(), which.resource.map(|resource| resource.as_str().to_owned())),
    };
    let question = match verb.ids[..] {
        [id] => format!("Delete record {id} of the quarantine for good?"),
        _ => {
            let list = quarantine::List { provider, resource, group: verb.group.clone(), limit: Some(1) };
            let count = way.perform(&list).await?.all;
            format!("Delete {count} records of the quarantine for good?")
        }
    };
    if !confirm(&question, yes)? {
        return Ok(None);
    }
    let shown = Shown::new(None);
    let report = |done: u64, what: &str| shown.at(done, what);
    let gone = match way {
        Way::Database { database, declared } if verb.ids.is_empty() && verb.group.is_none() => {
            let on = On::reporting(&database.pool, declared, &report);
            quarantine::discard(on, &typed(), which.all(), &verb.reason).await.map_err(Error::from)
        }
        way => way.perform_reporting(verb, &report).await,
    };
    shown.end();
    gone.map(Some)
}
