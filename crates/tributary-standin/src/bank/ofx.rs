//! OFX of both generations.

use chrono::NaiveDate;

use super::cut::Cut;
use super::ledger::Line;
use super::money::{escaped, signed};

/// A download of `cuts`: XML of 2.x, or the SGML of 1.x, whose leaves have no end.
pub fn write(cuts: &[Cut], xml: bool) -> String {
    let statements: String = cuts.iter().map(|cut| Writer { cut, xml }.statement()).collect();
    let head = match xml {
        true => "<?xml version=\"1.0\"?>\n<?OFX OFXHEADER=\"200\"?>\n",
        false => "OFXHEADER:100\nCHARSET:1252\n\n",
    };
    format!("{head}<OFX><BANKMSGSRSV1>{statements}</BANKMSGSRSV1></OFX>")
}

struct Writer<'a> {
    cut: &'a Cut,
    xml: bool,
}

impl Writer<'_> {
    fn leaf(&self, name: &str, text: &str) -> String {
        if self.xml {
            return format!("<{name}>{}</{name}>", escaped(text));
        }
        // what programs of the first generation make of an ampersand is one
        format!("<{name}>{}\n", text.replace('<', "&lt;").replace('>', "&gt;"))
    }

    fn day(&self, name: &str, day: NaiveDate) -> String {
        self.leaf(name, &day.format("%Y%m%d").to_string())
    }

    fn statement(&self) -> String {
        let cut = self.cut;
        let lines: String = cut.shown().map(|line| self.transaction(line, "STMTTRN")).collect();
        let pending: String = cut.pending.iter().map(|line| self.transaction(line, "STMTTRNP")).collect();
        // the first generation knows none that are pending
        let pending = match self.xml && !pending.is_empty() {
            true => format!("<BANKTRANLISTP>{pending}</BANKTRANLISTP>"),
            false => String::new(),
        };
        let balance = self.leaf("BALAMT", &signed(cut.closing(), cut.currency, '.'));
        format!(
            "<STMTTRNRS><STMTRS>{}<BANKACCTFROM>{}</BANKACCTFROM><BANKTRANLIST>{}{}{lines}</BANKTRANLIST>{pending}\
             <LEDGERBAL>{balance}{}</LEDGERBAL></STMTRS></STMTTRNRS>\n",
            self.leaf("CURDEF", cut.currency.code),
            self.leaf("ACCTID", &cut.account),
            self.day("DTSTART", cut.first_day),
            self.day("DTEND", cut.last_day),
            self.day("DTASOF", cut.last_day)
        )
    }

    fn transaction(&self, line: &Line, name: &str) -> String {
        let at =
            |name: &str, day: NaiveDate| self.leaf(name, &day.format("%Y%m%d120000[-5:EST]").to_string());
        let day = if name == "STMTTRN" { "DTPOSTED" } else { "DTTRAN" };
        let mut text = self.leaf("TRNTYPE", "OTHER") + &at(day, line.day);
        if line.valued != line.day {
            text += &at("DTAVAIL", line.valued);
        }
        text += &self.leaf("TRNAMT", &signed(line.units, self.cut.currency, '.'));
        for (name, value) in [
            ("FITID", line.reference.as_deref()),
            ("NAME", Some(line.name.as_str())),
            ("MEMO", Some(line.text.as_str())),
            ("REFNUM", line.order.as_deref()),
        ] {
            text += &value
                .filter(|value| !value.is_empty())
                .map(|value| self.leaf(name, value))
                .unwrap_or_default();
        }
        format!("<{name}>{text}</{name}>\n")
    }
}
