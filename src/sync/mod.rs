//! Jobs that pull: schedulers that share the work by leases, runs, and the sink that commits what
//! a run reads.

mod breaker;
mod foreground;
mod housekeeping;
mod instance;
mod progress;
mod puller;
mod remap;
mod renewed_lease;
mod replay;
mod scheduler;
mod shared;
mod sink;
mod warned;

pub use breaker::PATIENCE;
pub use foreground::{Busy, SyncRequest, Synced, run_once};
pub use housekeeping::{FORGETTING, Housekeeper, ProviderRetention, Retention};
pub use instance::Instance;
pub use progress::SyncProgress;
pub use puller::{Puller, RunOutcome, Work};
pub use remap::{RemapFailure, RemapOutcome, RemapRequest, Remapped};
pub use renewed_lease::RenewedLease;
pub use replay::{Replayed, Replayer};
pub use scheduler::{RUN_OUTCOMES, Scheduler};
pub use shared::{DatabaseShared, STATUS_CLASSES};
pub use sink::{DatabaseSink, SinkError};
pub use warned::{Warned, WarnedOf};
