//! `tributary encryption`, and the keys that every command begins with.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::database::{Database, Login};
use super::progress::Shown;
use super::table::{self, Column, Output, OutputArgs, numbers, words};
use super::{CommandResult, Common};
use crate::config::{self, Provider, Source};
use crate::encryption::{self, HOW_TO_SET, Keyring};
use crate::store::database::{LARGE, within};
use crate::store::encrypted::{self, KeyUse};
use crate::store::{Resealed, StoreError, provider_tokens, quarantine, raw_records, statement_files};
use tributary_domain::ProviderName;

/// Rows that are encrypted again in one transaction.
const BATCH: u32 = 500;
/// Statement files, which are larger.
const FILES: u32 = 10;

#[derive(Subcommand)]
#[command(after_help = "To change the key, on a running system:
  1. put the new one first on all instances:  TRIBUTARY_ENCRYPTION_KEYS=new:…,old:…
  2. tributary encryption rotate
  3. once it says that no row uses the old one, take it out. Backups from before still need it.")]
pub enum EncryptionCommand {
    /// Show which keys are in use, by table.
    Status {
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Encrypt with the first key all that is encrypted with others, and tokens that are not encrypted;
    /// with TRIBUTARY_ENCRYPT_RECORDS=true, records, too. May be stopped and run again at any time.
    Rotate,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Gives the process the keys of the environment and, behind them, that of the private PostgreSQL whose
/// data folder is `private`.
pub fn install(private: Option<&Path>) -> Result<(), Error> {
    let named = config::environment("TRIBUTARY_ENCRYPTION_KEYS").unwrap_or_default();
    let own = match private {
        Some(data) => encryption::private_key(data)
            .map_err(|error| format!("cannot use the key file in {}: {error}", data.display()))?,
        None => String::new(),
    };
    let keys = Keyring::parse(&format!("{named},{own}"))
        .map_err(|error| format!("TRIBUTARY_ENCRYPTION_KEYS: {error}"))?;
    let records = match config::environment("TRIBUTARY_ENCRYPT_RECORDS").as_deref() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => return Err("TRIBUTARY_ENCRYPT_RECORDS: is true or false".into()),
    };
    if records && keys.ids().next().is_none() {
        return Err(format!("TRIBUTARY_ENCRYPT_RECORDS is true, and there is no key: {HOW_TO_SET}").into());
    }
    encryption::install(keys.encrypting_records(records));
    Ok(())
}

/// Refuses providers that have something to keep which may not be kept unencrypted, where there is no
/// key.
pub fn require(providers: &[Provider]) -> Result<(), Error> {
    let refreshes =
        |provider: &&Provider| matches!(&provider.source, Source::Pull(pulled) if pulled.refreshes());
    providers.iter().find(refreshes).map_or(Ok(()), |provider| require_key(&provider.name))
}

/// As [`require`], of one that has.
pub fn require_key(provider: &ProviderName) -> Result<(), Error> {
    if encryption::keyring().ids().next().is_some() {
        return Ok(());
    }
    Err(format!(
        "provider {provider} exchanges refresh tokens, which are kept encrypted, and there is no key: {HOW_TO_SET}"
    )
    .into())
}

pub async fn run(common: &Common, command: EncryptionCommand) -> CommandResult {
    let database = Database::open_migrated(common, Login::Service, 2).await?;
    let result = match command {
        EncryptionCommand::Status { form } => status(&database, form).await,
        EncryptionCommand::Rotate => rotate(&database).await,
    };
    database.close().await;
    result
}

const USES: [Column; 3] = [words("TABLE"), words("KEY"), numbers("ROWS")];

async fn status(database: &Database, form: OutputArgs) -> CommandResult {
    let (keys, uses) = (encryption::keyring(), encrypted::key_uses(&database.pool).await?);
    match form.output {
        Output::Json => table::json(&json!({ "keys": keys.ids().collect::<Vec<_>>(), "uses": uses })),
        Output::Table => {
            table::print(&USES, uses.iter().map(row));
            advise(&keys, &uses);
        }
    }
    Ok(())
}

fn row(used: &KeyUse) -> [String; 3] {
    let key = used.key_id.clone().unwrap_or_else(|| "not encrypted".to_owned());
    [used.table.clone(), key, used.rows.to_string()]
}

/// Says what may be done about each key.
fn advise(keys: &Keyring, uses: &[KeyUse]) {
    let rows = |id: &str| -> i64 {
        uses.iter().filter(|used| used.key_id.as_deref() == Some(id)).map(|used| used.rows).sum()
    };
    for (place, id) in keys.ids().enumerate() {
        match (place, rows(id)) {
            (0, rows) => println!("{id}: encrypts; {rows} rows"),
            (_, 0) => println!(
                "{id}: no row uses it; once all instances have another one first, take it out of \
                 TRIBUTARY_ENCRYPTION_KEYS. Backups from before still need it"
            ),
            (_, rows) => println!("{id}: {rows} rows still use it: `tributary encryption rotate`"),
        }
    }
    let missing =
        |used: &&KeyUse| used.key_id.as_deref().is_some_and(|id| !keys.ids().any(|known| known == id));
    for used in uses.iter().filter(missing) {
        println!(
            "{}: missing, and {} rows of {} cannot be read without it: add it to TRIBUTARY_ENCRYPTION_KEYS",
            used.key_id.as_deref().unwrap_or_default(),
            used.rows,
            used.table
        );
    }
}

async fn rotate(database: &Database) -> CommandResult {
    let keys = encryption::keyring();
    let Some(first) = keys.ids().next().map(str::to_owned) else {
        return Err(format!("there is no key to encrypt with: {HOW_TO_SET}").into());
    };
    let shown = Shown::new(None);
    let done = reseal_all(database, &keys, &shown).await;
    shown.end();
    let done = done?;
    println!("{} rows encrypted with {first}", done.changed);
    advise(&keys, &encrypted::key_uses(&database.pool).await?);
    match done.why {
        None => Ok(()),
        Some(why) => Err(format!("{} rows stay as they are: {why}", done.unreadable).into()),
    }
}

async fn reseal_all(database: &Database, keys: &Keyring, shown: &Shown) -> Result<Resealed, StoreError> {
    let pool = &database.pool;
    let mut done = within(LARGE, provider_tokens::reseal(pool, keys)).await?;
    let mut after = raw_records::After::default();
    while let Some(more) = within(LARGE, raw_records::reseal(pool, keys, &mut after, BATCH)).await? {
        done.add(more);
        shown.at(done.changed, "raw records");
    }
    let mut after = i64::MIN;
    while let Some(more) = within(LARGE, quarantine::reseal(pool, keys, &mut after, BATCH)).await? {
        done.add(more);
        shown.at(done.changed, "records in quarantine");
    }
    let mut after = (String::new(), Vec::new());
    while let Some(more) = within(LARGE, statement_files::reseal(pool, keys, &mut after, FILES)).await? {
        done.add(more);
        shown.at(done.changed, "statement files");
    }
    Ok(done)
}
