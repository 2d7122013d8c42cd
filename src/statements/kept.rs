//! Statements that came before, read again from their files: pages that waited, and what a movement was told by.

use sqlx::PgConnection;
use tributary_domain::ProviderName;
use tributary_statements::{Statement, join_pages, read};

use super::Files;
use crate::encryption;
use crate::store::statements::{self, Key, Page};
use crate::store::{StoreError, statement_files};

/// The files of one provider.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub provider: &'a ProviderName,
    pub files: &'a Files,
}

impl Kept<'_> {
    /// What is at a place of a file; `None` where its bytes were erased.
    async fn at(self, connection: &mut PgConnection, page: &Page) -> Result<Option<Statement>, StoreError> {
        let keys = encryption::keyring();
        let bytes = statement_files::bytes(connection, &keys, self.provider, &page.sha256).await?;
        let statements = bytes.and_then(|bytes| read(&bytes, &self.files.settings).ok()).unwrap_or_default();
        Ok(statements.into_iter().nth(usize::try_from(page.place).unwrap_or(usize::MAX)))
    }

    /// The statement that `page` belongs to, with the numbers of the other pages that waited for it, if it is whole by
    /// those in these `states`.
    pub async fn with_pages(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        page: &Statement,
        states: &[&str],
    ) -> Result<Option<(Statement, Vec<i64>)>, StoreError> {
        let mut others = Vec::new();
        let number = page.number.as_deref();
        for other in statements::pages(connection, self.provider, key, number, states).await? {
            match self.at(connection, &other).await? {
                // its pages came together
                Some(whole) if is_whole(&whole) && is_part(page, &whole) => {
                    return Ok(Some((whole, Vec::new())));
                }
                Some(found) if !is_whole(&found) => others.push((other, found)),
                _ => {}
            }
        }
        let mut pages: Vec<Statement> = others.iter().map(|(_, page)| page.clone()).collect();
        pages.insert(0, page.clone());
        pages.sort_by_key(page_number);
        let whole = join_pages(pages).into_iter().find(|joined| is_whole(joined) && is_part(page, joined));
        Ok(whole.map(|whole| {
            // the same page may have come twice
            let parts =
                others.iter().filter(|(other, page)| other.state == "waiting" && is_part(page, &whole));
            let seqs = parts.map(|(other, _)| other.seq).collect();
            (whole, seqs)
        }))
    }

    /// The statement that was published as `seq`, as it was then; `None` where its bytes were erased.
    pub async fn statement(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        seq: i64,
    ) -> Result<Option<Statement>, StoreError> {
        let Some(page) = statements::page(connection, self.provider, seq).await? else { return Ok(None) };
        let Some(statement) = self.at(connection, &page).await? else { return Ok(None) };
        if is_whole(&statement) {
            return Ok(Some(statement));
        }
        let whole = self.with_pages(connection, key, &statement, &["joined", "published"]).await?;
        Ok(whole.map(|(whole, _)| whole))
    }
}

/// Whether all that `page` has is in `whole`, which is of its time: numbers come again each year.
fn is_part(page: &Statement, whole: &Statement) -> bool {
    let days = page.closing_day().zip(whole.closing_day());
    days.is_none_or(|(page, whole)| (whole - page).num_days().abs() <= 31)
        && page.entries.iter().all(|entry| whole.entries.contains(entry))
}

/// Whether a statement is no page of one that has others: it begins with its first page and ends with its last.
pub(super) fn is_whole(statement: &Statement) -> bool {
    statement.page.as_ref().is_none_or(|page| page.first && page.last)
}

fn page_number(statement: &Statement) -> Option<u64> {
    statement.page.as_ref().and_then(|page| page.number.parse().ok())
}
