//! One script of writers and polls, made from a seed: the same for every server.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// What happens next. Steps are played one after the other, so that a seed gives one history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A writer inserts records of new numbers; begins its transaction, if it has none.
    Insert {
        writer: usize,
        first: u32,
        count: u32,
    },
    /// A writer gives each of these records its next version.
    Update {
        writer: usize,
        records: Vec<u32>,
    },
    Commit(usize),
    Rollback(usize),
    /// The consumers ask one page each.
    Page,
    /// The consumers poll until there is no more.
    Drain,
}

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How often the scenes are played, before the bulk and after it.
    pub rounds: usize,
    /// The records of the bulk, all in one transaction.
    pub bulk: u32,
}

/// A script, and what of it will have been committed in the end.
#[derive(Debug)]
pub struct Workload {
    pub steps: Vec<Step>,
    /// How many versions each record has gone through, by its number.
    pub versions: Vec<u32>,
    rng: StdRng,
}

impl Workload {
    pub fn new(seed: u64, size: Size) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let mut workload = Self { steps: Vec::new(), versions: Vec::new(), rng };
        workload.scenes(size.rounds);
        workload.bulk(size.bulk);
        workload.scenes(size.rounds);
        workload.last_record();
        workload
    }

    /// Versions that are committed in the end.
    pub fn written(&self) -> usize {
        self.versions.iter().map(|count| *count as usize).sum()
    }

    fn scenes(&mut self, rounds: usize) {
        const SCENES: [fn(&mut Workload); 5] = [
            Workload::late_commit,
            Workload::rollback,
            Workload::large_transaction,
            Workload::updates_during_a_walk,
            Workload::a_record_in_a_hurry,
        ];
        let mut scenes = SCENES.repeat(rounds);
        scenes.shuffle(&mut self.rng);
        for scene in scenes {
            scene(self);
        }
    }

    /// One writer commits after what a later one wrote was polled.
    fn late_commit(&mut self) {
        self.insert_few(1);
        self.insert_few(2);
        self.steps.extend([Step::Commit(2), Step::Drain, Step::Commit(1), Step::Drain]);
    }

    fn rollback(&mut self) {
        let first = self.versions.len();
        self.insert_few(1);
        self.versions[first..].fill(0);
        self.insert_few(2);
        self.steps.extend([Step::Commit(2), Step::Drain, Step::Rollback(1), Step::Drain]);
    }

    fn large_transaction(&mut self) {
        self.insert(1, 250);
        self.steps.extend([Step::Commit(1), Step::Drain]);
    }

    fn updates_during_a_walk(&mut self) {
        let count = self.rng.random_range(200..400);
        self.insert(1, count);
        self.steps.push(Step::Commit(1));
        self.update_between_pages(8);
        self.steps.push(Step::Drain);
    }

    /// More states than polls.
    fn a_record_in_a_hurry(&mut self) {
        self.insert(1, 1);
        self.steps.push(Step::Commit(1));
        let record = self.versions.len() as u32 - 1;
        for _ in 0..5 {
            self.update(vec![record]);
        }
        self.steps.push(Step::Drain);
    }

    fn bulk(&mut self, count: u32) {
        self.insert(1, count);
        self.steps.push(Step::Commit(1));
        self.update_between_pages(20);
        self.steps.push(Step::Drain);
    }

    /// A single record, when all is quiet: a server that stands still never gets to it.
    fn last_record(&mut self) {
        self.insert(1, 1);
        self.steps.extend([Step::Commit(1), Step::Drain]);
    }

    fn update_between_pages(&mut self, pages: usize) {
        for _ in 0..pages {
            self.steps.push(Step::Page);
            let count = self.rng.random_range(1..=4);
            let mut records: Vec<u32> = (0..count)
                .map(|_| self.rng.random_range(0..self.versions.len() as u32))
                .filter(|record| self.versions[*record as usize] > 0)
                .collect();
            records.sort_unstable();
            records.dedup();
            self.update(records);
        }
    }

    fn insert_few(&mut self, writer: usize) {
        let count = self.rng.random_range(5..30);
        self.insert(writer, count);
    }

    fn insert(&mut self, writer: usize, count: u32) {
        let first = self.versions.len() as u32;
        self.versions.extend(std::iter::repeat_n(1, count as usize));
        self.steps.push(Step::Insert { writer, first, count });
    }

    /// In a transaction of its own, while no other is open.
    fn update(&mut self, records: Vec<u32>) {
        for record in &records {
            self.versions[*record as usize] += 1;
        }
        self.steps.extend([Step::Update { writer: 1, records }, Step::Commit(1)]);
    }
}
