//! What goes on at the bank while it is open.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Starling;
use super::births;
use super::directory::Directory;
use super::faults::FaultBoard;
use super::lives::{self, Status};
use super::state::{Bank, Moment};

/// How many of the latest versions an undoing looks among: refunds concern recent payments.
const RECENT_VERSIONS: usize = 2_000;

impl Starling {
    /// Makes exactly `changes` changes at the clock's now: new items, and moves of existing ones
    /// to their next status. Readers see all of them or none.
    ///
    /// Each change gets an `updatedAt` above all given before (or ties as the faults in force
    /// say); where changes outnumber the milliseconds that passed, it runs ahead of the clock by
    /// the difference.
    pub fn tick(&self, changes: usize) {
        let now_ms = self.clock.now_ms();
        let mut bank = self.write();
        bank.stamper.restart(self.faults.ties());
        let mut teller = Teller { bank: &mut bank, directory: &self.directory, faults: &self.faults, now_ms };
        let mut left = changes;
        while left > 0 {
            left -= teller.change(left);
        }
    }
}

/// Makes `per_tick` changes `every` so often (first at once) until the handle is aborted. Must be
/// called within a Tokio runtime.
pub fn spawn_changes(state: Arc<Starling>, every: Duration, per_tick: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            state.tick(per_tick);
        }
    })
}

/// Works on the locked books during one tick.
struct Teller<'a> {
    bank: &'a mut Bank,
    directory: &'a Directory,
    faults: &'a FaultBoard,
    now_ms: i64,
}

impl Teller<'_> {
    /// Makes one change, or two that belong together if `room` allows. Returns how many.
    fn change(&mut self, room: usize) -> usize {
        let moved = match self.bank.rng.random_range(0..100) {
            0..45 => None,
            45..85 => self.next_of_open(),
            _ => self.undoing(),
        };
        match moved {
            Some((index, status)) => {
                let moment = self.moment(Some(self.bank.items[index as usize].updated_at_ms));
                self.bank.moved(index, status, moment);
                1
            }
            None => self.new_items(room),
        }
    }

    fn new_items(&mut self, room: usize) -> usize {
        let (first, second) = births::draw(self.directory, &mut self.bank.rng, room);
        let mut made = 0;
        for birth in [Some(first), second].into_iter().flatten() {
            let moment = self.moment(None);
            self.bank.born(&birth, moment);
            made += 1;
        }
        made
    }

    /// Picks an open item, if the draw hits one that can change now, and its next status.
    fn next_of_open(&mut self) -> Option<(u32, Status)> {
        let bank = &mut *self.bank;
        if bank.open.is_empty() {
            return None;
        }
        let place = bank.rng.random_range(0..bank.open.len());
        let index = bank.open[place];
        let item = &bank.items[index as usize];
        if bank.stamper.would_tie_with(item.updated_at_ms) {
            return None;
        }
        let status = lives::next_of_open(item.kind, item.status, &mut bank.rng);
        if !status.is_open() {
            bank.open.swap_remove(place);
        }
        Some((index, status))
    }

    /// Picks an item that settled lately, if the draw hits one that can be undone now, and how.
    fn undoing(&mut self) -> Option<(u32, Status)> {
        let bank = &mut *self.bank;
        let end = bank.log.len();
        if end == 0 {
            return None;
        }
        let place = bank.rng.random_range(end.saturating_sub(RECENT_VERSIONS)..end);
        let index = bank.log[place].item;
        let item = &bank.items[index as usize];
        if item.status != Status::Settled || bank.stamper.would_tie_with(item.updated_at_ms) {
            return None;
        }
        let status = lives::undone(item.kind, &mut bank.rng)?;
        Some((index, status))
    }

    /// When the next change happens and how it is shown, as the faults in force have it.
    fn moment(&mut self, previous_ms: Option<i64>) -> Moment {
        let stamp = self.bank.stamper.next(self.now_ms, previous_ms);
        if stamp.tied {
            self.faults.count_tie();
        }
        Moment {
            at_ms: stamp.at,
            lead_ms: self.bank.rng.random_range(0..100),
            late_requests: self.faults.lateness_of_change(),
        }
    }
}
