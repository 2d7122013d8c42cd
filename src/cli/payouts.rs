//! `tributary payouts`: payouts and transfers, seen by the operator.

mod show;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common, secret};
use crate::store::payment_refusals::KeptRefusal;
use crate::verbs::payouts::{self, Decision, Outcome, ShownOrder};
use show::show;
use tributary_domain::{OrderState, ProviderName};

#[derive(Args)]
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

Who decides is the login of DATABASE_URL, a member of tributary_operator; in the private PostgreSQL, of --login; with
--server, an operator of the role approver, by the key in TRIBUTARY_OPERATOR_KEY.")]
pub struct PayoutsArgs {
    #[command(subcommand)]
    command: PayoutsCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
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
        #[command(flatten)]
        form: OutputArgs,
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
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Decide what became of an order that is parked.
    Resolve(ResolveArgs),
    /// Take the payment secret that is there now as the one in use, after it was lost or changed
    /// ("The payment secret" in docs/payouts.md says what that means).
    AcceptSecret {
        #[command(flatten)]
        form: OutputArgs,
    },
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
    #[command(flatten)]
    form: OutputArgs,
}

fn state_parser() -> impl TypedValueParser<Value = OrderState> {
    PossibleValuesParser::new(OrderState::ALL.map(OrderState::as_str)).try_map(|name| name.parse())
}

pub async fn run(common: &Common, args: PayoutsArgs) -> CommandResult {
    let PayoutsArgs { command, at } = args;
    if let PayoutsCommand::AcceptSecret { form } = command {
        at.only_database("payouts accept-secret")?;
        let database = Database::open_migrated(common, Login::Owner, 4).await?;
        let result = accept_secret(common, &database, form).await;
        database.close().await;
        return result;
    }
    let login = match &at.server {
        Some(_) if command.person().is_some_and(|by| by.login.is_some()) => {
            return Err(
                "--login is for the private PostgreSQL: at a server, the key of an operator says who decides"
                    .into(),
            );
        }
        Some(_) => Login::Owner,
        None => login(common, &command)?,
    };
    let way = Way::open(common, &at, login).await?;
    let result = run_by(&way, &command).await;
    way.close().await;
    result
}

async fn run_by(way: &Way, command: &PayoutsCommand) -> CommandResult {
    let decided = |decision: &Decision, form: &OutputArgs| form.done(decision, &decision.said);
    match command {
        PayoutsCommand::List(args) => list(way, args).await?,
        PayoutsCommand::Show { order, form } => {
            show(&way.perform(&payouts::Show { order: order.clone() }).await?, *form);
        }
        PayoutsCommand::Approve { order, form, .. } => {
            decided(&way.perform(&payouts::Approve { order: order.clone() }).await?, form);
        }
        PayoutsCommand::Reject { order, reason, form, .. } => {
            let reject = payouts::Reject { order: order.clone(), reason: reason.clone() };
            decided(&way.perform(&reject).await?, form);
        }
        PayoutsCommand::Resolve(ResolveArgs { order, outcome, payment_id, reason, form, .. }) => {
            let resolve = payouts::Resolve {
                order: order.clone(),
                outcome: *outcome,
                payment_id: payment_id.clone(),
                reason: reason.clone(),
            };
            decided(&way.perform(&resolve).await?, form);
        }
        PayoutsCommand::AcceptSecret { .. } => unreachable!("it has no way but the database"),
    }
    Ok(())
}

impl PayoutsCommand {
    /// Who decides, where somebody does.
    fn person(&self) -> Option<&Person> {
        match self {
            Self::List(_) | Self::Show { .. } | Self::AcceptSecret { .. } => None,
            Self::Approve { by, .. } | Self::Reject { by, .. } => Some(by),
            Self::Resolve(args) => Some(&args.by),
        }
    }
}

/// As whom the command uses the private PostgreSQL.
fn login<'a>(common: &Common, command: &'a PayoutsCommand) -> Result<Login<'a>, String> {
    let Some(person) = command.person() else { return Ok(Login::Owner) };
    match (&person.login, &common.database_url) {
        (Some(_), Some(_)) => {
            Err("--login is for the private PostgreSQL: DATABASE_URL names the login".to_owned())
        }
        (None, None) => Err("say who decides, with --login: a login in tributary_operator".to_owned()),
        (Some(login), None) => Ok(Login::Person(login)),
        (None, Some(_)) => Ok(Login::Owner),
    }
}

async fn list(way: &Way, args: &ListArgs) -> CommandResult {
    let states: Vec<&str> = args.state.iter().map(|state| state.as_str()).collect();
    let listed = way
        .perform(&payouts::List {
            provider: args.provider.clone(),
            states: (!states.is_empty()).then(|| states.join(",")),
            all: args.all,
            refused: args.refused,
            limit: Some(args.limit),
        })
        .await?;
    match (args.form.output, args.refused) {
        (Output::Json, false) => table::json(&listed.orders),
        (Output::Table, false) => table::print(&ORDERS, listed.orders.iter().map(row)),
        (Output::Json, true) => table::json(&listed.refused),
        (Output::Table, true) => table::print(&REFUSALS, listed.refused.iter().map(refusal_row)),
    }
    match listed.unmatched {
        0 => {}
        1 => eprintln!("1 record waits until it is known whether it belongs to one of these"),
        waiting => {
            eprintln!("{waiting} records wait until it is known whether they belong to one of these")
        }
    }
    Ok(())
}

async fn accept_secret(common: &Common, database: &Database, form: OutputArgs) -> CommandResult {
    let (fingerprint, news) = secret::accept(common, &database.pool).await?;
    let is = if news { "is in use from now on" } else { "was in use already" };
    let said = format!("the payment secret of fingerprint {fingerprint} {is}");
    form.done(&serde_json::json!({"fingerprint": fingerprint.to_string(), "news": news}), &said);
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

fn row(order: &ShownOrder) -> [String; 9] {
    [
        order.id.to_string(),
        order.state.clone(),
        order.kind.clone(),
        order.amount.clone(),
        order.asset.clone(),
        time(order.created_at),
        order.provider.clone(),
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
