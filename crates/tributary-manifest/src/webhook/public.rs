//! Public keys as providers publish them: PEM, base64 of the same, or the path of a file.

use super::keys::from_base64;
use crate::manifest::SignatureAlgorithm;

/// The least bytes of an RSA modulus: 2048 bits.
const RSA_BYTES: usize = 256;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OID: u8 = 0x06;

/// The key in `given`, in the form that checks codes of `algorithm`. The error does not repeat what is
/// given: it may be a secret in the wrong place.
pub fn read(algorithm: SignatureAlgorithm, given: &str) -> Result<Vec<u8>, String> {
    if given.contains("-----BEGIN ") {
        return of_pem(algorithm, &given.replace("\\n", "\n"));
    }
    // a path may be letters of base64 alone, too
    if let Some(key) = from_base64(given).and_then(|bytes| of_bytes(algorithm, &bytes).ok()) {
        return Ok(key);
    }
    let text = std::fs::read_to_string(given).map_err(|error| {
        format!("is no public key as PEM or base64, and no file that can be read: {error}")
    })?;
    match text.contains("-----BEGIN ") {
        true => of_pem(algorithm, &text),
        false => of_bytes(algorithm, &from_base64(text.trim()).unwrap_or_default()),
    }
}

fn of_pem(algorithm: SignatureAlgorithm, text: &str) -> Result<Vec<u8>, String> {
    let (label, rest) =
        text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).ok_or("is no PEM")?;
    if label.contains("PRIVATE") {
        return Err("is a private key: the provider's public key is meant".to_owned());
    }
    if label.contains("CERTIFICATE") {
        let how = "`openssl x509 -pubkey -noout -in FILE` prints it";
        return Err(format!("is a certificate: write the public key that is in it ({how})"));
    }
    let body = rest.split_once("-----END ").map_or(rest, |(body, _)| body);
    let letters: String = body.split_whitespace().collect();
    of_bytes(algorithm, &from_base64(&letters).unwrap_or_default())
}

fn of_bytes(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (kinds, curve, name): (&[&[u8]], Option<&[u8]>, &str) = match algorithm {
        SignatureAlgorithm::Ed25519 => (&[ED25519], None, "of Ed25519"),
        SignatureAlgorithm::EcdsaP256Sha256 => (&[EC], Some(P256), "of ECDSA on the curve P-256"),
        _ => (&[RSA, RSA_PSS], None, "of RSA"),
    };
    let wrong = || format!("is no public key {name}");
    let key = match described(bytes) {
        Some(Described { kind, parameter, key }) => {
            let fits = kinds.contains(&kind) && (curve.is_none() || curve == parameter);
            if fits { key } else { return Err(wrong()) }
        }
        // the key alone, as some publish it
        None => bytes,
    };
    let whole = match algorithm {
        SignatureAlgorithm::Ed25519 => key.len() == 32,
        SignatureAlgorithm::EcdsaP256Sha256 => key.len() == 65 && key[0] == 4,
        _ => match modulus_bytes(key) {
            Some(bytes) if bytes < RSA_BYTES => {
                return Err(format!("is an RSA key of {} bits; 2048 are the least", bytes * 8));
            }
            found => found.is_some(),
        },
    };
    if whole { Ok(key.to_vec()) } else { Err(wrong()) }
}

/// How long the modulus of an RSA key is: the first of its two numbers.
pub fn modulus_bytes(key: &[u8]) -> Option<usize> {
    let (numbers, rest) = taken(SEQUENCE, key)?;
    let (modulus, after) = taken(INTEGER, numbers)?;
    let (_, end) = taken(INTEGER, after)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    (rest.is_empty() && end.is_empty()).then_some(modulus.len())
}

/// What a SubjectPublicKeyInfo says.
struct Described<'a> {
    kind: &'a [u8],
    /// The parameter of the kind, where that is an identifier: of a curve.
    parameter: Option<&'a [u8]>,
    key: &'a [u8],
}

fn described(bytes: &[u8]) -> Option<Described<'_>> {
    let (inside, rest) = taken(SEQUENCE, bytes)?;
    let (algorithm, after) = taken(SEQUENCE, inside)?;
    let (kind, parameters) = taken(OID, algorithm)?;
    let parameter = taken(OID, parameters).map(|(parameter, _)| parameter);
    let (key, end) = taken(BITS, after)?;
    let key = key.strip_prefix(&[0])?;
    (rest.is_empty() && end.is_empty()).then_some(Described { kind, parameter, key })
}

/// The content of the first element of DER, if it has this tag, and what follows.
fn taken(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let digits = (1..=2).contains(&count).then(|| rest.get(..count)).flatten()?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), &rest[count..])
        }
    };
    (*first == tag && rest.len() >= length).then(|| rest.split_at(length))
}
