//! A folder of a server, by SFTP.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Wrong, check_key, check_secret, filled_secret, wrong};
use crate::config::Lookup;
use crate::sync::{Sftp, SftpLogin};
use tributary_manifest::{InterpolateError, Secret, interpolate};

/// A folder of a server, by SFTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SftpSection {
    /// The name of the server.
    host: String,
    /// Its port; 22 if not given.
    #[serde(default)]
    port: Option<u16>,
    /// Who logs in.
    user: String,
    /// The fingerprint of the server's key as `ssh-keygen -l` prints it, such as `SHA256:…`; or a list, while the bank changes
    /// its key. A server that shows another one is told nothing.
    host_key: HostKeys,
    /// The password, as `${NAME}`; or `key`.
    #[serde(default)]
    password: Option<Secret>,
    /// The private key: its text as `${NAME}`, or the path of a file that holds it.
    #[serde(default)]
    key: Option<Secret>,
    /// The passphrase of the private key, as `${NAME}`.
    #[serde(default)]
    passphrase: Option<Secret>,
    /// The folder that files are in: `/out`, or `out` below the one in which a login begins.
    folder: String,
}

/// One fingerprint, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write a fingerprint, or a list of them")]
enum HostKeys {
    One(String),
    Several(Vec<String>),
}

impl HostKeys {
    fn all(&self) -> &[String] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Several(keys) => keys,
        }
    }
}

impl SftpSection {
    pub fn server(&self, lookup: Lookup) -> Result<Sftp, InterpolateError> {
        let secret = |secret: &Secret| filled_secret(secret, lookup);
        let login = match (&self.key, &self.password) {
            (Some(key), _) => SftpLogin::Key {
                key: secret(key)?,
                passphrase: self.passphrase.as_ref().map(secret).transpose()?,
            },
            (None, password) => SftpLogin::Password(
                password.as_ref().map(secret).transpose()?.unwrap_or(String::new().into()),
            ),
        };
        Ok(Sftp {
            host: interpolate(&self.host, lookup)?,
            port: self.port.unwrap_or(22),
            user: interpolate(&self.user, lookup)?,
            host_keys: self
                .host_key
                .all()
                .iter()
                .map(|key| interpolate(key, lookup))
                .collect::<Result<_, _>>()?,
            login,
            folder: interpolate(&self.folder, lookup)?,
        })
    }

    pub fn check(&self) -> Result<(), Wrong> {
        let named = |text: &str| text.contains("${");
        if self.host.is_empty() || !named(&self.host) && self.host.contains(['/', ':', '@']) {
            return wrong("sftp.host", "write the name of the server alone, such as sftp.bank.example");
        }
        if self.user.is_empty() {
            return wrong("sftp.user", "write who logs in");
        }
        let keys = self.host_key.all();
        if keys.is_empty() || keys.iter().any(|key| !named(key) && !is_fingerprint(key)) {
            return wrong(
                "sftp.host_key",
                "write the fingerprint of the server's key as `ssh-keygen -l` prints it: SHA256: and 43 characters. \
                 `ssh-keyscan HOST | ssh-keygen -lf -` shows which a server has: compare that with what the bank says",
            );
        }
        if self.folder.is_empty() {
            return wrong("sftp.folder", "write the folder that files are in, such as out");
        }
        match (&self.password, &self.key) {
            (None, None) => return wrong("sftp", "write who we are: `password` or `key`"),
            (Some(_), Some(_)) => return wrong("sftp.key", "write `password` or `key`, not both"),
            _ => {}
        }
        if self.passphrase.is_some() && self.key.is_none() {
            return wrong("sftp.passphrase", "is of a `key`, and there is none");
        }
        check_secret("sftp.password", self.password.as_ref())?;
        check_key("sftp.key", self.key.as_ref())?;
        check_secret("sftp.passphrase", self.passphrase.as_ref())
    }
}

/// Whether it is as `ssh-keygen -l` prints fingerprints.
fn is_fingerprint(text: &str) -> bool {
    text.strip_prefix("SHA256:").is_some_and(|hash| {
        hash.len() == 43 && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    })
}
