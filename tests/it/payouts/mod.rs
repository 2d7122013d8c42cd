//! Money out: each key moves money once, and shows as one payment in Formance.

mod another;
mod answers;
mod approvals;
mod audited;
mod by_hand;
mod command;
mod frozen;
mod histories;
mod killed;
mod liar;
mod limits;
mod outcomes;
// what the kernel says of a process
#[cfg(target_os = "linux")]
mod paused;
mod providers;
mod pushed;
mod records;
mod secret;
mod steps;
mod unmatched_records;
mod unserved;
