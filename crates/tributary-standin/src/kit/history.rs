//! The past: what happened before the stand-in opened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;

use super::changes::Clerk;
use super::times::{DAY_US, SECOND_US};

/// Something that happens at a time; the number keeps equal times in order.
type Event = Reverse<(i64, u64, What)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Birth,
    Next(usize),
    Aftermath(usize),
}

/// Enters `births` records since `start_us` and all that happened to them until `end_us`.
pub(super) fn fill(clerk: &mut Clerk<'_>, births: usize, start_us: i64, end_us: i64) {
    let mut queue: BinaryHeap<Event> = BinaryHeap::with_capacity(births + 1);
    let mut count = 0;
    for _ in 0..births {
        let at_us = clerk.books.rng.random_range(start_us..end_us);
        count += 1;
        queue.push(Reverse((at_us, count, What::Birth)));
    }
    while let Some(Reverse((at_us, _, what))) = queue.pop() {
        clerk.now_us = at_us;
        let first = clerk.books.items.len();
        let log = clerk.books.log.len();
        match what {
            What::Birth => drop(clerk.birth()),
            What::Next(number) => drop(clerk.next_of(number)),
            What::Aftermath(number) => drop(clerk.aftermath_of(number)),
        }
        let born = first..clerk.books.items.len();
        let mut changed: Vec<usize> = clerk.books.log[log..].to_vec();
        changed.extend(born);
        changed.sort_unstable();
        changed.dedup();
        for number in changed {
            let (delay_us, next) = follow_up(clerk, number);
            if let Some(next) = next.filter(|_| at_us + delay_us < end_us) {
                count += 1;
                queue.push(Reverse((at_us + delay_us, count, next)));
            }
        }
    }
}

/// What is to happen to a record next, and how long after its last change.
fn follow_up(clerk: &mut Clerk<'_>, number: usize) -> (i64, Option<What>) {
    let item = &clerk.books.items[number];
    let is_open = item.kind.is_open(item.current().status);
    let rng = &mut clerk.books.rng;
    if is_open {
        return (rng.random_range(SECOND_US..3 * DAY_US), Some(What::Next(number)));
    }
    let happens = rng.random_range(0..100) < 15;
    (rng.random_range(SECOND_US..20 * DAY_US), happens.then_some(What::Aftermath(number)))
}
