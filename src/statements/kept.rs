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

    /// The statement that `page` belongs to, with the numbers of its other pages, if those that are `waiting` or
    /// `joined` make it whole.
    pub async fn with_pages(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        page: &Statement,
        state: &str,
    ) -> Result<Option<(Statement, Vec<i64>)>, StoreError> {
        let (mut pages, mut seqs) = (vec![page.clone()], Vec::new());
        for other in statements::pages(connection, self.provider, key, state).await? {
            let found = self.at(connection, &other).await?;
            if let Some(found) = found.filter(|found| found.number == page.number) {
                pages.push(found);
                seqs.push(other.seq);
            }
        }
        pages.sort_by_key(page_number);
        let whole = join_pages(pages).into_iter().find(|joined| {
            is_whole(joined) && page.entries.iter().all(|entry| joined.entries.contains(entry))
        });
        Ok(whole.map(|whole| (whole, seqs)))
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
        let whole = self.with_pages(connection, key, &statement, "joined").await?;
        Ok(whole.map(|(whole, _)| whole))
    }
}

/// Whether a statement is no page of one that has others: it begins with its first page and ends with its last.
pub(super) fn is_whole(statement: &Statement) -> bool {
    statement.page.as_ref().is_none_or(|page| page.first && page.last)
}

fn page_number(statement: &Statement) -> Option<u64> {
    statement.page.as_ref().and_then(|page| page.number.parse().ok())
}
