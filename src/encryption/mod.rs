//! Encryption of what the database keeps and nobody else is to read: the keys come from outside of
//! it, so that neither a copy of the database nor access to its tables is enough.
//!
//! What is sealed is bound to its place: a ciphertext that is moved to another row, column or
//! provider does not open.

mod file;
mod keyring;

use std::sync::OnceLock;

pub use self::file::private_key;
pub use self::keyring::{EncryptionError, HOW_TO_SET, Keyring, KeyringError, Place, Sealed};

static OF_THIS_PROCESS: OnceLock<Keyring> = OnceLock::new();

/// Gives the process its keys, once, before anything is kept. What comes later is ignored.
pub fn install(keyring: Keyring) {
    OF_THIS_PROCESS.set(keyring).ok();
}

/// The keys of this process; none before [`install`].
pub fn keyring() -> Keyring {
    OF_THIS_PROCESS.get().cloned().unwrap_or_default()
}
