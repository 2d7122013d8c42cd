//! camt.052, .053 and .054, as their versions write them.

use super::cut::Cut;
use super::ledger::{Currency, Line};
use super::money::{decimal, escaped};

/// Which message of camt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// camt.052, during the day.
    Report,
    /// camt.053, of whole days.
    Statement,
    /// camt.054, of single movements.
    Notification,
}

/// A message of `cuts` in this version of ISO 20022: 2 to 14.
pub fn write(cuts: &[Cut], message: Message, version: u8) -> String {
    let (root, statement, number) = match message {
        Message::Report => ("BkToCstmrAcctRpt", "Rpt", "052"),
        Message::Statement => ("BkToCstmrStmt", "Stmt", "053"),
        Message::Notification => ("BkToCstmrDbtCdtNtfctn", "Ntfctn", "054"),
    };
    let written: String = cuts
        .iter()
        .map(|cut| format!("<{statement}>{}</{statement}>\n", Writer { cut, message, version }.statement()))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.{number}.001.{version:02}\"><{root}>\
         <GrpHdr><MsgId>M</MsgId></GrpHdr>{written}</{root}></Document>\n"
    )
}

struct Writer<'a> {
    cut: &'a Cut,
    message: Message,
    version: u8,
}

impl Writer<'_> {
    fn statement(&self) -> String {
        let cut = self.cut;
        let page = cut.page.map(|(number, last)| {
            let name = match self.message {
                Message::Report => "RptPgntn",
                Message::Statement => "StmtPgntn",
                Message::Notification => "NtfctnPgntn",
            };
            format!("<{name}><PgNb>{number}</PgNb><LastPgInd>{last}</LastPgInd></{name}>")
        });
        let number = cut.number.map(|number| format!("<ElctrncSeqNb>{number}</ElctrncSeqNb>"));
        let created = cut.created.map(|at| format!("<CreDtTm>{}</CreDtTm>", at.format("%Y-%m-%dT%H:%M:%S")));
        let id = match cut.account.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => format!("<IBAN>{}</IBAN>", cut.account),
            false => format!("<Othr><Id>{}</Id></Othr>", cut.account),
        };
        let lines: String = cut.shown().map(|line| self.entry(line, "BOOK")).collect();
        let pending: String = cut.pending.iter().map(|line| self.entry(line, "PDNG")).collect();
        format!(
            "<Id>{}</Id>{}{}{}<Acct><Id>{id}</Id><Ccy>{}</Ccy></Acct>{}{}\n{lines}{pending}",
            cut.id,
            page.unwrap_or_default(),
            number.unwrap_or_default(),
            created.unwrap_or_default(),
            cut.currency.code,
            self.balances(),
            self.summary()
        )
    }

    /// Of whole statements the two that they are between; of pages those that are between pages, too.
    fn balances(&self) -> String {
        let cut = self.cut;
        if self.message != Message::Statement {
            return String::new();
        }
        let (first, last) = cut.page.map_or((true, true), |(number, last)| (number == 1, last));
        // some say what the day before closed with
        let opening = match (first, self.version % 4) {
            (true, 0) => "PRCD",
            (true, _) => "OPBD",
            (false, _) => "ITBD",
        };
        let closing = if last { "CLBD" } else { "ITBD" };
        let day = match opening {
            "PRCD" => cut.first_day.pred_opt().unwrap_or(cut.first_day),
            _ => cut.first_day,
        };
        let mut text = self.balance(opening, cut.opening, day.to_string());
        text += &self.balance(closing, cut.closing(), cut.last_day.to_string());
        if last {
            text += &self.balance("CLAV", cut.closing() - 100, cut.last_day.to_string());
        }
        text
    }

    fn balance(&self, code: &str, units: i128, day: String) -> String {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{}{}<Dt><Dt>{day}</Dt></Dt></Bal>",
            self.amount(units),
            side(units)
        )
    }

    fn amount(&self, units: i128) -> String {
        let Currency { code, .. } = self.cut.currency;
        format!("<Amt Ccy=\"{code}\">{}</Amt>", decimal(units, self.cut.currency, '.'))
    }

    /// Control totals, of what comes whole.
    fn summary(&self) -> String {
        if self.message == Message::Notification || self.cut.page.is_some() || self.cut.lines.is_empty() {
            return String::new();
        }
        let part = |name: &str, (count, sum): (usize, i128)| {
            let sum = decimal(sum, self.cut.currency, '.');
            format!("<{name}><NbOfNtries>{count}</NbOfNtries><Sum>{sum}</Sum></{name}>")
        };
        let credits = part("TtlCdtNtries", self.cut.total(false));
        format!("<TxsSummry>{credits}{}</TxsSummry>", part("TtlDbtNtries", self.cut.total(true)))
    }

    fn entry(&self, line: &Line, status: &str) -> String {
        let status = match self.version {
            ..8 => format!("<Sts>{status}</Sts>"),
            _ => format!("<Sts><Cd>{status}</Cd></Sts>"),
        };
        let reference = line
            .reference
            .as_ref()
            .map(|text| format!("<AcctSvcrRef>{text}</AcctSvcrRef>"))
            .unwrap_or_default();
        format!(
            "<Ntry>{}{}{}{status}<BookgDt><Dt>{}</Dt></BookgDt><ValDt><Dt>{}</Dt></ValDt>{reference}\
             <BkTxCd><Prtry><Cd>{}</Cd></Prtry></BkTxCd>{}{}</Ntry>\n",
            self.amount(line.units),
            side(line.units),
            if line.returned { "<RvslInd>true</RvslInd>" } else { "" },
            line.day,
            line.valued,
            line.code,
            self.charges(line),
            self.details(line)
        )
    }

    /// What the bank kept of a batch.
    fn charges(&self, line: &Line) -> String {
        let kept = line.details.iter().sum::<i128>() - line.units;
        match (line.details.is_empty() || kept == 0, self.version) {
            (true, _) => String::new(),
            (_, ..4) => format!("<Chrgs>{}</Chrgs>", self.amount(kept)),
            _ => format!("<Chrgs><Rcrd>{}{}</Rcrd></Chrgs>", self.amount(kept), side(-kept)),
        }
    }

    fn details(&self, line: &Line) -> String {
        let said = !(line.name.is_empty() && line.text.is_empty() && line.order.is_none()) || line.returned;
        match (line.details.as_slice(), said) {
            ([], false) => String::new(),
            ([], true) => format!("<NtryDtls>{}</NtryDtls>", self.transaction(line, line.units)),
            (parts, _) => {
                let parts: String = parts.iter().map(|units| self.transaction(line, *units)).collect();
                format!("<NtryDtls>{parts}</NtryDtls>")
            }
        }
    }

    fn transaction(&self, line: &Line, units: i128) -> String {
        let order = line.order.as_deref().unwrap_or("NOTPROVIDED");
        // .02 has no amount of its own here
        let amount = match self.version {
            ..3 => format!("<AmtDtls><TxAmt>{}</TxAmt></AmtDtls>", self.amount(units)),
            _ => format!("{}{}", self.amount(units), side(units)),
        };
        let party = if units < 0 { "Cdtr" } else { "Dbtr" };
        let name = match (line.name.as_str(), self.version) {
            ("", _) => String::new(),
            (name, ..8) => format!("<RltdPties><{party}><Nm>{}</Nm></{party}></RltdPties>", escaped(name)),
            (name, _) => {
                format!("<RltdPties><{party}><Pty><Nm>{}</Nm></Pty></{party}></RltdPties>", escaped(name))
            }
        };
        let text = match line.text.as_str() {
            "" => String::new(),
            text => format!("<RmtInf><Ustrd>{}</Ustrd></RmtInf>", escaped(text)),
        };
        let why = if line.returned { "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>" } else { "" };
        format!("<TxDtls><Refs><EndToEndId>{order}</EndToEndId></Refs>{amount}{name}{text}{why}</TxDtls>")
    }
}

/// Zero is a credit.
fn side(units: i128) -> &'static str {
    if units < 0 { "<CdtDbtInd>DBIT</CdtDbtInd>" } else { "<CdtDbtInd>CRDT</CdtDbtInd>" }
}
