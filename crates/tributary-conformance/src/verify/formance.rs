//! Formance's v3 API, as far as it shows what a connector holds.
//!
//! Amounts are read from their digits: as JSON numbers they would lose some above 2^53.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use url::form_urlencoded::byte_serialize;

use super::Unreadable;
use tributary_formance::{Integer, PaymentType};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is sent before it counts as failed.
const TRIES: u32 = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// What is asked for at once; a Formance that allows less gives less, and a cursor.
const PAGE_SIZE: &str = "1000";

/// How Formance is entered.
pub enum Access {
    /// Without anything, where nobody asks.
    Open,
    /// With a bearer token.
    Token(SecretString),
    /// With tokens that are exchanged for a client's credentials.
    Client {
        id: String,
        secret: SecretString,
        /// Where they are exchanged.
        token_url: String,
    },
}

/// A Formance.
pub struct Formance {
    http: reqwest::Client,
    base: String,
    access: Access,
    token: Mutex<Option<SecretString>>,
}

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

#[derive(Deserialize)]
struct Listed<T> {
    cursor: Cursor<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor<T> {
    data: Option<Vec<T>>,
    has_more: bool,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
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

impl Formance {
    /// The Formance whose API for payments is at `base`: `https://HOST/api/payments` of a stack, or the address
    /// of a payments server.
    pub fn new(base: &str, access: Access) -> Result<Self, Unreadable> {
        let base = crate::run::endpoint(base).map_err(|_| Unreadable::Url)?;
        let base = base.trim_end_matches("/v3").to_owned();
        // fails if a provider is installed already, which serves as well
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http =
            http.map_err(|error| Unreadable::Transport { what: base.clone(), why: error.to_string() })?;
        Ok(Self { http, base, access, token: Mutex::new(None) })
    }

    /// The address, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// All of a list, page by page; `each` is given the number of the page, from 0 on, and what is on it.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        mut each: impl FnMut(u64, Vec<T>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let mut query = format!("pageSize={PAGE_SIZE}");
        for page in 0.. {
            let listed: Listed<T> = self.get(path, &query).await?;
            each(page, listed.cursor.data.unwrap_or_default())?;
            if !listed.cursor.has_more {
                break;
            }
            let unreadable = |why: &str| Unreadable::Body { what: path.to_owned(), why: why.to_owned() };
            let next = listed.cursor.next.filter(|next| !next.is_empty());
            let next = next.ok_or_else(|| unreadable("it has more, and names no cursor for it"))?;
            let asked = std::mem::replace(&mut query, String::from("cursor="));
            query.extend(byte_serialize(next.as_bytes()));
            if query == asked {
                return Err(unreadable("its cursor leads to the same page again"));
            }
        }
        Ok(())
    }

    /// Up to `most` of the newest runs of a schedule.
    pub async fn instances(
        &self,
        connector: &str,
        schedule: &str,
        most: u32,
    ) -> Result<Vec<Instance>, Unreadable> {
        let schedule: String = byte_serialize(schedule.as_bytes()).collect();
        let path = format!("/v3/connectors/{connector}/schedules/{schedule}/instances");
        let listed: Listed<Instance> = self.get(&path, &format!("pageSize={most}")).await?;
        Ok(listed.cursor.data.unwrap_or_default())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<T, Unreadable> {
        let url = format!("{}{path}?{query}", self.base);
        let body = self.ask(path, |http, token| {
            let request = http.get(&url);
            match token {
                Some(token) => request.bearer_auth(token.expose_secret()),
                None => request,
            }
        });
        let body = body.await?;
        serde_json::from_slice(&body).map_err(|error| Unreadable::Body {
            what: format!("{}{path}", self.base),
            why: error.to_string(),
        })
    }

    /// Asks until there is an answer that is no failure for now; with another token if one is refused that
    /// was exchanged before.
    async fn ask(
        &self,
        path: &str,
        request: impl Fn(&reqwest::Client, Option<&SecretString>) -> reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, Unreadable> {
        let what = format!("{}{path}", self.base);
        let mut renewed = false;
        for tried in 1.. {
            let token = self.token().await?;
            let answer = match request(&self.http, token.as_ref()).send().await {
                Ok(answer) => {
                    let status = answer.status();
                    answer.bytes().await.map(|body| (status, body))
                }
                Err(error) => Err(error),
            };
            let error = match answer {
                Ok((status, body)) if status.is_success() => return Ok(body.into()),
                Ok((StatusCode::UNAUTHORIZED, _))
                    if !renewed && matches!(self.access, Access::Client { .. }) =>
                {
                    renewed = true;
                    *self.token.lock().await = None;
                    continue;
                }
                Ok((status, _)) => {
                    let error = Unreadable::Status { what: what.clone(), status: status.as_u16() };
                    if !(status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) {
                        return Err(error);
                    }
                    error
                }
                Err(error) => Unreadable::Transport { what: what.clone(), why: causes(&error) },
            };
            if tried >= TRIES {
                return Err(error);
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(tried - 1)).await;
        }
        unreachable!("the loop ends by returning")
    }

    async fn token(&self) -> Result<Option<SecretString>, Unreadable> {
        let Access::Client { id, secret, token_url } = &self.access else {
            return Ok(match &self.access {
                Access::Token(token) => Some(token.clone()),
                _ => None,
            });
        };
        let mut held = self.token.lock().await;
        if held.is_none() {
            *held = Some(self.exchange(id, secret, token_url).await?);
        }
        Ok(held.clone())
    }

    async fn exchange(&self, id: &str, secret: &SecretString, url: &str) -> Result<SecretString, Unreadable> {
        let field = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = (field(id), field(secret.expose_secret()));
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request =
            self.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await;
        let transport =
            |error: reqwest::Error| Unreadable::Transport { what: url.to_owned(), why: causes(&error) };
        let answer = answer.map_err(transport)?;
        if !answer.status().is_success() {
            return Err(Unreadable::Token { url: url.to_owned(), status: answer.status().as_u16() });
        }
        let body = answer.bytes().await.map_err(transport)?;
        let granted: Result<Granted, _> = serde_json::from_slice(&body);
        // the error of the parser may repeat what it read
        granted.map(|granted| granted.access_token).map_err(|_| Unreadable::Body {
            what: url.to_owned(),
            why: "it is no JSON with an access_token".to_owned(),
        })
    }
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
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
