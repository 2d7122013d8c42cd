//! `tributary manifest replay`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Error, FAILED, difference, file_of};
use crate::cli::Common;
use crate::config;
use tributary_domain::parse_record;
use tributary_manifest::{
    Cassette, CompiledProvider, EachPage, MappedRecord, Most, RecordPage, RunError, Wanted,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest replay acme.cassette.json                      prints the rows
  tributary manifest replay acme.cassette.json --golden acme.rows.json
  tributary manifest replay acme.cassette.json --golden acme.rows.json --update

Needs no network, no database and no secret: for CI. Exit code: 0 the rows are the expected ones,
1 they are not or something could not be mapped, 2 it could not be tried.")]
pub struct ReplayArgs {
    /// What `tributary manifest record` wrote.
    cassette: PathBuf,
    /// The provider file; without it, that of the cassette's provider in the providers folder.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The golden file: the rows that are expected.
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
    /// Write the rows of now to the golden file.
    #[arg(long, requires = "golden")]
    update: bool,
}

/// Gathers rows, by stream and in order.
#[derive(Default)]
struct Gathered {
    rows: Vec<Value>,
    unmappable: usize,
}

impl Gathered {
    fn add(&mut self, page: RecordPage) {
        for record in page.records {
            let row = match record {
                MappedRecord::Canonical(record) => record.to_json(),
                MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => {
                    self.unmappable += 1;
                    json!({ "cannot be mapped": reason })
                }
            };
            self.rows.push(json!({ "stream": page.stream, "partition": page.partition, "row": row }));
        }
    }
}

pub async fn run(common: &Common, args: &ReplayArgs) -> Result<ExitCode, Error> {
    let cassette: Cassette = serde_json::from_str(&read(&args.cassette)?)
        .map_err(|error| format!("{} is no cassette: {error}", args.cassette.display()))?;
    let name = cassette.provider.parse()?;
    let file = args.file.clone().unwrap_or_else(|| file_of(common, &name));
    let manifest =
        config::manifest_of(&read(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
    let manifest = manifest.for_cassette(&cassette)?;
    let compiled = CompiledProvider::new(&name, &manifest)?.played(cassette);
    let (gathered, failures) = play(&compiled).await;
    for failure in &failures {
        eprintln!("not read: {failure}");
    }
    let left = compiled.unplayed();
    if left > 0 {
        eprintln!(
            "{left} answers of the cassette were not asked for: record it again if the requests changed"
        );
    }
    let as_it_should_be = compare(args, &compiled, &gathered.rows)?;
    let well = as_it_should_be && failures.is_empty() && gathered.unmappable == 0;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Everything that the cassette has, and what could not be read. That it ends somewhere is no
/// failure.
async fn play(compiled: &CompiledProvider) -> (Gathered, Vec<String>) {
    let mut gathered = Gathered::default();
    let groups = compiled.groups();
    let all = groups.iter().flat_map(|group| &group.streams);
    let selection = compiled.select(all.map(|name| (name.clone(), Wanted::Whole)));
    let sink = &mut EachPage(|page| gathered.add(page));
    let report = compiled.sample(&selection, Most::default(), sink).await.unwrap_or_else(RunError::report);
    let failures = report.failures.iter().filter(|failure| !failure.ends_cassette());
    let failures = failures.map(ToString::to_string).collect();
    (gathered, failures)
}

/// Prints the rows, or compares them with what they should be.
fn compare(args: &ReplayArgs, compiled: &CompiledProvider, rows: &[Value]) -> Result<bool, Error> {
    let text = lines(rows)?;
    let Some(golden) = &args.golden else {
        print!("{text}");
        return Ok(true);
    };
    if args.update {
        std::fs::write(golden, text)
            .map_err(|error| format!("cannot write {}: {error}", golden.display()))?;
        println!("{} is written", golden.display());
        return Ok(true);
    }
    if !golden.exists() {
        let why = format!(
            "{} is not there: --update writes the rows of now to it; read them, and keep it with the cassette",
            golden.display()
        );
        return Err(why.into());
    }
    let expected: Vec<Value> = serde_json::from_str(&read(golden)?)
        .map_err(|error| format!("{} holds no rows: {error}", golden.display()))?;
    let expected: Vec<Value> = expected.into_iter().map(|row| as_written(compiled, row)).collect();
    if expected == rows {
        println!("The rows are the expected ones.");
        return Ok(true);
    }
    let differing = difference::lines(&expected, rows);
    differing.iter().for_each(|line| println!("{line}"));
    println!("{} of {} rows differ; --update takes those of now for right", differing.len(), expected.len());
    Ok(false)
}

fn lines(rows: &[Value]) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

/// A row of a golden file as it is written today: rows are the same where their records are, in
/// whichever form the file has their times.
fn as_written(compiled: &CompiledProvider, mut row: Value) -> Value {
    let resource = row["stream"].as_str().and_then(|stream| compiled.resource_of(stream).ok());
    let record = resource.and_then(|resource| parse_record(resource, row["row"].to_string().as_bytes()).ok());
    if let Some(record) = record {
        row["row"] = record.to_json();
    }
    row
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
