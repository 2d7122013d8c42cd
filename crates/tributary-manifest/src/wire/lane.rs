//! Which requests a limit of the provider is about. One account that was asked too often closes neither
//! the others nor the way of payments.

/// What is closed together, and stays open while others are closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane(String);

impl Default for Lane {
    /// That of all requests which read records.
    fn default() -> Self {
        Self("records".to_owned())
    }
}

impl Lane {
    /// That of the requests for a stream.
    pub fn of_stream(stream: &str) -> Self {
        Self(format!("records/{stream}"))
    }

    /// That of the requests for one partition of a stream.
    pub fn of_partition(stream: &str, partition: &str) -> Self {
        match partition {
            "" => Self::of_stream(stream),
            partition => Self(format!("records/{stream}/{partition}")),
        }
    }

    /// That of payouts and transfers, and of looking for them.
    pub fn of_payments() -> Self {
        Self("payments".to_owned())
    }

    /// That of requests for tokens.
    pub fn of_tokens() -> Self {
        Self("tokens".to_owned())
    }

    /// The name under which instances share it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
