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

    /// The statements of the account that have the number of `of` and are in one of these states, with where they are.
    async fn of_number(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        of: &Statement,
        states: &[&str],
    ) -> Result<Vec<(Page, Statement)>, StoreError> {
        let mut found = Vec::new();
        for page in statements::pages(connection, self.provider, key, of.number.as_deref(), states).await? {
            let statement = self.at(connection, &page).await?;
            found.extend(statement.map(|statement| (page, statement)));
        }
        Ok(found)
    }

    /// The statement that `page` belongs to, if it is whole by those in these `states`. Of pages that came more than once
    /// the latest are its.
    pub async fn with_pages(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        page: &Statement,
        states: &[&str],
    ) -> Result<Option<Statement>, StoreError> {
        let others = self.of_number(connection, key, page, states).await?;
        let others = others.into_iter().rev().map(|(_, other)| other).filter(|other| !is_whole(other));
        let mut pages: Vec<Statement> = std::iter::once(page.clone()).chain(others).collect();
        pages.sort_by_key(page_number);
        Ok(join_pages(pages).into_iter().find(|joined| is_whole(joined) && is_part(page, joined)))
    }

    /// Whether `page` has nothing that is not in a statement of its number that was published in one piece.
    pub async fn has(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        page: &Statement,
    ) -> Result<bool, StoreError> {
        let published = self.of_number(connection, key, page, &["published"]).await?;
        Ok(published.iter().any(|(_, whole)| is_whole(whole) && is_part(page, whole)))
    }

    /// The numbers of the pages that wait, and are parts of `whole`: some may have come twice.
    pub async fn waiting_parts(
        self,
        connection: &mut PgConnection,
        key: Key<'_>,
        whole: &Statement,
    ) -> Result<Vec<i64>, StoreError> {
        let waiting = self.of_number(connection, key, whole, &["waiting"]).await?;
        Ok(waiting.into_iter().filter(|(_, page)| is_part(page, whole)).map(|(page, _)| page.seq).collect())
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
        match is_whole(&statement) {
            true => Ok(Some(statement)),
            false => self.with_pages(connection, key, &statement, &["joined", "published"]).await,
        }
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
