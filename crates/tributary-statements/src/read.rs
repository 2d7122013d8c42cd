//! A file from its bytes to its statements.

use crate::{
    Balance, BalanceKind, Entry, Format, Page, ReadError, Settings, Statement, bai2, camt, container, csv,
    mt, ofx, sniff,
};

/// Reads a statement file, or an archive of such files, whole or not at all.
///
/// # Errors
/// Whatever [`ReadError`] says. A file without a statement is an error, never an empty list; a statement
/// without entries is one.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let mut statements = Vec::new();
    for file in container::unwrap(bytes, settings.limits)? {
        statements.extend(read_one(&file, settings)?);
    }
    if statements.is_empty() {
        return Err(ReadError::NoStatement("the archive is empty".to_owned()));
    }
    Ok(join_pages(statements))
}

fn read_one(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::Empty);
    }
    let format = match (settings.format, &settings.csv) {
        (Some(format), _) => format,
        (None, Some(_)) => sniff::sniff(bytes).unwrap_or(Format::Csv),
        (None, None) => sniff::sniff(bytes)?,
    };
    match format {
        Format::Camt => camt::read(bytes, settings),
        Format::Mt => mt::read(bytes, settings),
        Format::Bai2 => bai2::read(bytes, settings),
        Format::Ofx => ofx::read(bytes, settings),
        Format::Csv => csv::read(bytes, settings),
    }
}

/// Makes one statement of the pages of one, in their order, whether they came in one file or in several:
/// [`read`] does it within a file or archive. What does not follow on its page stays a page of its own, which
/// [`crate::checks::of_statement`] then tells: hold it until the others are there, and join them. So does a page that
/// came before.
pub fn join_pages(statements: Vec<Statement>) -> Vec<Statement> {
    let mut joined: Vec<Statement> = Vec::new();
    let mut pages: Vec<Statement> = Vec::new();
    for page in statements {
        let came_before = pages.iter().any(|other| is_same_page(other, &page));
        if page.page.as_ref().is_some_and(|page| !(page.first && page.last)) {
            pages.push(page.clone());
        }
        let before = joined.iter_mut().find(|before| !came_before && continues(before, &page));
        match before {
            Some(before) => append(before, page),
            None => joined.push(page),
        }
    }
    joined
}

/// Whether a page is one that came before: where it moves nothing in sum, it would follow on itself.
fn is_same_page(before: &Statement, page: &Statement) -> bool {
    let number = |of: &Statement| of.page.as_ref().map(|page| page.number.clone());
    let ends = |of: &Statement| (of.opening().map(|end| end.amount), page_closing(of).map(|end| end.amount));
    let entry = |entry: &Entry| {
        (entry.amount, entry.booked_on.clone(), entry.value_on.clone(), entry.reference.clone())
    };
    (before.format, before.kind, &before.account, &before.number)
        == (page.format, page.kind, &page.account, &page.number)
        && (number(before), ends(before)) == (number(page), ends(page))
        && before.entries.iter().map(entry).eq(page.entries.iter().map(entry))
}

fn continues(before: &Statement, page: &Statement) -> bool {
    let (Some(first), Some(next)) = (&before.page, &page.page) else { return false };
    // whatever opens a statement goes on with none, though it may open with what a page closes with
    if first.last || next.first {
        return false;
    }
    let reached = first.to.as_ref().unwrap_or(&first.number);
    let follows = match (reached.parse::<u64>(), next.number.parse::<u64>()) {
        (Ok(first), Ok(next)) => {
            first.checked_add(1) == Some(next) || (before.format == Format::Mt && first == next)
        }
        _ => before.format == Format::Mt,
    };
    let meets = match (page_closing(before), page.opening()) {
        (Some(closing), Some(opening)) => {
            (closing.amount, closing.currency) == (opening.amount, opening.currency)
        }
        (closing, opening) => before.format == Format::Camt && (closing.is_none() || opening.is_none()),
    };
    follows
        && meets
        && before.format == page.format
        && before.kind == page.kind
        && before.account == page.account
        && before.number == page.number
        && (before.format == Format::Mt || before.id == page.id)
        && near(before, page)
}

/// The balance after a page: of one in the middle it is the last interim one.
fn page_closing(page: &Statement) -> Option<&Balance> {
    let interim = || page.balances.iter().rfind(|balance| balance.kind == BalanceKind::Interim);
    page.closing().or_else(interim)
}

/// Whether they can be of one time: numbers come again each year.
fn near(before: &Statement, page: &Statement) -> bool {
    let days = before.closing_day().zip(page.closing_day());
    days.is_none_or(|(before, page)| (page - before).num_days().abs() <= 31)
}

fn append(before: &mut Statement, page: Statement) {
    use crate::BalanceKind::{Closing, Interim, Opening, PreviousClosing};
    if page.closing().is_some() {
        // a page in the middle opens with an interim balance, too
        let opening = before.opening().filter(|balance| balance.kind == Interim).cloned();
        before.balances.retain(|balance| !matches!(balance.kind, Closing | Interim));
        before.balances.splice(0..0, opening);
    }
    before.balances.extend(
        page.balances.into_iter().filter(|balance| !matches!(balance.kind, Opening | PreviousClosing)),
    );
    before.entries.extend(page.entries);
    for total in page.totals {
        if !before.totals.contains(&total) {
            before.totals.push(total);
        }
    }
    before.texts.extend(&page.texts);
    before.warnings.extend(page.warnings);
    before.to = page.to.or(before.to.take());
    // the same statement in one piece has the number of its first page, too
    before.page = before.page.take().zip(page.page).map(|(first, page)| Page {
        to: page.to.or(Some(page.number)),
        last: page.last,
        ..first
    });
}
