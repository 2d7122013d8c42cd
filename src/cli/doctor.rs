//! `tributary doctor`: what is wrong, and what to type.

use std::process::ExitCode;

use clap::Args;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, words};
use super::way::{At, Way, declared, typed};
use super::{Common, health};
use crate::verbs::doctor::{Doctor, Finding, Severity};
use crate::verbs::{Declared, On, perform};
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(
    after_help = "Looks at the provider files, the database and its schema, the server, and then at each step from the banks
to Formance: what is late, refused, waiting for a person, or about to end. Exit code 1 where something is wrong.

Examples:
  tributary doctor
  tributary doctor --provider acme
  tributary doctor --server https://tributary.internal --output json"
)]
pub struct DoctorArgs {
    /// Only what is about this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Address of the server on this machine.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command.
pub async fn run(common: &Common, args: DoctorArgs) -> Result<ExitCode, Error> {
    let doctor = Doctor { provider: args.provider };
    let findings = match args.at.server {
        Some(_) => Way::open(common, &args.at, Login::Service).await?.perform_and_close(&doctor).await?,
        None => here(common, &args.listen, &doctor).await?,
    };
    match args.form.output {
        Output::Json => table::json(&findings),
        Output::Table => print(&findings),
    }
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Wrong);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What can be seen from the machine of the server.
async fn here(common: &Common, listen: &str, doctor: &Doctor) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let declared = declared(common).unwrap_or_else(|error| {
        let what = format!("the provider files cannot be used: {error}");
        findings.push(wrong("files", what, "tributary manifest validate"));
        Declared::new()
    });
    if findings.is_empty() && declared.is_empty() {
        let what = format!("there is no provider file in {}", common.providers.display());
        findings.push(wrong("files", what, "tributary manifest new NAME"));
    }
    // a server of the private database cannot be up while a command uses it alone
    if common.database_url.is_some()
        && let Err(error) = health::ask(listen).await
    {
        findings.push(wrong("server", error, "tributary serve"));
    }
    let database = match Database::open_migrated(common, Login::Service, 2).await {
        Ok(database) => database,
        Err(error) => {
            findings.push(wrong(
                "database",
                error.to_string(),
                "tributary migrate, once DATABASE_URL is right",
            ));
            return Ok(findings);
        }
    };
    if !declared.is_empty() {
        let found = perform(doctor, On::to_the_end(&database.pool, &declared), &typed()).await;
        database.close().await;
        findings.extend(found?);
    } else {
        database.close().await;
    }
    Ok(findings)
}

fn wrong(about: &str, what: String, command: &str) -> Finding {
    Finding { severity: Severity::Wrong, about: about.to_owned(), what, command: command.to_owned() }
}

const FINDINGS: [Column; 4] = [words("IS"), words("ABOUT"), words("WHAT"), words("LOOK WITH")];

fn print(findings: &[Finding]) {
    if findings.is_empty() {
        println!("All is well: files, database, server, every step from the banks to Formance.");
        return;
    }
    table::print(&FINDINGS, findings.iter().map(row));
    let wrong = findings.iter().filter(|finding| finding.severity == Severity::Wrong).count();
    println!("{wrong} to be seen to, {} that pass by themselves or are not due yet", findings.len() - wrong);
}

fn row(finding: &Finding) -> [String; 4] {
    let is = match finding.severity {
        Severity::Wrong => "wrong",
        Severity::Note => "note",
    };
    [is.to_owned(), finding.about.clone(), finding.what.clone(), finding.command.clone()]
}
