//! What a request asks for.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::refusal::Refusal;
use super::times::Given;

/// The path and the parameters of a request.
pub struct Asked {
    pub path: String,
    /// The scheme and host that the client used, for links in the answer.
    pub origin: String,
    parameters: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        Ok(Self {
            path: parts.uri.path().to_owned(),
            origin: format!("http://{host}"),
            parameters: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        })
    }
}

impl Asked {
    /// The parameter of this name, if it is given and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let given = self.parameters.iter().find(|(given, value)| given == name && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// All parameters but those named, as given.
    pub fn others<'a>(&'a self, but: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| !but.contains(name))
    }

    /// A time, or a day.
    pub fn time(&self, field: &'static str) -> Result<Option<Given>, Refusal> {
        let bad = |text: &str| Refusal::BadRequest { field, message: format!("{text:?} is no time") };
        self.text(field).map(|text| Given::parse(text).ok_or_else(|| bad(text))).transpose()
    }

    /// A whole number of at least `least`.
    pub fn number(&self, field: &'static str, least: usize) -> Result<Option<usize>, Refusal> {
        let number = |text: &str| text.parse().ok().filter(|&number| number >= least);
        let bad = |text: &str| {
            let message = format!("{text:?} is no whole number of at least {least}");
            Refusal::BadRequest { field, message }
        };
        self.text(field).map(|text| number(text).ok_or_else(|| bad(text))).transpose()
    }

    /// How many rows a page is to have: 1 to `most`; more is refused.
    pub fn limit(&self, field: &'static str, default: usize, most: usize) -> Result<usize, Refusal> {
        match self.number(field, 1)? {
            Some(limit) if limit > most => {
                Err(Refusal::BadRequest { field, message: format!("at most {most} is allowed") })
            }
            limit => Ok(limit.unwrap_or(default)),
        }
    }
}
