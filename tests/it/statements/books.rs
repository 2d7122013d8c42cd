//! What is published of a bank's files, held against its truth.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgPool;
use tributary_standin::bank::{Aside, Mail};

/// What is published of one provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Published {
    /// Id, currency, status and signed minor units of each transaction, by id.
    transactions: Vec<(String, String, String, i64)>,
    /// By account and asset.
    balances: BTreeMap<(String, String), i64>,
    /// What was put aside: account, currency, the sum that is missing, and why.
    put_aside: Vec<(String, String, i64, String)>,
    waiting: i64,
    /// Chains that break and numbers that are left out; and how far balances are from what was booked.
    gaps: i64,
    off_by: i64,
}

impl Published {
    pub async fn of(pool: &PgPool, provider: &str) -> Self {
        let transactions = "select id, split_part(asset, '/', 1), status,
              (case when source_account_id is null then amount else -amount end)::bigint
            from transactions where provider = $1 order by id";
        let balances =
            "select account_id, split_part(asset, '/', 1), amount::bigint from balances where provider = $1";
        let put_aside = "select account, currency, coalesce(missing, 0)::bigint, reason from statements
            where provider = $1 and state = 'put_aside' order by seq";
        let balances: Vec<(String, String, i64)> =
            sqlx::query_as(balances).bind(provider).fetch_all(pool).await.unwrap();
        let count = async |sql: &'static str| -> i64 {
            sqlx::query_scalar(sql).bind(provider).fetch_one(pool).await.unwrap()
        };
        Self {
            transactions: sqlx::query_as(transactions).bind(provider).fetch_all(pool).await.unwrap(),
            balances: balances.into_iter().map(|(account, asset, units)| ((account, asset), units)).collect(),
            put_aside: sqlx::query_as(put_aside).bind(provider).fetch_all(pool).await.unwrap(),
            waiting: count("select count(*) from statements where provider = $1 and state = 'waiting'").await,
            gaps: count(
                "select coalesce(sum(broken_chains + missing_numbers), 0)::bigint from statement_accounts
                 where provider = $1",
            )
            .await,
            off_by: count(
                "select coalesce(sum(abs(off_by)), 0)::bigint from statement_accounts where provider = $1",
            )
            .await,
        }
    }

    fn units(&self, status: &str, currency: &str) -> Vec<i128> {
        let of = self.transactions.iter().filter(|(_, of, is, _)| of == currency && is == status);
        let mut units: Vec<i128> = of.map(|(.., units)| i128::from(*units)).collect();
        units.sort_unstable();
        units
    }

    /// Fails unless it is what `mail` says has to be published; `accounts` gives the id of an account by its number
    /// and currency.
    pub fn hold(&self, mail: &Mail, accounts: impl Fn(&str, &str) -> String, told: &str) {
        for of in &mail.truth.accounts {
            let told = format!("{told}, {}/{}", of.number, of.currency);
            assert_eq!(
                self.units("SUCCEEDED", of.currency),
                of.booked(false),
                "{told}: what is booked of {:?}",
                self.transactions
            );
            assert_eq!(self.units("CANCELLED", of.currency), of.cancelled(), "{told}: what is cancelled");
            let place = (accounts(&of.number, of.currency), of.currency.to_owned());
            let balance = self.balances.get(&place).copied().map(i128::from);
            assert_eq!(
                balance, of.closing,
                "{told}: the balance is that of the last day, where statements close"
            );
        }
        let told_otherwise = ["SUCCEEDED", "CANCELLED"];
        let others = self.transactions.iter().filter(|(.., is, _)| !told_otherwise.contains(&is.as_str()));
        assert_eq!(others.count(), 0, "{told}: nothing is left open: {:?}", self.transactions);
        assert_eq!((self.waiting, self.off_by), (0, 0), "{told}: {self:?}");
        assert_eq!(self.gaps > 0, mail.truth.has_gap, "{told}: {} gaps", self.gaps);
        self.hold_put_aside(mail, told);
    }

    /// The broken ones, each for its reason, and no others.
    fn hold_put_aside(&self, mail: &Mail, told: &str) {
        let files: BTreeMap<&[u8], &Vec<Aside>> =
            mail.files.iter().map(|file| (file.bytes.as_slice(), &file.put_aside)).collect();
        let mut wanted: Vec<&Aside> = files.into_values().flatten().collect();
        for (account, currency, missing, reason) in &self.put_aside {
            let at = wanted.iter().position(|aside| {
                (&aside.account, aside.currency) == (account, currency)
                    && aside.missing.is_none_or(|sum| sum == i128::from(*missing))
                    && reason.contains(aside.why)
            });
            let Some(at) = at else {
                panic!("{told}: {account}/{currency} was put aside, and is not broken so: {reason}")
            };
            wanted.swap_remove(at);
        }
        assert!(wanted.is_empty(), "{told}: not put aside: {wanted:?}");
    }

    /// The ids that do not depend on what was heard of first.
    pub fn ids(&self, mail: &Mail) -> BTreeSet<&str> {
        let announced: BTreeSet<i128> = mail.truth.accounts.iter().flat_map(|of| of.announced()).collect();
        let lasting = self.transactions.iter().filter(|(.., units)| !announced.contains(&i128::from(*units)));
        lasting.map(|(id, ..)| id.as_str()).collect()
    }
}
