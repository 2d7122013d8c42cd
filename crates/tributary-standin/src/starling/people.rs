//! Who takes card payments and direct debits, and who pays in.

use crate::kit::money::{self, Currency};

/// Somebody who takes card payments and direct debits.
pub struct Merchant {
    pub name: &'static str,
    pub place: &'static str,
    pub country: &'static str,
    pub spending_category: &'static str,
    /// What the merchant charges in; the account is charged the converted amount.
    pub currency: &'static Currency,
}

pub static MERCHANTS: [Merchant; 8] = [
    merchant("Fenland Foods", "CAMBRIDGE", "GB", "GROCERIES", &money::GBP),
    merchant("Northline Trains", "LEEDS", "GB", "TRANSPORT", &money::GBP),
    merchant("Brightside Energy", "SWINDON", "GB", "BILLS_AND_SERVICES", &money::GBP),
    merchant("Harbour Books", "WHITBY", "GB", "SHOPPING", &money::GBP),
    merchant("Boulangerie du Port", "LA ROCHELLE", "FR", "EATING_OUT", &money::EUR),
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
pub static SENDERS: [(&str, &str, &str, &str); 5] = [
    ("Larkspur Studios Ltd", "Larkspur current", "20445511", "404040"),
    ("Quarry Lane Lettings", "Client account", "90817263", "202533"),
    ("Zoë Hålvorsen", "Zoë Hålvorsen", "55512340", "110001"),
    ("HM Revenue & Customs", "Repayments", "12001020", "083210"),
    ("O'Brien \"OB\" Joinery", "OB Joinery", "70123456", "601111"),
];
