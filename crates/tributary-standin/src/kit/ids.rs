//! Ids and other values that look random and follow from the seed.

use uuid::{Builder, Uuid};

/// 64 bits that are the same for the same arguments; `domain` keeps equal numbers of two kinds
/// apart.
pub fn hash(seed: u64, domain: &str, n: u64) -> u64 {
    // FNV-1a: the domain's letters only have to differ, mixing is done below
    let domain = domain.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    mix(mix(seed ^ domain) ^ n)
}

/// The finishing steps of the generator SplitMix64: every input bit reaches every output bit.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The random-looking UUID (version 4) of the `n`th thing of a domain.
pub fn uuid(seed: u64, domain: &str, n: u64) -> Uuid {
    let high = u128::from(hash(seed, domain, n.wrapping_mul(2)));
    let low = u128::from(hash(seed, domain, n.wrapping_mul(2).wrapping_add(1)));
    Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid()
}

/// `length` letters and digits (at most 21) of the `n`th thing of a domain. Letters of both
/// cases, so that ids may differ in case alone, and none that people confuse.
pub fn letters(seed: u64, domain: &str, n: u64, length: usize) -> String {
    const LETTERS: &[u8; 57] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut bits = uuid(seed, domain, n).as_u128();
    let letter = |_| {
        let letter = LETTERS[(bits % 57) as usize];
        bits /= 57;
        char::from(letter)
    };
    (0..length.min(21)).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_repeat_for_one_seed_and_differ_in_everything_else() {
        assert_eq!(uuid(1, "payment", 5), uuid(1, "payment", 5));
        let ids = [uuid(1, "payment", 5), uuid(2, "payment", 5), uuid(1, "refund", 5), uuid(1, "payment", 6)];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id));
        }
        assert_eq!(letters(1, "payment", 5, 10).len(), 10);
        assert_ne!(letters(1, "payment", 5, 10), letters(1, "payment", 6, 10));
    }
}
