//! Formance's v3 API, as far as it shows what a connector holds: how it is entered and asked.

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use url::form_urlencoded::byte_serialize;

use super::Unreadable;
use super::shown::{Instance, secret};

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
