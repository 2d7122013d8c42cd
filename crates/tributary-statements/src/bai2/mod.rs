//! BAI2. Amounts are integers of minor units, and whether money comes or goes is said by the type code.

mod account;
mod codes;
mod record;

use self::account::AccountRecords;
use self::record::Record;
use crate::{Purpose, ReadError, Settings, Statement, StatementKind, Total, TotalOf, text};
use tributary_domain::Amount;

/// The statements of a file: one for each account record.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let text = text::decode(bytes, settings.charset);
    let records = record::records(&text)?;
    let file = envelope(&records)?;
    let mut statements = Vec::new();
    let mut group: Option<Group> = None;
    let mut account: Option<AccountRecords> = None;
    let mut groups_sum: Vec<Option<i128>> = Vec::new();
    for record in &records {
        match record.code {
            "01" | "99" => {}
            "02" => group = Some(Group::begun(record)?),
            "03" => {
                let group = group.as_ref().ok_or_else(|| record.wrong("an account outside of a group"))?;
                account = Some(AccountRecords::begun(record, &group.currency, settings)?);
            }
            "16" => account
                .as_mut()
                .ok_or_else(|| record.wrong("a detail outside of an account"))?
                .detail(record)?,
            "49" => {
                let group =
                    group.as_mut().ok_or_else(|| record.wrong("an account's end outside of a group"))?;
                let account =
                    account.take().ok_or_else(|| record.wrong("the end of an account that did not begin"))?;
                group.sums.push(whole(record, 1)?);
                statements.push(group.stamp(account.ended(record)?, file));
            }
            "98" => {
                let group =
                    group.take().ok_or_else(|| record.wrong("the end of a group that did not begin"))?;
                groups_sum.push(whole(record, 1)?);
                trailer(record, "98", &group.sums, 2, &mut statements)?;
            }
            _ => {}
        }
    }
    if let Some(last) = records.last() {
        trailer(last, "99", &groups_sum, 2, &mut statements)?;
        counted_records(last, &records, &mut statements)?;
    }
    if statements.is_empty() {
        return Err(ReadError::NoStatement("there is no account record (03) in it".to_owned()));
    }
    Ok(statements)
}

/// A file begins with 01 and ends with 99; what has no end is not complete.
fn envelope<'a>(records: &'a [Record<'a>]) -> Result<&'a Record<'a>, ReadError> {
    let first = records.first().filter(|record| record.code == "01");
    let first = first.ok_or_else(|| ReadError::at("line 1", "a BAI2 file begins with a record 01"))?;
    if records.last().is_none_or(|last| last.code != "99") {
        return Err(ReadError::Incomplete("there is no record 99, the end of the file".to_owned()));
    }
    let (mut groups, mut accounts) = (0_i64, 0_i64);
    for record in records {
        match record.code {
            "02" => groups += 1,
            "98" => groups -= 1,
            "03" => accounts += 1,
            "49" => accounts -= 1,
            _ => {}
        }
        if !(0..=1).contains(&groups) || !(0..=1).contains(&accounts) {
            return Err(record.wrong("a group or account begins within another, or ends without a beginning"));
        }
    }
    if (groups, accounts) != (0, 0) {
        return Err(ReadError::Incomplete("a group (98) or an account (49) does not end".to_owned()));
    }
    Ok(first)
}

/// What a group says of its accounts.
struct Group {
    currency: String,
    day: Option<crate::StatedDate>,
    kind: StatementKind,
    purpose: Purpose,
    sums: Vec<Option<i128>>,
    header: String,
}

impl Group {
    fn begun(record: &Record<'_>) -> Result<Self, ReadError> {
        let purpose = match record.field(3) {
            "1" | "" => Purpose::Report,
            "2" => Purpose::Deletion,
            "3" => Purpose::Correction,
            "4" => Purpose::Test,
            other => return Err(record.wrong(&format!("group status {other:?} is none of 1 to 4"))),
        };
        // interim of the previous or the same day
        let kind = match record.field(7) {
            "1" | "3" => StatementKind::Interim,
            _ => StatementKind::Final,
        };
        let day = account::day(record.field(4)).map_err(|reason| record.wrong(&reason))?;
        let currency = Some(record.field(6)).filter(|code| !code.is_empty()).unwrap_or("USD").to_owned();
        Ok(Self { currency, day, kind, purpose, sums: Vec::new(), header: record.raw() })
    }

    fn stamp(&self, mut statement: Statement, file: &Record<'_>) -> Statement {
        statement.kind = self.kind;
        statement.purpose = self.purpose;
        statement.from.clone_from(&self.day);
        statement.to.clone_from(&self.day);
        for balance in &mut statement.balances {
            if balance.date.is_none() {
                balance.date.clone_from(&self.day);
            }
        }
        for entry in &mut statement.entries {
            entry.booked_on.clone_from(&self.day);
        }
        statement.id = Some(file.field(5).to_owned()).filter(|id| !id.is_empty());
        statement.created = account::day(file.field(3)).ok().flatten();
        statement.texts.add("fileHeader", &file.raw());
        statement.texts.add("groupHeader", &self.header);
        statement
    }
}

/// A sum that is blank or an integer.
fn whole(record: &Record<'_>, at: usize) -> Result<Option<i128>, ReadError> {
    let text = record.field(at);
    match text.strip_prefix('+').unwrap_or(text) {
        "" => Ok(None),
        digits => Amount::parse("total", digits)
            .map(|amount| Some(amount.minor_units()))
            .map_err(|error| record.wrong(&error.to_string())),
    }
}

/// The sum of the sums below, and how many there are, kept on the last statement of them.
fn trailer(
    record: &Record<'_>,
    name: &str,
    below: &[Option<i128>],
    count_at: usize,
    statements: &mut [Statement],
) -> Result<(), ReadError> {
    let Some(last) = statements.last_mut() else { return Ok(()) };
    let found: Option<i128> = below.iter().copied().sum();
    let amount = |units: i128| crate::decimal::amount(units).map_err(|reason| record.wrong(&reason));
    let stated = whole(record, 1)?.filter(|_| found.is_some());
    let count = whole(record, count_at)?.and_then(|count| u64::try_from(count).ok());
    let of = TotalOf::Counted { sum: found.map(amount).transpose()?, count: Some(below.len() as u64) };
    last.totals.push(Total {
        name: format!("{name} control total"),
        of,
        sum: stated.map(amount).transpose()?,
        count,
    });
    Ok(())
}

fn counted_records(
    last: &Record<'_>,
    records: &[Record<'_>],
    statements: &mut [Statement],
) -> Result<(), ReadError> {
    let stated = whole(last, 3)?.and_then(|count| u64::try_from(count).ok());
    let found = records.iter().map(|record| record.physical as u64).sum();
    if let (Some(statement), Some(_)) = (statements.last_mut(), stated) {
        let of = TotalOf::Counted { sum: None, count: Some(found) };
        statement.totals.push(Total { name: "99 records".to_owned(), of, sum: None, count: stated });
    }
    Ok(())
}
