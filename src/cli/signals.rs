//! The signals that a serving process listens to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::handover::{HandoverError, Launch};
use super::notify;
use crate::http::{Listening, Stop};

/// SIGINT, SIGTERM and SIGUSR2. Not SIGHUP: a terminal sends it when it closes.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    upgrade: Signal,
}

impl Signals {
    /// From now on these signals are kept until they are asked for.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for a signal to end.
    pub async fn end(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Prompt,
            _ = self.terminate.recv() => Stop::Gentle,
        }
    }

    /// Waits until the process has to stop. Meanwhile SIGUSR2 has a successor take over; if that
    /// does not work out, this process goes on.
    pub async fn until_stop(&mut self, launch: &Launch, listening: &Listening) -> Stop {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Stop::Prompt,
                _ = self.terminate.recv() => return Stop::Gentle,
                _ = self.upgrade.recv() => {}
            }
            match self.upgrade(launch, listening).await {
                Ok(why) => return why,
                Err(error) => tracing::error!(%error, "the upgrade failed: this process goes on serving"),
            }
        }
    }

    async fn upgrade(&mut self, launch: &Launch, listening: &Listening) -> Result<Stop, HandoverError> {
        let mut successor = launch.start_successor(listening)?;
        let pid = successor.pid();
        tracing::info!(%pid, "a successor was started");
        let outcome = tokio::select! {
            served = successor.wait() => served.map(|()| Stop::Replaced),
            why = self.end() => Ok(why),
        };
        match outcome {
            Ok(Stop::Replaced) => {
                tracing::info!(%pid, "the successor serves");
                notify::send(&format!("MAINPID={pid}"));
            }
            _ => successor.dismiss(),
        }
        outcome
    }
}
