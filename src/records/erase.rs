//! Erases the data of a person: finds what was kept as it came, which the database cannot search, and
//! leaves the rest to the database.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;

use crate::encryption::Keyring;
use crate::store::database::{LARGE, within};
use crate::store::erasures::{self, Erased, Erasure};
use crate::store::quarantine::{self, Which};
use crate::store::{self, StoreError, raw_records, statement_files};
use tributary_domain::ProviderName;

/// How long it may take, of a provider with very many transactions; in most cases, moments.
const LIMIT: Duration = Duration::from_secs(630);
/// Rows that are looked through together.
const BATCH: u32 = 1_000;

/// Whose data is to go.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub provider: &'a ProviderName,
    /// Of an account, a beneficiary, a transaction or an order.
    pub id: &'a str,
    /// Also the transactions and orders from or to it.
    pub with_payments: bool,
    /// Further words, such as a name: what was kept as it came and has one of them goes, too.
    pub also: &'a [String],
}

/// What was found as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Positions of raw records.
    pub raw: Vec<i64>,
    /// Ids in the quarantine.
    pub quarantine: Vec<i64>,
    /// Ids of refusals.
    pub refusals: Vec<i64>,
    /// Digests of statement files.
    pub files: Vec<Vec<u8>>,
    /// What the provider still has to tell of: stream and key of each open record.
    pub open: Vec<(String, String)>,
}

/// Looks through raw records, the quarantine, refusals, statement files and open records. Fails with
/// [`StoreError::Sealed`] where one of them cannot be read: then nobody knows whose it is.
pub async fn find(pool: &PgPool, keys: &Keyring, wanted: Wanted<'_>) -> Result<Found, StoreError> {
    let provider = wanted.provider;
    let mut found = Found::default();
    for stream in within(LARGE, raw_records::streams(pool, provider)).await? {
        let mut after = i64::MIN;
        loop {
            let kept = within(LARGE, raw_records::list(pool, keys, provider, &stream, after, BATCH)).await?;
            let Some(last) = kept.last() else { break };
            after = last.position;
            let theirs = kept.iter().filter(|kept| {
                wanted.is_in(&kept.origin.record)
                    || wanted.is_in(&kept.origin.parent)
                    || kept.origin.partition == wanted.id
                    || kept.became.iter().any(|id| id == wanted.id)
            });
            found.raw.extend(theirs.map(|kept| kept.position));
        }
    }
    let (which, mut after) = (Which { provider: Some(provider), resource: None }, i64::MIN);
    loop {
        let kept = within(LARGE, quarantine::list(pool, keys, which, after, BATCH)).await?;
        let Some(last) = kept.last() else { break };
        after = last.id;
        let theirs = kept.iter().filter(|kept| {
            wanted.is_in(kept.record.raw())
                || wanted.is_in_text(&kept.reason)
                || kept.record.origin().is_some_and(|origin| wanted.is_in(&origin.parent))
        });
        found.quarantine.extend(theirs.map(|kept| kept.id));
    }
    let mut after = i64::MIN;
    loop {
        let refusals = within(LARGE, erasures::refusals(pool, provider, after, BATCH)).await?;
        let Some(last) = refusals.last() else { break };
        after = last.id;
        let theirs = refusals.iter().filter(|refusal| {
            wanted.is_in(refusal.body.as_bytes())
                || wanted.is_in_text(&refusal.detail)
                || refusal.idempotency_key.as_deref() == Some(wanted.id)
        });
        found.refusals.extend(theirs.map(|refusal| refusal.id));
    }
    found.files = find_files(pool, keys, wanted).await?;
    let open = within(LARGE, erasures::open_records(pool, provider)).await?;
    let theirs = open.into_iter().filter(|open| wanted.is_in(&open.record) || wanted.is_in(&open.canonical));
    found.open.extend(theirs.map(|open| (open.stream, open.key)));
    Ok(found)
}

/// The statement files that have the id or one of the words.
async fn find_files(pool: &PgPool, keys: &Keyring, wanted: Wanted<'_>) -> Result<Vec<Vec<u8>>, StoreError> {
    let (mut found, mut after) = (Vec::new(), Vec::new());
    while let Some((sha256, bytes)) =
        within(LARGE, statement_files::next(pool, keys, wanted.provider, &after)).await?
    {
        let files = tributary_statements::unwrap(&bytes, tributary_statements::Limits::default());
        let files = files.unwrap_or_else(|_| vec![bytes]);
        if files.iter().any(|file| wanted.is_in_text(&String::from_utf8_lossy(file))) {
            found.push(sha256.clone());
        }
        after = sha256;
    }
    Ok(found)
}

/// Erases what is there and what was `found`; gives how many rows of which table. Rolled back in the end
/// if it is only `tried`.
pub async fn erase(
    pool: &PgPool,
    wanted: Wanted<'_>,
    found: &Found,
    tried: bool,
) -> Result<Vec<Erased>, StoreError> {
    let Found { raw, quarantine, refusals, files, .. } = found;
    let Wanted { provider, id, with_payments, .. } = wanted;
    within(LIMIT, async {
        let mut transaction = store::begin(pool).await?;
        let erasure = Erasure { provider, id, with_payments, raw, quarantine, refusals, files };
        let erased = erasures::erase(&mut transaction, erasure).await?;
        match tried {
            true => transaction.rollback().await?,
            false => transaction.commit().await?,
        }
        Ok(erased)
    })
    .await
}

impl Wanted<'_> {
    /// Whether what was kept as `bytes` is theirs: JSON, of which a text or number is the id or a text
    /// has one of the words; of other bytes, those themselves.
    fn is_in(&self, bytes: &[u8]) -> bool {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => self.is_in_value(&value),
            Err(_) => self.is_in_text(&String::from_utf8_lossy(bytes)),
        }
    }

    fn is_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text == self.id || self.has_word(text),
            Value::Number(number) => number.to_string() == self.id,
            Value::Array(values) => values.iter().any(|value| self.is_in_value(value)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| name == self.id || self.is_in_value(value))
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// In running text, the id stands by itself: "7" is not in "17".
    fn is_in_text(&self, text: &str) -> bool {
        let stands_alone = |(at, _): (usize, &str)| {
            let part = |c: char| c.is_alphanumeric() || "_-".contains(c);
            !text[..at].ends_with(part) && !text[at + self.id.len()..].starts_with(part)
        };
        text.match_indices(self.id).any(stands_alone) || self.has_word(text)
    }

    fn has_word(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.also.iter().any(|word| text.contains(&word.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_theirs_by_a_whole_value_or_by_a_word() {
        let provider = "acme".parse().unwrap();
        let also = ["Jane Doe".to_owned()];
        let wanted = Wanted { provider: &provider, id: "17", with_payments: false, also: &also };
        for theirs in [
            r#"{"id": "17"}"#,
            r#"{"id": 17}"#,
            r#"{"a": [{"to": {"payee": "\u0031\u0037"}}]}"#,
            r#"{"17": true}"#,
            r#"{"to": "JANE DOE, Main Street"}"#,
            r#"not json: account 17, amount"#,
            "\"17",
        ] {
            assert!(wanted.is_in(theirs.as_bytes()), "{theirs}");
        }
        for other in [
            r#"{"id": "117"}"#,
            r#"{"id": 170, "at": "2017-01-17T17:17:17Z"}"#,
            "not json: 1709 x17 17-2",
            "{}",
            "",
        ] {
            assert!(!wanted.is_in(other.as_bytes()), "{other}");
        }
    }
}
