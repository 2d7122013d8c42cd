//! What goes on at the provider: births, steps to the next status, and what comes afterwards.

use rand::Rng;

use super::books::{Books, Item, Shown, Version};
use super::desk::Entry;
use super::faults::FaultBoard;
use super::fsp::Fsp;
use super::ids;
use super::lives::{Child, Kind, Pace, Twin, TwinAccount, pick};
use super::payments::{Order, To};
use tributary_domain::Status;

/// How many of the latest changes an aftermath looks among: refunds concern recent payments.
const RECENT_CHANGES: usize = 2_000;

/// Works on the locked books at one moment.
pub(super) struct Clerk<'a> {
    pub fsp: &'a dyn Fsp,
    pub books: &'a mut Books,
    pub faults: &'a FaultBoard,
    pub now_us: i64,
}

impl Clerk<'_> {
    /// Makes one change (with what belongs to it: the other side of a transfer, the parent of a
    /// refund).
    pub fn step(&mut self) {
        let changed = match self.books.rng.random_range(0..100) {
            0..45 => false,
            45..80 => self.any_open(),
            _ => self.any_aftermath(),
        };
        if !changed {
            self.birth();
        }
    }

    /// A new record. Returns its number.
    pub fn birth(&mut self) -> usize {
        let account = self.books.rng.random_range(self.books.main_accounts());
        let other = |kind: &Kind| kind.twin.as_ref().map(|twin| self.other_account(account, twin.to));
        // what needs another account only happens where there is one
        let possible: Vec<_> =
            self.fsp.profile().kinds.iter().filter(|kind| other(kind) != Some(None)).collect();
        let kind = pick(&mut self.books.rng, possible.iter().map(|&kind| (kind, kind.weight)))
            .expect("a provider has a kind that is born of itself and needs one account");
        let amount_minor = self.books.rng.random_range(kind.amounts_minor.0..=kind.amounts_minor.1);
        let number = self.enter(kind, account, amount_minor, None);
        if let Some(twin) = &kind.twin
            && let Some(other) = self.other_account(account, twin.to)
        {
            self.enter_twin(number, twin, other);
        }
        number
    }

    /// The other side of a record, in another account.
    fn enter_twin(&mut self, number: usize, twin: &Twin, account: usize) {
        let amount_minor = self.books.items[number].amount_minor;
        // any rate will do, as long as both sides are whole minor units
        let exchanges = twin.to == TwinAccount::AnotherCurrency;
        let amount_minor = if exchanges { (amount_minor * 117 / 100).max(1) } else { amount_minor };
        let other = self.enter(self.fsp.profile().kind(twin.kind), account, amount_minor, None);
        self.books.items[number].twin = Some(other);
        self.books.items[other].twin = Some(number);
    }

    /// The account of the other side of a movement, if there is one.
    fn other_account(&self, account: usize, to: TwinAccount) -> Option<usize> {
        let (accounts, count) = (&self.books.accounts, self.books.main_accounts().len());
        let is_same = |&other: &usize| accounts[other].currency == accounts[account].currency;
        let mut others = (1..count).map(|step| (account + step) % count);
        match to {
            TwinAccount::SameCurrency => others.find(is_same),
            TwinAccount::AnotherCurrency => others.find(|other| !is_same(other)),
            TwinAccount::Space => {
                let mut spaces = self.books.spaces(account);
                let turn = self.books.items.len().checked_rem(spaces.len())?;
                spaces.nth(turn)
            }
        }
    }

    /// The record (and its other side) of a payment that was ordered. One that has no life is done
    /// at once.
    pub fn ordered(&mut self, order: &Order, entry: Entry) -> usize {
        let kind = self.fsp.profile().kind(order.kind);
        let status = match kind.moves {
            [] => kind.born[0].0,
            _ => self.word(entry.status),
        };
        let number = self.enter_with(kind, order.account, order.amount_minor, None, status);
        match order.to {
            To::Beneficiary(place) => self.pays(number, place),
            To::Account(other) => {
                let twin = kind.twin.as_ref().expect("what is paid to an account has another side");
                self.enter_twin(number, twin, other);
            }
        }
        if entry.hidden {
            let twin = self.books.items[number].twin;
            for number in [Some(number), twin].into_iter().flatten() {
                self.books.items[number].versions[0].shown = Shown::NEVER;
            }
        }
        number
    }

    /// Has this record pay the beneficiary at `place`: from its traits follows who is paid.
    fn pays(&mut self, number: usize, place: usize) {
        let (traits, count) = (self.books.items[number].traits, self.books.beneficiaries.len() as u64);
        self.books.items[number].traits = traits / count / 2 * count + place as u64;
    }

    /// The record of a payment to a beneficiary that is drafted: as its kind is born.
    pub fn drafted(&mut self, order: &Order) -> usize {
        let kind = self.fsp.profile().kind(order.kind);
        let number = self.enter_with(kind, order.account, order.amount_minor, None, kind.born[0].0);
        if let To::Beneficiary(place) = order.to {
            self.pays(number, place);
        }
        number
    }

    /// Moves the money of a draft; of another amount, where a fault has it so.
    pub fn funded(&mut self, number: usize, order: &Order, entry: Entry) -> usize {
        self.books.items[number].amount_minor = order.amount_minor;
        self.moved(number, entry.status);
        if entry.hidden {
            self.books.items[number].versions[1].shown = Shown::NEVER;
        }
        number
    }

    /// Takes this payment to `status`.
    pub fn moved(&mut self, number: usize, status: Status) {
        let status = self.word(status);
        let version = self.version(Some(number), status, self.books.items[number].kind.name);
        self.books.add_version(number, version);
    }

    fn word(&self, status: Status) -> &'static str {
        self.fsp.word(status).expect("the provider has a word for what its payments come to")
    }

    /// Takes this record to its next status, if it is on its way and may change now.
    pub fn next_of(&mut self, number: usize) -> bool {
        self.go_on(number, Pace::Soon)
    }

    /// Lets something happen to this record afterwards, if anything can: a rare move, or a child.
    pub fn aftermath_of(&mut self, number: usize) -> bool {
        let item = &self.books.items[number];
        let status = item.current().status;
        let (kind, left_minor) = (item.kind, item.amount_minor - item.taken_minor);
        let children = kind.children.iter().filter(|child| left_minor > 0 && child.of.contains(&status));
        let rare = kind.moves.iter().filter(|step| step.from == status && step.pace == Pace::Rarely);
        // what was given back in part cannot be undone as a whole any more
        let rare: u32 = if item.taken_minor == 0 { rare.map(|step| step.weight).sum() } else { 0 };
        let choices = children.map(|child| (Some(child), child.weight)).chain([(None, rare)]);
        match pick(&mut self.books.rng, choices) {
            Some(Some(child)) => self.child(number, child, left_minor),
            Some(None) => self.go_on(number, Pace::Rarely),
            None => false,
        }
    }

    fn any_open(&mut self) -> bool {
        let count = self.books.open.len();
        count > 0 && {
            let place = self.books.rng.random_range(0..count);
            self.next_of(self.books.open.at(place))
        }
    }

    fn any_aftermath(&mut self) -> bool {
        let end = self.books.log.len();
        end > 0 && {
            let place = self.books.rng.random_range(end.saturating_sub(RECENT_CHANGES)..end);
            self.aftermath_of(self.books.log[place])
        }
    }

    fn go_on(&mut self, number: usize, pace: Pace) -> bool {
        if !self.may_change(number) {
            return false;
        }
        let item = &self.books.items[number];
        let (kind, from) = (item.kind, item.current().status);
        let Some(status) = kind.next(from, pace, &mut self.books.rng) else {
            return false;
        };
        if kind.is_booked(status) && !kind.is_booked(from) && self.faults.gets_new_id(kind.name) {
            let generation = self.books.items[number].ids.len() as u64;
            let id = self.fsp.id(kind.name, self.books.seed, generation << 40 | number as u64);
            self.books.rename(number, id);
        }
        let version = self.version(Some(number), status, kind.name);
        self.books.add_version(number, version);
        true
    }

    fn child(&mut self, parent: usize, child: &Child, left_minor: i64) -> bool {
        if child.touches_parent && !self.may_change(parent) {
            return false;
        }
        let whole = child.whole || self.books.rng.random_range(0..10) < 4;
        let amount_minor = if whole { left_minor } else { self.books.rng.random_range(1..=left_minor) };
        let account = self.books.items[parent].account;
        self.books.items[parent].taken_minor += amount_minor;
        self.enter(self.fsp.profile().kind(child.kind), account, amount_minor, Some(parent));
        if child.touches_parent {
            let status = self.books.items[parent].current().status;
            let version = self.version(Some(parent), status, self.books.items[parent].kind.name);
            self.books.add_version(parent, version);
        }
        true
    }

    fn enter(
        &mut self,
        kind: &'static Kind,
        account: usize,
        amount_minor: i64,
        parent: Option<usize>,
    ) -> usize {
        let status = kind.first(&mut self.books.rng);
        self.enter_with(kind, account, amount_minor, parent, status)
    }

    fn enter_with(
        &mut self,
        kind: &'static Kind,
        account: usize,
        amount_minor: i64,
        parent: Option<usize>,
        status: &'static str,
    ) -> usize {
        let number = self.books.items.len();
        let version = self.version(None, status, kind.name);
        let item = Item {
            number,
            kind,
            account,
            amount_minor,
            parent,
            twin: None,
            versions: Vec::with_capacity(2),
            taken_minor: 0,
            traits: ids::hash(self.books.seed, "traits", number as u64),
            ids: Vec::with_capacity(1),
        };
        let id = self.fsp.id(kind.name, self.books.seed, number as u64);
        self.books.enter(item, id, version)
    }

    /// An item's own versions are never tied: one whose last version is of the present run of
    /// ties has to wait for the next.
    fn may_change(&self, number: usize) -> bool {
        let last_us = self.books.items[number].current().at_us;
        !self.books.stamper.would_tie_with(last_us / self.fsp.profile().tick_us)
    }

    /// The version that comes about now, as the faults in force have it.
    fn version(&mut self, number: Option<usize>, status: &'static str, kind: &str) -> Version {
        let tick_us = self.fsp.profile().tick_us;
        let item = number.map(|number| &self.books.items[number]);
        let previous = item.map(|item| item.current().at_us / tick_us);
        let id = item.map_or(0, |item| item.ids.len() - 1);
        let stamp = self.books.stamper.next(self.now_us / tick_us, previous);
        if stamp.tied {
            self.faults.count_tie();
        }
        let shown = self.faults.lateness_of_change(kind).map_or(Shown::AT_ONCE, |late| Shown {
            from_us: self.now_us + i64::from(late.milliseconds) * 1_000,
            from_change: self.books.log.len() as u64 + 1 + u64::from(late.changes),
        });
        Version { status, at_us: stamp.at * tick_us, id, shown }
    }
}
