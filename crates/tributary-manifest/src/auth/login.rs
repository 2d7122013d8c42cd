//! Tokens by a login request of the API's own making.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jaq_json::Val;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::token::usable_until;
use super::{Surroundings, endpoint, header_name, header_value};
use crate::cage::Cage;
use crate::jq::{self, Filter, FilterError, Limits, Scope};
use crate::manifest::{Expiry, Login, LoginMethod};
use crate::secret::Secret;
use crate::wire::retry::parse_wait;
use crate::wire::{AccessToken, ClientError, Granted, Incoming, Lane, Method, Outgoing, TokenError};

/// A login request, and where its answer holds the token.
pub struct LoginGrant {
    request: Outgoing,
    filters: Arc<Filters>,
    lifetime: Option<Duration>,
    cage: Arc<Cage>,
}

struct Filters {
    token: Filter,
    expires_in: Option<Filter>,
}

impl LoginGrant {
    /// Takes `auth.login`. The error names the field that is wrong.
    pub fn new(described: &Login, surroundings: &Surroundings) -> Result<Self, String> {
        let request = &described.request;
        let url = endpoint("auth.login.request.path", &request.path, surroundings.base)?;
        let headers = headers(described, &url, surroundings)?;
        let filter = |field: &'static str, code: &str| {
            Filter::compile("", field, surroundings.functions, code)
                .map_err(|error| format!("{field}: {}", error.message))
        };
        let (lifetime, expires_in) = match &described.expires_in {
            None => (None, None),
            Some(Expiry::After(period)) => (Some(period.as_duration()), None),
            Some(Expiry::Filter(code)) => (None, Some(filter("auth.login.expires_in", code)?)),
        };
        Ok(Self {
            request: Outgoing {
                method: match request.method {
                    LoginMethod::Get => Method::Get,
                    LoginMethod::Post => Method::Post,
                },
                url,
                headers,
                body: request.body.as_ref().map(|body| body.to_bytes()),
                lane: Lane::of_tokens(),
                template: None,
            },
            filters: Arc::new(Filters { token: filter("auth.login.token", &described.token)?, expires_in }),
            lifetime,
            cage: Arc::clone(surroundings.cage),
        })
    }

    /// What errors call the request.
    pub fn shown(&self) -> String {
        format!("{} {}", self.request.method.as_str(), self.request.url.path())
    }

    /// The request for a token.
    pub fn request(&self) -> Outgoing {
        self.request.clone()
    }

    /// The token of an answer that is a success.
    pub async fn read(&self, incoming: &Incoming) -> Result<Granted, TokenError> {
        let (filters, sent_at) = (Arc::clone(&self.filters), incoming.sent_at);
        let body = incoming.body.clone().unwrap_or_default();
        let found = self
            .cage
            .run(move |deadline| Ok(jq::parse(&body).ok().map(|json| filters.find(json, sent_at, deadline))));
        // neither the answer nor what a filter says of it is repeated: both may hold the token
        let found = found.await.map_err(ClientError::Rules)?.ok_or_else(|| TokenError::Passing {
            why: "the answer to the login cannot be read".to_owned(),
            wait: None,
        })?;
        let (value, parsed) = found.map_err(|why| ClientError::Refused {
            request: self.shown(),
            status: incoming.status.as_u16(),
            excerpt: why.to_owned(),
        })?;
        let usable_until = usable_until(sent_at, parsed.or(self.lifetime));
        Ok(Granted { access: AccessToken { value, usable_until }, refresh: None })
    }
}

impl Filters {
    /// The token and how long it is good for; the error is what is wrong with which field.
    fn find(
        &self,
        answer: Val,
        sent_at: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<(Secret, Option<Duration>), &'static str> {
        let scope = Scope::at(sent_at, Val::Null);
        let run = |filter: &Filter| -> Result<Option<String>, FilterError> {
            let found = filter.run_one(answer.clone(), &scope, Limits::one(deadline))?;
            Ok(jq::scalar(&found).filter(|text| !text.is_empty()))
        };
        let token = run(&self.token).ok().flatten().ok_or("auth.login.token finds nothing in the answer")?;
        let parsed = match &self.expires_in {
            None => None,
            Some(filter) => {
                let parsed =
                    run(filter).ok().flatten().ok_or("auth.login.expires_in finds nothing in the answer")?;
                Some(parse_wait(&parsed, sent_at).ok_or(
                    "auth.login.expires_in finds no time that is still to come by the clock of this machine",
                )?)
            }
        };
        Ok((token.into(), parsed))
    }
}

fn headers(described: &Login, url: &Url, surroundings: &Surroundings) -> Result<HeaderMap, String> {
    let mut headers = match url.origin() == surroundings.base.origin() {
        true => surroundings.headers.clone(),
        false => HeaderMap::new(),
    };
    if described.request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &described.request.headers {
        let field = format!("auth.login.request.headers.{name}");
        headers.insert(header_name(&field, name)?, header_value(&field, value)?);
    }
    Ok(headers)
}
