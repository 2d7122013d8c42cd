//! A folder of a server, by SFTP: one connection for each look, to a server whose key is known beforehand.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::Preferred;
use russh::client::{AuthResult, Config, Handle, Handler};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh_sftp::client::error::Error;
use russh_sftp::client::fs::Metadata;
use russh_sftp::client::{self, SftpSession};
use russh_sftp::protocol::StatusCode;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tributary_manifest::Secret;

use super::{AfterTaking, Listed, ListedPage, PlaceError, TOO_MANY, free_names};

/// How long is waited for a connection and for its keys, and then for who we are to be believed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long is waited for the answer to one request, in seconds.
const REQUEST_TIMEOUT_SECONDS: u64 = 30;
/// How long a file may take as a whole.
const FILE_TIMEOUT: Duration = Duration::from_secs(600);
/// After how long without a word from the server the connection is given up.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(120);

/// A folder of a server.
#[derive(Debug, Clone)]
pub struct Sftp {
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The keys that the server may show, as `ssh-keygen -l` prints them: `SHA256:…`.
    pub host_keys: Vec<String>,
    pub login: SftpLogin,
    pub folder: String,
}

/// How one proves who one is.
#[derive(Debug, Clone)]
pub enum SftpLogin {
    Password(Secret),
    /// A private key: its text, or the path of a file that holds it.
    Key {
        key: Secret,
        passphrase: Option<Secret>,
    },
}

impl Sftp {
    /// How messages and rows name it.
    pub fn name(&self) -> String {
        let Self { host, port, user, folder, .. } = self;
        let port = if *port == 22 { String::new() } else { format!(":{port}") };
        format!("sftp://{user}@{host}{port}/{}", folder.trim_matches('/'))
    }

    /// Connects, if the server is who it should be, and proves who we are.
    pub async fn open(&self) -> Result<OpenSftp, PlaceError> {
        let gone = |why: String| PlaceError::Gone(format!("{} {why}", self.name()));
        let mut connection = self.connect().await.map_err(gone)?;
        let opened = timeout(LOGIN_TIMEOUT, async {
            self.log_in(&mut connection).await?;
            let broken =
                |error: russh::Error| format!("gives no files ({error}): ask whether SFTP is allowed");
            let channel = connection.channel_open_session().await.map_err(broken)?;
            channel.request_subsystem(true, "sftp").await.map_err(broken)?;
            let config =
                client::Config { request_timeout_secs: REQUEST_TIMEOUT_SECONDS, ..client::Config::default() };
            let files = SftpSession::new_with_config(channel.into_stream(), config).await;
            files.map_err(|error| format!("gives no files ({error}): ask whether SFTP is allowed"))
        });
        let files = opened.await.unwrap_or_else(|_| Err("does not answer a login in time".to_owned()));
        Ok(OpenSftp { files: files.map_err(gone)?, place: self.clone(), _connection: connection })
    }

    /// A connection to a server that shows a key that it may. One that has several keys is asked for each kind of them.
    async fn connect(&self) -> Result<Handle<Pinned>, String> {
        let mut kinds: Vec<Algorithm> = Preferred::DEFAULT.key.to_vec();
        let mut shown: Vec<String> = Vec::new();
        while !kinds.is_empty() {
            let refused = Arc::default();
            let pinned = Pinned { wanted: self.host_keys.clone(), refused: Arc::clone(&refused) };
            let config = Config {
                preferred: Preferred { key: Cow::Owned(kinds.clone()), ..Preferred::DEFAULT },
                inactivity_timeout: Some(SILENCE_TIMEOUT),
                nodelay: true,
                ..Config::default()
            };
            let address = (self.host.clone(), self.port);
            let connected =
                timeout(CONNECT_TIMEOUT, russh::client::connect(Arc::new(config), address, pinned)).await;
            let error = match connected {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            match refused {
                Some((kind, fingerprint)) => {
                    shown.push(format!("{fingerprint} ({kind})"));
                    kinds.retain(|other| *other != kind && !(is_rsa(other) && is_rsa(&kind)));
                }
                None if shown.is_empty() => {
                    return Err(format!("cannot be reached ({error}): look at host, port and the network"));
                }
                // it has no other kind
                None => break,
            }
        }
        Err(format!(
            "is not the server that it should be: it shows {}, and `host_key` is {}. Nothing was sent to it; ask the bank \
             which key is theirs before you write another one",
            shown.join(", "),
            self.host_keys.join(", ")
        ))
    }

    async fn log_in(&self, connection: &mut Handle<Pinned>) -> Result<(), String> {
        let broken = |error: russh::Error| format!("breaks off the login ({error})");
        let user = self.user.clone();
        let (outcome, what) = match &self.login {
            SftpLogin::Password(password) => {
                (connection.authenticate_password(user, password.expose()).await, "password")
            }
            SftpLogin::Key { key, passphrase } => {
                let key = private_key(key, passphrase.as_ref())?;
                let hash = match is_rsa(&key.algorithm()) {
                    true => connection.best_supported_rsa_hash().await.map_err(broken)?,
                    false => None,
                };
                // a server that does not say what it takes gets what all of today take
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash.unwrap_or(Some(HashAlg::Sha256)));
                (connection.authenticate_publickey(user, key).await, "key")
            }
        };
        match outcome.map_err(broken)? {
            AuthResult::Success => Ok(()),
            AuthResult::Failure { partial_success: true, .. } => {
                Err(format!("wants more than a {what}: ask the bank for a login of one factor"))
            }
            AuthResult::Failure { .. } => Err(format!("refuses the login: look at user and {what}")),
        }
    }
}

fn is_rsa(kind: &Algorithm) -> bool {
    matches!(kind, Algorithm::Rsa { .. })
}

/// The private key of a text, or of the file of that path. A text on one line may write its line breaks as `\n`. Neither is
/// repeated in the error.
fn private_key(given: &Secret, passphrase: Option<&Secret>) -> Result<russh::keys::PrivateKey, String> {
    let text = match given.expose() {
        text if text.contains("-----BEGIN ") => text.replace("\\n", "\n"),
        path => std::fs::read_to_string(path.trim()).map_err(|error| {
            format!("cannot be asked: `key` is no key, and no file that can be read ({error})")
        })?,
    };
    decode_secret_key(&text, passphrase.map(Secret::expose))
        .map_err(|error| format!("cannot be asked: `key` cannot be read ({error}): look at its `passphrase`"))
}

/// Believes a server that shows one of the keys, and no other.
struct Pinned {
    wanted: Vec<String>,
    /// The key that was not believed.
    refused: Arc<Mutex<Option<(Algorithm, String)>>>,
}

impl Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = shown.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let is_wanted = self.wanted.contains(&fingerprint);
        if !is_wanted {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = Some((key.algorithm(), fingerprint));
        }
        Ok(is_wanted)
    }
}

/// A folder that can be asked, as long as the connection holds.
pub struct OpenSftp {
    files: SftpSession,
    place: Sftp,
    _connection: Handle<Pinned>,
}

impl OpenSftp {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.place.folder.trim_end_matches('/'))
    }

    /// The files that are there, by name, without those of folders below.
    pub async fn list(&self) -> Result<ListedPage, PlaceError> {
        let folder = self.place.folder.clone();
        let entries = self.files.read_dir(folder).await.map_err(|error| {
            PlaceError::Gone(format!(
                "{} cannot be listed ({}): see to it that the folder is there and may be read",
                self.place.name(),
                told(&error)
            ))
        })?;
        let mut files = Vec::new();
        for entry in entries {
            let (name, mut metadata) = (entry.file_name(), entry.metadata());
            if !metadata.is_regular() && !metadata.is_dir() {
                // a link; or the server does not say
                match self.files.metadata(self.path(&name)).await {
                    Ok(of_target) => metadata = of_target,
                    Err(_) => continue,
                }
            }
            if metadata.is_regular() {
                files.push(Listed { name, size: metadata.len(), version: version(&metadata) });
            }
        }
        files.sort();
        Ok(ListedPage { files, next: None })
    }

    /// The bytes of a file, as it was listed; `None` where it is not that any more.
    pub async fn read(&self, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
        if listed.name.contains(char::REPLACEMENT_CHARACTER) {
            return Err(PlaceError::File("has a name that is no UTF-8: rename it".to_owned()));
        }
        match timeout(FILE_TIMEOUT, self.bytes(listed)).await {
            Ok(bytes) => bytes,
            Err(_) => Err(PlaceError::Silent("does not come to its end in time".to_owned())),
        }
    }

    async fn bytes(&self, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
        let path = self.path(&listed.name);
        let file = match self.files.open(path.clone()).await {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        let mut bytes = Vec::new();
        // one more than there should be: then it has grown
        let read = file.take(listed.size + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| self.failed(&inner(error)))?;
        Ok((bytes.len() as u64 == listed.size && self.is_listed(listed).await?).then_some(bytes))
    }

    /// Whether the file is as it was listed.
    async fn is_listed(&self, listed: &Listed) -> Result<bool, PlaceError> {
        match self.files.metadata(self.path(&listed.name)).await {
            Ok(metadata) => Ok(version(&metadata) == listed.version),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Does with a file that was taken what is to be done, if it is still as it was listed.
    pub async fn finish(&self, listed: &Listed, after: &AfterTaking) -> Result<(), PlaceError> {
        if !self.is_listed(listed).await? {
            return Ok(());
        }
        let path = self.path(&listed.name);
        let done = match after {
            AfterTaking::Leave => Ok(()),
            AfterTaking::Delete => self.files.remove_file(path).await,
            AfterTaking::Move(folder) => return self.move_into(folder, &path, listed).await,
        };
        done.map_err(|error| self.failed(&error))
    }

    /// Moves a file over nothing that is there, into a folder that is made where there is none.
    async fn move_into(&self, folder: &str, path: &str, listed: &Listed) -> Result<(), PlaceError> {
        let folder = self.path(folder);
        if !self.files.try_exists(folder.clone()).await.map_err(|error| self.failed(&error))? {
            self.files.create_dir(folder.clone()).await.map_err(|error| self.failed(&error))?;
        }
        for name in free_names(&listed.name) {
            let to = format!("{folder}/{name}");
            if !self.files.try_exists(to.clone()).await.map_err(|error| self.failed(&error))? {
                return self.files.rename(path, to).await.map_err(|error| self.failed(&error));
            }
        }
        Err(PlaceError::File(TOO_MANY.to_owned()))
    }

    /// What a request failed with: refused, not answered, or the connection is gone.
    fn failed(&self, error: &Error) -> PlaceError {
        match error {
            Error::Status(_) | Error::Limited(_) => PlaceError::File(told(error)),
            Error::Timeout => PlaceError::Silent("no answer in time".to_owned()),
            Error::IO(_) | Error::UnexpectedPacket | Error::UnexpectedBehavior(_) => {
                PlaceError::Gone(format!(
                    "{} broke off the connection: the rest is fetched by the next run",
                    self.place.name()
                ))
            }
        }
    }
}

/// What changes when the file does.
fn version(metadata: &Metadata) -> String {
    format!("{} bytes, {} s", metadata.len(), metadata.mtime.unwrap_or_default())
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

/// What a file of the crate failed with.
fn inner(error: std::io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => error.clone(),
        None => error.into(),
    }
}

fn told(error: &Error) -> String {
    match error {
        Error::Status(status) => status.status_code.to_string(),
        other => other.to_string(),
    }
}
