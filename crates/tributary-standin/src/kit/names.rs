//! Names of people, businesses and accounts.

static FIRST: [&str; 8] = ["Ada", "Bashir", "Chloé", "Dewi", "Esra", "Farida", "Gwen", "Jun"];
static LAST: [&str; 8] =
    ["Abbott", "Brzęczyk", "Castillo", "Dhillon", "Fofana", "Grünwald", "Ito", "O'Neill"];
static BUSINESSES: [&str; 8] = [
    "Fenland Foods",
    "Northline Trains",
    "Copper Kettle",
    "Brightside Energy",
    "Harbour Books \"Quayside\"",
    "Boulangerie du Port",
    "Sakura Stationery",
    "Pine Street Hosting",
];
static ACCOUNTS: [&str; 5] = ["Operating", "Reserve", "Payroll", "Taxes", "Projects"];
static SPACES: [&str; 5] = ["Trip to Kyoto", "Rainy day", "New bicycle", "Tax", "Piano"];

/// The name of a person, by a random number.
pub fn person(traits: u64) -> String {
    format!("{} {}", FIRST[(traits % 8) as usize], LAST[(traits >> 8) as usize % 8])
}

/// The name of a business, by a random number.
pub fn business(traits: u64) -> &'static str {
    BUSINESSES[(traits >> 16) as usize % 8]
}

/// The name of the `n`th account.
pub fn account(n: usize) -> String {
    in_turn(&ACCOUNTS, n)
}

/// The name of the `n`th space of an account.
pub fn space(n: usize) -> String {
    in_turn(&SPACES, n)
}

fn in_turn(names: &[&str], n: usize) -> String {
    match (names[n % names.len()], n / names.len()) {
        (name, 0) => name.to_owned(),
        (name, round) => format!("{name} {}", round + 1),
    }
}
