//! The chain of the audit: whether it holds, and whether it still has what it had. It is computed
//! here once more, as whoever can rewrite the table can rewrite the database's own function, too.

use std::fmt::Write as _;
use std::time::Duration;

use metrics::{counter, gauge};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::store::payment_audit::{self, Head, Link};

/// The hash before the first row.
const BEGINNING: [u8; 32] = [0; 32];

/// Why a chain does not hold: the first row that differs, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("row {0} is not in the chain: it was put in with the triggers off")]
    Unchained(i64),
    #[error("the row at position {expected} is missing: the next one is row {id} at position {found}")]
    Missing { expected: i64, id: i64, found: i64 },
    #[error("row {id} at position {position} ({who}) has another content than it was written with")]
    Content { id: i64, position: i64, who: String },
    #[error("row {id} at position {position} ({who}), or the one before it, is not the one that was written")]
    Hash { id: i64, position: i64, who: String },
    #[error("the chain ends at position {found} instead of {expected}: the rows behind were taken out")]
    End { expected: i64, found: i64 },
    #[error("the head of the chain is lost or another one: payment_audit_head was changed by hand")]
    Head,
}

/// A chain as far as it was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How many rows.
    pub position: i64,
    /// The hash of the last of them.
    pub hash: [u8; 32],
    /// How many of them were erased: of those, who, what and when is held to the chain alone.
    pub erased: u64,
}

impl Default for Chain {
    /// Before the first row.
    fn default() -> Self {
        Self { position: 0, hash: BEGINNING, erased: 0 }
    }
}

impl Chain {
    /// Goes on to the next row.
    ///
    /// # Errors
    /// If it is not the row that was written behind the last one.
    pub fn follow(&mut self, link: &Link) -> Result<(), Broken> {
        let (id, position) = (link.id, link.position);
        if position != self.position + 1 {
            return Err(Broken::Missing { expected: self.position + 1, id, found: position });
        }
        let who = || format!("{:?} by {} of order {}, {}", link.what, link.actor, link.order_id, link.at);
        if link.erased {
            self.erased += 1;
        } else if link.content_digest != content_digest(link) {
            return Err(Broken::Content { id, position, who: who() });
        }
        let hash = hash(&self.hash, link);
        if link.hash.as_deref() != Some(&hash) {
            return Err(Broken::Hash { id, position, who: who() });
        }
        (self.position, self.hash) = (position, hash);
        Ok(())
    }

    /// Holds the end of the chain against the head that the database goes on from.
    ///
    /// # Errors
    /// If they differ.
    pub fn end(&self, head: Option<&Head>) -> Result<(), Broken> {
        match head {
            Some(head) if head.position > self.position => {
                Err(Broken::End { expected: head.position, found: self.position })
            }
            Some(head) if (head.position, head.hash.as_slice()) == (self.position, &self.hash) => Ok(()),
            _ => Err(Broken::Head),
        }
    }
}

fn content_digest(link: &Link) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(link.salt.as_deref().unwrap_or_default());
    digest.update(fields([link.before.as_deref(), link.after.as_deref()]));
    digest.finalize().into()
}

fn hash(previous: &[u8; 32], link: &Link) -> [u8; 32] {
    let (position, order) = (link.position.to_string(), link.order_id.to_string());
    let at = link.at.timestamp_micros().to_string();
    let mut digest = Sha256::new();
    digest.update(previous);
    let texts = [&position, &order, &link.provider, &link.actor, &link.login, &link.what, &at];
    digest.update(fields(texts.map(|text| Some(text.as_str()))));
    digest.update(&link.content_digest);
    digest.finalize().into()
}

/// Texts with their lengths in bytes before them, so that no two lists look the same.
fn fields<const N: usize>(texts: [Option<&str>; N]) -> String {
    let mut fields = String::new();
    for text in texts {
        match text {
            Some(text) => write!(fields, "{}:{text}", text.len()).expect("a string takes all"),
            None => fields.push('-'),
        }
    }
    fields
}

/// A hash as it is printed.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// How often it is looked whether the chain still has what it had.
const EVERY: Duration = Duration::from_secs(60);
/// After how many times the head is logged though nothing was added.
const TIMES_OF_LOGGING: u64 = 60;

/// Remembers where the chain ended, outside of the database: in the log, in metrics and in memory.
pub struct Watch {
    pool: PgPool,
    last: Option<Head>,
}

impl Watch {
    /// Of the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, last: None }
    }

    /// Watches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        for time in 0_u64.. {
            if let Err(error) = self.look(time.is_multiple_of(TIMES_OF_LOGGING)).await {
                tracing::warn!(%error, "cannot read the head of the audit of payments");
            }
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Tells where the chain ends (in the log if it has moved, or `anyway`), and raises an alarm where
    /// it has no longer what it had when it was looked last: gives whether it has.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn look(&mut self, anyway: bool) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // the row first: what is found there then is in the chain of the head that is read after it
        let kept = match &self.last {
            Some(last) if last.position > 0 => {
                payment_audit::hash_at(&mut connection, last.position).await?.as_ref() == Some(&last.hash)
            }
            _ => true,
        };
        let head = payment_audit::head(&mut connection).await?;
        let lost = |last: &Head| head.as_ref().is_none_or(|head| head.position < last.position);
        let kept = kept && !self.last.as_ref().is_some_and(lost) && head.is_some();
        if !kept {
            counter!("tributary_payment_audit_alarms_total").increment(1);
            let had = self.last.as_ref().map(|last| hex(&last.hash)).unwrap_or_default();
            tracing::error!(had, "the audit of payments was rewritten: `tributary audit verify` tells more");
        }
        if let Some(head) = &head {
            gauge!("tributary_payment_audit_rows").set(head.position as f64);
            gauge!("tributary_payment_audit_head").set(number(&head.hash));
            if anyway || Some(head) != self.last.as_ref() {
                tracing::info!(
                    rows = head.position,
                    head = hex(&head.hash),
                    "the audit of payments ends here"
                );
            }
        }
        self.last = head;
        Ok(kept)
    }
}

/// The first 12 hex digits of a hash, as a number that a metric holds exactly.
fn number(hash: &[u8]) -> f64 {
    hash.iter().take(6).fold(0.0, |number, byte| number * 256.0 + f64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_texts_look_the_same() {
        assert_eq!(fields([Some("a"), None, Some("é")]), "1:a-2:é");
        assert_ne!(fields([Some("1:a"), Some("")]), fields([Some("1"), Some("a0:")]));
        assert_ne!(fields([Some("-")]), fields([None]));
    }

    #[test]
    fn the_metric_is_the_beginning_of_the_hash() {
        let hash = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde];
        assert_eq!(format!("{:x}", number(&hash) as u64), "123456789abc");
        assert!(hex(&hash).starts_with("123456789abc"));
    }
}
