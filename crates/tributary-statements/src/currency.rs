//! Currencies, and how many decimals each has.

use tributary_domain::Asset;

/// A currency of three letters and the decimals of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

/// ISO 4217 currencies without minor units, and with others than two decimals.
const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ITL BEF ESP";
const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
const FOUR: &str = "CLF UYW";
/// ISO 4217 currencies with two decimals, and those that the euro replaced.
const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHE CHF CHW CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD \
    HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP \
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG \
    SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD \
    XCG YER ZAR ZMW ZWG DEM FRF NLG ATS IEP FIM HRK EEK LVL LTL SKK CNH";

impl Currency {
    /// The ISO 4217 currency of this code. `None` where the code is not known: how many decimals it has is
    /// not guessed, as a wrong guess is wrong by a hundred times.
    pub fn iso(code: &str) -> Option<Self> {
        let decimals = [(TWO, 2), (NONE, 0), (THREE, 3), (FOUR, 4)]
            .into_iter()
            .find(|(codes, _)| codes.split_ascii_whitespace().any(|known| known == code))?
            .1;
        Self::with_decimals(code, decimals)
    }

    /// A currency of one's own: three of `A-Z` and its `decimals`, at most 18.
    pub fn with_decimals(code: &str, decimals: u8) -> Option<Self> {
        let code: [u8; 3] = code.as_bytes().try_into().ok()?;
        (code.iter().all(u8::is_ascii_uppercase) && decimals <= 18).then_some(Self { code, decimals })
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("three letters of ASCII")
    }

    /// The decimals of its minor unit.
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// The asset as Formance writes it: `EUR/2`, `JPY`.
    pub fn asset(self) -> Asset {
        let text = match self.decimals {
            0 => self.code().to_owned(),
            decimals => format!("{}/{decimals}", self.code()),
        };
        Asset::parse("currency", &text).expect("three letters and a number make an asset")
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_the_decimals_of_iso_4217_and_an_unknown_one_is_not_guessed() {
        for (code, asset) in [("EUR", "EUR/2"), ("JPY", "JPY"), ("KWD", "KWD/3"), ("CLF", "CLF/4")] {
            assert_eq!(Currency::iso(code).unwrap().asset().as_str(), asset);
        }
        for unknown in ["XYZ", "eur", "", "EURO", "E R"] {
            assert_eq!(Currency::iso(unknown), None, "{unknown}");
        }
        assert_eq!(Currency::with_decimals("XYZ", 6).unwrap().asset().as_str(), "XYZ/6");
    }

    #[test]
    fn no_code_is_in_two_lists() {
        let mut codes: Vec<&str> =
            [TWO, NONE, THREE, FOUR].iter().flat_map(|codes| codes.split_ascii_whitespace()).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
