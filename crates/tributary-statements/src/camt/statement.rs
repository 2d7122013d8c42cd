//! A `Stmt`, `Rpt` or `Ntfctn` without its entries.

use super::entry::{date, debit, money};
use super::node::Node;
use crate::{
    Account, Balance, BalanceKind, Currency, Format, Page, Purpose, ReadError, Settings, StatedDate,
    Statement, StatementKind, Texts, Total, TotalOf, decimal,
};

/// What has been read of a statement so far.
pub struct Head {
    kind: StatementKind,
    purpose: Purpose,
    account: Option<String>,
    currency: Option<Currency>,
    id: Option<String>,
    electronic: Option<String>,
    legal: Option<String>,
    page: Option<Page>,
    created: Option<StatedDate>,
    from: Option<StatedDate>,
    to: Option<StatedDate>,
    balances: Vec<Balance>,
    of_entries: Option<Currency>,
    totals: Vec<Total>,
    texts: Texts,
}

impl Head {
    /// A statement of a message that says `header` of all of its statements.
    pub fn new(kind: StatementKind, header: Texts) -> Self {
        Self {
            kind,
            purpose: Purpose::Report,
            account: None,
            currency: None,
            id: None,
            electronic: None,
            legal: None,
            page: None,
            created: None,
            from: None,
            to: None,
            balances: Vec::new(),
            of_entries: None,
            totals: Vec::new(),
            texts: header,
        }
    }

    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The currency of the account: its own, else that of its first balance, else of its first entry.
    pub fn currency(&self) -> Option<Currency> {
        self.currency.or_else(|| self.balances.first().map(|balance| balance.currency)).or(self.of_entries)
    }

    /// Notes the currency of an entry, for accounts that do not say theirs.
    pub fn saw(&mut self, currency: Currency) {
        self.of_entries.get_or_insert(currency);
    }

    /// Takes one element of the statement that is no entry.
    pub fn take(&mut self, node: &Node, settings: &Settings) -> Result<(), ReadError> {
        let place = format!("<{}> of statement {}", node.name, self.id().unwrap_or("without an id"));
        self.take_known(node, settings).map_err(|reason| ReadError::at(place, reason))
    }

    fn take_known(&mut self, node: &Node, settings: &Settings) -> Result<(), String> {
        let text = node.text.trim();
        match node.name.as_str() {
            "Id" => self.id = Some(text.to_owned()).filter(|id| !id.is_empty()),
            "ElctrncSeqNb" => self.electronic = Some(text.to_owned()),
            "LglSeqNb" => self.legal = Some(text.to_owned()),
            "StmtPgntn" | "RptPgntn" | "NtfctnPgntn" => self.page = page(node),
            "CreDtTm" => self.created = Some(StatedDate::xs(text, settings.zone)?),
            "FrToDt" => self.period(node, settings)?,
            "CpyDplctInd" => {
                self.purpose = Purpose::Copy;
                self.texts.add("CpyDplctInd", text);
            }
            "Acct" => self.account(node, settings)?,
            "Bal" => self.balances.push(balance(node, self.currency, settings)?),
            "TxsSummry" => self.summary(node)?,
            _ => node.leaves(&node.name, &mut |path, text| self.texts.add(path, text)),
        }
        Ok(())
    }

    fn period(&mut self, node: &Node, settings: &Settings) -> Result<(), String> {
        let stated = |names: [&str; 2]| {
            let text = names.iter().find_map(|name| node.text_at(name));
            text.map(|text| StatedDate::xs(text, settings.zone)).transpose()
        };
        self.from = stated(["FrDtTm", "FrDt"])?;
        self.to = stated(["ToDtTm", "ToDt"])?;
        Ok(())
    }

    fn account(&mut self, node: &Node, settings: &Settings) -> Result<(), String> {
        let id = ["Id/IBAN", "Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN"]
            .iter()
            .find_map(|path| node.text_at(path));
        self.account = Some(id.ok_or("the account has neither an IBAN nor another id")?.to_owned());
        self.currency = node.text_at("Ccy").map(|code| settings.currency(code)).transpose()?;
        node.leaves("Acct", &mut |path, text| {
            if !matches!(path, "Acct/Id/IBAN" | "Acct/Id/Othr/Id" | "Acct/Ccy") {
                self.texts.add(path, text);
            }
        });
        Ok(())
    }

    /// Totals by credit and debit, and of both: their net only where it says which side it is on.
    fn summary(&mut self, node: &Node) -> Result<(), String> {
        let Some(currency) = self.currency() else {
            node.leaves("TxsSummry", &mut |path, text| self.texts.add(path, text));
            return Ok(());
        };
        let sum_of = |text: &str| decimal::xs_decimal(text, currency).and_then(decimal::amount);
        let parts = [
            ("TtlNtries", TotalOf::Gross),
            ("TtlCdtNtries", TotalOf::Credits),
            ("TtlDbtNtries", TotalOf::Debits),
        ];
        for (name, of) in parts {
            let Some(part) = node.at(name) else { continue };
            let sum = part.text_at("Sum").map(sum_of).transpose()?;
            let count = part
                .text_at("NbOfNtries")
                .map(|text| text.parse().map_err(|_| format!("NbOfNtries is {text:?}, which is no count")))
                .transpose()?;
            self.totals.push(Total { name: name.to_owned(), of, sum, count });
            let net = part.text_at("TtlNetNtry/Amt").or_else(|| part.text_at("TtlNetNtryAmt"));
            let side = part.at("TtlNetNtry").filter(|net| net.text_at("CdtDbtInd").is_some()).unwrap_or(part);
            if let (Some(net), Some(negative)) = (net, debit(side)?) {
                let units = decimal::xs_decimal(net, currency)?;
                let sum = decimal::amount(if negative { -units } else { units })?;
                self.totals.push(Total {
                    name: "TtlNetNtry".to_owned(),
                    of: TotalOf::Net,
                    sum: Some(sum),
                    count: None,
                });
            }
        }
        for by_code in node.all("TtlNtriesPerBkTxCd") {
            by_code.leaves("TxsSummry/TtlNtriesPerBkTxCd", &mut |path, text| self.texts.add(path, text));
        }
        Ok(())
    }

    /// The statement, whose entries have been given away.
    pub fn finish(self) -> Result<Statement, ReadError> {
        let place = || format!("statement {}", self.id.as_deref().unwrap_or("without an id"));
        let id = self.account.clone().ok_or_else(|| ReadError::at(place(), "it says no account"))?;
        let currency = self.currency().ok_or_else(|| {
            ReadError::at(place(), "neither the account, a balance nor an entry says a currency")
        })?;
        let account = Account { id, currency };
        let mut texts = self.texts;
        if let (Some(_), Some(legal)) = (&self.electronic, &self.legal) {
            texts.add("LglSeqNb", legal);
        }
        Ok(Statement {
            purpose: self.purpose,
            id: self.id,
            number: self.electronic.or(self.legal).filter(|number| !number.is_empty()),
            page: self.page,
            created: self.created,
            from: self.from,
            to: self.to,
            balances: self.balances,
            totals: self.totals,
            texts,
            ..Statement::new(Format::Camt, self.kind, account)
        })
    }
}

fn page(node: &Node) -> Option<Page> {
    let number = node.text_at("PgNb")?.to_owned();
    let last = node.text_at("LastPgInd").is_none_or(|text| matches!(text, "true" | "1"));
    let first = number.trim().parse::<u64>().map_or(true, |number| number <= 1);
    Some(Page { number, to: None, first, last })
}

fn balance(node: &Node, of_account: Option<Currency>, settings: &Settings) -> Result<Balance, String> {
    let negative = debit(node)?.ok_or("a balance without CdtDbtInd")?;
    let amount = node.all("Amt").next().ok_or("a balance without Amt")?;
    let (amount, currency) = money(amount, of_account, negative, settings)?;
    let code =
        node.text_at("Tp/CdOrPrtry/Cd").or_else(|| node.text_at("Tp/CdOrPrtry/Prtry")).unwrap_or_default();
    let kind = match code {
        "OPBD" => BalanceKind::Opening,
        "CLBD" => BalanceKind::Closing,
        "PRCD" => BalanceKind::PreviousClosing,
        "ITBD" | "OIBD" | "CIBD" => BalanceKind::Interim,
        "OPAV" => BalanceKind::OpeningAvailable,
        "CLAV" => BalanceKind::ClosingAvailable,
        "ITAV" => BalanceKind::InterimAvailable,
        "FWAV" => BalanceKind::ForwardAvailable,
        other => BalanceKind::Other(other.to_owned()),
    };
    Ok(Balance { kind, amount, currency, date: date(node, "Dt", settings)? })
}
