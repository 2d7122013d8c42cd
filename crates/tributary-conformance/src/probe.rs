//! Sends requests as the connector does, and keeps how long they took and what went wrong.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{AUTHORIZATION, DATE, HeaderValue, InvalidHeaderValue};
use reqwest::{Method, RequestBuilder, Response};

use super::options::Options;
use super::progress::Progress;
use tributary_formance::{Answer, ErrorClass};

/// An answer, and when it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What was asked, below the endpoint: `/accounts?page=1`.
    pub target: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// The server's clock as its `Date` header tells it, in seconds since 1970.
    pub date: Option<i64>,
    /// Our clock when the answer was there, in seconds since 1970.
    pub arrived: i64,
}

impl Reply {
    /// Whether Formance takes the status for a success.
    pub fn is_success(&self) -> bool {
        ErrorClass::of_status(self.status).is_none()
    }

    /// What Formance's own client would have been given.
    pub fn answer(&self) -> Answer {
        Answer { status: self.status, body: self.body.clone() }
    }
}

/// A request that made sense, and was not answered as such.
#[derive(Clone, Debug)]
pub struct Hiccup {
    /// The request and what came instead: `GET /accounts?page=1: status 503`.
    pub what: String,
    /// Whether Formance would have given up.
    pub is_final: bool,
}

/// The slowest answer of a page or of balances.
#[derive(Clone, Debug)]
pub struct Slowest {
    /// From sending to the last byte.
    pub took: Duration,
    /// What was asked.
    pub target: String,
}

/// Which key a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one that was given.
    Valid,
    /// One that nobody can have made.
    Wrong,
    /// None.
    Absent,
}

/// The most hiccups that are kept for the report.
const HICCUPS_KEPT: usize = 100;

/// A client of the server under check.
pub struct Probe<'a> {
    http: reqwest::Client,
    endpoint: String,
    authorization: HeaderValue,
    options: &'a Options,
    progress: &'a dyn Progress,
    requests: u64,
    /// What went wrong with requests that made sense.
    pub hiccups: Vec<Hiccup>,
    /// The slowest answer so far.
    pub slowest: Option<Slowest>,
}

impl<'a> Probe<'a> {
    /// A client of `endpoint` (a URL without a slash at its end) with an API key. Fails for a
    /// key that no header can carry.
    ///
    /// # Panics
    /// If the machine's TLS roots cannot be set up.
    pub fn new(
        endpoint: &str,
        key: &str,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Result<Self, InvalidHeaderValue> {
        // fails if a provider is installed already, which serves as well
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder().timeout(options.timeout);
        if is_loopback(endpoint) {
            // as in Go: a proxy of the environment is not for this machine's own addresses
            http = http.no_proxy();
        }
        let http = http.build().expect("an HTTP client without special settings");
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            http,
            endpoint: endpoint.to_owned(),
            authorization,
            options,
            progress,
            requests: 0,
            hiccups: Vec::new(),
            slowest: None,
        })
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Asks for a page or for balances, as Formance would: measured, and tried again after a
    /// failure. Gives the last answer, whatever its status; `Err` says why there is none.
    pub async fn get(&mut self, target: &str) -> Result<Reply, String> {
        let mut delay = self.options.retry_delay;
        let mut attempt = 0;
        loop {
            let begun = Instant::now();
            let outcome = self.send(Method::GET, target, Key::Valid).await;
            self.measure(begun.elapsed(), target);
            let failure = match &outcome {
                Ok(reply) if !is_hiccup(reply.status) => return outcome.map_err(|failure| failure.reason),
                Ok(reply) => Failure::of_status(reply.status),
                Err(failure) => failure.clone(),
            };
            self.note(target, &failure);
            if attempt == self.options.retries {
                return outcome.map_err(|failure| failure.reason);
            }
            attempt += 1;
            tokio::time::sleep(delay).await;
            delay *= 2;
        }
    }

    /// Asks something that the connector would not: once, and neither measured nor noted.
    pub async fn ask_oddly(&mut self, method: Method, target: &str, key: Key) -> Result<Reply, String> {
        self.send(method, target, key).await.map_err(|failure| failure.reason)
    }

    async fn send(&mut self, method: Method, target: &str, key: Key) -> Result<Reply, Failure> {
        self.requests += 1;
        self.progress.requests(self.requests);
        let request = self.http.request(method, format!("{}{target}", self.endpoint));
        let response = self.authorize(request, key).send().await.map_err(Failure::of)?;
        let date = date(&response);
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(Failure::of)?;
        Ok(Reply { target: target.to_owned(), status, body: body.into(), date, arrived: now() })
    }

    fn authorize(&self, request: RequestBuilder, key: Key) -> RequestBuilder {
        match key {
            Key::Valid => request.header(AUTHORIZATION, self.authorization.clone()),
            Key::Wrong => request.bearer_auth("tributary-conformance-wrong-key"),
            Key::Absent => request,
        }
    }

    fn measure(&mut self, took: Duration, target: &str) {
        if self.slowest.as_ref().is_none_or(|slowest| slowest.took < took) {
            self.slowest = Some(Slowest { took, target: target.to_owned() });
        }
    }

    fn note(&mut self, target: &str, failure: &Failure) {
        if self.hiccups.len() < HICCUPS_KEPT {
            let what = format!("GET {target}: {}", failure.reason);
            self.hiccups.push(Hiccup { what, is_final: failure.class.is_final() });
        }
    }
}

fn is_loopback(endpoint: &str) -> bool {
    let url = url::Url::parse(endpoint).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// 404 says what is there and what is not, and is judged where it is met; a key that is refused
/// is not made better by asking again.
fn is_hiccup(status: u16) -> bool {
    ErrorClass::of_status(status).is_some() && !matches!(status, 401 | 403 | 404)
}

#[derive(Clone)]
struct Failure {
    class: ErrorClass,
    reason: String,
}

impl Failure {
    fn of_status(status: u16) -> Self {
        let class = ErrorClass::of_status(status).unwrap_or(ErrorClass::Other);
        Self { class, reason: format!("status {status}") }
    }

    fn of(error: reqwest::Error) -> Self {
        // the report names what was asked
        let error = error.without_url();
        let class = match &error {
            error if error.is_timeout() => {
                return Self { class: ErrorClass::RequestTimeout, reason: "no answer in time".into() };
            }
            error if error.is_body() || error.is_decode() => ErrorClass::Other,
            _ => ErrorClass::ClientError,
        };
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self { class, reason }
    }
}

fn date(response: &Response) -> Option<i64> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(unix_seconds)
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
