//! The secret of a deployment that its keys at FSPs are made with. It lives outside the database: a
//! database that was restored to a time before an order makes the same key of it again.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;

/// The fewest bytes that it may have.
const LEAST_BYTES: usize = 32;
/// How much of a digest stands for the secret, in bytes: enough to tell it from another one.
const FINGERPRINT_BYTES: usize = 8;

/// Never shown; see [`PaymentSecret::fingerprint`] for what is.
#[derive(Clone)]
pub struct PaymentSecret(hmac::Key);

impl std::fmt::Debug for PaymentSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PaymentSecret({})", self.fingerprint())
    }
}

impl PaymentSecret {
    /// Takes at least 32 bytes as base64 (either alphabet, padded or not) or as hexadecimal digits;
    /// blanks around them count for nothing. The error says what is wrong, and repeats nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match hexadecimal(text) {
            Some(bytes) => bytes,
            None => decode(text).ok_or("it is neither base64 nor hexadecimal")?,
        };
        if bytes.len() < LEAST_BYTES {
            return Err(format!("it has {} bytes, and needs {LEAST_BYTES} at least", bytes.len()));
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err("all its bytes are the same: it is no secret".to_owned());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The text of a new one, in base64.
    pub fn generate() -> String {
        base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; LEAST_BYTES]>())
    }

    /// What tells it from others and says nothing else of it: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let digest = self.mac(&["tributary payment secret"]);
        digest[..FINGERPRINT_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// HMAC-SHA-256 over `parts`, each behind its length in bytes (64 bits, big-endian).
    pub(super) fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

/// The bytes of hexadecimal digits, if there are enough for a secret: fewer may be base64.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() < 2 * LEAST_BYTES || text.len() % 2 == 1 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let mut alphabets = [STANDARD, URL_SAFE].into_iter();
    alphabets.find_map(|alphabet| GeneralPurpose::new(&alphabet, lenient).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_secret_however_they_are_written() {
        // computed by another program: hmac of python
        for text in [
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            " AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n",
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
        ] {
            assert_eq!(PaymentSecret::parse(text).unwrap().fingerprint(), "e90b38dac33ecc60");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        for (text, why) in [
            ("", "it has 0 bytes"),
            ("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==", "it has 31 bytes"),
            ("0102030405060708090a0b0c0d0e0f10", "needs 32 at least"),
            ("correct horse battery staple", "neither base64"),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "all its bytes are the same"),
        ] {
            let error = PaymentSecret::parse(text).unwrap_err();
            assert!(error.contains(why) && (text.is_empty() || !error.contains(text)), "{text}: {error}");
        }
    }

    #[test]
    fn a_new_secret_is_one_of_its_own_and_is_not_shown() {
        let (one, other) = (PaymentSecret::generate(), PaymentSecret::generate());
        let parsed = PaymentSecret::parse(&one).unwrap();
        assert_ne!(parsed.fingerprint(), PaymentSecret::parse(&other).unwrap().fingerprint());
        assert_eq!(format!("{parsed:?}"), format!("PaymentSecret({})", parsed.fingerprint()));
    }
}
