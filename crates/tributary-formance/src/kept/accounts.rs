//! Accounts and beneficiaries: one table, in which whoever comes first stays.

use std::collections::HashMap;

use super::moment::stored;
use crate::gojson::assign::TextMap;
use crate::gotime::GoTime;
use crate::row::Row;

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountType {
    /// An own one, from the list of accounts.
    Internal,
    /// Somebody else's, from the list of beneficiaries.
    External,
}

/// An account or a beneficiary, as its first row said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAccount {
    /// Its id, which accounts and beneficiaries share: a beneficiary with the id
    /// of an account is ignored.
    pub reference: String,
    /// Which of the lists brought it.
    pub kind: AccountType,
    /// `accountName` or `ownerName`.
    pub name: Option<String>,
    /// `createdAt`, in UTC to the microsecond.
    pub created_at: GoTime,
    /// Anything else about it.
    pub metadata: TextMap,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    list: Vec<KeptAccount>,
    places: HashMap<String, usize>,
}

impl Accounts {
    pub(super) fn take(&mut self, row: &Row, kind: AccountType) {
        if self.places.contains_key(&row.reference) {
            return;
        }
        self.places.insert(row.reference.clone(), self.list.len());
        self.list.push(KeptAccount {
            reference: row.reference.clone(),
            kind,
            name: row.name.clone(),
            created_at: stored(row.created_at),
            metadata: row.metadata.clone(),
        });
    }

    pub(super) fn get(&self, reference: &str) -> Option<&KeptAccount> {
        self.places.get(reference).map(|&place| &self.list[place])
    }

    pub(super) fn all(&self) -> &[KeptAccount] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;
    use crate::message::Kind;

    fn row(reference: &str, name: &str) -> Row {
        Row {
            reference: reference.into(),
            name: Some(name.into()),
            created_at: GoTime::from_unix(1, 0),
            watermark: GoTime::from_unix(1, 0),
            metadata: None,
            payment: None,
        }
    }

    #[test]
    fn an_account_is_kept_once_and_never_renamed() {
        let mut kept = Kept::default();
        kept.take(Kind::Accounts, &[row("acc_1", "Main"), row("acc_2", "Savings")]);
        let later = Row { created_at: GoTime::from_unix(9, 0), ..row("acc_1", "Renamed") };
        kept.take(Kind::Accounts, &[later]);
        let main = kept.account("acc_1").unwrap();
        assert_eq!((main.name.as_deref(), main.created_at), (Some("Main"), GoTime::from_unix(1, 0)));
        assert_eq!(kept.accounts().len(), 2);
    }

    #[test]
    fn a_beneficiary_with_the_id_of_an_account_is_ignored() {
        let mut kept = Kept::default();
        kept.take(Kind::Accounts, &[row("x", "Main")]);
        kept.take(Kind::Beneficiaries, &[row("x", "Ann"), row("ben_1", "Ben")]);
        let kind = |reference| kept.account(reference).unwrap().kind;
        assert_eq!((kind("x"), kind("ben_1")), (AccountType::Internal, AccountType::External));
        assert_eq!(kept.account("Ann"), None);
    }
}
