//! Tokens by OAuth 2: client credentials, or a refresh token that may change with each use.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::assertion::AssertionSigner;
use super::token::usable_until;
use super::{Surroundings, basic_value, endpoint, given, header_value};
use crate::manifest::{self, ClientAuth, OAuth2};
use crate::secret::Secret;
use crate::wire::retry::parse_wait;
use crate::wire::{
    AccessToken, ClientError, Granted, Incoming, Lane, Method, Outgoing, TokenError, TokenKey,
};

/// What RFC 7523 calls an assertion that is a JWT.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token endpoint, and what it is asked.
pub struct OAuth2Grant {
    url: Url,
    headers: HeaderMap,
    /// The fields that are the same in each request.
    form: Vec<(String, Secret)>,
    assertion: Option<AssertionSigner>,
    /// The first refresh token, and under which its successors are kept.
    refresh: Option<(TokenKey, Secret)>,
    lifetime: Option<Duration>,
}

/// A token as the endpoint gives it.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl OAuth2Grant {
    /// Takes `auth.oauth2`. The error names the field that is wrong.
    pub fn new(described: &OAuth2, surroundings: &Surroundings) -> Result<Self, String> {
        let url = endpoint("auth.oauth2.token_url", &described.token_url, surroundings.base)?;
        let mut headers = match url.origin() == surroundings.base.origin() {
            true => surroundings.headers.clone(),
            false => HeaderMap::new(),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut form: Vec<(String, Secret)> = Vec::new();
        let mut put = |name: &str, value: &str| form.push((name.to_owned(), Secret::from(value.to_owned())));
        put(
            "grant_type",
            match described.grant {
                manifest::OAuth2Grant::ClientCredentials => "client_credentials",
                manifest::OAuth2Grant::RefreshToken => "refresh_token",
            },
        );
        if let Some(scope) = &described.scope {
            put("scope", scope);
        }
        for (name, value) in &described.extra {
            put(name, value.expose());
        }
        let secret = described.client_secret.as_ref();
        let assertion = match client_auth(described)? {
            ClientAuth::Basic => {
                let secret = secret.ok_or("auth.oauth2.client_secret: is missing")?;
                headers.insert(AUTHORIZATION, basic_header(&described.client_id, secret)?);
                None
            }
            ClientAuth::Body => {
                put("client_id", &described.client_id);
                let secret = secret.ok_or("auth.oauth2.client_secret: is missing")?;
                put("client_secret", given("auth.oauth2.client_secret", secret)?);
                None
            }
            ClientAuth::None => {
                put("client_id", &described.client_id);
                None
            }
            ClientAuth::Assertion => {
                put("client_id", &described.client_id);
                put("client_assertion_type", ASSERTION_TYPE);
                let assertion = described.assertion.as_ref().ok_or("auth.oauth2.assertion: is missing")?;
                Some(AssertionSigner::new(assertion, &described.client_id, url.as_str())?)
            }
        };
        let refresh = refresh_token(described, &url)?;
        let lifetime = described.access_token_lifetime.map(|lifetime| lifetime.as_duration());
        Ok(Self { url, headers, form, assertion, refresh, lifetime })
    }

    /// What errors call the request.
    pub fn shown(&self) -> String {
        format!("POST {}", self.url.path())
    }

    /// The first refresh token, and the key of those after it; none with client credentials.
    pub fn refresh_token(&self) -> Option<(TokenKey, Secret)> {
        self.refresh.clone()
    }

    /// The request for a token.
    pub fn request(&self, refresh: Option<&Secret>, now: DateTime<Utc>) -> Result<Outgoing, String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.form {
            form.append_pair(name, value.expose());
        }
        if let Some(refresh) = refresh {
            form.append_pair("refresh_token", refresh.expose());
        }
        if let Some(assertion) = &self.assertion {
            form.append_pair("client_assertion", &assertion.sign(now)?);
        }
        Ok(Outgoing {
            method: Method::Post,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Some(form.finish().into_bytes()),
            lane: Lane::of_tokens(),
            template: None,
        })
    }

    /// The tokens of an answer that is a success.
    pub fn read(&self, incoming: &Incoming) -> Result<Granted, TokenError> {
        let body = incoming.body.as_deref().unwrap_or_default();
        let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| TokenError::Passing {
            // its text may be a token
            why: "the answer with the token cannot be read".to_owned(),
            wait: None,
        })?;
        let Some(access) = answer.access_token.filter(|token| !token.is_empty()) else {
            let words = answer.error.into_iter().chain(answer.error_description);
            let words = words.collect::<Vec<_>>().join(": ");
            let excerpt = if words.is_empty() { "there is no access_token in it".to_owned() } else { words };
            let status = incoming.status.as_u16();
            return Err(ClientError::Refused { request: self.shown(), status, excerpt }.into());
        };
        let parsed = match answer.expires_in {
            Some(serde_json::Value::String(wait)) => parse_wait(&wait, incoming.sent_at),
            Some(serde_json::Value::Number(wait)) => parse_wait(&wait.to_string(), incoming.sent_at),
            _ => None,
        };
        let usable_until = usable_until(incoming.sent_at, parsed.or(self.lifetime));
        Ok(Granted {
            access: AccessToken { value: access.into(), usable_until },
            refresh: answer.refresh_token.filter(|token| !token.is_empty()).map(Secret::from),
        })
    }
}

fn client_auth(described: &OAuth2) -> Result<ClientAuth, String> {
    if described.client_id.is_empty() {
        return Err("auth.oauth2.client_id: is empty".to_owned());
    }
    let client_auth =
        described.client_auth.unwrap_or(match (&described.assertion, &described.client_secret) {
            (Some(_), _) => ClientAuth::Assertion,
            (None, Some(_)) => ClientAuth::Basic,
            (None, None) => ClientAuth::None,
        });
    if described.assertion.is_some() && client_auth != ClientAuth::Assertion {
        return Err("auth.oauth2.assertion: is for client_auth: assertion".to_owned());
    }
    if described.client_secret.is_some() && !matches!(client_auth, ClientAuth::Basic | ClientAuth::Body) {
        return Err("auth.oauth2.client_secret: is for client_auth: basic or body".to_owned());
    }
    Ok(client_auth)
}

/// Id and secret are encoded as in a form before they become user and password (RFC 6749, 2.3.1).
fn basic_header(id: &str, secret: &Secret) -> Result<HeaderValue, String> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let password = Secret::from(encoded(given("auth.oauth2.client_secret", secret)?));
    header_value("auth.oauth2.client_secret", &basic_value(&encoded(id), &password))
}

fn refresh_token(described: &OAuth2, url: &Url) -> Result<Option<(TokenKey, Secret)>, String> {
    match (described.grant, &described.refresh_token) {
        (manifest::OAuth2Grant::ClientCredentials, None) => Ok(None),
        (manifest::OAuth2Grant::ClientCredentials, Some(_)) => {
            Err("auth.oauth2.refresh_token: is for grant: refresh_token".to_owned())
        }
        (manifest::OAuth2Grant::RefreshToken, None) => {
            Err("auth.oauth2.refresh_token: is missing".to_owned())
        }
        (manifest::OAuth2Grant::RefreshToken, Some(first)) => {
            let token = given("auth.oauth2.refresh_token", first)?;
            let scope = described.scope.as_deref().unwrap_or_default();
            let key = TokenKey::of(&[url.as_str(), &described.client_id, scope, token]);
            Ok(Some((key, first.clone())))
        }
    }
}
