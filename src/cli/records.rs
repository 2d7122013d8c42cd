//! `tributary records`.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::database::Login;
use super::table::{self, Column, Output, OutputArgs, numbers, printable, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::payments::told::{changes, outcome};
use crate::records::story::{Came, OrderStory, Published, Story};
use crate::store::named_records::Found;
use crate::verbs::records::{Find, Show};
use tributary_domain::{ProviderName, Resource};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary records show tx_1                     by the provider's id, or the id as it is served
  tributary records show invoice-17               by the idempotency key (Formance's reference) of an order
  tributary records find --amount 1250 --from 2026-03-01 --to 2026-03-07
  tributary records show acc_1 --resource accounts --provider acme --output json")]
pub struct RecordsArgs {
    #[command(subcommand)]
    command: RecordsCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
enum RecordsCommand {
    /// List transactions by their amount and day, the latest first, 100 at most.
    Find {
        /// Of so many minor units: 1250 for 12.50 EUR.
        #[arg(long)]
        amount: Option<String>,
        /// The first day (UTC) on which they were created; 31 days before the last one, if not given.
        #[arg(long, value_name = "YYYY-MM-DD")]
        from: Option<NaiveDate>,
        /// The last day (UTC); today, if not given.
        #[arg(long, value_name = "YYYY-MM-DD")]
        to: Option<NaiveDate>,
        /// Only those of this provider.
        #[arg(long)]
        provider: Option<ProviderName>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Print the story of a record: what it came from, its versions, who has fetched them, and its order.
    Show {
        /// Its id, its reference, or the idempotency key of its order.
        name: String,
        /// Its provider, where several have a record of this name.
        #[arg(long)]
        provider: Option<ProviderName>,
        /// Its kind, where several have the name: accounts, balances, beneficiaries or transactions.
        #[arg(long)]
        resource: Option<Resource>,
        #[command(flatten)]
        form: OutputArgs,
    },
}

pub async fn run(common: &Common, args: RecordsArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Owner).await?;
    match args.command {
        RecordsCommand::Find { amount, from, to, provider, form } => {
            let found = way.perform_and_close(&Find { amount, from, to, provider }).await?;
            match form.output {
                Output::Json => table::json(&found),
                Output::Table => table::print(&FOUND, found.iter().map(found_row)),
            }
        }
        RecordsCommand::Show { name, provider, resource, form } => {
            let resource = resource.map(|resource| resource.as_str().to_owned());
            let story = way.perform_and_close(&Show { name, provider, resource }).await?;
            match form.output {
                // digit by digit
                Output::Json => println!("{}", serde_json::to_string_pretty(&story)?),
                Output::Table => print(&story),
            }
        }
    }
    Ok(())
}

const FOUND: [Column; 7] = [
    words("PROVIDER"),
    words("ID"),
    words("TYPE"),
    words("STATUS"),
    numbers("AMOUNT"),
    words("ASSET"),
    words("CREATED"),
];

fn found_row(found: &Found) -> [String; 7] {
    [
        found.provider.clone(),
        found.id.clone(),
        found.kind.clone(),
        found.status.clone(),
        found.amount.clone(),
        found.asset.clone(),
        time(found.created_at),
    ]
}

fn print(story: &Story) {
    field("id", &story.name.id);
    field("provider", &story.name.provider);
    field("resource", &story.name.resource);
    if let Some(Value::Object(now)) = &story.now {
        let shown =
            now.iter().filter(|(name, value)| !value.is_null() && !["id", "provider"].contains(&&***name));
        shown.for_each(|(name, value)| field(&name.replace('_', " "), &text(value)));
    }
    for held in &story.balances {
        field("holds", &format!("{} {} at {}", held.amount, held.asset, time(held.at)));
    }
    if !story.children.is_empty() {
        field("related", &story.children.join(", "));
    }
    came(&story.came);
    versions(&story.versions);
    for waiting in &story.unpublished {
        let why = match &waiting.parent_id {
            Some(parent) if waiting.waits_since.is_some() => format!(", waits for {parent}"),
            _ => String::new(),
        };
        line(&format!("{}  not published yet{why}: {}", time(waiting.staged_at), waiting.body));
    }
    if let Some(order) = &story.order {
        print_order(order);
    }
}

fn field(name: &str, value: &str) {
    println!("{name:16} {}", printable(value));
}

fn line(text: &str) {
    println!("{}", printable(text));
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn came(came: &[Came]) {
    println!("\nIt came from");
    if came.is_empty() {
        println!("  nothing that is kept: it was pushed, or its provider's file does not say keep_raw");
    }
    for came in came {
        let partition =
            if came.partition.is_empty() { String::new() } else { format!(" of {}", came.partition) };
        let vanished = if came.vanished { ", not listed any more" } else { "" };
        line(&format!(
            "  {} {}{partition}, asked for at {}, last so at {}{vanished}",
            came.position,
            came.stream,
            came.asked_at,
            time(came.kept_at)
        ));
        match (&came.record, &came.unreadable) {
            (Some(record), _) => line(&format!("    {}", record.get())),
            (None, why) => line(&format!("    unreadable: {}", why.as_deref().unwrap_or_default())),
        }
    }
}

fn versions(versions: &[Published]) {
    println!("\nIt was published");
    if versions.is_empty() {
        println!("  not yet");
    }
    for Published { version, fetched } in versions {
        let status = version.status.as_deref().map_or_else(String::new, |status| format!(" {status}"));
        let erased = version.erased_at.map_or_else(String::new, |at| format!(", erased at {}", time(at)));
        line(&format!("  position {}, {}{status}{erased}", version.position, time(version.published_at)));
        line(&format!("    {}", version.body));
        for fetched in fetched {
            let has = match fetched.fetched {
                true => format!("has it, by {} at the latest", time(fetched.polled_at)),
                false => format!("has not fetched it; polled last at {}", time(fetched.polled_at)),
            };
            line(&format!("    {} {has}", fetched.consumer));
        }
    }
}

fn print_order(order: &OrderStory) {
    println!("\nIt was ordered");
    line(&format!("  {} under {}: {}, {}", order.id, order.idempotency_key, order.state, order.status));
    for attempt in &order.attempts {
        let (at, reason) = (time(attempt.ended_at), attempt.reason.as_deref().unwrap_or("no reason is kept"));
        line(&format!("  attempt {}: {} at {at}: {reason}", attempt.attempt, attempt.status));
    }
    for step in &order.steps {
        line(&format!("  step {} of attempt {}: {}", step.name, step.attempt, outcome(step)));
    }
    if order.audit.is_none() {
        println!("  its audit is for logins in tributary_operator");
    }
    for change in order.audit.iter().flatten() {
        line(&format!("  {}  {}: {}", time(change.at), change.actor, change.what));
        for changed in changes(change.before.as_ref(), change.after.as_ref()) {
            line(&format!("      {changed}"));
        }
    }
}
