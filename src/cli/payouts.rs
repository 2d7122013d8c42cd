//! `tributary payouts`: payouts and transfers, seen by the operator.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, numbers, printable, time, words};
use super::{CommandResult, Common, secret};
use crate::store::payment_orders::{self, Decided, Order, Resolution};
use crate::store::payment_refusals::{self, KeptRefusal};
use crate::store::unmatched_records;
use crate::store::{StoreError, payment_audit};
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

/// An order as programs read it.
fn described(order: &Order) -> Value {
    json!({"id": order.id, "idempotency_key": order.idempotency_key, "provider": order.provider.as_str(),
        "kind": order.kind, "amount": order.amount.to_string(), "asset": order.asset,
        "source_account_id": order.source_account_id, "destination_account_id": order.destination_account_id,
        "description": order.description, "metadata": order.metadata, "created_at": order.created_at,
        "state": order.state.as_str(), "status": order.status, "status_at": order.status_at,
        "reason": order.reason, "attempt": order.attempt, "tries": order.tries,
        "first_sent_at": order.first_sent_at, "last_sent_at": order.last_sent_at,
        "provider_key": order.provider_key, "request": order.request,
        "provider_payment_id": order.provider_payment_id,
        "provider_reference": order.provider_reference, "placed_by": order.placed_by,
        "approvals_needed": order.approvals_needed, "approved_by": order.approved_by})
}

async fn show(database: &Database, order: &str, form: OutputArgs) -> CommandResult {
    let order = find(database, order).await?;
    let audit = payment_audit::of_order(&database.pool, order.id).await?;
    if form.output == Output::Json {
        let mut shown = described(&order);
        shown["audit"] = json!(audit);
        table::json(&shown);
        return Ok(());
    }
    let field = |name: &str, value: &str| println!("{name:16} {}", printable(value));
    let optional = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            field(name, value);
        }
    };
    field("id", &order.id.to_string());
    field("idempotency key", &order.idempotency_key);
    field("provider", order.provider.as_str());
    field("kind", order.kind.as_str());
    field("amount", &format!("{} {}", order.amount, order.asset));
    field("from", &order.source_account_id);
    field("to", &order.destination_account_id);
    optional("description", &order.description);
    field("ordered", &format!("{} by {}", time(order.created_at), order.placed_by));
    field("state", order.state.as_str());
    field("status", &format!("{} since {}", order.status.as_str(), time(order.status_at)));
    optional("reason", &order.reason);
    field("attempt", &order.attempt.to_string());
    field("sent", &sent(&order));
    field("provider key", &order.provider_key);
    for (name, member) in [("request", "url"), ("body", "body")] {
        optional(name, &order.request[member].as_str().map(str::to_owned));
    }
    optional("provider id", &order.provider_payment_id);
    optional("provider ref", &order.provider_reference);
    if order.approvals_needed > 1 {
        field("approvals", &format!("{} persons have to approve", order.approvals_needed));
    }
    optional("approved by", &order.approved_by);
    println!();
    for change in audit {
        println!("{}  {}: {}", time(change.at), printable(&change.actor), printable(&change.what));
        for line in changes(change.before.as_ref(), change.after.as_ref()) {
            println!("    {}", printable(&line));
        }
    }
    Ok(())
}

/// When the attempt's request was sent: where to look for it at the provider.
fn sent(order: &Order) -> String {
    match (order.first_sent_at, order.last_sent_at) {
        (Some(first), Some(last)) if order.tries > 1 => {
            format!("{} times, from {} to {}", order.tries, time(first), time(last))
        }
        (Some(first), _) => time(first),
        _ => "not yet".to_owned(),
    }
}

/// What was ordered, which never changes and is shown above.
const ORDERED: [&str; 15] = [
    "id",
    "provider",
    "kind",
    "idempotency_key",
    "fingerprint",
    "asset",
    "amount",
    "source_account_id",
    "destination_account_id",
    "description",
    "metadata",
    "request",
    "created_at",
    "placed_by",
    "approvals_needed",
];

/// A line for each member that a change set, or made another.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Some(after) = after.and_then(Value::as_object) else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| match before {
        Some(before) => Some(format!("{name}: {} -> {}", text(&before[name.as_str()]), text(value))),
        None => (!value.is_null() && !ORDERED.contains(&name.as_str()))
            .then(|| format!("{name}: {}", text(value))),
    };
    after.iter().filter_map(line).collect()
}

/// What the database refused a decision with, in its own words.
fn said(error: StoreError) -> String {
    error.refusal().map_or_else(|| error.to_string(), str::to_owned)
}

async fn approve(database: &Database, order: &str) -> CommandResult {
    let order = find(database, order).await?;
    let decided = payment_orders::approve(&database.pool, order.id).await.map_err(|error| {
        match error.broke("payment_approvals_pkey") {
            true => format!("{}: you have approved it already", order.id),
            false => said(error),
        }
    })?;
    match decided {
        None => return Err(format!("there is no order {} any more", order.id).into()),
        Some(Decided { state: OrderState::Held, agreed, needed }) => {
            println!("{} is approved by {agreed} of {needed} persons", order.id);
        }
        Some(_) => println!("{} is sent within a second, if an instance of `tributary serve` runs", order.id),
    }
    Ok(())
}

async fn reject(database: &Database, order: &str, reason: &str) -> CommandResult {
    let order = find(database, order).await?;
    if !payment_orders::reject(&database.pool, order.id, reason).await.map_err(said)? {
        return Err(match order.state {
            OrderState::Recorded => {
                format!("{} is being sent at this moment: try again in a few seconds", order.id)
            }
            state => {
                format!("{} is {state}: it can only be rejected while it is held or was never sent", order.id)
            }
        }
        .into());
    }
    println!("{} has failed", order.id);
    Ok(())
}

async fn resolve(database: &Database, args: &ResolveArgs) -> CommandResult {
    match args.outcome {
        Outcome::Succeeded | Outcome::Look if args.reason.is_some() => {
            return Err("--reason is for --outcome failed".into());
        }
        Outcome::Failed | Outcome::Look if args.payment_id.is_some() => {
            return Err("--payment-id is for --outcome succeeded".into());
        }
        _ => {}
    }
    let order = find(database, &args.order).await?;
    let resolution = match args.outcome {
        Outcome::Succeeded => Resolution::Succeeded { payment_id: args.payment_id.as_deref() },
        Outcome::Failed => {
            let reason = args.reason.as_deref().unwrap_or_default();
            return resolve_as_failed(database, &order, reason).await;
        }
        Outcome::Look => Resolution::Look,
    };
    let resolved = payment_orders::resolve(&database.pool, order.id, resolution).await;
    let resolved = resolved.map_err(|error| match &args.payment_id {
        Some(id) if error.broke("payment_orders_payment_idx") => {
            format!("{id} is the payment of another order: nothing was changed")
        }
        _ => said(error),
    })?;
    if !resolved {
        return Err(format!("{} is {} and not parked", order.id, order.state).into());
    }
    println!("{} is resolved", order.id);
    Ok(())
}

async fn resolve_as_failed(database: &Database, order: &Order, reason: &str) -> CommandResult {
    let decided =
        payment_orders::fail(&database.pool, order.id, reason).await.map_err(|error| {
            match error.broke("payment_approvals_pkey") {
                true => format!("{}: you have said so already, another person has to agree", order.id),
                false => said(error),
            }
        })?;
    match decided {
        None => return Err(format!("there is no order {} any more", order.id).into()),
        Some(Decided { state: OrderState::Failed, .. }) => println!("{} is resolved", order.id),
        Some(Decided { agreed, needed, .. }) => println!(
            "{} has failed for {agreed} of {needed} persons: another one has to say so, too, as it may be paid \
             again then; or have it looked up (--outcome look), and say so again if it is not found",
            order.id
        ),
    }
    Ok(())
}

async fn accept_secret(common: &Common, database: &Database) -> CommandResult {
    let (fingerprint, news) = secret::accept(common, &database.pool).await?;
    let is = if news { "is in use from now on" } else { "was in use already" };
    println!("the payment secret of fingerprint {fingerprint} {is}");
    Ok(())
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
