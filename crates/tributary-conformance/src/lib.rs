//! A black-box check of any server that stands behind Formance's Generic Connector.
//!
//! It asks what the connector asks, with the connector's own loops (released and EN-1095, both
//! from [`tributary_formance`]), reads everything page by page, asks some odd questions, and says
//! what Formance would make of the answers. It never writes.
//!
//! - [`catalogue`] is the table of checks: name, question, and why it matters;
//! - `probe` sends requests, and keeps how long they took and what went wrong;
//! - `walk`, `polls` and `rewalk` gather evidence of a list: all pages, what the loops got,
//!   and all pages once more;
//! - `checks` judge that evidence; `probes` ask further and judge the answers;
//! - [`run`] is the order of it all, [`report`] what comes out, `table` how it is printed;
//! - [`verify`] compares what a Formance holds with what a server told it;
//! - [`naive`] is a server that is wrong on purpose, in one way at a time.

pub mod catalogue;
mod checks;
mod evidence;
pub mod finding;
pub mod naive;
mod options;
mod polls;
mod probe;
mod probes;
mod progress;
mod reading;
pub mod report;
mod rewalk;
mod run;
mod table;
mod text;
pub mod verify;
mod walk;

pub use catalogue::Check;
pub use finding::{Finding, Verdict};
pub use options::Options;
pub use progress::{Progress, Silent};
pub use report::Report;
pub use run::{CouldNotRun, run};

#[cfg(test)]
mod tests;
