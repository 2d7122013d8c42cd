//! Money out: each key moves money once, and shows as one payment in Formance.

mod answers;
mod outcomes;
mod records;
