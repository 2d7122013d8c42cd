//! The one way in for records, whoever brings them: what is read from a provider, pushed, mapped
//! again or taken out of the quarantine is matched to the orders to pay and written, together.

mod batch;
pub mod erase;
mod matching;
mod orders;
pub mod story;

pub use batch::{Batch, Written, row_key, write};
pub use orders::{Applied, apply, match_waiting, rehearsed};
