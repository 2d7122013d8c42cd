//! `tributary erase`.

use clap::Args;
use serde_json::json;

use super::database::{Database, Login};
use super::progress::confirm;
use super::table::{self, Column, Output, OutputArgs, numbers, words};
use super::{CommandResult, Common};
use crate::encryption;
use crate::records::erase::{self, Found, Wanted};
use crate::store::erasures::{self, Erased, ORDER_ENDED};
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary erase --provider acme --id payee-17 --with-payments --also 'Jane Doe' --dry-run
  tributary erase --provider acme --id payee-17 --with-payments --also 'Jane Doe'

What goes: names and metadata of the record, of what is related to it and of what was published of them;
descriptions, metadata and reasons of orders that have ended, and what the audit says of their content; raw
records, records in quarantine and refusals in which the id is a value, or that have one of the words of
--also. What stays: ids, types, amounts, states, times and positions; Formance counts on them. Nothing is
published for it, so Formance keeps its copy, and the provider its own: erase it there first, as what is
read anew under another id comes anew. Cannot be undone, but by a backup: those keep the data, too.")]
pub struct EraseArgs {
    /// The provider, as its file names it.
    #[arg(long)]
    provider: ProviderName,
    /// The id of an account, a beneficiary or a transaction, or of an order or its idempotency key.
    #[arg(long)]
    id: String,
    /// Also the transactions and orders from or to the account or beneficiary.
    #[arg(long)]
    with_payments: bool,
    /// A name, address or number: what was kept as it came and has it goes, too. May be given again.
    #[arg(long, value_name = "TEXT")]
    also: Vec<String>,
    /// Only tell how much would go.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask back.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    form: OutputArgs,
}

pub async fn run(common: &Common, args: EraseArgs) -> CommandResult {
    if args.id.is_empty() || args.also.iter().any(|word| word.trim().chars().count() < 3) {
        return Err("--id is an id, and each --also has 3 characters at least".into());
    }
    let database = Database::open_migrated(common, Login::Owner, 3).await?;
    let result = erase(&database, &args).await;
    database.close().await;
    result
}

async fn erase(database: &Database, args: &EraseArgs) -> CommandResult {
    let EraseArgs { provider, id, with_payments, also, .. } = args;
    let wanted = Wanted { provider, id, with_payments: *with_payments, also };
    let found = erase::find(&database.pool, &encryption::keyring(), wanted).await?;
    if let Some((stream, key)) = found.open.first() {
        return Err(format!(
            "{} records of it may still change at the provider, the first of them {key:?} of the stream {stream}: what \
             becomes of them would be lost. Erase it once they have ended (`open` in the provider's file says when); to \
             give them up, delete their rows of sync_open_records",
            found.open.len()
        )
        .into());
    }
    let all = trial(database, wanted, &found).await?;
    if all.iter().all(|erased| erased.rows == 0) {
        return Err(format!("{provider} has nothing under the id {id:?} that is not erased yet").into());
    }
    let question = format!("Erase {} for good?", told(&all));
    if args.dry_run {
        print(args, &all, &found);
    } else if confirm(&question, args.yes)? {
        print(args, &erase::erase(&database.pool, wanted, &found, false).await?, &found);
    } else {
        return Ok(());
    }
    tell_what_is_left(database, args).await
}

/// How much would go.
async fn trial(
    database: &Database,
    wanted: Wanted<'_>,
    found: &Found,
) -> Result<Vec<Erased>, Box<dyn std::error::Error + Send + Sync>> {
    match erase::erase(&database.pool, wanted, found, true).await {
        Err(error) if error.broke(ORDER_ENDED) => Err(format!(
            "an order of {:?} is open: what it says has still to be sent, or compared. `tributary payouts list` shows it; \
             erase once it has ended",
            wanted.id
        )
        .into()),
        erased => Ok(erased?),
    }
}

fn told(erased: &[Erased]) -> String {
    let parts: Vec<String> = erased
        .iter()
        .filter(|erased| erased.rows > 0)
        .map(|erased| format!("{} rows of {}", erased.rows, erased.table))
        .collect();
    parts.join(", ")
}

const ERASED: [Column; 2] = [words("TABLE"), numbers("ROWS")];

fn print(args: &EraseArgs, erased: &[Erased], found: &Found) {
    match args.form.output {
        Output::Json => {
            table::json(&json!({"dry_run": args.dry_run, "erased": erased, "quarantine": found.quarantine}));
        }
        Output::Table => {
            let some = erased.iter().filter(|erased| erased.rows > 0);
            table::print(&ERASED, some.map(|erased| [erased.table.clone(), erased.rows.to_string()]));
        }
    }
    if args.dry_run && !found.quarantine.is_empty() {
        let ids: Vec<String> = found.quarantine.iter().map(ToString::to_string).collect();
        eprintln!(
            "In quarantine, and never served: {}. Look at them first: `tributary quarantine show ID`",
            ids.join(", ")
        );
    }
    if args.dry_run {
        eprintln!("Nothing was erased.");
    }
}

async fn tell_what_is_left(database: &Database, args: &EraseArgs) -> CommandResult {
    let (transactions, orders) = erasures::naming(&database.pool, &args.provider, &args.id).await?;
    if !args.with_payments && transactions + orders > 0 {
        eprintln!(
            "Left as they are: {transactions} transactions and {orders} orders from or to it, which may name the person, \
             too; --with-payments takes them along"
        );
    }
    Ok(())
}
