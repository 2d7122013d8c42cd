//! Record 03 with its details, 16.

use tributary_domain::Amount;

use super::codes::{self, Side, side};
use super::record::Record;
use crate::{
    Account, Balance, BalanceKind, Currency, Entry, EntryStatus, Format, ReadError, Settings, StatedDate,
    Statement, StatementKind, Texts, Total, TotalOf, date, decimal,
};

/// An account whose end has not come yet.
pub struct AccountRecords {
    statement: Statement,
    currency: Currency,
    /// The algebraic sum of what was read, as written: what 49 is compared with.
    as_written: i128,
    records: usize,
}

impl AccountRecords {
    pub fn begun(record: &Record<'_>, of_group: &str, settings: &Settings) -> Result<Self, ReadError> {
        let code = Some(record.field(2)).filter(|code| !code.is_empty()).unwrap_or(of_group);
        let currency = settings.currency(code).map_err(|reason| record.wrong(&reason))?;
        let id = Some(record.field(1)).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| record.wrong("it says no account"))?.to_owned();
        let statement = Statement::new(Format::Bai2, StatementKind::Final, Account { id, currency });
        let mut account = Self { statement, currency, as_written: 0, records: record.physical };
        account.summaries(record)?;
        Ok(account)
    }

    /// Groups of type, amount, count and funds type, whose funds may have fields of their own.
    fn summaries(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
        let fields = record.fields();
        let mut at = 2;
        while let Some(code) = fields.get(at).map(|field| field.trim()) {
            at += 1;
            if code.is_empty() {
                continue;
            }
            let code: u32 = code.parse().map_err(|_| record.wrong(&format!("{code:?} is no type code")))?;
            let amount = fields.get(at).map_or("", |field| field.trim());
            let count = fields.get(at + 1).map_or("", |field| field.trim());
            at += 2;
            let funds = fields.get(at).map_or("", |field| field.trim());
            at += 1 + extras(funds, fields.get(at + 1).copied()).map_err(|reason| record.wrong(&reason))?;
            self.summary(code, amount, count, record)?;
        }
        Ok(())
    }

    fn summary(
        &mut self,
        code: u32,
        amount: &str,
        count: &str,
        record: &Record<'_>,
    ) -> Result<(), ReadError> {
        self.statement.texts.add(&format!("type.{code:03}"), amount);
        if amount.is_empty() {
            return Ok(());
        }
        let amount = signed(amount, side(code) == Side::Status || side(code) == Side::Unknown)
            .map_err(|reason| record.wrong(&reason))?;
        self.as_written = self.added(amount.minor_units(), record)?;
        let kind = match code {
            10 => BalanceKind::Opening,
            15 => BalanceKind::Closing,
            30 => BalanceKind::Interim,
            40 => BalanceKind::OpeningAvailable,
            45 => BalanceKind::ClosingAvailable,
            60 => BalanceKind::InterimAvailable,
            100 | 400 => {
                let of = if code == 100 { TotalOf::Credits } else { TotalOf::Debits };
                let count = count.parse().ok();
                self.statement.totals.push(Total {
                    name: format!("type {code}"),
                    of,
                    sum: Some(amount),
                    count,
                });
                return Ok(());
            }
            1..=99 | 900..=919 => BalanceKind::Other(format!("{code:03}")),
            _ => return Ok(()),
        };
        self.statement.balances.push(Balance { kind, amount, currency: self.currency, date: None });
        Ok(())
    }

    fn added(&self, amount: i128, record: &Record<'_>) -> Result<i128, ReadError> {
        self.as_written.checked_add(amount).ok_or_else(|| record.wrong("the amounts are too large"))
    }

    /// Takes a transaction: type, amount, funds, two references and text.
    pub fn detail(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
        self.records += record.physical;
        let parsed = Detail::parse(record).map_err(|reason| record.wrong(&reason))?;
        let mut texts = Texts::default();
        texts.add("typeCode", parsed.code);
        texts.add("fundsType", &parsed.funds);
        texts.add("accountServicerReference", parsed.bank);
        texts.add("customerReference", parsed.customer);
        texts.add("remittanceInformation", &parsed.text);
        let number: u32 =
            parsed.code.parse().map_err(|_| record.wrong(&format!("{:?} is no type code", parsed.code)))?;
        let units = match parsed.amount {
            "" => 0,
            amount => signed(amount, false).map_err(|reason| record.wrong(&reason))?.minor_units(),
        };
        self.as_written = self.added(units, record)?;
        let (units, status) = match side(number) {
            Side::Credit => (units, EntryStatus::Booked),
            Side::Debit => (-units, EntryStatus::Booked),
            Side::Nothing => (0, EntryStatus::Information),
            Side::Status | Side::Unknown => {
                let line = record.at;
                self.statement
                    .warnings
                    .push(format!("line {line}: type {number} says no side, and moves nothing"));
                (0, EntryStatus::Other(parsed.code.to_owned()))
            }
        };
        if status != EntryStatus::Booked {
            texts.add("amount", parsed.amount);
        }
        self.statement.entries.push(Entry {
            amount: decimal::amount(units).map_err(|reason| record.wrong(&reason))?,
            currency: self.currency,
            status,
            reversal: false,
            booked_on: None,
            value_on: parsed.valued,
            reference: Some(parsed.bank.to_owned()).filter(|bank| crate::identity::names_something(bank)),
            code: Some(parsed.code.to_owned()),
            correction: None,
            details: Vec::new(),
            texts,
        });
        Ok(())
    }

    /// A payment on a loan and the parts of it are the same money: where both are there, the parts are what moves.
    fn total_of_parts(&mut self, end: &Record<'_>) -> Result<(), ReadError> {
        let code = |entry: &Entry| entry.code.as_ref().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
        let sum = |is: fn(u32) -> bool| -> i128 {
            let of = self.statement.entries.iter().filter(|entry| is(code(entry)));
            of.map(|entry| entry.amount.minor_units()).fold(0, i128::saturating_add)
        };
        let (whole, parts) = (sum(|code| code == codes::LOAN_PAYMENT), sum(codes::is_part_of_loan_payment));
        if whole == 0 || parts == 0 {
            return Ok(());
        }
        if whole != parts {
            let why = format!(
                "type 720, a payment on a loan, says {whole}, and its parts (721 to 728) are {parts}: ask the bank whether \
                 these are two payments"
            );
            return Err(end.wrong(&why));
        }
        for entry in self.statement.entries.iter_mut().filter(|entry| code(entry) == codes::LOAN_PAYMENT) {
            entry.texts.add("amount", &entry.amount.to_string());
            entry.amount = decimal::amount(0).map_err(|reason| end.wrong(&reason))?;
            entry.status = EntryStatus::Information;
        }
        Ok(())
    }

    /// The statement, with what record 49 says there is.
    pub fn ended(mut self, record: &Record<'_>) -> Result<Statement, ReadError> {
        self.records += record.physical;
        let amount = |units: i128| decimal::amount(units).map_err(|reason| record.wrong(&reason));
        self.total_of_parts(record)?;
        let sum = super::whole(record, 1)?.map(amount).transpose()?;
        let count = super::whole(record, 2)?.and_then(|count| u64::try_from(count).ok());
        let found = amount(self.as_written)?;
        let of = TotalOf::Counted { sum: Some(found), count: Some(self.records as u64) };
        self.statement.totals.push(Total { name: "49 control total".to_owned(), of, sum, count });
        Ok(self.statement)
    }
}

/// A record 16 in its parts.
struct Detail<'a> {
    code: &'a str,
    amount: &'a str,
    funds: String,
    valued: Option<StatedDate>,
    bank: &'a str,
    customer: &'a str,
    text: String,
}

impl<'a> Detail<'a> {
    fn parse(record: &Record<'a>) -> Result<Self, String> {
        let mut reader = Fields { lines: &record.lines, line: 0, rest: record.lines.first().copied() };
        let (code, amount, kind) = (reader.next(), reader.next(), reader.next());
        let mut funds = vec![kind];
        let count = match kind {
            "D" => {
                let days = reader.next();
                funds.push(days);
                extras("D", Some(days))? - 1
            }
            kind => extras(kind, None)?,
        };
        for _ in 0..count {
            funds.push(reader.next());
        }
        let valued = if kind == "V" { day(funds.get(1).copied().unwrap_or_default())? } else { None };
        let (bank, customer) = (reader.next(), reader.next());
        Ok(Self { code, amount, funds: funds.join(","), valued, bank, customer, text: reader.text() })
    }
}

/// The fields of a record that ends in text. A slash at the end of a line that is not text is a comma.
struct Fields<'r, 'a> {
    lines: &'r [&'a str],
    line: usize,
    rest: Option<&'a str>,
}

impl<'a> Fields<'_, 'a> {
    fn next(&mut self) -> &'a str {
        if self.rest.is_none() {
            self.line += 1;
            self.rest = self.lines.get(self.line).copied();
        }
        let Some(rest) = self.rest else { return "" };
        match rest.split_once(',') {
            Some((field, after)) => {
                // `…,/` ends the line; what follows is in the next one
                self.rest = (after.trim_end() != "/").then_some(after);
                field.trim()
            }
            None => {
                self.rest = None;
                let rest = rest.trim();
                rest.strip_suffix('/').unwrap_or(rest)
            }
        }
    }

    /// All that is left, in its lines.
    fn text(self) -> String {
        let first = self.rest.into_iter();
        let lines = self.lines.iter().copied().skip(self.line + 1);
        first.chain(lines).map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// How many fields follow a funds type: S has three amounts, V a day and a time, D a number of pairs.
fn extras(funds: &str, next: Option<&str>) -> Result<usize, String> {
    match funds {
        "" | "0" | "1" | "2" | "Z" => Ok(0),
        "S" => Ok(3),
        "V" => Ok(2),
        "D" => match next.unwrap_or("").trim() {
            "" => Ok(1),
            pairs => match pairs.parse::<usize>() {
                Ok(pairs) if pairs <= 1_000 => Ok(1 + 2 * pairs),
                _ => Err(format!("{pairs:?} is no number of days of availability")),
            },
        },
        other => Err(format!("{other:?} is no funds type")),
    }
}

/// An integer; only balances may have a sign.
fn signed(text: &str, may: bool) -> Result<Amount, String> {
    let digits = if may { text.strip_prefix('+').unwrap_or(text) } else { text };
    if !may && digits.starts_with('-') {
        return Err(format!("{text} has a sign: the type code says the side"));
    }
    Amount::parse("amount", digits).map_err(|error| error.to_string())
}

/// YYMMDD, or nothing.
pub fn day(text: &str) -> Result<Option<StatedDate>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match date::yymmdd(text) {
        Some((date, false)) => Ok(Some(StatedDate::day(date, text))),
        _ => Err(format!("{text:?} is no day (YYMMDD)")),
    }
}
