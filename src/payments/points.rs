//! The points at which a process may die, for tests that make it die there.

use std::sync::Arc;

use futures::future::BoxFuture;

/// Between two durable steps of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The order is durable; nothing was sent.
    Recorded,
    /// That a step is about to be asked for is durable; nothing was sent.
    Asking,
    /// The step was answered, or not; nothing of it is durable.
    Asked,
    /// That it is about to be sent is durable; nothing was sent.
    Sending,
    /// The provider answered, or did not; nothing of it is durable.
    Sent,
    /// What became of it is durable; the request was not answered.
    Kept,
    /// A lookup was answered; nothing of it is durable.
    LookedUp,
}

impl Point {
    pub const ALL: [Self; 7] =
        [Self::Recorded, Self::Asking, Self::Asked, Self::Sending, Self::Sent, Self::Kept, Self::LookedUp];

    /// The name in the environment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Asking => "asking",
            Self::Asked => "asked",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Kept => "kept",
            Self::LookedUp => "looked_up",
        }
    }
}

/// Called at each point. One that never returns stands for a process that died.
pub type Hook = Arc<dyn Fn(Point) -> BoxFuture<'static, ()> + Send + Sync>;

/// Kills the process at the point that TRIBUTARY_DIE_AT names, or stops it there, once, if `stop:`
/// goes before the name. In builds for tests only.
#[cfg(debug_assertions)]
pub fn from_environment() -> Option<Hook> {
    use nix::sys::signal::{Signal, raise};
    let value = std::env::var("TRIBUTARY_DIE_AT").ok()?;
    let (signal, named) = match value.strip_prefix("stop:") {
        Some(named) => (Signal::SIGSTOP, named),
        // as a machine does that loses its power: nobody gets an answer
        None => (Signal::SIGKILL, value.as_str()),
    };
    let marked = Point::ALL.into_iter().find(|point| point.as_str() == named)?;
    let reached = std::sync::atomic::AtomicBool::new(false);
    Some(Arc::new(move |point| {
        if point == marked && !reached.swap(true, std::sync::atomic::Ordering::Relaxed) {
            // to this very thread: it takes no further step
            let _ = raise(signal);
        }
        Box::pin(std::future::ready(()))
    }))
}

/// Nothing but tests makes a process die.
#[cfg(not(debug_assertions))]
pub fn from_environment() -> Option<Hook> {
    None
}
