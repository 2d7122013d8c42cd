//! Money out: each key moves money once, and shows as one payment in Formance.

mod answers;
mod by_hand;
mod command;
mod histories;
mod killed;
mod limits;
mod outcomes;
mod records;
