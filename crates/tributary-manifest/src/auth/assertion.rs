//! Client assertions: signed tokens (JWT) by which a client proves itself to a token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaEncoding, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

use super::pem;
use crate::manifest::{Algorithm, Assertion};
use crate::period::Period;

/// The field of the manifest that holds the key.
const KEY_FIELD: &str = "auth.oauth2.assertion.private_key";

/// Makes the assertions of one client.
pub struct AssertionSigner {
    key: Key,
    /// Encoded.
    header: String,
    issuer: String,
    subject: String,
    audience: String,
    lifetime: Period,
    random: SystemRandom,
}

enum Key {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl AssertionSigner {
    /// Takes `auth.oauth2.assertion` of the client `client_id` at the endpoint `token_url`. The
    /// error names the field that is wrong.
    pub fn new(described: &Assertion, client_id: &str, token_url: &str) -> Result<Self, String> {
        if described.lifetime.as_duration().is_zero() {
            return Err("auth.oauth2.assertion.lifetime: has to be longer than 0s".to_owned());
        }
        let random = SystemRandom::new();
        let text = pem::load(KEY_FIELD, &described.private_key)?;
        let pem = PrivateKeyDer::from_pem_slice(text.expose().as_bytes())
            .map_err(|_| format!("{KEY_FIELD}: holds no private key that can be read"))?;
        let key = key(described.algorithm, &pem, &random)?;
        let mut header = json!({ "alg": format!("{:?}", described.algorithm), "typ": "JWT" });
        if let Some(key_id) = &described.key_id {
            header["kid"] = json!(key_id);
        }
        let or = |given: &Option<String>, otherwise: &str| given.clone().unwrap_or(otherwise.to_owned());
        Ok(Self {
            key,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            issuer: or(&described.issuer, client_id),
            subject: or(&described.subject, client_id),
            audience: or(&described.audience, token_url),
            lifetime: described.lifetime,
            random,
        })
    }

    /// An assertion that begins at `now`; each is another one.
    pub fn sign(&self, now: DateTime<Utc>) -> Result<String, String> {
        let claims = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience,
            "iat": now.timestamp(),
            "exp": (now + self.lifetime.as_delta()).timestamp(),
            "jti": uuid::Uuid::new_v4(),
        });
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.signature(signed.as_bytes()).ok_or("the assertion cannot be signed")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.key {
            Key::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &self.random, message, &mut signature).ok()?;
                Some(signature)
            }
            Key::Ecdsa(pair) => Some(pair.sign(&self.random, message).ok()?.as_ref().to_vec()),
            Key::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }
}

fn key(algorithm: Algorithm, pem: &PrivateKeyDer, random: &SystemRandom) -> Result<Key, String> {
    let rsa = |encoding: &'static dyn RsaEncoding| {
        let pair = match pem {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(unfit(algorithm, "is no RSA key")),
        };
        let pair = pair.map_err(|error| unfit(algorithm, &error.to_string()))?;
        Ok(Key::Rsa(Box::new(pair), encoding))
    };
    let pkcs8 = || match pem {
        PrivateKeyDer::Pkcs8(der) => Ok(der.secret_pkcs8_der()),
        _ => Err(unfit(algorithm, "is not in PKCS #8; `openssl pkcs8 -topk8 -nocrypt` makes it so")),
    };
    let ecdsa = |kind| {
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8()?, random);
        pair.map(Key::Ecdsa).map_err(|error| unfit(algorithm, &error.to_string()))
    };
    match algorithm {
        Algorithm::RS256 => rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => rsa(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => rsa(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => rsa(&signature::RSA_PSS_SHA512),
        Algorithm::ES256 => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8()?);
            pair.map(Key::Ed25519).map_err(|error| unfit(algorithm, &error.to_string()))
        }
    }
}

fn unfit(algorithm: Algorithm, why: &str) -> String {
    format!("{KEY_FIELD}: is not fit for {algorithm:?}: {why}")
}
