//! What Formance orders, read strictly.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use tributary_domain::{Amount, Asset, Metadata, RecordId, served_id_to_original};

/// The longest description, in bytes.
const DESCRIPTION_MAX_BYTES: usize = 4_096;
/// The largest metadata, in bytes: there has to be room for what the provider adds.
const METADATA_MAX_BYTES: usize = 32_768;

/// An order as it was sent, checked as far as it can be by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRequest {
    pub idempotency_key: String,
    pub amount: Amount,
    pub asset: Asset,
    /// The provider's own ids.
    pub source: RecordId,
    pub destination: RecordId,
    pub description: Option<String>,
    pub metadata: Metadata,
}

/// Why a body is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Invalid {
    /// The idempotency key, where the body has one.
    pub idempotency_key: Option<String>,
    pub detail: String,
    /// It is well formed, and names an account that cannot be one of ours.
    pub no_such_account: bool,
}

/// As [`Invalid`], of a body whose idempotency key is not looked for yet.
enum Wrong {
    Malformed(String),
    NoSuchAccount(String),
}

impl From<String> for Wrong {
    fn from(detail: String) -> Self {
        Self::Malformed(detail)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    idempotency_key: String,
    amount: String,
    currency: String,
    source_account_id: String,
    destination_account_id: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyOnly {
    idempotency_key: String,
}

impl OrderRequest {
    /// Takes the JSON of an order. Members that it does not know are left aside: a later Formance
    /// may send them.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let idempotency_key = serde_json::from_slice::<KeyOnly>(json).ok().map(|key| key.idempotency_key);
        Self::read(json).map_err(|wrong| {
            let no_such_account = matches!(wrong, Wrong::NoSuchAccount(_));
            let (Wrong::Malformed(detail) | Wrong::NoSuchAccount(detail)) = wrong;
            Invalid { idempotency_key, detail, no_such_account }
        })
    }

    fn read(json: &[u8]) -> Result<Self, Wrong> {
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err("the body has to be the JSON object of an order".to_owned().into());
        }
        let body: Body = serde_json::from_slice(json)
            .map_err(|error| format!("the body has to be the JSON object of an order: {error}"))?;
        let text = |error: tributary_domain::RecordError| error.to_string();
        // what has room among the transactions has room here
        RecordId::parse("idempotencyKey", &body.idempotency_key).map_err(text)?;
        let amount = Amount::parse_unsigned("amount", &body.amount).map_err(text)?;
        if amount.minor_units() == 0 {
            return Err("amount: is not above zero".to_owned().into());
        }
        let account = |field: &'static str, served: &str| {
            let unknown = |why: String| Wrong::NoSuchAccount(why);
            let original = served_id_to_original(served)
                .ok_or_else(|| unknown(format!("{field}: {served:?} is no id that was served here")))?;
            RecordId::parse(field, &original).map_err(|error| unknown(error.to_string()))
        };
        let description = body.description.filter(|description| !description.is_empty());
        if let Some(description) = &description {
            if description.contains('\0') {
                return Err("description: holds a NUL character".to_owned().into());
            }
            if description.len() > DESCRIPTION_MAX_BYTES {
                return Err(format!("description: is longer than {DESCRIPTION_MAX_BYTES} bytes").into());
            }
        }
        let metadata = Metadata::parse(body.metadata.unwrap_or_default()).map_err(text)?;
        if metadata.to_json().len() > METADATA_MAX_BYTES {
            return Err(format!("metadata: takes more than {METADATA_MAX_BYTES} bytes").into());
        }
        Ok(Self {
            amount,
            asset: Asset::parse("currency", &body.currency).map_err(text)?,
            source: account("sourceAccountId", &body.source_account_id)?,
            destination: account("destinationAccountId", &body.destination_account_id)?,
            idempotency_key: body.idempotency_key,
            description,
            metadata,
        })
    }

    /// What distinguishes one order from another under the same idempotency key: everything but the key, however the
    /// JSON was written.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let amount = self.amount.to_string();
        let parts = [
            amount.as_str(),
            self.asset.as_str(),
            self.source.as_str(),
            self.destination.as_str(),
            self.description.as_deref().unwrap_or_default(),
        ];
        let metadata = self.metadata.as_map().iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        for part in parts.into_iter().chain(metadata) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"idempotencyKey":"ref-1","amount":"1500","currency":"GBP/2","sourceAccountId":"a~2Fb",
        "destinationAccountId":"ben_1","description":"rent","metadata":{"a":"1","b":"2"}}"#;

    /// `text` with `to` in the one place where it has `from`.
    fn edited(text: &str, from: &str, to: &str) -> String {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replace(from, to)
    }

    fn order(json: &str) -> OrderRequest {
        OrderRequest::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_order_of_members_and_what_is_absent_make_no_difference() {
        let good = order(GOOD);
        assert_eq!(good.source.as_str(), "a/b");
        let other = r#"{ "metadata":{"b":"2","a":"1"}, "description":"rent", "destinationAccountId":"ben_1",
            "sourceAccountId":"a~2Fb", "currency":"GBP/2", "amount":"1500", "idempotencyKey":"ref-1", "new":1}"#;
        assert_eq!(good.fingerprint(), order(other).fingerprint());
        let bare = edited(GOOD, r#","description":"rent","metadata":{"a":"1","b":"2"}"#, "");
        let nulls = edited(&edited(GOOD, "\"rent\"", "null"), r#"{"a":"1","b":"2"}"#, "null");
        assert_eq!(order(&bare).fingerprint(), order(&nulls).fingerprint());
    }

    #[test]
    fn anything_else_makes_another_order() {
        let good = order(GOOD).fingerprint();
        for (from, to) in [
            ("1500", "1501"),
            ("GBP/2", "EUR/2"),
            ("a~2Fb", "c"),
            ("ben_1", "ben_2"),
            ("rent", "rent "),
            (r#""a":"1""#, r#""a":"2""#),
            (r#""a":"1","#, ""),
        ] {
            assert_ne!(order(&edited(GOOD, from, to)).fingerprint(), good, "{to}");
        }
    }

    #[test]
    fn what_is_no_order_is_refused_with_its_field() {
        for (from, to, about) in [
            ("\"1500\"", "1500", "expected a string"),
            ("1500", "15.00", "amount"),
            ("1500", "0", "amount"),
            ("1500", "-1", "amount"),
            ("GBP/2", "gbp", "currency"),
            ("ref-1", "", "idempotencyKey"),
            ("a~2Fb", "a~zz", "sourceAccountId"),
            ("ben_1", "b~zz", "destinationAccountId"),
            ("rent", r"r\u0000", "description"),
            (r#""1","b""#, r#"1,"b""#, "expected a string"),
            ("idempotencyKey", "key", "idempotencyKey"),
        ] {
            let refused = OrderRequest::parse(edited(GOOD, from, to).as_bytes()).unwrap_err();
            assert!(refused.detail.contains(about), "{to}: {refused}");
            assert_eq!(refused.no_such_account, about.ends_with("AccountId"), "{to}");
        }
        let long = edited(GOOD, "ref-1", &"k".repeat(1_001));
        assert!(OrderRequest::parse(long.as_bytes()).unwrap_err().detail.contains("at most 1000"));
        let refused = OrderRequest::parse(edited(GOOD, "1500", "x").as_bytes()).unwrap_err();
        assert_eq!(refused.idempotency_key.as_deref(), Some("ref-1"));
    }
}
