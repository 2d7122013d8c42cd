//! A faithful model of the client that Formance points at this service: first,
//! the pieces of Go's standard library on which that client's behaviour rests.

mod calendar;
pub mod gojson;
pub mod gotime;
pub mod gourl;
pub mod integer;
