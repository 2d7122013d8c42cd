//! The keys, and what they seal and open.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Random bytes in front of each ciphertext. The key and nonce that seal it are derived from them,
/// so that no number of rows brings a nonce to be used twice under one key.
const SALT_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What the derived keys are for: another format would have another text.
const PURPOSE: &[u8] = b"tributary aes-256-gcm 1";

/// Why text is no list of keys. Never shows any of it but the id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("key {0}: is not written as id:base64")]
    NoColon(usize),
    #[error("key {0}: its id is not 1 to 32 of the characters A-Z a-z 0-9 . _ -")]
    Id(usize),
    #[error("key {0}: is not 32 bytes in base64, as `openssl rand -base64 32` prints them")]
    Bytes(String),
    #[error("key {0}: comes twice")]
    Twice(String),
}

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// Nothing may be kept, as there is no key to encrypt it with.
    #[error("there is no key to encrypt it with: {HOW_TO_SET}")]
    NoKeys,
    #[error(
        "it is encrypted with the key {0:?}, which is not among TRIBUTARY_ENCRYPTION_KEYS: add it there, behind the \
         first one"
    )]
    UnknownKey(String),
    /// The key is another one of the same id, or the ciphertext is not of this place.
    #[error(
        "it does not open with the key {0:?}: TRIBUTARY_ENCRYPTION_KEYS has another key under that id, or the row was \
         changed or came from elsewhere"
    )]
    DoesNotOpen(String),
}

/// What to do where keys are missing.
pub const HOW_TO_SET: &str = "set TRIBUTARY_ENCRYPTION_KEYS to an id and 32 random bytes, as 2026-01:$(openssl rand -base64 32) writes them, \
     the same for all instances, and keep a copy where the database's backups are not";

/// What is sealed, and where: sealed with one, it opens only with the same.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    pub provider: &'a str,
    /// What tells the row from the others of its provider.
    pub row: &'a [&'a [u8]],
}

impl Place<'_> {
    /// Unambiguous: each part behind its length.
    fn to_bytes(self) -> Vec<u8> {
        let head = [self.table.as_bytes(), self.column.as_bytes(), self.provider.as_bytes()];
        let mut bytes = Vec::new();
        for part in head.iter().chain(self.row) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(*part);
        }
        bytes
    }
}

/// Something sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Of the key that it is sealed with.
    pub key_id: String,
    pub bytes: Vec<u8>,
}

/// Keys: the first one encrypts, all of them decrypt. Cheap to clone.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Arc<[Key]>,
    records: bool,
}

struct Key {
    id: String,
    secret: Prk,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<&str> = self.ids().collect();
        f.debug_struct("Keyring").field("ids", &ids).field("records", &self.records).finish()
    }
}

impl Keyring {
    /// Reads `id:base64[,id:base64…]`: keys of 32 bytes, each under an id of its own.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut ids = HashSet::new();
        let mut keys = Vec::new();
        for (index, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let (id, encoded) = entry.split_once(':').ok_or(KeyringError::NoColon(index + 1))?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if id.is_empty() || id.len() > 32 || !id.chars().all(plain) {
                return Err(KeyringError::Id(index + 1));
            }
            let bytes = STANDARD.decode(encoded.trim()).ok().filter(|bytes| bytes.len() == KEY_BYTES);
            let bytes = bytes.ok_or_else(|| KeyringError::Bytes(id.to_owned()))?;
            if !ids.insert(id.to_owned()) {
                return Err(KeyringError::Twice(id.to_owned()));
            }
            keys.push(Key { id: id.to_owned(), secret: Prk::new_less_safe(HKDF_SHA256, &bytes) });
        }
        Ok(Self { keys: keys.into(), records: false })
    }

    /// The same, which also says whether records are to be encrypted where they are kept as they came.
    pub fn encrypting_records(self, records: bool) -> Self {
        Self { records, ..self }
    }

    /// Whether records are to be encrypted where they are kept as they came.
    pub fn encrypts_records(&self) -> bool {
        self.records
    }

    /// The ids of the keys, that of the one that encrypts first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Encrypts `plain` for `place`, with the first key.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Sealed, EncryptionError> {
        let key = self.keys.first().ok_or(EncryptionError::NoKeys)?;
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).expect("the system has random bytes");
        let (sealing, nonce) = key.derived(&salt);
        let mut bytes = Vec::with_capacity(SALT_BYTES + plain.len() + TAG_BYTES);
        bytes.extend(salt);
        bytes.extend(plain);
        let aad = Aad::from(place.to_bytes());
        let tag = sealing.seal_in_place_separate_tag(nonce, aad, &mut bytes[SALT_BYTES..]);
        bytes.extend(tag.expect("a row is shorter than 64 GB").as_ref());
        Ok(Sealed { key_id: key.id.clone(), bytes })
    }

    /// Decrypts what was sealed for `place` with the key of `key_id`.
    pub fn open(&self, place: Place<'_>, key_id: &str, bytes: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let key = self.keys.iter().find(|key| key.id == key_id);
        let key = key.ok_or_else(|| EncryptionError::UnknownKey(key_id.to_owned()))?;
        key.open(place, bytes).ok_or_else(|| EncryptionError::DoesNotOpen(key_id.to_owned()))
    }
}

impl Key {
    fn open(&self, place: Place<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = bytes.split_at_checked(SALT_BYTES)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
        let (opening, nonce) = self.derived(salt);
        let tag = Tag::try_from(tag).ok()?;
        let mut text = text.to_vec();
        let aad = Aad::from(place.to_bytes());
        opening.open_in_place_separate_tag(nonce, aad, tag, &mut text, 0..).ok()?;
        Some(text)
    }

    /// The key and nonce of one ciphertext.
    fn derived(&self, salt: &[u8]) -> (LessSafeKey, Nonce) {
        let mut bytes = [0; KEY_BYTES + NONCE_LEN];
        let info = [PURPOSE, salt];
        let derived = self.secret.expand(&info, Length(bytes.len()));
        derived.and_then(|okm| okm.fill(&mut bytes)).expect("44 bytes are few for HKDF");
        let (key, nonce) = bytes.split_at(KEY_BYTES);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("it has the length of a key");
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("it has the length of a nonce");
        (LessSafeKey::new(key), nonce)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

    fn ring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    fn place<'a>(provider: &'a str, row: &'a [&'a [u8]]) -> Place<'a> {
        Place { table: "provider_tokens", column: "refresh_token", provider, row }
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_and_nowhere_else() {
        let keys = ring(OLD);
        let row: &[&[u8]] = &[b"row", b"1"];
        let sealed = keys.seal(place("acme", row), b"secret").unwrap();
        assert_eq!(keys.open(place("acme", row), "old", &sealed.bytes).unwrap(), b"secret");
        let elsewhere = [
            place("other", row),
            place("acme", &[b"row", b"2"]),
            // the same bytes, cut elsewhere
            place("acme", &[b"row1"]),
            place("acme", &[b"ro", b"w1"]),
            Place { column: "access_token", ..place("acme", row) },
            Place { table: "quarantine", ..place("acme", row) },
        ];
        for place in elsewhere {
            let opened = keys.open(place, "old", &sealed.bytes);
            assert_eq!(opened, Err(EncryptionError::DoesNotOpen("old".into())), "{place:?}");
        }
    }

    #[test]
    fn each_bit_counts_and_no_two_ciphertexts_are_alike() {
        let keys = ring(OLD);
        let at = place("acme", &[]);
        let (one, two) = (keys.seal(at, b"secret").unwrap(), keys.seal(at, b"secret").unwrap());
        assert_ne!(one, two);
        assert!(!one.bytes.windows(6).any(|window| window == b"secret"));
        for index in 0..one.bytes.len() {
            let mut changed = one.bytes.clone();
            changed[index] ^= 1;
            assert!(keys.open(at, "old", &changed).is_err(), "byte {index}");
        }
        for length in 0..one.bytes.len() {
            assert!(keys.open(at, "old", &one.bytes[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(keys.open(at, "old", &keys.seal(at, b"").unwrap().bytes).unwrap(), b"");
    }

    #[test]
    fn the_first_key_encrypts_and_all_of_them_decrypt() {
        let at = place("acme", &[]);
        let before = ring(OLD).seal(at, b"before").unwrap();
        let both = ring(&format!("{NEW}, {OLD}"));
        assert_eq!(both.open(at, &before.key_id, &before.bytes).unwrap(), b"before");
        assert_eq!(both.seal(at, b"after").unwrap().key_id, "new");
        let without = ring(NEW).open(at, &before.key_id, &before.bytes).unwrap_err();
        assert!(
            without.to_string().contains("\"old\"")
                && without.to_string().contains("TRIBUTARY_ENCRYPTION_KEYS")
        );
        let impostor = ring(&NEW.replace("new", "old")).open(at, &before.key_id, &before.bytes);
        assert_eq!(impostor, Err(EncryptionError::DoesNotOpen("old".into())));
        assert_eq!(Keyring::default().seal(at, b"x"), Err(EncryptionError::NoKeys));
    }

    #[test]
    fn the_format_stays_what_it_is() {
        // salt, ciphertext and tag of "refresh-1" by the key `old`, made by another implementation
        let kept = STANDARD.decode(include_str!("testdata/sealed.base64").trim()).unwrap();
        let opened = ring(OLD).open(place("acme", &[b"digest"]), "old", &kept).unwrap();
        assert_eq!(opened, b"refresh-1");
    }

    #[test]
    fn a_wrong_list_is_refused_without_showing_a_key() {
        let secret = NEW.split_once(':').unwrap().1;
        for (text, wanted) in [
            (secret.to_owned(), KeyringError::NoColon(1)),
            (format!("{OLD},:{secret}"), KeyringError::Id(2)),
            (format!("a b:{secret}"), KeyringError::Id(1)),
            ("short:AAEC".to_owned(), KeyringError::Bytes("short".into())),
            (format!("{OLD},{OLD}"), KeyringError::Twice("old".into())),
        ] {
            let error = Keyring::parse(&text).unwrap_err();
            assert_eq!(error, wanted);
            assert!(!error.to_string().contains(&secret[..8]));
        }
        assert!(!format!("{:?}", ring(OLD)).contains("AAEC"));
        assert_eq!(ring("").ids().count(), 0);
    }
}
