//! The one loop of repeated requests, seen from one attempt to the next.

use std::time::Duration;

use backon::ExponentialBackoff;

use super::budget::Closed;
use super::error::ClientError;
use super::lane::Lane;
use super::retry::{self, LONGEST_WAIT};
use super::transport::Transport;

/// Why an attempt brought nothing.
#[derive(Debug)]
pub enum Failed {
    /// Another one may bring something.
    Again(Again),
    /// It was not made, as it was not its time.
    Closed { wait: Duration, why: Closed },
    /// No other would bring anything else.
    Final(ClientError),
}

/// An attempt that failed in passing.
#[derive(Debug)]
pub struct Again {
    pub why: String,
    /// The pause that the provider asks for.
    pub wait: Option<Duration>,
    /// Whether the pause is for everybody.
    pub closes: bool,
}

impl Again {
    /// As what is expected to pass by itself.
    pub fn broken(why: String) -> Self {
        Self { why, wait: None, closes: false }
    }
}

/// The attempts at one request.
pub struct Attempts {
    pauses: ExponentialBackoff,
    /// This one included.
    made: u32,
    most: u32,
    /// How long it was not their time.
    waited: Duration,
}

impl Attempts {
    /// As many as `most`, of which the first is about to be made.
    pub fn new(most: u32) -> Self {
        Self { pauses: retry::pauses(), made: 1, most, waited: Duration::ZERO }
    }

    /// Waits after one that `failed` for the next one; the error says why there is none. `lane` is
    /// closed where the provider wants that, `request` is what errors call it.
    pub async fn after(
        &mut self,
        failed: Failed,
        transport: &Transport,
        lane: &Lane,
        request: impl Fn() -> String,
    ) -> Result<(), ClientError> {
        let Again { why, wait, closes } = match failed {
            Failed::Final(error) => return Err(error),
            Failed::Closed { wait, why } => return self.until_open(wait, why, transport).await,
            Failed::Again(again) => again,
        };
        let long = wait.is_some_and(|wait| wait > LONGEST_WAIT);
        if let Some(wait) = wait.filter(|_| closes || long) {
            transport.close_for(lane, wait).await?;
            if long {
                return Err(transport.asked_to_wait(wait, Closed::ByProvider));
            }
        }
        if self.made == self.most {
            return Err(ClientError::Failed { request: request(), attempts: self.made, last: why });
        }
        tracing::debug!(request = request(), attempt = self.made, why, ?wait, "request to be repeated");
        self.made += 1;
        match wait {
            // everybody waits, so this request does too, when it is its turn
            Some(_) if closes => {}
            Some(wait) => transport.clock.sleep(wait).await,
            None => {
                let pause = self.pauses.next().unwrap_or(LONGEST_WAIT);
                transport.clock.sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn until_open(
        &mut self,
        wait: Duration,
        why: Closed,
        transport: &Transport,
    ) -> Result<(), ClientError> {
        self.waited += wait;
        if self.waited > LONGEST_WAIT {
            return Err(transport.asked_to_wait(wait, why));
        }
        transport.clock.sleep(wait).await;
        Ok(())
    }
}
