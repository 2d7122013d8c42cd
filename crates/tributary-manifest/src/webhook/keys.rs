//! What codes of a webhook are checked with: shared secrets and public keys.

use base64::alphabet::{STANDARD as LETTERS, URL_SAFE as URL_LETTERS};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use ring::{hmac, signature};
use subtle::ConstantTimeEq;

use super::public;
use crate::manifest::{CodeAlgorithm, CodeEncoding, KeyEncoding, KeysManifest, SignatureAlgorithm};
use crate::secret::Secret;

/// The most keys of a webhook: a provider that changes its own has two.
const MOST_KEYS: usize = 5;
/// What begins a secret, and a public key, of Standard Webhooks.
const STANDARD_SECRET: &str = "whsec_";
const STANDARD_KEY: &str = "whpk_";
/// The bytes of a code that ECDSA on P-256 may have, in DER or as two numbers.
const ECDSA_BYTES: std::ops::RangeInclusive<usize> = 8..=72;
const ED25519_BYTES: usize = 64;

/// One secret or key.
pub enum Key {
    Shared(hmac::Key),
    Public { algorithm: SignatureAlgorithm, key: Vec<u8> },
}

/// The keys that `described` has; `field` names it.
pub fn keys(field: &str, described: &KeysManifest) -> Result<Vec<Key>, String> {
    let secrets = described.secrets();
    if secrets.is_empty() || secrets.len() > MOST_KEYS {
        return Err(format!("{field}: give one, or a list of 2 to {MOST_KEYS}"));
    }
    secrets.iter().map(|secret| key(field, described, secret)).collect()
}

fn key(field: &str, described: &KeysManifest, secret: &Secret) -> Result<Key, String> {
    let text = secret.expose().trim();
    if text.is_empty() {
        return Err(format!("{field}: is empty"));
    }
    match described {
        KeysManifest::Hmac { algorithm, encoding, .. } => {
            let bytes = match encoding {
                KeyEncoding::Text => Some(secret.expose().as_bytes().to_vec()),
                KeyEncoding::Base64 => from_base64(text),
                KeyEncoding::Hex => from_hex(text),
            };
            let bytes = bytes.filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or_else(|| format!("{field}: is not written as `secret_encoding` says"))?;
            Ok(Key::Shared(hmac::Key::new(hash(*algorithm), &bytes)))
        }
        KeysManifest::Public { algorithm, .. } => {
            let key = public::read(*algorithm, text).map_err(|why| format!("{field}: {why}"))?;
            Ok(Key::Public { algorithm: *algorithm, key })
        }
        KeysManifest::Standard { as_text: true, .. } if text.starts_with(STANDARD_KEY) => Err(format!(
            "{field}: is a public key, by whose own text everybody could sign: leave out `secret_encoding`"
        )),
        KeysManifest::Standard { as_text: true, .. } => {
            Ok(Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
        }
        KeysManifest::Standard { as_text: false, .. } => standard(text).ok_or_else(|| {
            format!(
                "{field}: is not written as Standard Webhooks writes it: whsec_ and base64, or whpk_ and base64; \
                 where the provider takes the text itself for the key, write `secret_encoding: text`"
            )
        }),
    }
}

/// The key that begins as Standard Webhooks has it. One that does not may be base64 or a text: both sides
/// would sign with another key if that was guessed.
fn standard(text: &str) -> Option<Key> {
    if let Some(key) = text.strip_prefix(STANDARD_KEY) {
        let key = STANDARD.decode(key).ok().filter(|key| key.len() == 32)?;
        return Some(Key::Public { algorithm: SignatureAlgorithm::Ed25519, key });
    }
    let secret = from_base64(text.strip_prefix(STANDARD_SECRET)?)?;
    (!secret.is_empty()).then(|| Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
}

impl Key {
    /// Whether a code of so many bytes may be one of this key.
    pub fn may_have_made(&self, bytes: usize) -> bool {
        match self {
            Self::Shared(key) => bytes == key.algorithm().digest_algorithm().output_len(),
            Self::Public { algorithm, key } => match algorithm {
                SignatureAlgorithm::Ed25519 => bytes == ED25519_BYTES,
                SignatureAlgorithm::EcdsaP256Sha256 => ECDSA_BYTES.contains(&bytes),
                // as long as the modulus, which is most of the key
                _ => public::modulus_bytes(key) == Some(bytes),
            },
        }
    }

    /// Whether one of `codes` is of `signed`. Every code is compared, so that the time reveals nothing
    /// about which one is near.
    pub fn proves(&self, signed: &[u8], codes: &[Vec<u8>]) -> bool {
        match self {
            Self::Shared(key) => {
                #[cfg(test)]
                super::tests::CODES_MADE.with(|made| made.set(made.get() + 1));
                let code = hmac::sign(key, signed);
                codes.iter().fold(false, |proven, sent| proven | bool::from(sent.ct_eq(code.as_ref())))
            }
            Self::Public { algorithm, key } => {
                let made = |code: &Vec<u8>| verifies(*algorithm, key, signed, code);
                codes.iter().fold(false, |proven, code| proven | made(code))
            }
        }
    }

    /// The code over `signed`; none of a public key, whose private one only the provider has.
    pub fn sign(&self, signed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Shared(key) => Some(hmac::sign(key, signed).as_ref().to_vec()),
            Self::Public { .. } => None,
        }
    }
}

fn verifies(algorithm: SignatureAlgorithm, key: &[u8], signed: &[u8], code: &[u8]) -> bool {
    let by = |how: &'static dyn signature::VerificationAlgorithm| {
        signature::UnparsedPublicKey::new(how, key).verify(signed, code).is_ok()
    };
    match algorithm {
        SignatureAlgorithm::RsaSha256 => by(&signature::RSA_PKCS1_2048_8192_SHA256),
        SignatureAlgorithm::RsaSha512 => by(&signature::RSA_PKCS1_2048_8192_SHA512),
        SignatureAlgorithm::RsaPssSha256 => by(&signature::RSA_PSS_2048_8192_SHA256),
        SignatureAlgorithm::RsaPssSha512 => by(&signature::RSA_PSS_2048_8192_SHA512),
        SignatureAlgorithm::EcdsaP256Sha256 => {
            by(&signature::ECDSA_P256_SHA256_ASN1) || by(&signature::ECDSA_P256_SHA256_FIXED)
        }
        SignatureAlgorithm::Ed25519 => by(&signature::ED25519),
    }
}

fn hash(algorithm: CodeAlgorithm) -> hmac::Algorithm {
    match algorithm {
        CodeAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        CodeAlgorithm::Sha256 => hmac::HMAC_SHA256,
        CodeAlgorithm::Sha512 => hmac::HMAC_SHA512,
    }
}

/// The bytes of a code, which may be percent-encoded: neither base64 nor hex has a `%`.
pub fn decode(encoding: CodeEncoding, code: &str) -> Option<Vec<u8>> {
    let decoded;
    let code = if code.contains('%') {
        decoded = percent_decoded(code)?;
        decoded.as_str()
    } else {
        code
    };
    match encoding {
        CodeEncoding::Base64 => from_base64(code),
        CodeEncoding::Hex => from_hex(code),
    }
}

/// How a code is written.
pub fn encode(encoding: CodeEncoding, code: &[u8]) -> String {
    match encoding {
        CodeEncoding::Base64 => STANDARD.encode(code),
        CodeEncoding::Hex => code.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Base64 with the letters of either alphabet, padded or not.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let letters = if text.contains(['-', '_']) { &URL_LETTERS } else { &LETTERS };
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(letters, padding).decode(text).ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let digits: Vec<u8> = text.as_bytes().iter().map(digit).collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            decoded.extend(from_hex(digits)?);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    String::from_utf8(decoded).ok()
}
