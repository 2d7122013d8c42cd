//! What moved on the accounts of a bank, and what was to move and never did.

use chrono::{Days, NaiveDate};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// A currency and the decimals of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    pub code: &'static str,
    pub decimals: usize,
}

pub const EUR: Currency = Currency { code: "EUR", decimals: 2 };
pub const USD: Currency = Currency { code: "USD", decimals: 2 };
pub const JPY: Currency = Currency { code: "JPY", decimals: 0 };
pub const KWD: Currency = Currency { code: "KWD", decimals: 3 };

/// The day of this number, from 0 on: 0 is Monday, 2 March 2026.
pub fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).map_or(NaiveDate::MIN, |first| first + Days::new(number.into()))
}

/// A movement on an account: what a line of a statement tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// When it was booked.
    pub day: NaiveDate,
    pub valued: NaiveDate,
    /// Signed, in minor units.
    pub units: i128,
    /// The bank's reference. Banks repeat them.
    pub reference: Option<String>,
    /// What kind of movement it is, in four characters: `NTRF`, `NCHG`, `NRTI`.
    pub code: &'static str,
    /// The name of the other side, and what the movement is for.
    pub name: String,
    pub text: String,
    /// What whoever ordered it called it.
    pub order: Option<String>,
    /// Whether it gives back what moved before.
    pub returned: bool,
    /// The amounts of the transactions within it, signed. They are not the whole where charges are between.
    pub details: Vec<i128>,
    /// When it was first expected, if it was before it was booked.
    pub announced: Option<NaiveDate>,
}

impl Line {
    /// A movement of which nothing else is known.
    pub fn new(day: NaiveDate, units: i128) -> Self {
        Self {
            day,
            valued: day,
            units,
            reference: None,
            code: "NTRF",
            name: String::new(),
            text: String::new(),
            order: None,
            returned: false,
            details: Vec::new(),
            announced: None,
        }
    }

    /// The same, with a reference of the bank.
    pub fn referred(self, reference: impl Into<String>) -> Self {
        Self { reference: Some(reference.into()), ..self }
    }

    /// As it was announced: on the day of that, without what is known of its booking alone.
    pub fn as_announced(&self, on: NaiveDate) -> Self {
        Self { day: on, valued: on, ..self.clone() }
    }

    /// Whether it was announced for another day than it was booked on.
    pub(super) fn is_announced_otherwise(&self) -> bool {
        self.announced.is_some_and(|on| on != self.day)
    }

    /// Whether its transactions add up to it: then they can be movements themselves.
    pub fn adds_up(&self) -> bool {
        self.details.len() > 1 && self.details.iter().sum::<i128>() == self.units
    }
}

/// An account in one currency.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its IBAN or number: two accounts may have one, in two currencies.
    pub number: String,
    pub currency: Currency,
    /// In minor units, before the first day.
    pub opening: i128,
    /// What moved, day by day.
    pub lines: Vec<Line>,
    /// What was expected on its day, and never booked.
    pub never_booked: Vec<Line>,
}

impl Account {
    /// What it holds after the last day, in minor units.
    pub fn closing(&self) -> i128 {
        self.opening + self.lines.iter().map(|line| line.units).sum::<i128>()
    }
}

/// The accounts of a bank, over some days.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub first_day: NaiveDate,
    pub days: u32,
    pub accounts: Vec<Account>,
}

/// Amounts and references are few, so that many movements are equal.
const AMOUNTS: [i128; 7] = [100, 100, 250, -100, -250, 4_999, -1];
const REFERENCES: [&str; 3] = ["REF0X", "REF1X", "REF2X"];
const NAMES: [&str; 4] = ["Müller & Söhne", "Café \"Zur Post\"", "ACME <Ltd>", "Jörg Weiß"];
const TEXTS: [&str; 4] = [
    "Invoice 4711; March",
    "Rent at 20:44:45",
    "Rückzahlung / Teil 2",
    "a text that is longer than one line of a statement takes, so that it goes on in the next",
];

impl Ledger {
    /// Accounts in euro, dollar, yen and dinar, of which two share a number, with some `lines` each over so many
    /// `days`. Whatever movements can be is among them: twins, repeated references, returns, charges, batches,
    /// and pending ones that are booked on that day, later, or never. The turn of a year may be, too.
    ///
    /// # Panics
    /// With fewer than 5 days.
    pub fn random(rng: &mut StdRng, days: u32, lines: usize) -> Self {
        assert!(days >= 5, "a ledger has five days at least");
        let starts = [(2026, 3, 2), (2025, 12, 29), (2024, 2, 27)];
        let (year, month, of_month) = starts[rng.random_range(0..starts.len())];
        let first_day = NaiveDate::from_ymd_opt(year, month, of_month).unwrap_or_else(|| day(0));
        let numbers = [
            ("DE89370400440532013000", EUR),
            ("DE89370400440532013000", USD),
            ("3300112233", JPY),
            ("KW81CBKU0000000000001234560101", KWD),
        ];
        let accounts = numbers.into_iter().enumerate().map(|(at, (number, currency))| {
            let mut made = Made { rng, first_day, days, unique: 700_001 + 10_000 * at as i128 };
            let lines = made.lines(lines);
            let never_booked = made.never_booked();
            Account { number: number.to_owned(), currency, opening: 5_000, lines, never_booked }
        });
        let accounts = accounts.collect();
        Self { first_day, days, accounts }
    }

    /// The day of this number within the ledger, from 0 on.
    pub fn day(&self, number: u32) -> NaiveDate {
        self.first_day + Days::new(number.into())
    }

    /// Its last day.
    pub fn last_day(&self) -> NaiveDate {
        self.day(self.days - 1)
    }
}

/// What the movements of one account are made with.
struct Made<'a> {
    rng: &'a mut StdRng,
    first_day: NaiveDate,
    days: u32,
    /// The next amount that nothing else has: what is announced has to be found again.
    unique: i128,
}

impl Made<'_> {
    fn day(&mut self, before_last: u32) -> NaiveDate {
        self.first_day + Days::new(self.rng.random_range(0..self.days - before_last).into())
    }

    fn unique(&mut self) -> i128 {
        self.unique += 17;
        if self.rng.random() { self.unique } else { -self.unique }
    }

    fn lines(&mut self, usual: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = (0..usual).map(|_| self.usual()).collect();
        lines.extend(self.twins());
        lines.extend([self.returned(), self.charged(), self.batch()]);
        lines.extend(self.announced());
        // a table covers the days of its rows: that of the whole all of them
        let on = |day: u32| Line::new(self.first_day + Days::new(day.into()), 100);
        lines.extend([Line { name: NAMES[0].to_owned(), ..on(0) }, on(self.days - 1), on(self.days - 1)]);
        lines.sort_by_key(|line| line.day);
        lines
    }

    fn usual(&mut self) -> Line {
        let day = self.day(0);
        let mut line = Line::new(day, *AMOUNTS.choose(self.rng).unwrap_or(&1));
        if self.rng.random_bool(0.3) {
            line.valued = day + Days::new(self.rng.random_range(0..3));
        }
        if self.rng.random() {
            line.reference = REFERENCES.choose(self.rng).map(|text| (*text).to_owned());
        }
        if self.rng.random() {
            line.name = (*NAMES.choose(self.rng).unwrap_or(&"")).to_owned();
            line.text = (*TEXTS.choose(self.rng).unwrap_or(&"")).to_owned();
        }
        if self.rng.random_bool(0.2) {
            line.order = Some(format!("E2E-{}", self.rng.random_range(0..4)));
        }
        line
    }

    /// The same twice on one day, and other money under the same reference.
    fn twins(&mut self) -> [Line; 3] {
        let twin = Line { code: "NMSC", text: "two coffees".to_owned(), ..Line::new(self.day(0), -250) }
            .referred("REF1X");
        [twin.clone(), twin.clone(), Line { units: -300, code: "NCHG", ..twin }]
    }

    fn returned(&mut self) -> Line {
        let line = Line {
            code: "NRTI",
            order: Some("E2E-9".to_owned()),
            returned: true,
            ..Line::new(self.day(0), 1_234)
        };
        let line = Line { name: NAMES[3].to_owned(), ..line };
        if self.rng.random() { line } else { Line { units: -line.units, ..line } }
    }

    /// A batch of which the bank kept a part.
    fn charged(&mut self) -> Line {
        let line = Line { details: vec![1_000, 500], ..Line::new(self.day(0), 1_474) };
        Line { name: NAMES[0].to_owned(), text: TEXTS[0].to_owned(), ..line }.referred("BATCH1")
    }

    fn batch(&mut self) -> Line {
        let details: Vec<i128> =
            (0..self.rng.random_range(2..5)).map(|_| self.rng.random_range(1..4) * 111).collect();
        let units = details.iter().sum();
        Line { details, ..Line::new(self.day(0), units) }.referred("BATCH2")
    }

    /// What was pending before it was booked: on that day, the day before, and longer where a reference tells.
    fn announced(&mut self) -> [Line; 3] {
        let (same, before, long) = (self.day(0), self.day(1), self.day(3));
        let same = Line { announced: Some(same), ..Line::new(same, self.unique()) };
        let next = Line { announced: Some(before), ..Line::new(before + Days::new(1), self.unique()) };
        let later = Line { announced: Some(long), ..Line::new(long + Days::new(3), self.unique()) };
        let reference = format!("HOLD{}", self.unique);
        [same, next, later.referred(reference)]
    }

    fn never_booked(&mut self) -> Vec<Line> {
        let on = self.day(2);
        vec![Line::new(on, self.unique())]
    }
}
