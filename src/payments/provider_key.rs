//! The provider key: under it the provider knows an attempt. It follows from what was ordered and the
//! secret of the deployment, and nothing else: it is the same where our database was restored to a
//! time before, is nobody's to foresee, and differs between deployments that share a bank account.

use super::PaymentSecret;
use tributary_domain::{PaymentKind, ProviderName};
use tributary_manifest::{ProviderKeyFormat, ProviderKeyManifest};

/// The provider key of attempt number `attempt`, from 1 on, of the order with this idempotency key.
pub fn derive(
    secret: &PaymentSecret,
    manifest: &ProviderKeyManifest,
    provider: &ProviderName,
    kind: PaymentKind,
    idempotency_key: &str,
    attempt: i32,
) -> String {
    let attempt = attempt.to_string();
    let digest =
        secret.mac(&["tributary payment", provider.as_str(), kind.as_str(), idempotency_key, &attempt]);
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

    /// The bytes from 1 to 32.
    const SECRET: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";

    fn key(format: ProviderKeyFormat, provider: &str, kind: PaymentKind, key: &str, attempt: i32) -> String {
        let manifest = ProviderKeyManifest { format, max_length: 18, lifetime: None };
        let secret = PaymentSecret::parse(SECRET).unwrap();
        derive(&secret, &manifest, &provider.parse().unwrap(), kind, key, attempt)
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

    #[test]
    fn another_deployment_has_other_keys() {
        let manifest =
            ProviderKeyManifest { format: ProviderKeyFormat::Text, max_length: 40, lifetime: None };
        let of = |secret: &str| {
            let secret = PaymentSecret::parse(secret).unwrap();
            derive(&secret, &manifest, &"acme".parse().unwrap(), PaymentKind::Payout, "k", 1)
        };
        assert_ne!(of(SECRET), of(&PaymentSecret::generate()));
    }

    /// Money may be on its way under these: they must not change with a build. Computed by another
    /// program (hmac and base64 of python).
    #[test]
    fn the_keys_of_orders_that_were_placed_stay_what_they_are() {
        use PaymentKind::{Payout, Transfer};
        for (format, provider, kind, idempotency_key, attempt, expected) in [
            (ProviderKeyFormat::Text, "acme", Payout, "k", 1, "LBMZJ33LY3JFWDVWG6"),
            (ProviderKeyFormat::Text, "acme", Payout, "k", 2, "MLNEPLCRUZ577RPSH7"),
            (ProviderKeyFormat::Text, "acme", Transfer, "k", 1, "TBIUAX3XBEJBS5LEX6"),
            (ProviderKeyFormat::Text, "starling", Payout, "invoice-17/é", 1, "OI4WZJ75YJB7RIZKHV"),
            (ProviderKeyFormat::Uuid, "acme", Payout, "k", 1, "585994ef-6bc6-825b-8eb6-378586908e69"),
            (
                ProviderKeyFormat::Uuid,
                "mercury",
                Transfer,
                "invoice-17/é",
                3,
                "c044427d-12ac-815b-a379-c07832766d2b",
            ),
        ] {
            assert_eq!(key(format, provider, kind, idempotency_key, attempt), expected);
        }
    }
}
