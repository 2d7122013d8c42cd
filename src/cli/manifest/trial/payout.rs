//! `tributary manifest try payout` and `try transfer`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use super::super::{Error, FAILED};
use super::scenario::{MISHAPS, Trial};
use super::stand_in::Says;
use super::{described, given_text};
use crate::cli::Common;
use crate::config::Described;
use crate::payments::{self, PaymentSecret};
use tributary_domain::{PaymentKind, ProviderName};
use tributary_manifest::trial::{self, ExampleOrder};

/// The key of a trial follows from this: it is nobody's secret.
const SECRET: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";

/// Exit code where some of it could not be tried.
const NOT_TRIED: u8 = 2;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest try payout acme --answer made.json
  tributary manifest try payout acme --order order.json --answer made.json --found list.json --missing empty.json

Makes the request of a sample order (--order changes it: `amount` in minor units, `currency` as GBP/2,
`destination`, `metadata`, …; without it, that of an example of the file, or in the first asset of its limits) and sends it to a stand-in on this machine, which moves no money, answers
what you give, and treats the order in seven ways: answered, lost, answered twice, failed. Without --answer, the
first example of the file that is of payouts and has an answer is taken. `{key}` in an answer stands for the key of the order.
Nobody else is asked, and no variable has to be set. Exit code: 0 money moved once at most in all of them, 1 not
so, or the order cannot be sent, 2 it, or some of it, could not be tried: NOT TRIED says what to give.")]
pub struct PayoutArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// What the order has, as a JSON object, beside what every order has.
    #[arg(long, value_name = "FILE")]
    order: Option<PathBuf>,
    /// The body of the provider's answer to a payment that was made.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// The status of that answer.
    #[arg(long, value_name = "STATUS", default_value_t = 201)]
    answered: u16,
    /// The body of the answer of `find` once the payment is there; that of --answer, if not given, in a list where
    /// `find` lists.
    #[arg(long, value_name = "FILE")]
    found: Option<PathBuf>,
    /// The body of the answer of `find` while it is not; 404, if not given, or an empty list where `find` lists.
    #[arg(long, value_name = "FILE")]
    missing: Option<PathBuf>,
}

pub async fn run(common: &Common, kind: PaymentKind, args: &PayoutArgs) -> Result<ExitCode, Error> {
    let api = described(common, &args.provider)?;
    let section = match kind {
        PaymentKind::Payout => &api.manifest.payouts,
        PaymentKind::Transfer => &api.manifest.transfers,
    };
    let section = section.as_ref().ok_or_else(|| format!("the file has no `pay.{}`", kind.section()))?;
    let secret = PaymentSecret::parse(SECRET)?;
    let key = payments::provider_key(&secret, &section.key, &args.provider, kind, "example", 1);
    let example = api
        .examples
        .as_ref()
        .map(|examples| ExampleOrder::of(&api.manifest, examples, kind))
        .unwrap_or_default();
    let order = order(&api, kind, args, &key, &example)?;
    let says = says(&api, kind, args, &key, example.answer)?;
    let trial = Trial {
        provider: &args.provider,
        manifest: &api.manifest,
        kind,
        order: &order,
        says: &says,
        found_given: args.found.is_some(),
    };
    println!("The order {order}");
    let (mut most, mut untried) = (0, 0);
    for (n, (mishap, fates)) in MISHAPS.into_iter().enumerate() {
        let came = match trial.run(fates).await {
            Ok(came) => came,
            Err(why) => {
                println!("is REFUSED with 400: {why}");
                return Ok(ExitCode::from(FAILED));
            }
        };
        if n == 0 {
            println!("is sent, under the key {key}, as\n\n{}", came.sent);
        }
        println!("\n{mishap}:");
        came.steps.iter().for_each(|step| println!("  {step}"));
        println!("  {}; requests {}, MONEY MOVED {}", came.state.as_str(), came.requests, came.moved);
        if let Some(why) = came.not_tried {
            untried += 1;
            println!("  NOT TRIED further: {why}");
        }
        most = most.max(came.moved);
    }
    println!("\nAt most, MONEY MOVED {most}");
    if untried > 0 {
        println!("NOT TRIED in {untried} of {}: what they say proves nothing", MISHAPS.len());
    }
    Ok(match (most, untried) {
        (0 | 1, 0) => ExitCode::SUCCESS,
        (0 | 1, _) => ExitCode::from(NOT_TRIED),
        _ => ExitCode::from(FAILED),
    })
}

/// The sample order with what is given of it: `--order`, or else that of an `example` of the file, or the asset of
/// the file's limits.
fn order(
    api: &Described,
    kind: PaymentKind,
    args: &PayoutArgs,
    key: &str,
    example: &ExampleOrder,
) -> Result<Value, Error> {
    let answered_by_example = args.answer.is_none() && example.answer.is_some();
    let mut order = trial::sample_order(kind, key);
    let given = match &args.order {
        Some(_) => Some(given_text(&args.order)?),
        None => example.order.clone(),
    };
    match given {
        Some(given) => {
            let given: Map<String, Value> = serde_json::from_str(&given)
                .map_err(|error| format!("the order is no JSON object: {error}"))?;
            order.as_object_mut().ok_or("an order is an object")?.extend(given);
            order["key"] = key.into();
        }
        // an answer of the file without an order is one to the sample as it is
        None => {
            if let Some(asset) = api.asset.as_ref().filter(|_| !answered_by_example) {
                order["currency"] = asset.as_str().into();
            }
        }
    }
    Ok(order)
}

/// What the stand-in says; `example` is the answer of an example of the file.
fn says(
    api: &Described,
    kind: PaymentKind,
    args: &PayoutArgs,
    key: &str,
    example: Option<String>,
) -> Result<Says, Error> {
    let named = |text: String| text.replace("{key}", key);
    let answer = match &args.answer {
        Some(_) => Some(given_text(&args.answer)?),
        None => example,
    };
    let answer = answer.map(named).ok_or(
        "give the body of the provider's answer to a payment that was made, with --answer FILE, or as an example of the file",
    )?;
    let rows = api.node.get("pay").and_then(|pay| pay.get(kind.section()));
    let rows = rows.and_then(|section| section.get("find")).and_then(|find| find.get("rows")?.text());
    let found = match &args.found {
        Some(_) => named(given_text(&args.found)?),
        // one that lists lists the payment of the answer
        None => rows.and_then(|rows| trial::listed(rows, &answer)).unwrap_or_else(|| answer.clone()),
    };
    let missing = match &args.missing {
        Some(_) => (200, named(given_text(&args.missing)?)),
        None => match rows.and_then(|rows| trial::listed(rows, "")) {
            Some(empty) => (200, empty),
            None => (404, "{}".to_owned()),
        },
    };
    Ok(Says { made: (args.answered, answer), found: (200, found), missing })
}
