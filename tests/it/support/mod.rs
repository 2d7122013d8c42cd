//! What the tests share: a database each, the application over it, and Formance's client.

pub mod app;
mod consumer;
mod edited;
pub mod jobs;
pub mod load;
pub mod logins;
pub mod process;
pub mod proxy;
pub mod records;
pub mod s3;
pub mod server;
pub mod sshd;
mod strict;
pub mod survival;
pub mod till;
mod upstream;

pub use app::TestApp;
pub use consumer::{Consumer, Loop};
pub use edited::{edited, with_fast_feed};
pub use strict::Strict;
pub use upstream::Upstream;
