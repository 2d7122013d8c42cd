//! A faithful model of the client that Formance points at this service.
//!
//! Formance payments v3.4 polls a server of the Generic Connector API with a
//! plugin of its own. This module does what that plugin does: it asks the same
//! requests in the same order, reads the answers as loosely as Go reads JSON
//! and as strictly as the plugin validates them, keeps the same watermark and
//! fails where the plugin fails. [`replay`] proves it against recorded calls.
//!
//! The parts, from the bottom up:
//! - [`gotime`], [`gojson`], [`integer`] and [`gourl`] are the pieces of Go's
//!   standard library on which the plugin's behaviour rests;
//! - [`decode`] turns an answer into wire rows, [`row`] is what comes out of it;
//! - [`fetch`] (with its watermark, [`State`]), [`balances`] and [`initiation`]
//!   are the calls. They know no network: each says which request it wants to
//!   ask and is given the answer, so a recording can stand in for a server;
//! - [`en1095`] is the other watermark, of a rewrite that Formance may ship;
//! - [`storage`] is the check between a successful call and Formance's tables;
//! - [`client`] drives the calls over HTTP;
//! - [`kept`] is what Formance then keeps of the rows, and [`histories`] makes up
//!   lives of payments with the amounts and statuses that it has to end up with.

pub mod balances;
mod calendar;
pub mod client;
pub mod decode;
pub mod disagreement;
pub mod en1095;
pub mod error;
pub mod fetch;
pub mod gojson;
pub mod gotime;
pub mod gourl;
pub mod histories;
pub mod initiation;
pub mod integer;
pub mod kept;
pub mod message;
pub mod recording;
pub mod replay;
pub mod row;
pub mod state;
pub mod storage;

pub use client::{Client, Stopped};
pub use en1095::En1095State;
pub use error::{CallError, ErrorClass};
pub use fetch::{Fetch, Fetched, Progress};
pub use gotime::GoTime;
pub use initiation::{Initiation, Movement};
pub use integer::Integer;
pub use kept::Kept;
pub use message::{Answer, Kind, Method, Request};
pub use row::{Balance, Payment, PaymentStatus, PaymentType, Row};
pub use state::{State, Watermark};
pub use storage::Rejection;
