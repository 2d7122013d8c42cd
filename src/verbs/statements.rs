//! Statement files of banks: what came, what became of it, and what is missing.

use serde::{Deserialize, Serialize};

use super::{Actor, Failure, On, Verb};
use crate::store::listed_statement_files::{self, ListedFile, SeenFile};
use crate::store::listed_statements::{
    self, ListedAccount, ListedMovement, ListedStatement, OpenStatement, Which,
};
use tributary_domain::ProviderName;

/// How many are listed if it is not said, and how many at most.
const SOME: u32 = 50;
const MOST: u32 = 1_000;
/// How many movements of a statement are shown.
pub const MOVEMENTS: u32 = 1_000;

/// Lists the accounts of bank statements with what is missing of them, and their statements.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Only those of this account, as the bank writes it.
    pub account: Option<String>,
    /// Only those of accounts in this currency.
    pub currency: Option<String>,
    /// Only statements that were taken before the one of this number.
    pub before: Option<i64>,
    /// How many statements, the latest first: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

impl List {
    fn which(&self) -> Which<'_> {
        Which {
            provider: self.provider.as_ref(),
            account: self.account.as_deref(),
            currency: self.currency.as_deref(),
        }
    }
}

/// Accounts and their statements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    pub accounts: Vec<ListedAccount>,
    /// Those that were put aside or wait for their other pages, the latest first.
    pub open: Vec<OpenStatement>,
    /// The latest first.
    pub statements: Vec<ListedStatement>,
}

impl Verb for List {
    const NAME: &'static str = "statement list";
    type Answer = Statements;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Statements, Failure> {
        let (which, most) = (self.which(), self.limit.unwrap_or(SOME).min(MOST));
        Ok(Statements {
            accounts: listed_statements::accounts(on.pool, which).await?,
            open: listed_statements::open(on.pool, which, most).await?,
            statements: listed_statements::statements(on.pool, which, self.before, most).await?,
        })
    }
}

/// Lists the files of bank statements: what became of each, and which were seen and not taken.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// Only those that came before the file of this number.
    pub before: Option<i64>,
    /// How many files, the latest first: 50, if not given.
    #[schema(value_type = Option<u64>, maximum = 4294967295u32)]
    pub limit: Option<u32>,
}

/// Files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedFiles {
    /// The latest first.
    pub files: Vec<ListedFile>,
    /// Those that were seen where the bank puts them, and were not taken.
    pub not_taken: Vec<SeenFile>,
}

impl Verb for Files {
    const NAME: &'static str = "statement files";
    type Answer = ListedFiles;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<ListedFiles, Failure> {
        let (provider, most) = (self.provider.as_ref(), self.limit.unwrap_or(SOME).min(MOST));
        Ok(ListedFiles {
            files: listed_statement_files::taken(on.pool, provider, self.before, most).await?,
            not_taken: listed_statement_files::not_taken(on.pool, provider, most).await?,
        })
    }
}

/// Shows a bank statement and the transactions that it tells of.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// The number of the statement, as the list shows it.
    pub statement: i64,
}

/// A statement with what it tells of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownStatement {
    #[serde(flatten)]
    pub statement: ListedStatement,
    /// The first 1,000, in the order of the statement. What another one tells of by now is not there.
    pub movements: Vec<ListedMovement>,
}

impl Verb for Show {
    const NAME: &'static str = "statement show";
    type Answer = ShownStatement;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<ShownStatement, Failure> {
        let Self { provider, statement } = self;
        let none = || Failure::NotFound(format!("{provider} has no statement {statement}"));
        let account = listed_statements::account_of(on.pool, provider, *statement).await?;
        let (account, currency) = account.ok_or_else(none)?;
        let which = Which { provider: Some(provider), account: Some(&account), currency: Some(&currency) };
        let behind = statement.checked_add(1);
        let found = listed_statements::statements(on.pool, which, behind, 1).await?;
        let movements = listed_statements::movements(on.pool, provider, *statement, MOVEMENTS).await?;
        Ok(ShownStatement { statement: found.into_iter().next().ok_or_else(none)?, movements })
    }
}
