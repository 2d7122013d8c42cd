//! `tributary payouts`: payouts and transfers, seen by the operator.

mod decide;
mod show;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::{CommandResult, Common};
use crate::store::payment_orders::{self, Order};
use crate::store::payment_refusals::{self, KeptRefusal};
use crate::store::unmatched_records;
use decide::{accept_secret, approve, reject, resolve};
use show::{described, show};
use tributary_domain::{OrderState, ProviderName};

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary payouts list                             what is under way, held or parked
  tributary payouts list --state parked              what waits for a person
  tributary payouts list --refused                   requests that were refused, and why
  tributary payouts show invoice-17                  an order with all that happened to it, by idempotency key or id
  tributary payouts approve invoice-17
  tributary payouts reject invoice-17 --reason \"not ours\"
  tributary payouts resolve invoice-17 --outcome succeeded --payment-id 5f0c…
  tributary payouts resolve invoice-17 --outcome failed --reason \"the provider says it never arrived\"
  tributary payouts accept-secret                    after the payment secret was lost or changed, as the owner; one is
                                                     made by openssl rand -base64 32

Who decides is the login of DATABASE_URL, a member of tributary_operator; in the private PostgreSQL, of --login.")]
pub enum PayoutsCommand {
    /// List payouts and transfers, newest first.
    List(ListArgs),
    /// Print an order and its history.
    Show {
        /// The order's id, or its idempotency key.
        order: String,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Approve an order that is held. It is sent when as many persons have approved it as its provider's file
    /// asks for; whoever placed it is none of them.
    Approve {
        /// The order's id, or its idempotency key.
        order: String,
        #[command(flatten)]
        by: Person,
    },
    /// Fail an order that is held, or that was never sent (the provider does not process it, or
    /// cannot be reached). No money moves.
    Reject {
        /// The order's id, or its idempotency key.
        order: String,
        #[command(flatten)]
        by: Person,
        /// Why, for the person who ordered it.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Decide what became of an order that is parked.
    Resolve(ResolveArgs),
    /// Take the payment secret that is there now as the one in use, after it was lost or changed
    /// ("The payment secret" in docs/payouts.md says what that means).
    AcceptSecret,
}

#[derive(Args)]
pub struct ListArgs {
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Only those in this state; several may be given [default: all that have not ended].
    #[arg(long, value_parser = state_parser())]
    state: Vec<OrderState>,
    /// Those that have ended, too.
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Requests that were refused, instead of orders.
    #[arg(long, conflicts_with_all = ["state", "all"])]
    refused: bool,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    form: OutputArgs,
}

#[derive(Args)]
pub struct Person {
    /// Who decides, in the private PostgreSQL: a login in tributary_operator, whose password is in PGPASSWORD
    /// or a password file. DATABASE_URL names the login itself.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    login: Option<String>,
}

#[derive(Args)]
pub struct ResolveArgs {
    /// The order's id, or its idempotency key.
    order: String,
    /// What became of it.
    #[arg(long)]
    outcome: Outcome,
    /// The provider's id of the payment, if it succeeded: the provider's record of it is then known
    /// for this order, and not shown as another payment.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    payment_id: Option<String>,
    /// Why it failed, for the person who ordered it.
    #[arg(long, required_if_eq("outcome", "failed"), value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    by: Person,
}

#[derive(Clone, Copy, ValueEnum)]
enum Outcome {
    /// The money moved.
    Succeeded,
    /// No money moved, and none will: the person who ordered it may try again.
    Failed,
    /// Look for it at the provider again.
    Look,
}

fn state_parser() -> impl TypedValueParser<Value = OrderState> {
    PossibleValuesParser::new(OrderState::ALL.map(OrderState::as_str)).try_map(|name| name.parse())
}

pub async fn run(common: &Common, command: PayoutsCommand) -> CommandResult {
    let database = Database::open_migrated(common, login(common, &command)?, 4).await?;
    let result = match &command {
        PayoutsCommand::List(args) if args.refused => refused(&database, args).await,
        PayoutsCommand::List(args) => list(&database, args).await,
        PayoutsCommand::Show { order, form } => show(&database, order, *form).await,
        PayoutsCommand::Approve { order, .. } => approve(&database, order).await,
        PayoutsCommand::Reject { order, reason, .. } => reject(&database, order, reason).await,
        PayoutsCommand::Resolve(args) => resolve(&database, args).await,
        PayoutsCommand::AcceptSecret => accept_secret(common, &database).await,
    };
    database.close().await;
    result
}

/// As whom the command uses the private PostgreSQL.
fn login<'a>(common: &Common, command: &'a PayoutsCommand) -> Result<Login<'a>, String> {
    let person = match command {
        PayoutsCommand::List(_) | PayoutsCommand::Show { .. } | PayoutsCommand::AcceptSecret => {
            return Ok(Login::Owner);
        }
        PayoutsCommand::Approve { by, .. } | PayoutsCommand::Reject { by, .. } => by,
        PayoutsCommand::Resolve(args) => &args.by,
    };
    match (&person.login, &common.database_url) {
        (Some(_), Some(_)) => {
            Err("--login is for the private PostgreSQL: DATABASE_URL names the login".to_owned())
        }
        (None, None) => Err("say who decides, with --login: a login in tributary_operator".to_owned()),
        (Some(login), None) => Ok(Login::Person(login)),
        (None, Some(_)) => Ok(Login::Owner),
    }
}

async fn list(database: &Database, args: &ListArgs) -> CommandResult {
    let mut states = args.state.clone();
    if states.is_empty() && !args.all {
        states.extend(OrderState::ALL.into_iter().filter(|state| !state.has_ended()));
    }
    let orders = payment_orders::list(&database.pool, args.provider.as_ref(), &states, args.limit).await?;
    match args.form.output {
        Output::Json => table::json(&orders.iter().map(described).collect::<Vec<_>>()),
        Output::Table => table::print(&ORDERS, orders.iter().map(row)),
    }
    let waiting = unmatched_records::count(&database.pool, args.provider.as_ref()).await?;
    match waiting {
        0 => {}
        1 => eprintln!("1 record waits until it is known whether it belongs to one of these"),
        _ => {
            eprintln!("{waiting} records wait until it is known whether they belong to one of these")
        }
    }
    Ok(())
}

async fn refused(database: &Database, args: &ListArgs) -> CommandResult {
    let refusals = payment_refusals::list(&database.pool, args.provider.as_ref(), args.limit).await?;
    match args.form.output {
        Output::Json => table::json(&refusals),
        Output::Table => table::print(&REFUSALS, refusals.iter().map(refusal_row)),
    }
    Ok(())
}

const ORDERS: [Column; 9] = [
    words("ID"),
    words("STATE"),
    words("KIND"),
    numbers("AMOUNT"),
    words("ASSET"),
    words("ORDERED"),
    words("PROVIDER"),
    words("IDEMPOTENCY KEY"),
    words("WHY"),
];

fn row(order: &Order) -> [String; 9] {
    [
        order.id.to_string(),
        order.state.to_string(),
        order.kind.to_string(),
        order.amount.to_string(),
        order.asset.clone(),
        time(order.created_at),
        order.provider.to_string(),
        order.idempotency_key.clone(),
        order.reason.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

const REFUSALS: [Column; 7] = [
    words("LAST"),
    words("STATUS"),
    words("PROVIDER"),
    words("KIND"),
    numbers("TIMES"),
    words("IDEMPOTENCY KEY"),
    words("WHY"),
];

fn refusal_row(refusal: &KeptRefusal) -> [String; 7] {
    [
        time(refusal.last_at),
        refusal.status.to_string(),
        refusal.provider.clone(),
        refusal.kind.clone(),
        refusal.times.to_string(),
        refusal.idempotency_key.clone().unwrap_or_else(|| "-".to_owned()),
        refusal.detail.clone(),
    ]
}

/// The order of an id or an idempotency key.
async fn find(database: &Database, order: &str) -> Result<Order, Box<dyn std::error::Error + Send + Sync>> {
    let mut found = match Uuid::try_parse(order) {
        Ok(id) => payment_orders::get(&database.pool, id).await?.into_iter().collect(),
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        found = payment_orders::of_idempotency_key(&database.pool, order).await?;
    }
    match found.len() {
        0 => {
            Err(format!("there is no order {order:?}; `tributary payouts list --all` shows what there is")
                .into())
        }
        1 => Ok(found.swap_remove(0)),
        several => {
            let which = |order: &Order| format!("{} ({} of {})", order.id, order.kind, order.provider);
            let which = found.iter().map(which).collect::<Vec<_>>().join(", ");
            Err(format!("{several} orders have the idempotency key {order:?}: give the id of one: {which}")
                .into())
        }
    }
}
