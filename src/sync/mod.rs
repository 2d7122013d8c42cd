//! Jobs that pull: schedulers that share the work by leases, runs, and the sink that commits what
//! a run reads.

mod breaker;
mod discard;
mod files;
mod foreground;
mod housekeeping;
mod instance;
mod preview;
mod progress;
mod puller;
mod remap;
mod renewed_lease;
mod replay;
mod scheduler;
mod shared;
mod sink;
mod warned;

use chrono::Utc;

use tributary_manifest::{CompiledProvider, StreamGroup};

pub use breaker::PATIENCE;
pub use discard::discard;
pub use files::{
    AfterTaking, AzureCredential, Bucket, BucketOf, FILES, FileFetcher, FilePlace, FileSource, FilesAgain,
    FilesRun, FilesRunOutcome, Imported, ImportedAccount, Importer, NotImported, RereadFailure,
    RereadOutcome, Rereader, Sftp, SftpLogin, files_in,
};
pub use foreground::{Busy, SyncRequest, Synced, run_once};
pub use housekeeping::{FORGETTING, Housekeeper, ProviderRetention, Retention};
pub use instance::Instance;
pub use preview::{
    Bounds, Example, Field, Preview, PreviewError, Refusal, preview_remap, preview_replay, served_alone,
};
pub use progress::SyncProgress;
pub use puller::{Puller, RunOutcome, Work};
pub use remap::{RemapFailure, RemapOutcome, RemapRequest, Remapped};
pub use renewed_lease::RenewedLease;
pub use replay::{Replayed, Replayer};
pub use scheduler::{RUN_OUTCOMES, Scheduler};
pub use shared::{DatabaseShared, STATUS_CLASSES};
pub use sink::{DatabaseSink, SinkError};
pub use warned::{Warned, WarnedOf};

/// How far apart the runs of a group are at most, in seconds, as its file says; none where only a webhook or a person
/// has it read.
pub fn period(compiled: &CompiledProvider, group: &StreamGroup) -> Option<f64> {
    let scheduled = group.streams.iter().filter_map(|stream| compiled.schedules().get(stream));
    let gap = scheduled.filter_map(|schedule| schedule.longest_gap(Utc::now())).min();
    gap.map(|gap| gap.num_milliseconds() as f64 / 1000.0)
}
