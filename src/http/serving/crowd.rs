//! The connections that are open, and how many there may be. Where a new one finds no place, the
//! one that has kept us waiting longest gives its own up: whoever asks is served,
//! whoever only holds a connection is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// How soon a connection without a place looks again, while nobody has left.
const RECHECK: Duration = Duration::from_millis(20);

/// The open connections of a server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    most: usize,
    members: Arc<Mutex<Members>>,
    left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    open: BTreeMap<u64, Activity>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Crowd,
    number: u64,
}

impl Crowd {
    /// With places for `most` connections.
    pub fn new(most: usize) -> Self {
        Self { most, members: Arc::default(), left: Arc::default() }
    }

    /// A place, as soon as there is one: waits for the end of a request where all of them are
    /// asking for something. Once `hurry` is cancelled there is a place for everybody.
    pub async fn enter(&self, activity: &Activity, hurry: &CancellationToken) -> Seat {
        loop {
            let left = self.left.notified();
            if let Some(place) = self.try_enter(activity) {
                return place;
            }
            tokio::select! {
                () = left => {}
                // whoever was asked to leave may have been asked something meanwhile, and stays
                () = tokio::time::sleep(RECHECK) => {}
                () = hurry.cancelled() => return self.admit_late(activity),
            }
        }
    }

    /// A place that is there for whoever was accepted before the end.
    pub fn admit_late(&self, activity: &Activity) -> Seat {
        self.admit(&mut self.members(), activity)
    }

    fn try_enter(&self, activity: &Activity) -> Option<Seat> {
        let mut members = self.members();
        if members.open.len() < self.most {
            return Some(self.admit(&mut members, activity));
        }
        members.make_place();
        None
    }

    fn admit(&self, members: &mut Members, activity: &Activity) -> Seat {
        let number = members.next;
        members.next += 1;
        members.open.insert(number, activity.clone());
        Seat { crowd: self.clone(), number }
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Asks one to leave, unless one is leaving already: whoever has begun a request and not ended
    /// it, before who asks nothing; of those, whoever has been at it longest.
    fn make_place(&self) {
        let waiting = || self.open.values().filter_map(|activity| Some((activity.waiting()?, activity)));
        if waiting().any(|(_, activity)| activity.asked_to_leave().is_cancelled()) {
            return;
        }
        if let Some((_, longest)) = waiting().min_by_key(|((begun, since), _)| (!begun, *since)) {
            longest.ask_to_leave();
        }
    }
}

impl Seat {
    /// Gives the place to others, before the connection has ended.
    pub fn give_up(&self) {
        self.crowd.members().open.remove(&self.number);
        self.crowd.left.notify_waiters();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_up();
    }
}
