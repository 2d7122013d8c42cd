//! A cassette: what a provider answered once, to be answered again without it. Manifests are
//! tested with it.

use std::borrow::Cow;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use regex::Regex;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::message::{Incoming, Outgoing};
use super::tap::{Exchanged, Tap};
use crate::interpolate::interpolate;
use crate::manifest::{Auth, Manifest, Proof, Tls};
use crate::secret::HIDDEN;
use crate::time::instant;

/// What a provider answered, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    pub provider: String,
    pub exchanges: Vec<Exchanged>,
}

impl Manifest {
    /// The manifest as a cassette is played to it: without any secret, at the address of what was
    /// recorded.
    pub fn for_cassette(mut self, cassette: &Cassette) -> Result<Self, String> {
        let recorded = cassette.exchanges.first().and_then(|exchange| Url::parse(&exchange.url).ok());
        let recorded = recorded.ok_or("the cassette holds nothing")?;
        let origin = recorded.origin().ascii_serialization();
        self.auth = Auth { proof: Proof::None, hmac: None };
        self.tls = Tls::default();
        self.headers.clear();
        self.webhook = None;
        self.streams.iter_mut().for_each(|stream| stream.after_webhook = None);
        let base =
            interpolate(&self.base_url, |_| Some(origin.clone())).map_err(|error| error.to_string())?;
        let path = Url::parse(&base).map_err(|error| format!("base_url: {error}"))?.path().to_owned();
        self.base_url = origin + path.trim_end_matches('/');
        Ok(self)
    }
}

/// Puts what it sees on a cassette.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Exchanged>>);

impl Recorder {
    /// What was seen so far, of this provider.
    pub fn cassette(&self, provider: &str) -> Cassette {
        let exchanges = self.0.lock().expect("nobody panics while holding it").clone();
        Cassette { provider: provider.to_owned(), exchanges }
    }
}

impl Tap for Recorder {
    fn exchanged(&self, exchanged: &Exchanged, _: Duration) {
        self.0.lock().expect("nobody panics while holding it").push(exchanged.clone());
    }

    fn asked_for_token(&self, _: &str, _: u16) {}
}

/// Answers from a cassette, each exchange once.
#[derive(Debug)]
pub struct Player {
    left: Mutex<Vec<Exchanged>>,
}

impl Player {
    /// Plays `cassette` from its beginning.
    pub fn new(cassette: Cassette) -> Self {
        Self { left: Mutex::new(cassette.exchanges) }
    }

    /// The first answer left to a request like this one; `None` where there is none. Times differ
    /// from one day to the other: two values of a parameter that are both times are taken as equal,
    /// unless another exchange fits exactly. The error says what is wrong with the cassette.
    pub fn answer(&self, outgoing: &Outgoing) -> Option<Result<Incoming, String>> {
        let body = outgoing.body.as_deref().map(String::from_utf8_lossy);
        let asked = Asked { method: outgoing.method.as_str(), url: &outgoing.url, body: body.as_deref() };
        let mut left = self.left.lock().expect("nobody panics while holding it");
        let place = left
            .iter()
            .position(|recorded| asked.matches(recorded, |a, b| a == b))
            .or_else(|| left.iter().position(|recorded| asked.matches(recorded, alike)));
        Some(incoming(left.remove(place?)))
    }

    /// How many answers were not asked for.
    pub fn left(&self) -> usize {
        self.left.lock().expect("nobody panics while holding it").len()
    }
}

fn incoming(recorded: Exchanged) -> Result<Incoming, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &recorded.answer.headers {
        let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"))?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| format!("{value:?} is no header"))?);
    }
    let status = StatusCode::from_u16(recorded.answer.status);
    Ok(Incoming {
        status: status.map_err(|_| format!("{} is no status", recorded.answer.status))?,
        headers,
        body: Some(recorded.answer.body.into_bytes()),
        sent_at: recorded.sent_at,
    })
}

struct Asked<'a> {
    method: &'a str,
    url: &'a Url,
    body: Option<&'a str>,
}

impl Asked<'_> {
    /// The host does not count: it may be another one where it is played.
    fn matches(&self, recorded: &Exchanged, same: fn(&str, &str) -> bool) -> bool {
        let Ok(url) = Url::parse(&recorded.url) else { return false };
        self.method == recorded.method
            && self.url.path() == url.path()
            && match (self.body, recorded.body.as_deref()) {
                (None, None) => true,
                (Some(body), Some(other)) => same(body, other),
                _ => false,
            }
            && parameters(self.url, &url).len() == parameters(&url, &url).len()
            && parameters(self.url, &url)
                .iter()
                .zip(parameters(&url, &url))
                .all(|((name, value), (other_name, other))| *name == other_name && same(value, &other))
    }
}

/// The parameters of `url` in their order, without those that `recorded` hides: they were secrets.
fn parameters(url: &Url, recorded: &Url) -> Vec<(String, String)> {
    let hidden =
        |wanted: &str| recorded.query_pairs().any(|(name, value)| name == wanted && value.contains(HIDDEN));
    let pairs = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| !hidden(name)).collect();
    pairs.sort();
    pairs
}

/// Whether both are equal, or times, or but for the times in them.
fn alike(one: &str, other: &str) -> bool {
    one == other || (is_time(one) && is_time(other)) || without_times(one) == without_times(other)
}

/// `text` with the days and times in it that begin with a year put out: those of a query, say.
fn without_times(text: &str) -> Cow<'_, str> {
    static TIMES: LazyLock<Regex> = LazyLock::new(|| {
        let time = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})?)?|(?-u:\b)1[0-9]{9}([0-9]{3})?(?-u:\b)";
        Regex::new(time).expect("it is well-formed")
    });
    TIMES.replace_all(text, "-")
}

/// A date, a time, or seconds or milliseconds since 1970 of this century.
fn is_time(text: &str) -> bool {
    let digits = |length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(10)
        || digits(13)
        || instant(text).is_some()
        || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answered, Method};

    fn exchange(url: &str, body: &str) -> Exchanged {
        Exchanged {
            method: "GET".to_owned(),
            url: url.to_owned(),
            body: None,
            sent_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            answer: Answered { status: 200, headers: vec![], body: body.to_owned() },
        }
    }

    fn play(player: &Player, url: &str) -> Result<String, String> {
        let url = Url::parse(url).unwrap();
        let outgoing = Outgoing {
            method: Method::Get,
            url,
            headers: HeaderMap::new(),
            body: None,
            lane: super::super::lane::Lane::default(),
            template: None,
        };
        let incoming = player.answer(&outgoing).unwrap_or_else(|| Err(outgoing.url.to_string()))?;
        Ok(String::from_utf8(incoming.body.unwrap()).unwrap())
    }

    fn player(exchanges: Vec<Exchanged>) -> Player {
        Player::new(Cassette { provider: "acme".to_owned(), exchanges })
    }

    #[test]
    fn answers_come_once_each_in_their_order_whatever_the_host_and_the_day() {
        let player = player(vec![
            exchange("https://api.acme.example/tx?from=2026-03-01T00:00:00Z&limit=2", "one"),
            exchange("https://api.acme.example/tx?from=2026-03-02T00:00:00Z&limit=2", "two"),
            exchange("https://api.acme.example/tx?limit=3&from=1767225600", "three"),
        ]);
        let ask = |query: &str| play(&player, &format!("http://127.0.0.1:1/tx?{query}"));
        assert_eq!(ask("limit=2&from=2026-03-02T00:00:00Z").unwrap(), "two", "the one that fits exactly");
        assert_eq!(ask("from=2027-05-05T00:00:00Z&limit=2").unwrap(), "one");
        assert!(ask("from=2027-05-05T00:00:00Z&limit=2").unwrap_err().contains("/tx?from=2027"));
        assert_eq!(ask("from=1767225999&limit=3").unwrap(), "three");
        assert_eq!(player.left(), 0);
    }

    #[test]
    fn what_was_hidden_or_differs_is_told_apart() {
        let player = player(vec![exchange("https://a.example/tx?key=[secret]&page=1", "one")]);
        assert!(play(&player, "https://a.example/tx?page=2").is_err());
        assert!(play(&player, "https://a.example/tx?page=1&more=1").is_err());
        assert!(play(&player, "https://a.example/other?page=1").is_err());
        assert_eq!(play(&player, "https://a.example/tx?page=1").unwrap(), "one");
    }
}
