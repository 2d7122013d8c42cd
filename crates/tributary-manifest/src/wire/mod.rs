//! The way to a provider: requests and answers, their pace, what is sent again, what is hidden, and
//! what answers in the provider's place. Knows nothing of what is asked for, and why.

mod attempts;
mod budget;
mod cassette;
mod clock;
mod error;
mod in_memory;
mod lane;
mod message;
pub mod meter;
mod network;
mod pace;
mod redact;
mod request;
pub mod retry;
mod shared;
mod tap;
mod told;
mod transport;

pub use attempts::{Again, Attempts, Failed};
pub use budget::{Admission, Budget, Closed, SharedError};
pub use cassette::{Cassette, Recorder};
#[cfg(test)]
pub use clock::Clock;
pub use error::{ClientError, PaymentError, SendError};
pub use in_memory::InMemory;
pub use lane::Lane;
pub use message::{Answer, Incoming, Outgoing};
pub use network::{Network, explain};
pub use pace::Pace;
pub use redact::Redactor;
pub use request::{Method, Reach, Request, Target};
pub use shared::{AccessToken, Exchange, Granted, Shared, TokenError, TokenKey};
pub use tap::{Answered, Exchanged, Tap};
pub use told::Told;
pub use transport::{Gate, Transport};
