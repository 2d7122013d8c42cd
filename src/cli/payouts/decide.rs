//! What persons decide about orders: approve, reject, resolve; and about the secret that provider keys
//! are made with.

use super::{Outcome, ResolveArgs, find};
use crate::cli::database::Database;
use crate::cli::{CommandResult, Common, secret};
use crate::store::StoreError;
use crate::store::payment_orders::{self, Decided, Order, Resolution};
use tributary_domain::OrderState;

/// What the database refused a decision with, in its own words.
fn said(error: StoreError) -> String {
    error.refusal().map_or_else(|| error.to_string(), str::to_owned)
}

pub async fn approve(database: &Database, order: &str) -> CommandResult {
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

pub async fn reject(database: &Database, order: &str, reason: &str) -> CommandResult {
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

pub async fn resolve(database: &Database, args: &ResolveArgs) -> CommandResult {
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

pub async fn accept_secret(common: &Common, database: &Database) -> CommandResult {
    let (fingerprint, news) = secret::accept(common, &database.pool).await?;
    let is = if news { "is in use from now on" } else { "was in use already" };
    println!("the payment secret of fingerprint {fingerprint} {is}");
    Ok(())
}
