//! Statement files from outside the crate: the samples of real banks, the mistakes that others made with such
//! files, and ledgers written in every format.

mod archives;
mod bank;
mod bugs_bai2;
mod bugs_camt;
mod bugs_csv;
mod bugs_identity;
mod bugs_mt;
mod bugs_ofx;
mod checks;
mod fuzz;
mod identity;
mod samples;
mod standin;
mod support;
