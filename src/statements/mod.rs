//! Statement files of banks on their way into the records: what a file says is held against what is there of its
//! accounts, and everything that is new is written in one transaction. Knows neither where files come from nor who asks.

mod account;
mod again;
mod files;
mod import;
mod kept;
mod movements;
mod preview;
mod publish;
mod shelf;

pub use again::{Again, take_again};
pub use files::{Expected, Files};
pub use import::{Incoming, TakeError, Taken, Taking, take};
pub use preview::{preview, put_aside};
pub use shelf::Shelves;
