//! What is written in a provider file, in the forms of the language.

pub mod example;
pub mod file;
pub mod page;
pub mod pay;
pub mod report;
pub mod right;
pub mod stream;
pub mod webhook;
