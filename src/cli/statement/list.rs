//! `tributary statement list`, `files` and `show`.

use clap::Args;

use super::super::database::Login;
use super::super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::super::way::{At, Way};
use super::super::{CommandResult, Common};
use crate::store::listed_statement_files::{ListedFile, SeenFile};
use crate::store::listed_statements::{ListedAccount, ListedMovement, ListedStatement, OpenStatement};
use crate::verbs::statements::{Files, List, Show};
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary statement list                          accounts with what is missing of them, and the latest statements
  tributary statement list --provider mybank --account DE89370400440532013000
  tributary statement list --provider mybank --before 4711 --output json")]
pub struct ListArgs {
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Only those of this account, as the bank writes it.
    #[arg(long)]
    account: Option<String>,
    /// Only those of accounts in this currency.
    #[arg(long)]
    currency: Option<String>,
    /// Only statements that were taken before the one of this number.
    #[arg(long, value_name = "STATEMENT")]
    before: Option<i64>,
    /// How many statements at most, the latest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

pub async fn list(common: &Common, args: ListArgs) -> CommandResult {
    let ListArgs { provider, account, currency, before, limit, form, at } = args;
    let way = Way::open(common, &at, Login::Service).await?;
    let verb = List { provider, account, currency, before, limit: Some(limit) };
    let listed = way.perform_and_close(&verb).await?;
    match form.output {
        Output::Json => table::json(&listed),
        Output::Table => {
            table::print(&ACCOUNTS, listed.accounts.iter().map(account_row));
            if !listed.open.is_empty() {
                println!();
                table::print(&OPEN, listed.open.iter().map(open_row));
            }
            println!();
            table::print(&STATEMENTS, listed.statements.iter().map(statement_row));
        }
    }
    Ok(())
}

#[derive(Args)]
#[command(after_help = "Examples:
  tributary statement files --provider mybank       the latest files, and what became of each
  tributary statement files --limit 1000 --output json")]
pub struct FilesArgs {
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Only those that came before the file of this number.
    #[arg(long, value_name = "FILE")]
    before: Option<i64>,
    /// How many files at most, the latest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

pub async fn files(common: &Common, args: FilesArgs) -> CommandResult {
    let FilesArgs { provider, before, limit, form, at } = args;
    let way = Way::open(common, &at, Login::Service).await?;
    let listed = way.perform_and_close(&Files { provider, before, limit: Some(limit) }).await?;
    match form.output {
        Output::Json => table::json(&listed),
        Output::Table => {
            table::print(&FILES, listed.files.iter().map(file_row));
            if !listed.not_taken.is_empty() {
                println!();
                table::print(&NOT_TAKEN, listed.not_taken.iter().map(seen_row));
            }
        }
    }
    Ok(())
}

#[derive(Args)]
#[command(after_help = "Example:
  tributary statement show mybank 4711      a statement of the list, and the transactions that it tells of")]
pub struct ShowArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// The number of the statement, as the list shows it.
    statement: i64,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

pub async fn show(common: &Common, args: ShowArgs) -> CommandResult {
    let ShowArgs { provider, statement, form, at } = args;
    let way = Way::open(common, &at, Login::Service).await?;
    let shown = way.perform_and_close(&Show { provider, statement }).await?;
    match form.output {
        Output::Json => table::json(&shown),
        Output::Table => {
            table::print(&STATEMENTS, std::iter::once(statement_row(&shown.statement)));
            println!();
            table::print(&MOVEMENTS, shown.movements.iter().map(movement_row));
        }
    }
    Ok(())
}

fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

fn yes_or_no(known: Option<bool>) -> String {
    or_dash(known.map(|yes| if yes { "yes" } else { "no" }))
}

const ACCOUNTS: [Column; 9] = [
    words("PROVIDER"),
    words("ACCOUNT"),
    words("CURRENCY"),
    words("CLOSED"),
    numbers("WITH"),
    numbers("GAPS"),
    numbers("OFF BY"),
    words("LATE SINCE"),
    words("FIRST GAP"),
];

fn account_row(account: &ListedAccount) -> [String; 9] {
    [
        account.provider.clone(),
        account.account.clone(),
        account.currency.clone(),
        or_dash(account.closing_day),
        or_dash(account.closing.as_ref()),
        (i64::from(account.broken_chains) + i64::from(account.missing_numbers)).to_string(),
        account.off_by.clone(),
        or_dash(account.late_since.map(time)),
        or_dash(account.gaps.first()),
    ]
}

const OPEN: [Column; 8] = [
    numbers("STATEMENT"),
    words("PROVIDER"),
    words("NOT PUBLISHED"),
    words("NUMBER"),
    words("DAY"),
    words("STATE"),
    numbers("MISSING"),
    words("WHY"),
];

fn open_row(open: &OpenStatement) -> [String; 8] {
    [
        open.statement.to_string(),
        open.provider.clone(),
        format!("{} {}", open.account, open.currency),
        or_dash(open.number.as_ref()),
        or_dash(open.closing_day),
        open.state.clone(),
        or_dash(open.missing.as_ref()),
        or_dash(open.reason.as_ref()),
    ]
}

const STATEMENTS: [Column; 13] = [
    numbers("STATEMENT"),
    words("PROVIDER"),
    words("ACCOUNT"),
    words("NUMBER"),
    words("DAY"),
    numbers("OPENING"),
    numbers("CLOSING"),
    numbers("ENTRIES"),
    words("STATE"),
    words("CLOSES"),
    words("CHAINS"),
    numbers("MISSING"),
    words("WHY"),
];

fn statement_row(statement: &ListedStatement) -> [String; 13] {
    let state = match (statement.restated, statement.settled_at) {
        (true, _) => format!("{}, restated", statement.state),
        (_, Some(_)) => format!("{}, came whole", statement.state),
        _ => statement.state.clone(),
    };
    [
        statement.statement.to_string(),
        statement.provider.clone(),
        format!("{} {}", statement.account, statement.currency),
        or_dash(statement.number.as_ref()),
        or_dash(statement.closing_day),
        or_dash(statement.opening.as_ref()),
        or_dash(statement.closing.as_ref()),
        statement.entries.to_string(),
        state,
        yes_or_no(statement.closes),
        yes_or_no(statement.chains),
        or_dash(statement.missing.as_ref()),
        or_dash(statement.reason.as_ref()),
    ]
}

const MOVEMENTS: [Column; 5] =
    [words("TRANSACTION"), words("STATE"), numbers("AMOUNT"), words("CREATED"), words("ORDER")];

fn movement_row(movement: &ListedMovement) -> [String; 5] {
    [
        movement.id.clone(),
        movement.state.clone(),
        movement.amount.clone(),
        time(movement.created_at),
        or_dash(movement.order_reference.as_ref()),
    ]
}

const FILES: [Column; 10] = [
    numbers("FILE"),
    words("PROVIDER"),
    words("NAME"),
    words("SHA-256"),
    words("SOURCE"),
    words("FORMAT"),
    numbers("BYTES"),
    words("RECEIVED"),
    numbers("CAME AGAIN"),
    words("WHAT BECAME OF IT"),
];

fn file_row(file: &ListedFile) -> [String; 10] {
    [
        file.file.to_string(),
        file.provider.clone(),
        file.name.clone(),
        file.sha256.chars().take(12).collect(),
        file.source.clone(),
        file.formats.join(", "),
        file.size.to_string(),
        time(file.received_at),
        file.repeats.to_string(),
        file.became(),
    ]
}

const NOT_TAKEN: [Column; 4] =
    [words("PROVIDER"), words("SEEN AND NOT TAKEN"), words("AS IT IS SINCE"), words("SEEN LAST")];

fn seen_row(seen: &SeenFile) -> [String; 4] {
    [seen.provider.clone(), seen.path.clone(), time(seen.first_seen), time(seen.last_seen)]
}
