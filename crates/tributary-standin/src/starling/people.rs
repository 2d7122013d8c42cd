//! Payees, and the names of merchants and senders.

use chrono::{Days, NaiveDate};

use super::money::{self, Currency};
use super::types::{Payee, PayeeAccount};
use super::uids::{self, Domain};

/// Somebody who takes card payments and direct debits.
pub(super) struct Merchant {
    pub name: &'static str,
    pub place: &'static str,
    pub country: &'static str,
    pub spending_category: &'static str,
    /// What the merchant charges in; the account is charged the converted amount.
    pub currency: &'static Currency,
}

pub(super) static MERCHANTS: [Merchant; 12] = [
    merchant("Fenland Foods", "CAMBRIDGE", "GB", "GROCERIES", &money::GBP),
    merchant("Northline Trains", "LEEDS", "GB", "TRANSPORT", &money::GBP),
    merchant("Copper Kettle", "BRISTOL", "GB", "EATING_OUT", &money::GBP),
    merchant("Brightside Energy", "SWINDON", "GB", "BILLS_AND_SERVICES", &money::GBP),
    merchant("Harbour Books", "WHITBY", "GB", "SHOPPING", &money::GBP),
    merchant("Tidewater Gym", "CARDIFF", "GB", "LIFESTYLE", &money::GBP),
    merchant("Boulangerie du Port", "LA ROCHELLE", "FR", "EATING_OUT", &money::EUR),
    merchant("Kaufhaus am Ring", "KOELN", "DE", "SHOPPING", &money::EUR),
    merchant("Hotel Miramar", "PORTO", "PT", "HOLIDAYS", &money::EUR),
    merchant("Sakura Stationery", "KYOTO", "JP", "SHOPPING", &money::JPY),
    merchant("Pine Street Hosting", "SEATTLE", "US", "BILLS_AND_SERVICES", &money::USD),
    merchant("Souk Spices", "KUWAIT CITY", "KW", "GROCERIES", &money::KWD),
];

const fn merchant(
    name: &'static str,
    place: &'static str,
    country: &'static str,
    spending_category: &'static str,
    currency: &'static Currency,
) -> Merchant {
    Merchant { name, place, country, spending_category, currency }
}

/// Somebody who pays in: name, name of the paying account, its number and sort code.
pub(super) static SENDERS: [(&str, &str, &str, &str); 6] = [
    ("Larkspur Studios Ltd", "Larkspur current", "20445511", "404040"),
    ("M Okonkwo", "M Okonkwo", "33120987", "309021"),
    ("Quarry Lane Lettings", "Client account", "90817263", "202533"),
    ("Zoë Hålvorsen", "Zoë Hålvorsen", "55512340", "110001"),
    ("HM Revenue & Customs", "Repayments", "12001020", "083210"),
    ("O'Brien \"OB\" Joinery", "OB Joinery", "70123456", "601111"),
];

/// Names of savings goals, taken in turn.
pub(super) static GOAL_NAMES: [&str; 5] = ["Trip to Kyoto", "Rainy day", "New bicycle", "Tax", "Piano"];

static FIRST_NAMES: [&str; 10] =
    ["Ada", "Bashir", "Chloé", "Dewi", "Esra", "Farida", "Gwen", "Hugo", "Ines", "Jun"];
static MIDDLE_NAMES: [&str; 4] = ["Rae", "Lee", "Noor", "Kit"];
static LAST_NAMES: [&str; 10] =
    ["Abbott", "Brzęczyk", "Castillo", "Dhillon", "Evans", "Fofana", "Grünwald", "Hughes", "Ito", "Jansen"];
static TRADES: [&str; 5] = ["Plumbing", "Design", "Haulage", "Catering", "Consulting"];

/// The payee with this number: a person, or (every fourth) a business with a person to ask for.
pub(super) fn payee(seed: u64, number: usize) -> Payee {
    let n = number as u64;
    let traits = Traits(uids::hash(seed, Domain::Person, n));
    let is_business = number % 4 == 3;
    let (first_name, last_name) = (traits.pick(0, &FIRST_NAMES), traits.pick(8, &LAST_NAMES));
    let business_name = is_business.then(|| format!("{last_name} {} Ltd", traits.pick(16, &TRADES)));
    let payee_name = business_name.clone().unwrap_or_else(|| format!("{first_name} {last_name}"));
    let account_count = if traits.bits(24).is_multiple_of(3) { 2 } else { 1 };
    Payee {
        payee_uid: uids::uid(seed, Domain::Payee, n),
        phone_number: traits
            .bits(28)
            .is_multiple_of(2)
            .then(|| format!("+447700900{:03}", traits.bits(20) % 1000)),
        payee_type: if is_business { "BUSINESS" } else { "INDIVIDUAL" },
        first_name,
        middle_name: traits.bits(32).is_multiple_of(3).then(|| traits.pick(36, &MIDDLE_NAMES)),
        last_name,
        business_name,
        date_of_birth: (!is_business && traits.bits(40).is_multiple_of(2)).then(|| birthday(traits.bits(44))),
        accounts: (0..account_count).map(|which| payee_account(seed, n, which, &payee_name)).collect(),
        payee_name,
    }
}

/// One number from which several independent-looking choices are taken by shifting.
struct Traits(u64);

impl Traits {
    fn bits(&self, shift: u32) -> u64 {
        self.0 >> shift & 0xFFFF
    }

    fn pick<T: Copy>(&self, shift: u32, from: &[T]) -> T {
        from[(self.bits(shift) % from.len() as u64) as usize]
    }
}

/// A day between 1960 and 1999.
fn birthday(bits: u64) -> NaiveDate {
    NaiveDate::default()
        .checked_sub_days(Days::new(3_653))
        .and_then(|first| first.checked_add_days(Days::new(bits % 14_600)))
        .unwrap_or_default()
}

fn payee_account(seed: u64, payee: u64, which: u64, payee_name: &str) -> PayeeAccount {
    let number = uids::hash(seed, Domain::PayeeAccount, payee * 2 + which);
    PayeeAccount {
        payee_account_uid: uids::uid(seed, Domain::PayeeAccount, payee * 2 + which),
        description: format!("{payee_name}, {} account", if which == 0 { "main" } else { "second" }),
        default_account: which == 0,
        country_code: "GB",
        account_identifier: format!("{:08}", number % 100_000_000),
        bank_identifier: format!("{:06}", (number >> 32) % 1_000_000),
        bank_identifier_type: "SORT_CODE",
    }
}
