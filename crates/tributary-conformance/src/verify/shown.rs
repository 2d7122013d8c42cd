//! What Formance's v3 API shows, as it is read. Amounts are read from their digits: as JSON numbers they would lose
//! some above 2^53.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Unreadable;
use tributary_formance::{Integer, PaymentType};

/// A whole amount in minor units, of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(pub Integer);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let literal = Box::<RawValue>::deserialize(deserializer)?;
        let whole = Integer::parse(literal.get());
        whole.map(Self).ok_or_else(|| D::Error::custom("an amount is no whole number"))
    }
}

/// A connector that is installed.
#[derive(Clone, Debug, Deserialize)]
pub struct Connector {
    pub id: String,
    pub name: String,
    /// `generic` of those that poll such a server as ours.
    pub provider: String,
    pub config: Option<ConnectorConfig>,
}

/// What the connector was installed with; newer versions may keep the key to themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorConfig {
    pub endpoint: Option<String>,
    #[serde(default, deserialize_with = "maybe_secret")]
    pub api_key: Option<SecretString>,
    /// As Go prints it: `30m`, `1h30m0s`.
    pub polling_period: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: String,
    #[serde(rename = "connectorID")]
    pub connector: String,
    pub reference: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: String,
    #[serde(rename = "connectorID")]
    pub connector: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub initial_amount: Amount,
    pub amount: Amount,
    pub asset: String,
    pub status: String,
    #[serde(rename = "sourceAccountID")]
    pub source: Option<String>,
    #[serde(rename = "destinationAccountID")]
    pub destination: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Initiation {
    #[serde(rename = "connectorID")]
    pub connector: String,
    pub reference: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub amount: Amount,
    pub asset: String,
    pub status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    pub asset: String,
    pub balance: Amount,
    pub created_at: DateTime<Utc>,
    pub last_updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    pub id: String,
    pub paused_at: Option<DateTime<Utc>>,
    pub paused_reason: Option<String>,
}

/// One run of a schedule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub created_at: DateTime<Utc>,
    pub terminated: bool,
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn maybe_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// The type of a word of the API; `None` of one that no connector of ours makes.
pub fn payment_type(word: &str) -> Option<PaymentType> {
    [PaymentType::PayIn, PaymentType::Payout, PaymentType::Transfer, PaymentType::Other]
        .into_iter()
        .find(|kind| kind.to_string() == word)
}

/// The reference within an id of Formance's: ids are base64 of JSON.
pub fn reference_of(id: &str) -> Result<String, Unreadable> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(rename = "Reference")]
        reference: String,
    }
    let json = URL_SAFE_NO_PAD.decode(id).ok();
    let id_read = json.and_then(|json| serde_json::from_slice::<Id>(&json).ok());
    id_read.map(|id| id.reference).ok_or_else(|| Unreadable::Body {
        what: "an id of Formance".to_owned(),
        why: format!("{id:?} is not base64 of JSON with a Reference"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_digit_by_digit_and_must_be_whole() {
        for digits in ["0", "-7", "9007199254740993", "123456789012345678901234567890"] {
            assert_eq!(serde_json::from_str::<Amount>(digits).unwrap().0.as_str(), digits);
        }
        for wrong in ["1.5", "9.007199254740992e15", "\"5\"", "null"] {
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn types_are_those_of_the_api_and_not_of_the_wire() {
        assert_eq!(payment_type("PAY-IN"), Some(PaymentType::PayIn));
        assert_eq!(payment_type("PAYIN"), None);
    }
}
