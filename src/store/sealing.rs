//! Columns that may be encrypted: their bytes, with the id of the key in the same row.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::StoreError;
use crate::encryption::{EncryptionError, Keyring, Place};

/// Bytes as a row has them.
pub struct Kept<'a> {
    /// Of the key that they are encrypted with; none where they are as they came.
    pub key_id: Option<String>,
    pub bytes: Cow<'a, [u8]>,
}

/// A column of one row, and what errors call what is in it.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    pub place: Place<'a>,
    pub what: &'a str,
}

impl Cell<'_> {
    /// Encrypts `plain`, which may not be kept otherwise.
    pub fn seal(self, keys: &Keyring, plain: &[u8]) -> Result<Kept<'static>, StoreError> {
        let sealed = keys.seal(self.place, plain).map_err(|error| self.failed("kept", &error))?;
        Ok(Kept { key_id: Some(sealed.key_id), bytes: sealed.bytes.into() })
    }

    /// Encrypts the record `plain` if records are to be.
    pub fn seal_record<'a>(self, keys: &Keyring, plain: &'a [u8]) -> Result<Kept<'a>, StoreError> {
        match keys.encrypts_records() {
            true => self.seal(keys, plain),
            false => Ok(Kept { key_id: None, bytes: plain.into() }),
        }
    }

    /// What was kept as `bytes` with the key of `key_id`.
    pub fn open(self, keys: &Keyring, key_id: Option<&str>, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        match key_id {
            None => Ok(bytes),
            Some(key_id) => {
                keys.open(self.place, key_id, &bytes).map_err(|error| self.failed("read", &error))
            }
        }
    }

    fn failed(self, verb: &str, error: &EncryptionError) -> StoreError {
        StoreError::Sealed(format!("{} of {} cannot be {verb}: {error}", self.what, self.place.provider))
    }
}

/// What came of encrypting rows again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that are encrypted with the first key now.
    pub changed: u64,
    /// Rows that stay as they were, as their key is missing or another one.
    pub unreadable: u64,
    /// Why the first of those cannot be read.
    pub why: Option<String>,
}

impl Resealed {
    /// Notes that a row cannot be read for want of a key; passes on every other failure.
    pub(super) fn skip(&mut self, error: StoreError) -> Result<(), StoreError> {
        let StoreError::Sealed(why) = error else { return Err(error) };
        self.unreadable += 1;
        self.why.get_or_insert(why);
        Ok(())
    }

    /// Adds what came of further rows.
    pub fn add(&mut self, more: Self) {
        self.changed += more.changed;
        self.unreadable += more.unreadable;
        self.why = self.why.take().or(more.why);
    }
}

/// What tells a record from all others: SHA-256 of it as it came, and of its identity if it has one.
pub fn digest(record: &[u8], identity: Option<&[u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(record);
    if let Some(identity) = identity {
        digest.update([0]);
        digest.update(identity);
    }
    digest.finalize().into()
}
