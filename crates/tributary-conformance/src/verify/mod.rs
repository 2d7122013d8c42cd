//! Formance compared with what a server told it: payments, accounts, balances and initiations, each
//! as Formance's own API shows it.
//!
//! What Formance must hold is worked out of the server's feeds, read with the connector's own loop and key, by the
//! model of its storage ([`tributary_formance::kept`]). One compact entry for each payment and account is held;
//! Formance's lists go by page by page.
//!
//! Both sides go on changing meanwhile. So a difference counts only if it is there at a second look, too, with the
//! feeds read on in between; and what Formance has not read yet is told from what it lost by what it has: it reads in
//! order, so an entry in front of one that it has was passed over, and only one behind all of them waits.

mod books;
mod compare;
pub mod connect;
pub mod formance;
mod found;
mod reasons;
pub mod report;
mod schedules;
mod shown;

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use self::books::Books;
use self::compare::Look;
use self::formance::Formance;
use self::found::Found;
pub use self::report::{Compared, Difference, Report, Subject, What};
use self::schedules::Schedules;
use self::shown::Connector;
use tributary_formance::error::CallError;
use tributary_formance::{GoTime, Kind};

/// Why a side could not be read. Nothing is said of what was read until then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// What was given is no address.
    #[error(
        "the URL is no address of an API: write http://host or https://host, with the path prefix if there is \
         one (/api/payments of a Formance stack), and without user, password or query"
    )]
    Url,
    /// Formance answered with a failure.
    #[error("{what} answers with status {status}{}", hint(*status))]
    Status { what: String, status: u16 },
    /// Nobody answered.
    #[error("{what} does not answer: {why}")]
    Transport { what: String, why: String },
    /// An answer is not what was expected.
    #[error("{what} cannot be read: {why}")]
    Body { what: String, why: String },
    /// The credentials were not exchanged for a token.
    #[error(
        "{url} gives no token (status {status}): are the client's id and secret right, and is this where tokens are?"
    )]
    Token { url: String, status: u16 },
    /// There is no such connector.
    #[error("Formance has no connector {wanted} of the provider generic; it has {there}")]
    NoConnector { wanted: String, there: String },
    /// There are several, and none was named.
    #[error("Formance has several connectors of the provider generic: say which with --provider: {there}")]
    SeveralConnectors { there: String },
    /// The feed's address or key is not known.
    #[error("Formance does not say {what} of its connector: give it with {option}")]
    NotTold { what: &'static str, option: &'static str },
    /// The feed cannot be read.
    #[error("our {kind} cannot be read: {error}")]
    Feed { kind: Kind, error: CallError },
    /// Balances cannot be read.
    #[error("our balances of account {account} cannot be read: {error}")]
    Balances { account: String, error: CallError },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": is the token valid, and may it read payments?",
        404 => ": is the address that of the payments API (…/api/payments of a stack)?",
        _ => "",
    }
}

/// The server's side, where it is not to be taken from the connector's configuration.
#[derive(Default)]
pub struct Feed {
    /// The address.
    pub endpoint: Option<String>,
    /// The key that the connector has.
    pub api_key: Option<SecretString>,
}

/// A comparison that can be made again and again: the feeds are read on from where they were.
pub struct Verifier {
    formance: Formance,
    connector: Connector,
    endpoint: String,
    books: Books,
    looks: u32,
}

impl Verifier {
    /// Of the connector that is called `wanted` (or has it as its id), or else the only one of the provider generic.
    pub async fn new(formance: Formance, wanted: Option<&str>, feed: Feed) -> Result<Self, Unreadable> {
        let connector = connector(&formance, wanted).await?;
        let config = connector.config.clone();
        let (told_endpoint, told_key) =
            config.map_or((None, None), |config| (config.endpoint, config.api_key));
        let endpoint = feed.endpoint.or(told_endpoint);
        let endpoint = endpoint.ok_or(Unreadable::NotTold { what: "the endpoint", option: "--endpoint" })?;
        let endpoint = crate::run::endpoint(&endpoint).map_err(|_| Unreadable::Url)?;
        let key = feed.api_key.or(told_key.filter(|key| !key.expose_secret().is_empty()));
        let key = key.ok_or(Unreadable::NotTold {
            what: "the API key",
            option: "TRIBUTARY_CONNECTOR_KEY in the environment",
        })?;
        let books = Books::new(&endpoint, key.expose_secret());
        Ok(Self { formance, connector, endpoint, books, looks: 0 })
    }

    /// Compares; gives at most `most` differences in detail.
    pub async fn compare(&mut self, most: usize) -> Result<Report, Unreadable> {
        let schedules = Schedules::read(&self.formance, &self.connector).await?;
        let mut found = self.look().await?;
        if !found.differences.is_empty() {
            let before = found;
            found = self.look().await?;
            let keys: HashSet<_> = before.differences.iter().map(Difference::key).collect();
            found.differences.retain(|difference| before.more > 0 || keys.contains(&difference.key()));
        }
        let mut differences = schedules.paused();
        let (more, compared) = (found.more, found.compared);
        let reasons = reasons::Reasons { formance: &self.formance, books: &self.books, schedules };
        differences.extend(reasons.explain(found).await?);
        differences.sort_by(|a, b| (a.waiting, a.key()).cmp(&(b.waiting, b.key())));
        let waiting = differences.iter().filter(|difference| difference.waiting).count() as u64;
        let different = differences.len() as u64 - waiting + more;
        differences.truncate(most);
        Ok(Report {
            url: self.formance.base().to_owned(),
            connector: self.connector.name.clone(),
            endpoint: self.endpoint.clone(),
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            compared,
            differences,
            different,
            waiting,
        })
    }

    async fn look(&mut self) -> Result<Found, Unreadable> {
        self.books.advance().await?;
        self.looks += 1;
        let (formance, connector) = (&self.formance, &*self.connector.id);
        Look { formance, connector, books: &mut self.books, number: self.looks, found: Found::default() }
            .run()
            .await
    }
}

async fn connector(formance: &Formance, wanted: Option<&str>) -> Result<Connector, Unreadable> {
    let mut generic = Vec::new();
    formance
        .list("/v3/connectors", |_, connectors: Vec<Connector>| {
            generic.extend(connectors.into_iter().filter(|one| one.provider.eq_ignore_ascii_case("generic")));
            Ok(())
        })
        .await?;
    let names: Vec<&str> = generic.iter().map(|connector| &*connector.name).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut fitting: Vec<Connector> = match wanted {
        Some(wanted) => generic.into_iter().filter(|one| one.name == wanted || one.id == wanted).collect(),
        None => generic,
    };
    match (fitting.len(), wanted) {
        (1, _) => Ok(fitting.swap_remove(0)),
        (0, wanted) => Err(Unreadable::NoConnector { wanted: wanted.unwrap_or("at all").to_owned(), there }),
        _ => Err(Unreadable::SeveralConnectors { there }),
    }
}

/// A time of Formance's API among those of feeds.
fn gotime(at: DateTime<Utc>) -> GoTime {
    GoTime::from_unix(at.timestamp(), at.timestamp_subsec_nanos().min(999_999_999))
}
