//! Signatures of requests: an HMAC of what the API wants signed, in the headers that it reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::HeaderName;
use ring::{digest, hmac};
use url::Position;

use super::{given, header_name, header_value};
use crate::manifest::{Hmac, HmacAlgorithm, KeyEncoding, SignatureEncoding, TimestampFormat};
use crate::secret::Secret;
use crate::wire::Outgoing;

/// Signs requests under one key.
pub struct Signer {
    key: hmac::Key,
    sign: Vec<Part>,
    encoding: SignatureEncoding,
    timestamp: TimestampFormat,
    headers: Vec<(HeaderName, Vec<Part>)>,
}

/// A piece of a template.
enum Part {
    Text(Secret),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Method,
    Host,
    Path,
    Query,
    Target,
    Body,
    BodySha256,
    Timestamp,
    Nonce,
    Signature,
}

const FIELDS: [(&str, Field); 10] = [
    ("method", Field::Method),
    ("host", Field::Host),
    ("path", Field::Path),
    ("query", Field::Query),
    ("target", Field::Target),
    ("body", Field::Body),
    ("body_sha256", Field::BodySha256),
    ("timestamp", Field::Timestamp),
    ("nonce", Field::Nonce),
    ("signature", Field::Signature),
];

impl Signer {
    /// Takes `auth.hmac`. The error names the field that is wrong.
    pub fn new(described: &Hmac) -> Result<Self, String> {
        let algorithm = match described.algorithm {
            HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let sign = template("auth.hmac.signed", &described.signed)?;
        if sign.iter().any(|part| matches!(part, Part::Field(Field::Signature))) {
            return Err("auth.hmac.signed: cannot hold the signature itself".to_owned());
        }
        let mut headers = Vec::new();
        for (name, text) in &described.headers {
            let field = format!("auth.hmac.headers.{name}");
            header_value(&field, text)?;
            headers.push((header_name(&field, name)?, template(&field, text.expose())?));
        }
        let carries = |part: &Part| matches!(part, Part::Field(Field::Signature));
        if !headers.iter().any(|(_, parts)| parts.iter().any(carries)) {
            return Err("auth.hmac.headers: none carries {signature}".to_owned());
        }
        Ok(Self {
            key: hmac::Key::new(algorithm, &key_bytes(described)?),
            sign,
            encoding: described.encoding,
            timestamp: described.timestamp,
            headers,
        })
    }

    /// Adds the headers of the signature to a request that is complete but for them.
    pub fn sign(&self, outgoing: &mut Outgoing, now: DateTime<Utc>) -> Result<(), String> {
        let mut moment = Moment {
            timestamp: match self.timestamp {
                TimestampFormat::Seconds => now.timestamp().to_string(),
                TimestampFormat::Milliseconds => now.timestamp_millis().to_string(),
                TimestampFormat::Rfc1123 => httpdate::fmt_http_date(now.into()),
                TimestampFormat::Rfc3339 => now.to_rfc3339_opts(SecondsFormat::Millis, true),
            },
            nonce: uuid::Uuid::new_v4().to_string(),
            signature: String::new(),
        };
        let signature = hmac::sign(&self.key, &fill(&self.sign, outgoing, &moment));
        moment.signature = match self.encoding {
            SignatureEncoding::Hex => hex(signature.as_ref()),
            SignatureEncoding::Base64 => STANDARD.encode(signature),
            SignatureEncoding::PercentBase64 => percent(&STANDARD.encode(signature)),
        };
        for (name, parts) in &self.headers {
            let value = String::from_utf8(fill(parts, outgoing, &moment));
            let value = value.map_err(|_| "a header of the signature is no text".to_owned())?;
            outgoing.headers.insert(name.clone(), header_value("auth.hmac.headers", &value.into())?);
        }
        Ok(())
    }
}

/// What is new in each request.
struct Moment {
    timestamp: String,
    nonce: String,
    signature: String,
}

fn fill(parts: &[Part], outgoing: &Outgoing, moment: &Moment) -> Vec<u8> {
    let url = &outgoing.url;
    let body = outgoing.body.as_deref().unwrap_or_default();
    let mut filled = Vec::new();
    for part in parts {
        let field = match part {
            Part::Text(text) => {
                filled.extend_from_slice(text.expose().as_bytes());
                continue;
            }
            Part::Field(field) => field,
        };
        match field {
            Field::Method => filled.extend_from_slice(outgoing.method.as_str().as_bytes()),
            Field::Host => {
                filled.extend_from_slice(url[Position::BeforeHost..Position::AfterPort].as_bytes())
            }
            Field::Path => filled.extend_from_slice(url.path().as_bytes()),
            Field::Query => filled.extend_from_slice(url.query().unwrap_or_default().as_bytes()),
            Field::Target => {
                filled.extend_from_slice(url[Position::BeforePath..Position::AfterQuery].as_bytes())
            }
            Field::Body => filled.extend_from_slice(body),
            Field::BodySha256 => {
                filled.extend_from_slice(hex(digest::digest(&digest::SHA256, body).as_ref()).as_bytes());
            }
            Field::Timestamp => filled.extend_from_slice(moment.timestamp.as_bytes()),
            Field::Nonce => filled.extend_from_slice(moment.nonce.as_bytes()),
            Field::Signature => filled.extend_from_slice(moment.signature.as_bytes()),
        }
    }
    filled
}

fn template(field: &str, text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let known = after.split_once('}').and_then(|(name, tail)| {
            let known = FIELDS.iter().find(|(known, _)| *known == name)?;
            Some((known.1, tail))
        });
        // what stands in the braces is not repeated: it may be a piece of a secret
        let (known, tail) = known.ok_or_else(|| {
            let names = FIELDS.map(|(name, _)| name).join("}, {");
            format!("{field}: between {{ and }} goes one of {{{names}}}")
        })?;
        parts.push(Part::Text(literal.to_owned().into()));
        parts.push(Part::Field(known));
        rest = tail;
    }
    parts.push(Part::Text(rest.to_owned().into()));
    Ok(parts)
}

fn key_bytes(described: &Hmac) -> Result<Vec<u8>, String> {
    let text = given("auth.hmac.secret", &described.secret)?;
    let bytes = match described.secret_encoding {
        KeyEncoding::Text => Some(text.as_bytes().to_vec()),
        KeyEncoding::Base64 => STANDARD.decode(text).ok(),
        KeyEncoding::Hex => unhex(text),
    };
    bytes.ok_or_else(|| "auth.hmac.secret: is not written as secret_encoding says".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 with its signs percent-encoded.
fn percent(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use url::Url;

    use super::*;
    use crate::wire::{Lane, Method};

    #[test]
    fn a_date_of_http_and_a_percent_encoded_sha1_are_signed_as_openssl_does() {
        let described: Hmac = serde_json::from_value(serde_json::json!({
            "algorithm": "sha1", "secret": "key", "encoding": "percent_base64", "timestamp": "rfc1123",
            "signed": "date: {timestamp}\nx-mod-nonce: 28154b24-ed34-46ab-9f02-5c1b5b9a7d6e",
            "headers": { "Date": "{timestamp}", "Authorization": "Signature keyId=\"id\",signature=\"{signature}\"" },
        }))
        .unwrap();
        let url = Url::parse("https://bank.example/payments").unwrap();
        let mut request = Outgoing {
            method: Method::Get,
            url,
            headers: HeaderMap::new(),
            body: None,
            lane: Lane::default(),
            template: None,
        };
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Signer::new(&described).unwrap().sign(&mut request, now).unwrap();
        assert_eq!(request.headers["date"], "Sun, 01 Mar 2026 12:00:00 GMT");
        // `openssl dgst -sha1 -hmac key`
        assert_eq!(
            request.headers["authorization"],
            "Signature keyId=\"id\",signature=\"Ol3vrgdYas98YKgB87r%2BwKvRP48%3D\""
        );
    }
}
