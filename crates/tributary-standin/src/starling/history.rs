//! The bank's past: what happened before it opened.

use rand::Rng;
use rand::rngs::SmallRng;

use super::births::{self, Birth};
use super::config::StarlingConfig;
use super::directory::Directory;
use super::lives::{self, Kind, Status};
use super::state::{Bank, Moment};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;

/// A version of an item that comes into being at some time; `life` tells whose.
struct Event {
    at_ms: i64,
    life: u32,
    status: Status,
}

/// Enters `config.items` items and all that happened to them until `now_ms` into an empty bank.
pub(super) fn fill(bank: &mut Bank, directory: &Directory, config: &StarlingConfig, now_ms: i64) {
    let start_ms = now_ms - i64::from(config.history_days) * DAY_MS;
    let (lives, mut events) = draw_lives(&mut bank.rng, directory, config.items, start_ms, now_ms);
    events.sort_unstable_by_key(|event| (event.at_ms, event.life));
    stamp(bank, &mut events, lives.len(), config.ties, now_ms);

    bank.items.reserve_exact(lives.len());
    bank.log.reserve_exact(events.len());
    let mut numbers = vec![None; lives.len()];
    for event in &events {
        let lead_ms = bank.rng.random_range(0..100);
        let moment = Moment { at_ms: event.at_ms, lead_ms, late_requests: None };
        match &mut numbers[event.life as usize] {
            Some(index) => bank.moved(*index, event.status, moment),
            unborn => *unborn = Some(bank.born(&lives[event.life as usize], moment)),
        }
    }
    let items = &bank.items;
    bank.open.retain(|&index| items[index as usize].status.is_open());
}

fn draw_lives(
    rng: &mut SmallRng,
    directory: &Directory,
    items: usize,
    start_ms: i64,
    now_ms: i64,
) -> (Vec<Birth>, Vec<Event>) {
    let mut lives = Vec::with_capacity(items);
    let mut events = Vec::with_capacity(items * 2);
    while lives.len() < items {
        let at_ms = rng.random_range(start_ms..now_ms);
        let (first, second) = births::draw(directory, rng, items - lives.len());
        for birth in [Some(first), second].into_iter().flatten() {
            let life = u32::try_from(lives.len()).expect("the configuration allows no more items");
            lives.push(birth);
            push_events(rng, &mut events, &birth, life, at_ms, now_ms);
        }
    }
    (lives, events)
}

/// Lives one item from its birth until `now_ms`.
fn push_events(
    rng: &mut SmallRng,
    events: &mut Vec<Event>,
    birth: &Birth,
    life: u32,
    born_ms: i64,
    now_ms: i64,
) {
    let mut event = Event { at_ms: born_ms, life, status: birth.status };
    while event.at_ms <= now_ms {
        let next = next_event(rng, birth.kind, &event);
        events.push(event);
        match next {
            Some(next) => event = next,
            None => return,
        }
    }
}

/// About one settled item in sixteen is undone later; open ones always go on.
fn next_event(rng: &mut SmallRng, kind: Kind, event: &Event) -> Option<Event> {
    let (delay_ms, status) = match event.status {
        Status::Upcoming => {
            (rng.random_range(DAY_MS..4 * DAY_MS), lives::next_of_open(kind, event.status, rng))
        }
        Status::Pending => {
            (rng.random_range(SECOND_MS..3 * DAY_MS), lives::next_of_open(kind, event.status, rng))
        }
        Status::Settled if rng.random_range(0..16) == 0 => {
            (rng.random_range(DAY_MS..20 * DAY_MS), lives::undone(kind, rng)?)
        }
        Status::Settled | Status::Declined | Status::Reversed | Status::Refunded => return None,
    };
    Some(Event { at_ms: event.at_ms + delay_ms, life: event.life, status })
}

/// Gives the events (in order) their final times: unique or tied as asked for, none after `now_ms`.
fn stamp(bank: &mut Bank, events: &mut [Event], lives: usize, ties: u32, now_ms: i64) {
    let mut previous_ms = vec![None; lives];
    bank.stamper.restart(ties);
    for event in events.iter_mut() {
        let previous = &mut previous_ms[event.life as usize];
        event.at_ms = bank.stamper.next(event.at_ms, *previous).at;
        *previous = Some(event.at_ms);
    }
    let ahead_ms = bank.stamper.pull_back_to(now_ms);
    for event in events {
        event.at_ms -= ahead_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_too_dense_for_their_milliseconds_are_pulled_back_from_the_future() {
        let now_ms = 1_000_000;
        let mut bank = Bank::new(7, 1);
        let event = |life| Event { at_ms: now_ms - 1, life, status: Status::Pending };
        let mut events: Vec<_> = (0..10).map(event).collect();
        stamp(&mut bank, &mut events, 10, 1, now_ms);
        let times: Vec<_> = events.iter().map(|event| event.at_ms).collect();
        assert_eq!(times, (now_ms - 9..=now_ms).collect::<Vec<_>>());
        assert_eq!(bank.stamper.next(now_ms, None).at, now_ms + 1, "the next change comes after them");
    }
}
