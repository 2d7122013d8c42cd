//! Who may ask: access tokens, and how clients come by new ones.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::config::{OAuth, StandinConfig};
use super::fsp::Scheme;
use super::ids;
use super::refusal::Refusal;
use super::times::SECOND_US;
use super::{Json, Standin, object};

/// The tokens that are good at the moment.
pub(super) struct Tokens {
    seed: u64,
    access: String,
    /// With OAuth, the token ends; otherwise it never does.
    ends_at_us: Option<i64>,
    is_dead: bool,
    oauth: Option<OAuth>,
    refresh: String,
    tally: TokenTally,
}

/// A login: headers that say who asks, and an answer of the API's own making.
#[derive(Debug)]
pub struct Login {
    /// The header with the client's id.
    pub client_id: &'static str,
    /// The header with its secret.
    pub secret: &'static str,
    /// The answer that gives a token, and says until when it is good, in microseconds.
    pub answer: fn(&str, i64) -> Json,
}

/// What clients did at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenTally {
    /// Access tokens given out.
    pub given: u64,
    /// Requests with a refresh token that is not good, such as one used before.
    pub refused: u64,
}

impl Tokens {
    pub fn new(config: &StandinConfig) -> Self {
        let refresh = config.oauth.as_ref().map(|oauth| oauth.refresh_token.clone()).unwrap_or_default();
        Self {
            seed: config.seed,
            access: config.token.clone(),
            // the first one has to be fetched
            ends_at_us: config.oauth.as_ref().map(|_| i64::MIN),
            is_dead: false,
            oauth: config.oauth.clone(),
            refresh,
            tally: TokenTally::default(),
        }
    }

    /// Whether `headers` bring the token that is good at `now_us`, as `scheme` wants it.
    pub fn check(&self, headers: &HeaderMap, scheme: Scheme, now_us: i64) -> Result<(), Refusal> {
        let is_sent = match scheme {
            Scheme::Bearer => bearer(headers) == Some(self.access.as_str()),
            // a token may have a colon itself
            Scheme::BasicUser => {
                let sent = basic(headers).map(|(user, password)| format!("{user}:{password}"));
                sent == Some(format!("{}:", self.access))
            }
        };
        if !is_sent {
            return Err(Refusal::Unauthorized);
        }
        if self.is_dead || self.ends_at_us.is_some_and(|ends_at_us| ends_at_us <= now_us) {
            return Err(Refusal::TokenExpired);
        }
        Ok(())
    }

    /// Ends the present access token, if it is one that ends.
    pub fn kill(&mut self) {
        self.is_dead = self.oauth.is_some();
    }

    pub fn tally(&self) -> TokenTally {
        self.tally
    }

    /// Gives an access token for a refresh token, or to a client that asks for itself.
    fn grant(&mut self, asked: &Grant, now_us: i64) -> Result<Json, Refusal> {
        if self.oauth.is_none() && asked.is_for_itself() && asked.client_secret == self.access {
            // a token that never ends, whose text is the secret
            return Ok(
                object! { "access_token": self.access.as_str(), "token_type": "bearer", "expires_in": 32_400_i64 },
            );
        }
        let granted = self.oauth.as_ref().ok_or("this stand-in gives no tokens").and_then(|oauth| {
            asked.check(oauth)?;
            // a client that asks for itself has none
            let is_good = asked.is_for_itself() || asked.refresh_token == self.refresh;
            is_good.then_some(oauth).ok_or("invalid refresh token")
        });
        let oauth = match granted {
            Ok(oauth) => oauth,
            Err(why) => {
                self.tally.refused += 1;
                return Err(Refusal::BadGrant(why));
            }
        };
        let (lifetime_seconds, rotates) = (i64::from(oauth.lifetime_seconds), oauth.rotates);
        self.renew(now_us, lifetime_seconds);
        if rotates {
            self.refresh = format!("refresh_{}", ids::letters(self.seed, "refresh", self.tally.given, 21));
        }
        let rotated = rotates.then(|| self.refresh.clone());
        Ok(object! {
            "access_token": self.access.as_str(),
            "token_type": "bearer",
            "expires_in": lifetime_seconds,
            "refresh_token": rotated,
        }
        .without_nulls())
    }
}

impl Tokens {
    /// Gives another access token, that is good from `now_us` on.
    fn renew(&mut self, now_us: i64, lifetime_seconds: i64) {
        self.tally.given += 1;
        self.access = format!("access_{}", ids::letters(self.seed, "access", self.tally.given, 21));
        self.ends_at_us = Some(now_us + lifetime_seconds * SECOND_US);
        self.is_dead = false;
    }

    /// Gives an access token for what the `headers` of a login say. Where tokens never end, the secret
    /// is the token.
    fn log_in(&mut self, login: &Login, headers: &HeaderMap, now_us: i64) -> Result<Json, Refusal> {
        let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (known, lifetime_seconds) = match &self.oauth {
            Some(oauth) => {
                let is_client = given(login.client_id) == oauth.client_id;
                let is_secret = given(login.secret) == oauth.client_secret;
                (is_client && is_secret, i64::from(oauth.lifetime_seconds))
            }
            None => (given(login.secret) == self.access, 1_800),
        };
        if !known {
            self.tally.refused += 1;
            return Err(Refusal::BadGrant("the client or its secret is not known"));
        }
        if self.oauth.is_some() {
            self.renew(now_us, lifetime_seconds);
        }
        Ok((login.answer)(&self.access, now_us + lifetime_seconds * SECOND_US))
    }
}

/// What a client asks the token endpoint for: as a form or as JSON, its credentials in the body,
/// as basic authentication or as a signed assertion.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Grant {
    grant_type: String,
    refresh_token: String,
    client_id: String,
    client_secret: String,
    client_assertion: String,
}

impl Grant {
    async fn read(request: Request) -> Option<Self> {
        let basic = basic(request.headers());
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        let body = axum::body::Bytes::from_request(request, &()).await.ok()?;
        let mut asked: Self = if is_json {
            serde_json::from_slice(&body).ok()?
        } else {
            let mut asked = Self::default();
            for (name, value) in url::form_urlencoded::parse(&body) {
                match &*name {
                    "grant_type" => asked.grant_type = value.into_owned(),
                    "refresh_token" => asked.refresh_token = value.into_owned(),
                    "client_id" => asked.client_id = value.into_owned(),
                    "client_secret" => asked.client_secret = value.into_owned(),
                    "client_assertion" => asked.client_assertion = value.into_owned(),
                    _ => {}
                }
            }
            asked
        };
        if let Some((id, secret)) = basic {
            (asked.client_id, asked.client_secret) = (id, secret);
        }
        Some(asked)
    }

    fn is_for_itself(&self) -> bool {
        self.grant_type == "client_credentials"
    }

    fn check(&self, oauth: &OAuth) -> Result<(), &'static str> {
        if self.grant_type != "refresh_token" && !self.is_for_itself() {
            return Err("unsupported grant type");
        }
        let is_client = if self.client_assertion.is_empty() {
            self.client_id == oauth.client_id && self.client_secret == oauth.client_secret
        } else {
            asserts(&self.client_assertion, &oauth.client_id)
        };
        is_client.then_some(()).ok_or("invalid client")
    }
}

/// Whether this is an assertion of the client in form: three parts, RS256 or better, its id as
/// the subject, and a time at which it ends. The signature is not checked: the stand-in has no
/// key to check it with.
fn asserts(assertion: &str, client_id: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        alg: String,
    }
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
        exp: i64,
    }
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let parts: Vec<_> = assertion.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        return false;
    };
    let head = part(head).and_then(|json| serde_json::from_slice::<Head>(&json).ok());
    let claims = part(claims).and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    head.is_some_and(|head| head.alg != "none")
        && claims.is_some_and(|claims| claims.sub == client_id && claims.exp > 0)
        && part(signature).is_some_and(|signature| !signature.is_empty())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let text = scheme.eq_ignore_ascii_case("Basic").then(|| STANDARD.decode(text).ok())??;
    let (id, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

pub(super) async fn token(State(standin): State<Arc<Standin>>, request: Request) -> Result<Json, Refusal> {
    if let Some(login) = standin.fsp.login() {
        let now_us = standin.now_us();
        return standin.tokens().log_in(login, request.headers(), now_us);
    }
    let asked = Grant::read(request).await.ok_or(Refusal::BadGrant("the request cannot be read"))?;
    let now_us = standin.now_us();
    standin.tokens().grant(&asked, now_us)
}
