//! The provider key: under it the provider knows an attempt. It follows from what was ordered and
//! nothing else, so that it is the same even where our database was restored to a time before.

use sha2::{Digest, Sha256};

use tributary_domain::{PaymentKind, ProviderName};
use tributary_manifest::{ProviderKeyFormat, ProviderKeyManifest};

/// The provider key of attempt number `attempt`, from 1 on, of the order with this idempotency key.
pub fn derive(
    manifest: &ProviderKeyManifest,
    provider: &ProviderName,
    kind: PaymentKind,
    idempotency_key: &str,
    attempt: i32,
) -> String {
    let mut digest = Sha256::new();
    for part in ["tributary payment", provider.as_str(), kind.as_str(), idempotency_key, &attempt.to_string()]
    {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest: [u8; 32] = digest.finalize().into();
    match manifest.format {
        ProviderKeyFormat::Uuid => {
            let first: [u8; 16] = digest[..16].try_into().expect("it is longer");
            uuid::Builder::from_custom_bytes(first).into_uuid().to_string()
        }
        ProviderKeyFormat::Text => base32(&digest).chars().take(manifest.max_length).collect(),
    }
}

/// RFC 4648 without padding.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut text, mut bits, mut held) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(DIGITS[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(DIGITS[(held << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn key(format: ProviderKeyFormat, provider: &str, kind: PaymentKind, key: &str, attempt: i32) -> String {
        let manifest = ProviderKeyManifest { format, max_length: 18, lifetime: None };
        derive(&manifest, &provider.parse().unwrap(), kind, key, attempt)
    }

    #[test]
    fn the_digits_are_those_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn each_attempt_of_each_order_has_a_key_of_its_own_for_ever() {
        use PaymentKind::{Payout, Transfer};
        let all = [
            key(ProviderKeyFormat::Text, "acme", Payout, "k", 1),
            key(ProviderKeyFormat::Text, "acme", Payout, "k", 2),
            key(ProviderKeyFormat::Text, "acme", Transfer, "k", 1),
            key(ProviderKeyFormat::Text, "other", Payout, "k", 1),
            key(ProviderKeyFormat::Text, "acme", Payout, "l", 1),
            key(ProviderKeyFormat::Uuid, "acme", Payout, "k", 1),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all[0].len(), 18);
    }

    /// Money may be on its way under these: they must not change with a build.
    #[test]
    fn the_keys_of_orders_that_were_placed_stay_what_they_are() {
        use PaymentKind::{Payout, Transfer};
        for (format, provider, kind, idempotency_key, attempt, expected) in [
            (ProviderKeyFormat::Text, "acme", Payout, "k", 1, "TATW6NCYUL56CWAOEH"),
            (ProviderKeyFormat::Text, "acme", Payout, "k", 2, "3OJQIFQRLZAFARRQC5"),
            (ProviderKeyFormat::Text, "acme", Transfer, "k", 1, "YKHRYBAHRCSAV4CYE7"),
            (ProviderKeyFormat::Text, "starling", Payout, "invoice-17/é", 1, "6VY63ZBDEG25YCCUPO"),
            (ProviderKeyFormat::Uuid, "acme", Payout, "k", 1, "98276f34-58a2-8be1-980e-21f22dfc99e7"),
            (
                ProviderKeyFormat::Uuid,
                "mercury",
                Transfer,
                "invoice-17/é",
                3,
                "12aaf11c-0519-8563-8dde-5020101e149c",
            ),
        ] {
            assert_eq!(key(format, provider, kind, idempotency_key, attempt), expected);
        }
    }
}
