//! Where a provider file is tried that somebody is writing: in a process of its own, which has no environment, asks
//! nobody, and is ended when it takes too long or too much memory. Nothing that its filters do reaches this one.

mod inside;
mod said;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

pub use inside::{COMMAND, run as run_inside};
use said::{Asked, Said, Task};
pub use said::{Became, Row, Streams};

use crate::config::FileText;
use tributary_domain::{Origin, Record};
use tributary_manifest::Sample;

/// The longest file, in bytes.
pub const FILE_BYTES: usize = 256 * 1024;
/// The longest sample, in bytes.
pub const SAMPLE_BYTES: usize = 1024 * 1024;
/// The most rows of a sample that are tried.
pub const SAMPLE_ROWS: usize = 100;
/// How long the process may take.
const TIME: Duration = Duration::from_secs(15);
/// How much memory of its own it may have, in bytes.
const MEMORY_BYTES: u64 = 512 * 1024 * 1024;
/// How much it may say, in bytes.
const SAID_BYTES: u64 = 32 * 1024 * 1024;
/// How many of them there are at once: whoever comes later waits.
static PLACES: Semaphore = Semaphore::const_new(2);
/// What is run, where it is not this program.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Has another file be run than this program's: that of a test is not the service.
pub fn use_program(path: impl Into<PathBuf>) {
    // whoever comes second means the same one
    let _ = PROGRAM.set(path.into());
}

/// Why a file could not be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkshopError {
    /// What is wrong with the file or the sample, with lines and what to write.
    #[error("{0}")]
    Wrong(String),
    #[error("the file is longer than {} KiB", FILE_BYTES / 1024)]
    LongFile,
    #[error("the sample is longer than {} KiB: a page of a few rows tells as much", SAMPLE_BYTES / 1024)]
    LongSample,
    #[error("it took longer than {} s: a filter does not end, or has too much to do", TIME.as_secs())]
    Late,
    #[error(
        "it was stopped: a filter takes more than {} MiB of memory, or nests too deeply",
        MEMORY_BYTES / 1024 / 1024
    )]
    Stopped,
    #[error("the process in which files are tried cannot be run: {0}")]
    Unavailable(String),
}

/// What each of several records becomes, in parts: records, or why one has none.
pub type Mapped = Vec<Vec<Result<Record, String>>>;

impl FileText {
    /// The streams of the file, and what their records become.
    pub async fn streams(&self) -> Result<Streams, WorkshopError> {
        match self.ask(Task::Streams).await? {
            Said::Streams(streams) => Ok(streams),
            _ => Err(out_of_turn()),
        }
    }

    /// What records that came before would become by this file, in their order.
    pub async fn map_again(&self, origins: Vec<Origin>) -> Result<Mapped, WorkshopError> {
        match self.ask(Task::again(origins)).await? {
            Said::Again(rows) => {
                let parts = |parts: Vec<Became>| parts.into_iter().map(Became::record).collect();
                Ok(rows.into_iter().map(parts).collect())
            }
            _ => Err(out_of_turn()),
        }
    }

    /// What the rows of `sample` become in `stream`, [`SAMPLE_ROWS`] at most.
    pub async fn map_sample(&self, stream: &str, sample: Sample) -> Result<Vec<Row>, WorkshopError> {
        if sample.text.len() > SAMPLE_BYTES {
            return Err(WorkshopError::LongSample);
        }
        match self.ask(Task::sample(stream, sample)).await? {
            Said::Sample(rows) => Ok(rows),
            _ => Err(out_of_turn()),
        }
    }

    async fn ask(&self, task: Task) -> Result<Said, WorkshopError> {
        if self.text.len() > FILE_BYTES {
            return Err(WorkshopError::LongFile);
        }
        let asked = Asked { file: self.text.to_string(), folder: self.folder.clone(), task };
        let asked = serde_json::to_vec(&asked).map_err(|error| unavailable(&error))?;
        let _place = PLACES.acquire().await.map_err(|error| unavailable(&error))?;
        let said = tokio::time::timeout(TIME, run(asked)).await.map_err(|_| WorkshopError::Late)??;
        match serde_json::from_slice(&said).map_err(|error| unavailable(&error))? {
            Said::Wrong(why) => Err(WorkshopError::Wrong(why)),
            said => Ok(said),
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> WorkshopError {
    WorkshopError::Unavailable(error.to_string())
}

fn out_of_turn() -> WorkshopError {
    unavailable(&"it answers something else")
}

/// Runs the process, which is killed when nobody waits for it any more.
async fn run(asked: Vec<u8>) -> Result<Vec<u8>, WorkshopError> {
    let mut command = Command::new(program());
    command.args(COMMAND).env_clear().current_dir("/").kill_on_drop(true);
    // the allocator takes a gibibyte in advance else, which the limit would have to leave room for; in KiB
    command.env("MIMALLOC_ARENA_RESERVE", "16384");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| unavailable(&error))?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(unavailable(&"it has no pipes"));
    };
    let tell = async move {
        // one that ends early says so by its end
        let _ = input.write_all(&asked).await;
    };
    let mut said = Vec::new();
    let mut output = output.take(SAID_BYTES);
    let ((), read) = tokio::join!(tell, output.read_to_end(&mut said));
    read.map_err(|error| unavailable(&error))?;
    if said.len() as u64 == SAID_BYTES {
        return Err(WorkshopError::Stopped);
    }
    let status = child.wait().await.map_err(|error| unavailable(&error))?;
    if status.success() { Ok(said) } else { Err(WorkshopError::Stopped) }
}

/// This program, also once its file was replaced by a newer one.
fn program() -> OsString {
    match PROGRAM.get() {
        Some(path) => path.clone().into_os_string(),
        None if cfg!(target_os = "linux") => "/proc/self/exe".into(),
        None => std::env::current_exe().map_or_else(|_| "tributary".into(), PathBuf::into_os_string),
    }
}
