//! The stand-in bank against the reader: what it sends in every format, with everything that goes wrong with files, in any
//! order, is its ledger, each movement once and under one id; and what is broken is said to be, by just what is missing.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tributary_standin::bank::{Aside, Fired, Format, Ledger as Books, Mail, Sent};
use tributary_statements::identity::{Known, Ledger, Rules, State};
use tributary_statements::{Account, Level, Settings, Statement, checks, join_pages, read};

use crate::bank;

/// Takes statements as they come; pages wait for each other.
struct Taker {
    ledger: Ledger,
    rules: Rules,
    /// All pages that came apart, the latest first, and all statements that were taken.
    pages: Vec<Statement>,
    taken: Vec<Statement>,
    seen: BTreeSet<Vec<u8>>,
}

impl Taker {
    fn new(level: Level) -> Self {
        let rules = Rules { level, ..Rules::default() };
        Self {
            ledger: Ledger::new(rules),
            rules,
            pages: Vec::new(),
            taken: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn take(&mut self, file: &Sent) -> Result<(), String> {
        if !self.seen.insert(file.bytes.clone()) {
            return Ok(());
        }
        let settings = Settings { csv: Some(bank::description()), ..Settings::default() };
        let csv = file.name.contains(".csv").then_some(settings);
        let statements = match (read(&file.bytes, &csv.unwrap_or_default()), file.refused) {
            (Ok(statements), false) => statements,
            (Err(_), true) => return Ok(()),
            (Ok(_), true) => return Err("it is read, though it breaks off".to_owned()),
            (Err(error), false) => return Err(error.to_string()),
        };
        let mut aside = file.put_aside.clone();
        for statement in statements {
            if statement.page.as_ref().is_some_and(|page| !(page.first && page.last)) {
                self.take_page(statement);
                continue;
            }
            let found = checks::of_statement(&statement);
            match found.iter().any(checks::Finding::is_fatal) {
                true => self.expect(&statement, &found, &mut aside)?,
                false => self.publish(statement),
            }
        }
        if aside.is_empty() { Ok(()) } else { Err(format!("not put aside: {aside:?}")) }
    }

    fn publish(&mut self, statement: Statement) {
        self.ledger.take(&statement);
        self.taken.push(statement);
    }

    /// Takes the statement of a page once all of it is there. A page may come twice, and with it a new statement.
    fn take_page(&mut self, page: Statement) {
        self.pages.insert(0, page.clone());
        let mut pages = self.pages.clone();
        pages.sort_by_key(|page| page.page.as_ref().and_then(|page| page.number.parse::<u64>().ok()));
        let whole = join_pages(pages).into_iter().find(|joined| {
            joined.page.as_ref().is_some_and(|joined| joined.first && joined.last) && is_part(&page, joined)
        });
        if let Some(whole) = whole {
            self.publish(whole);
        }
    }

    /// Pages of which nothing was taken.
    fn waiting(&self) -> Vec<&Statement> {
        let known = |page: &Statement| self.taken.iter().any(|whole| is_part(page, whole));
        self.pages.iter().filter(|page| !known(page)).collect()
    }

    fn expect(
        &self,
        statement: &Statement,
        found: &[checks::Finding],
        aside: &mut Vec<Aside>,
    ) -> Result<(), String> {
        let missing = found.iter().find_map(|finding| match finding {
            checks::Finding::DoesNotClose { missing, .. } => Some(missing.minor_units()),
            checks::Finding::WrongTotal { missing, .. } => missing.map(|missing| missing.minor_units()),
            _ => None,
        });
        let reason = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let wanted = aside.iter().position(|aside| {
            aside.account == statement.account.id
                && aside.currency == statement.account.currency.code()
                && aside.missing.is_none_or(|sum| Some(sum) == missing)
                && reason.contains(aside.why)
        });
        match wanted {
            Some(at) => drop(aside.swap_remove(at)),
            None => return Err(format!("put aside, though nothing is wrong with it: {reason}")),
        }
        Ok(())
    }

    fn known(&self) -> BTreeMap<Account, Vec<Known>> {
        let accounts: Vec<Account> = self.ledger.accounts().cloned().collect();
        accounts.into_iter().map(|account| (account.clone(), self.ledger.known(&account))).collect()
    }
}

fn is_part(page: &Statement, whole: &Statement) -> bool {
    (&page.account, &page.number) == (&whole.account, &whole.number)
        && page.entries.iter().all(|entry| whole.entries.contains(entry))
}

fn units(known: &[Known], state: State) -> Vec<i128> {
    let mut units: Vec<i128> =
        known.iter().filter(|known| known.state == state).map(|known| known.amount.minor_units()).collect();
    units.sort_unstable();
    units
}

/// Holds what is known of the files of `mail` against its truth.
fn hold(mail: &Mail, taker: &Taker, told: &str) -> BTreeMap<Account, Vec<Known>> {
    assert_eq!(taker.waiting(), [] as [&Statement; 0], "{told}: pages wait");
    let known = taker.known();
    for of in &mail.truth.accounts {
        let (account, known) = known
            .iter()
            .find(|(account, _)| account.id == of.number && account.currency.code() == of.currency)
            .unwrap_or_else(|| panic!("{told}: nothing of {}/{}", of.number, of.currency));
        let details = taker.rules.level == Level::Details;
        assert_eq!(units(known, State::Booked), of.booked(details), "{told}: booked of {account:?}");
        assert_eq!(units(known, State::Cancelled), of.cancelled(), "{told}: cancelled of {account:?}");
        assert_eq!(units(known, State::Pending), [0; 0], "{told}: pending of {account:?}");
    }
    known
}

/// The ids that do not depend on what was announced for another day.
fn ids(mail: &Mail, known: &BTreeMap<Account, Vec<Known>>) -> BTreeSet<String> {
    let announced: BTreeSet<i128> = mail.truth.accounts.iter().flat_map(|of| of.announced()).collect();
    let lasting = |known: &&Known| !announced.contains(&known.amount.minor_units());
    known.values().flatten().filter(lasting).map(|known| known.id.clone()).collect()
}

fn taken(mail: &Mail, files: &[Sent], level: Level, told: &str) -> BTreeMap<Account, Vec<Known>> {
    let mut taker = Taker::new(level);
    for file in files {
        let text = || String::from_utf8_lossy(&file.bytes).into_owned();
        taker.take(file).unwrap_or_else(|error| panic!("{told}: {}: {error}\n{}", file.name, text()));
    }
    hold(mail, &taker, told)
}

fn check(format: Format, seed: u64) -> Fired {
    let mut rng = StdRng::seed_from_u64(seed);
    let (days, lines) = (rng.random_range(5..10), rng.random_range(0..20));
    let books = Books::random(&mut rng, days, lines);
    let counts = format == Format::Mt || rng.random_bool(0.7);
    // no other format has transactions within entries
    let details = format == Format::Camt && rng.random();
    let level = if details { Level::Details } else { Level::Entries };
    let mail = Mail::send(&books, format, counts, rng.random());
    let told = format!("{format:?}, seed {seed}, numbered: {counts}, {level:?}");
    let in_order = taken(&mail, &mail.files, level, &told);
    let mut mixed = mail.files.clone();
    mixed.shuffle(&mut rng);
    let mixed = taken(&mail, &mixed, level, &format!("{told}, in another order"));
    assert_eq!(ids(&mail, &in_order), ids(&mail, &mixed), "{told}");
    mail.fired
}

/// How many ledgers each format is tried with: `FUZZ_CASES`, or few.
fn cases() -> u64 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(25)
}

fn first_seed() -> u64 {
    let given = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or(1)
}

/// Tries ledgers of one seed after the other; every fault that the format can have has to happen.
fn survives(format: Format) {
    let first = first_seed();
    let mut fired = Fired::default();
    for seed in first..first + cases() {
        fired.add(&check(format, seed));
    }
    for fault in format.faults() {
        assert!(fired.count(fault) > 0, "{format:?} from seed {first} on: {fault:?} never happened");
    }
}

#[test]
fn camt_of_a_bank_where_all_goes_wrong_is_its_ledger() {
    survives(Format::Camt);
}

#[test]
fn mt940_and_mt942_of_a_bank_where_all_goes_wrong_are_its_ledger() {
    survives(Format::Mt);
}

#[test]
fn bai2_of_a_bank_where_all_goes_wrong_is_its_ledger() {
    survives(Format::Bai2);
}

#[test]
fn ofx_of_a_bank_where_all_goes_wrong_is_its_ledger() {
    survives(Format::Ofx);
}

#[test]
fn csv_of_a_bank_where_all_goes_wrong_is_its_ledger() {
    survives(Format::Csv);
}
