//! How a command of an operator is done: by the admin API of a server, or on the database itself. Both do the same
//! ([`verbs::perform`]) and give the same, so that what is printed is the same.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Host, Url};

use super::Common;
use super::database::{Database, Login};
use crate::config::{self, FileText};
use crate::verbs::{self, Access, Actor, Declared, OfFile, On, Verb, entry};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Longer than a server takes for anything that it is asked here.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a command is done.
#[derive(Args, Clone)]
pub struct At {
    /// Do it by the admin API of this server, with the key of an operator in TRIBUTARY_OPERATOR_KEY; without
    /// it, on the database. The address is the operators': https://…, or http://127.0.0.1:8081.
    #[arg(long, global = true, env = "TRIBUTARY_SERVER", value_name = "URL")]
    pub server: Option<String>,
}

impl At {
    /// Refuses a server for a command that it has no way for.
    pub fn only_database(&self, command: &str) -> Result<(), String> {
        match &self.server {
            None => Ok(()),
            Some(_) => Err(format!(
                "`tributary {command}` works on the database alone: leave out --server, and unset TRIBUTARY_SERVER"
            )),
        }
    }
}

/// A server that is asked.
pub struct Server {
    url: Url,
    key: SecretString,
    client: reqwest::Client,
}

/// How a command is done.
pub enum Way {
    Server(Box<Server>),
    Database { database: Database, declared: Declared },
}

impl Way {
    /// The server that `at` names; else the database by `login`, whose verbs need no provider file.
    pub async fn open(common: &Common, at: &At, login: Login<'_>) -> Result<Self, Error> {
        match &at.server {
            Some(url) => Ok(Self::Server(Box::new(Server::new(url)?))),
            None => Ok(Self::Database {
                database: Database::open_migrated(common, login, 4).await?,
                declared: Declared::new(),
            }),
        }
    }

    /// The same, for a verb that has to know the provider files.
    pub async fn open_with_files(common: &Common, at: &At, login: Login<'_>) -> Result<Self, Error> {
        if at.server.is_some() {
            return Self::open(common, at, login).await;
        }
        let declared = declared(common)?;
        let database = Database::open_migrated(common, login, 4).await?;
        Ok(Self::Database { database, declared })
    }

    /// The same, for a verb that tries provider files: no variable of theirs has to be set.
    pub async fn open_with_texts(common: &Common, at: &At, login: Login<'_>) -> Result<Self, Error> {
        let way = Self::open(common, at, login).await?;
        Ok(match way {
            Self::Database { database, .. } => {
                Self::Database { database, declared: texts(&common.providers)? }
            }
            server => server,
        })
    }

    /// Does `verb`.
    pub async fn perform<V: Verb>(&self, verb: &V) -> Result<V::Answer, Error> {
        match self {
            Self::Server(server) => server.ask(verb).await,
            Self::Database { database, declared } => {
                let on = On::to_the_end(&database.pool, declared);
                Ok(verbs::perform(verb, on, &typed()).await?)
            }
        }
    }

    /// Does `verb`, and has `report` told how far it is: a server goes on in the background, and does not tell.
    pub async fn perform_reporting<V: Verb>(
        &self,
        verb: &V,
        report: verbs::Report<'_>,
    ) -> Result<V::Answer, Error> {
        match self {
            Self::Server(server) => server.ask(verb).await,
            Self::Database { database, declared } => {
                let on = On::reporting(&database.pool, declared, report);
                Ok(verbs::perform(verb, on, &typed()).await?)
            }
        }
    }

    /// Does `verb`, and lets go of the database.
    pub async fn perform_and_close<V: Verb>(self, verb: &V) -> Result<V::Answer, Error> {
        let result = self.perform(verb).await;
        self.close().await;
        result
    }

    pub async fn close(self) {
        if let Self::Database { database, .. } = self {
            database.close().await;
        }
    }
}

/// What is pulled of each provider that a file declares.
pub fn declared(common: &Common) -> Result<Declared, Error> {
    let providers = config::load_providers(&common.providers, &config::environment)?;
    Ok(providers.iter().map(|provider| (provider.name.clone(), OfFile::from(provider))).collect())
}

/// The files of a folder as they are written, by the providers that they are named after.
fn texts(folder: &Path) -> Result<Declared, Error> {
    let mut declared = Declared::new();
    for path in config::provider_files(folder)? {
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let Some(name) = name else { continue };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let file = Some(FileText::new(&text, std::path::absolute(folder).ok()));
        // of one with a mistake, the workshop says which
        let parsed = config::Provider::parse(&text, &|_| None).ok();
        let of = parsed.as_ref().map(OfFile::from);
        let of = of.unwrap_or_else(|| OfFile { has_api: true, ..OfFile::default() });
        declared.insert(name, OfFile { compiled: None, file, ..of });
    }
    Ok(declared)
}

/// Whoever types the command, as the operating system knows them.
pub fn typed() -> Actor {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    Actor::Command { user: user.map_or_else(|| uid.to_string(), |user| user.name) }
}

impl Server {
    fn new(url: &str) -> Result<Self, Error> {
        let url: Url = url.parse().map_err(|error| format!("--server {url:?} is no URL: {error}"))?;
        let own = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && own) {
            return Err("--server: the key of an operator is sent to another machine by https alone".into());
        }
        let key = config::environment("TRIBUTARY_OPERATOR_KEY").filter(|key| !key.trim().is_empty());
        let key = key.ok_or(
            "--server takes the key of an operator in TRIBUTARY_OPERATOR_KEY; `tributary operators create` makes one",
        )?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("cannot ask the server: {error}"))?;
        Ok(Self { url, key: SecretString::from(key.trim()), client })
    }

    async fn ask<V: Verb>(&self, verb: &V) -> Result<V::Answer, Error> {
        let entry = entry(V::NAME);
        let mut url = self.url.clone();
        url.set_path(&format!("{}{}", self.url.path().trim_end_matches('/'), entry.api_path()));
        let fields = serde_json::to_value(verb)?;
        let request = match entry.access {
            Access::Reads { .. } => self.client.get(url).query(&query(&fields)),
            _ => self.client.post(url).json(&fields),
        };
        let request = request.bearer_auth(self.key.expose_secret());
        let answer = request.send().await.map_err(|error| no_answer(&self.url, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| no_answer(&self.url, &error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                format!("{} answers what this release does not know: {error}", self.url).into()
            });
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        Err(match said["Detail"].as_str() {
            Some(detail) => detail.to_owned(),
            None => format!("{} answers {status}: is it the operators' address of a server?", self.url),
        }
        .into())
    }
}

/// What is not known then is whether it was done.
fn no_answer(url: &Url, error: &reqwest::Error) -> Error {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    format!("{url} gave no answer: {why}. Look whether it was done before you try again").into()
}

/// Fields as a query has them; those that are not set are left out.
fn query(fields: &Value) -> Vec<(&str, String)> {
    let set = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}
