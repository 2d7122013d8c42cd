//! Jobs that pull: a scheduler per provider, runs, and the sink that commits what a run reads.

mod progress;
mod run;
mod scheduler;
mod shared;
mod sink;

pub use progress::Progress;
pub use run::{RunOutcome, run_once};
pub use scheduler::Scheduler;
pub use shared::DatabaseShared;
