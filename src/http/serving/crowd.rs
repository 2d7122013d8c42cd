//! The connections that are open, and how many there may be, in all and from one address. Where a new
//! one finds no place, the one that has kept us waiting longest gives its own up: whoever asks is
//! served, whoever only holds a connection is not.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
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
    /// Of one address.
    each: usize,
    members: Arc<Mutex<Members>>,
    left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    open: BTreeMap<u64, (Activity, Option<IpAddr>)>,
    /// How many come from each address.
    shares: HashMap<IpAddr, usize>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Crowd,
    number: u64,
}

/// What becomes of a connection that asks for a place.
enum Asked {
    Placed(Seat),
    /// Somebody is about to leave, or to have been answered.
    Wait,
    /// All connections of its address are being answered, and it has no share for another one.
    Refused,
}

/// Whose share an address counts for: whoever has an IPv6 address has a whole /64 of them.
pub(super) fn origin(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Crowd {
    /// With places for `most` connections, and for `each` of one address.
    pub fn new(most: usize, each: usize) -> Self {
        Self { most, each, members: Arc::default(), left: Arc::default() }
    }

    /// A place, as soon as there is one: waits for the end of a request where all of them are
    /// asking for something. `None` where all of the address `from` are, and it has no share for
    /// another one. Once `hurry` is cancelled there is a place for everybody.
    pub async fn enter(
        &self,
        activity: &Activity,
        from: Option<IpAddr>,
        hurry: &CancellationToken,
    ) -> Option<Seat> {
        loop {
            let left = self.left.notified();
            match self.ask(activity, from) {
                Asked::Placed(place) => return Some(place),
                Asked::Refused => return None,
                Asked::Wait => {}
            }
            tokio::select! {
                () = left => {}
                // whoever was asked to leave may have been asked something meanwhile, and stays
                () = tokio::time::sleep(RECHECK) => {}
                () = hurry.cancelled() => return Some(self.admit_late(activity, from)),
            }
        }
    }

    /// A place that is there for whoever was accepted before the end.
    pub fn admit_late(&self, activity: &Activity, from: Option<IpAddr>) -> Seat {
        self.admit(&mut self.members(), activity, from)
    }

    fn ask(&self, activity: &Activity, from: Option<IpAddr>) -> Asked {
        let mut members = self.members();
        let share = from.and_then(|from| members.shares.get(&from)).copied().unwrap_or_default();
        if share >= self.each {
            let made = members.make_place(|other| other == from);
            return if made { Asked::Wait } else { Asked::Refused };
        }
        if members.open.len() < self.most {
            return Asked::Placed(self.admit(&mut members, activity, from));
        }
        members.make_place(|_| true);
        Asked::Wait
    }

    fn admit(&self, members: &mut Members, activity: &Activity, from: Option<IpAddr>) -> Seat {
        let number = members.next;
        members.next += 1;
        members.open.insert(number, (activity.clone(), from));
        if let Some(from) = from {
            *members.shares.entry(from).or_default() += 1;
        }
        Seat { crowd: self.clone(), number }
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Asks one of those from addresses that `are_meant` to leave, unless one is leaving already:
    /// whoever has begun a request and not ended it, before who asks nothing; of those, whoever has
    /// been at it longest. Gives whether one is leaving.
    fn make_place(&self, are_meant: impl Fn(Option<IpAddr>) -> bool) -> bool {
        let waiting = || {
            let meant = self.open.values().filter(|(_, from)| are_meant(*from));
            meant.filter_map(|(activity, _)| Some((activity.waiting()?, activity)))
        };
        if waiting().any(|(_, activity)| activity.asked_to_leave().is_cancelled()) {
            return true;
        }
        let longest = waiting().min_by_key(|((begun, since), _)| (!begun, *since));
        longest.inspect(|(_, longest)| longest.ask_to_leave()).is_some()
    }

    fn leave(&mut self, number: u64) {
        let Some((_, Some(from))) = self.open.remove(&number) else { return };
        if let Some(share) = self.shares.get_mut(&from) {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&from);
            }
        }
    }
}

impl Seat {
    /// Gives the place to others, before the connection has ended.
    pub fn give_up(&self) {
        self.crowd.members().leave(self.number);
        self.crowd.left.notify_waiters();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_up();
    }
}
