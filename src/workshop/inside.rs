//! The process in which a file is tried: one request on its standard input, one answer on its standard output.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use nix::sys::resource::{Resource as Limit, setrlimit};

use super::MEMORY_BYTES;
use super::said::{Asked, Became, Row, Said, Streams, Task};
use crate::config;
use tributary_manifest::Mapper;

/// The arguments that make this program that process.
pub const COMMAND: [&str; 3] = ["manifest", "try", "workshop"];
/// How long the filters may take: less than what ends the process, so that it can say which of them it was.
const FILTERS: Duration = Duration::from_secs(10);
/// How long it may calculate, in seconds, should nobody be there to end it.
const CPU_SECONDS: u64 = 60;

/// Answers what is asked on standard input. The error says why nothing can be answered.
pub async fn run() -> Result<(), String> {
    // whoever asks has said nothing yet: what is read is bounded, too
    #[cfg(target_os = "linux")]
    limit(Limit::RLIMIT_DATA, MEMORY_BYTES)?;
    #[cfg(not(target_os = "linux"))]
    limit(Limit::RLIMIT_AS, MEMORY_BYTES)?;
    limit(Limit::RLIMIT_CPU, CPU_SECONDS)?;
    let mut asked = Vec::new();
    std::io::stdin().read_to_end(&mut asked).map_err(|error| error.to_string())?;
    let asked = serde_json::from_slice(&asked).map_err(|error| error.to_string())?;
    let said = answer(asked).await.unwrap_or_else(Said::Wrong);
    let said = serde_json::to_vec(&said).map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&said).map_err(|error| error.to_string())
}

fn limit(what: Limit, most: u64) -> Result<(), String> {
    setrlimit(what, most, most).map_err(|error| error.to_string())
}

async fn answer(asked: Asked) -> Result<Said, String> {
    let Asked { file, folder, task } = asked;
    let beside = |name: &str| folder.as_ref().and_then(|folder| config::beside(folder, name));
    let described = config::described(&file, &beside)?;
    let mapper = Mapper::new(&described.manifest, FILTERS).map_err(|error| described.at(&error))?;
    match task {
        Task::Streams => {
            let streams = mapper.streams().map(|(name, resource)| {
                (name.to_owned(), resource.map(|resource| resource.as_str().to_owned()))
            });
            Ok(Said::Streams(Streams { provider: described.provider, streams: streams.collect() }))
        }
        Task::Again(came) => {
            let origins = came.into_iter().map(|came| came.origin()).collect::<Result<_, _>>()?;
            let mapped = mapper.map_again(origins).await.map_err(|error| error.to_string())?;
            let became = |all: Vec<_>| all.into_iter().map(Became::of).collect();
            Ok(Said::Again(mapped.into_iter().map(became).collect()))
        }
        Task::Sample { stream, text, is_answer, parent, now } => {
            let sample = tributary_manifest::Sample { text, is_answer, parent, now };
            let rows = mapper.map_sample(&stream, sample, super::SAMPLE_ROWS).await?;
            let row = |row: tributary_manifest::SampleRow| Row {
                row: row.row,
                becomes: row.becomes.map(|all| all.into_iter().map(Became::of).collect()),
            };
            Ok(Said::Sample(rows.into_iter().map(row).collect()))
        }
    }
}
