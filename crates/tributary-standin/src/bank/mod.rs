//! A bank without an API: all that it has is files. It keeps a [`Ledger`], writes it in every format of banks, and sends
//! it as banks do ([`Mail`]): statements, reports, overlapping exports, in pages and archives, again, late, restated,
//! broken, or never. It says what has to become of each file, what has to be published in the end, and how often
//! everything went wrong that can.
//!
//! All that it does follows from a seed.

mod bai2;
mod camt;
mod csv;
mod cut;
mod fault;
mod ledger;
mod mail;
mod money;
mod mt;
mod ofx;
mod pack;
mod sending;
mod style;
#[cfg(test)]
mod tests;
mod truth;

pub use self::bai2::Group;
pub use self::camt::Message;
pub use self::cut::{Cut, exports, reports, statements};
pub use self::fault::{Fault, Fired};
pub use self::ledger::{Account, Currency, EUR, JPY, KWD, Ledger, Line, USD, day};
pub use self::mail::{Aside, Mail, Sent};
pub use self::style::{Format, Style};
pub use self::truth::{OfAccount, Truth};
