//! `files.from` of a provider file: where statement files are fetched from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Lookup;
use super::files::Wrong;
use crate::sync::{AfterTaking, AzureCredential, Bucket, BucketOf, FilePlace, FileSource, Sftp, SftpLogin};
use tributary_manifest::{InterpolateError, Period, Secret, interpolate};

/// Where files are fetched from: one of `folder`, `s3`, `gcs`, `azure` and `sftp`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromSection {
    /// A folder of this machine, which every instance sees, as an absolute path; `${NAME}` is a variable of the environment.
    #[serde(default)]
    folder: Option<String>,
    /// A bucket of Amazon S3, or of a store that speaks like it.
    #[serde(default)]
    s3: Option<S3Section>,
    /// A bucket of Google Cloud Storage.
    #[serde(default)]
    gcs: Option<GcsSection>,
    /// A container of Azure Blob Storage.
    #[serde(default)]
    azure: Option<AzureSection>,
    /// A folder of a server, by SFTP.
    #[serde(default)]
    sftp: Option<SftpSection>,
    /// The names of the files that are taken, each with `*` for any part: `["*.xml", "*.zip"]`; all if not given. Names
    /// that begin with a dot or end with `.tmp`, `.part`, `.partial` or `.filepart` never are.
    #[serde(default)]
    names: Vec<String>,
    /// How long a file has to stay as it is before it is read; 1m if not given.
    #[serde(default)]
    settle: Option<Period>,
    /// What becomes of a file once what it says is committed; it is left if not given.
    #[serde(default)]
    after: After,
    /// The pause between two looks; 5m if not given.
    #[serde(default)]
    every: Option<Period>,
}

/// A bucket of Amazon S3, or of a store that speaks like it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct S3Section {
    /// The name of the bucket.
    bucket: String,
    /// The folder within it, such as `in/`; the objects that are in none if not given.
    #[serde(default)]
    prefix: String,
    /// The region of the bucket, such as `eu-central-1`; needed where there is no `endpoint`.
    #[serde(default)]
    region: Option<String>,
    /// The address of a store that is not Amazon's, such as `https://minio.example`.
    #[serde(default)]
    endpoint: Option<String>,
    /// The id of an access key. Without one, the role of the machine is used: of its web identity, its container or the
    /// instance itself.
    #[serde(default)]
    access_key: Option<Secret>,
    /// The secret of the access key, as `${NAME}`.
    #[serde(default)]
    secret_key: Option<Secret>,
}

/// A bucket of Google Cloud Storage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GcsSection {
    /// The name of the bucket.
    bucket: String,
    /// The folder within it, such as `in/`; the objects that are in none if not given.
    #[serde(default)]
    prefix: String,
    /// The address of the store, if it is not Google's own.
    #[serde(default)]
    endpoint: Option<String>,
    /// The key of a service account: its JSON as `${NAME}`, or the path of a file that holds it. Without it, the machine's
    /// own account is used.
    #[serde(default)]
    key: Option<Secret>,
}

/// A container of Azure Blob Storage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AzureSection {
    /// The name of the storage account.
    account: String,
    /// The name of the container.
    container: String,
    /// The folder within it, such as `in/`; the blobs that are in none if not given.
    #[serde(default)]
    prefix: String,
    /// The address of the account, if it is not `https://ACCOUNT.blob.core.windows.net`.
    #[serde(default)]
    endpoint: Option<String>,
    /// A key of the account, as `${NAME}`; or `sas`. Without either, the machine's own identity is used.
    #[serde(default)]
    key: Option<Secret>,
    /// A shared access signature, as `${NAME}`.
    #[serde(default)]
    sas: Option<Secret>,
}

/// A folder of a server, by SFTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SftpSection {
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

/// What becomes of a file that was taken.
#[derive(Debug, Deserialize, Default, Clone, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum After {
    /// It stays.
    #[default]
    Leave,
    /// It is deleted.
    Delete,
    /// It is moved into this folder below the one that it is in.
    Move(String),
}

/// How long a file has to stay as it is, if its provider's file does not say.
const DEFAULT_SETTLE: std::time::Duration = std::time::Duration::from_secs(60);

/// Variables by which the machines of Amazon say who they are.
const MACHINE_OF_AWS: [&str; 7] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

impl FromSection {
    /// Where files are fetched from, and how. Fails where a variable that it names is not set.
    pub fn source(&self, lookup: Lookup) -> Result<FileSource, InterpolateError> {
        Ok(FileSource {
            place: self.place(lookup)?,
            names: self.names.clone(),
            settle: self.settle.map_or(DEFAULT_SETTLE, Period::as_duration),
            after: match &self.after {
                After::Leave => AfterTaking::Leave,
                After::Delete => AfterTaking::Delete,
                After::Move(folder) => AfterTaking::Move(folder.clone()),
            },
            every: self.every.unwrap_or(Period::from_seconds(300)),
        })
    }

    fn place(&self, lookup: Lookup) -> Result<FilePlace, InterpolateError> {
        if let Some(sftp) = &self.sftp {
            return Ok(FilePlace::Sftp(Box::new(sftp.server(lookup)?)));
        }
        let bucket = match (&self.s3, &self.gcs, &self.azure) {
            (Some(s3), ..) => s3.bucket(lookup)?,
            (_, Some(gcs), _) => gcs.bucket(lookup)?,
            (.., Some(azure)) => azure.bucket(lookup)?,
            _ => {
                let folder = self.folder.as_deref().unwrap_or_default();
                return Ok(FilePlace::Folder(interpolate(folder, lookup)?.into()));
            }
        };
        Ok(FilePlace::Bucket(Box::new(bucket)))
    }

    /// What can be checked without variables.
    pub fn check(&self) -> Result<(), Wrong> {
        let places = [
            ("folder", self.folder.is_some()),
            ("s3", self.s3.is_some()),
            ("gcs", self.gcs.is_some()),
            ("azure", self.azure.is_some()),
            ("sftp", self.sftp.is_some()),
        ];
        let named: Vec<&str> = places.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        match named.as_slice() {
            [_] => {}
            [] => {
                return wrong("", "write where files are: one of `folder`, `s3`, `gcs`, `azure` and `sftp`");
            }
            several => {
                let several = several.join("` and `");
                return wrong("", format!("write one place: `{several}` are several"));
            }
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.starts_with(['/', '$'])) {
            return wrong("folder", "write an absolute path, such as /srv/acme/in");
        }
        self.s3.as_ref().map_or(Ok(()), S3Section::check)?;
        self.gcs.as_ref().map_or(Ok(()), GcsSection::check)?;
        self.azure.as_ref().map_or(Ok(()), AzureSection::check)?;
        self.sftp.as_ref().map_or(Ok(()), SftpSection::check)?;
        if let After::Move(folder) = &self.after
            && (folder.is_empty() || folder.contains(['/', '\\']) || folder.starts_with('.'))
        {
            return wrong(
                "after.move",
                "write the name of a folder below the one that files are in, such as done",
            );
        }
        Ok(())
    }
}

impl S3Section {
    fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
        let Self { bucket, prefix, region, endpoint, access_key, secret_key } = self;
        let keys = access_key.as_ref().zip(secret_key.as_ref());
        let keys = keys.map(|(id, secret)| Ok((filled_secret(id, lookup)?, filled_secret(secret, lookup)?)));
        let set = |name: &&str| Some(((*name).to_owned(), lookup(name).filter(|value| !value.is_empty())?));
        Ok(Bucket {
            of: BucketOf::S3 {
                region: filled(region.as_ref(), lookup)?,
                keys: keys.transpose()?,
                machine: MACHINE_OF_AWS.iter().filter_map(set).collect(),
            },
            bucket: interpolate(bucket, lookup)?,
            prefix: folder_of(&interpolate(prefix, lookup)?),
            endpoint: filled(endpoint.as_ref(), lookup)?,
        })
    }

    fn check(&self) -> Result<(), Wrong> {
        check_store("s3", ("bucket", &self.bucket), &self.prefix, self.endpoint.as_ref())?;
        if self.region.is_none() && self.endpoint.is_none() {
            return wrong("s3.region", "write the region of the bucket, such as eu-central-1");
        }
        check_secret("s3.secret_key", self.secret_key.as_ref())?;
        match (&self.access_key, &self.secret_key) {
            (Some(_), None) => wrong("s3.secret_key", "is missing: an `access_key` goes with its secret"),
            (None, Some(_)) => {
                wrong("s3.access_key", "is missing: a `secret_key` goes with the id of its key")
            }
            _ => Ok(()),
        }
    }
}

impl GcsSection {
    fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
        let key = self.key.as_ref().map(|key| filled_secret(key, lookup)).transpose()?;
        Ok(Bucket {
            of: BucketOf::Gcs { key },
            bucket: interpolate(&self.bucket, lookup)?,
            prefix: folder_of(&interpolate(&self.prefix, lookup)?),
            endpoint: filled(self.endpoint.as_ref(), lookup)?,
        })
    }

    fn check(&self) -> Result<(), Wrong> {
        check_store("gcs", ("bucket", &self.bucket), &self.prefix, self.endpoint.as_ref())?;
        check_key("gcs.key", self.key.as_ref())
    }
}

impl AzureSection {
    fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
        let credential = match (&self.key, &self.sas) {
            (Some(key), _) => Some(AzureCredential::Key(filled_secret(key, lookup)?)),
            (None, Some(sas)) => Some(AzureCredential::Sas(filled_secret(sas, lookup)?)),
            (None, None) => None,
        };
        Ok(Bucket {
            of: BucketOf::Azure { account: interpolate(&self.account, lookup)?, credential },
            bucket: interpolate(&self.container, lookup)?,
            prefix: folder_of(&interpolate(&self.prefix, lookup)?),
            endpoint: filled(self.endpoint.as_ref(), lookup)?,
        })
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.account.is_empty() {
            return wrong("azure.account", "write the name of the storage account");
        }
        check_store("azure", ("container", &self.container), &self.prefix, self.endpoint.as_ref())?;
        check_secret("azure.key", self.key.as_ref())?;
        check_secret("azure.sas", self.sas.as_ref())?;
        if self.key.is_some() && self.sas.is_some() {
            return wrong("azure.sas", "write `key` or `sas`, not both");
        }
        Ok(())
    }
}

impl SftpSection {
    fn server(&self, lookup: Lookup) -> Result<Sftp, InterpolateError> {
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

    fn check(&self) -> Result<(), Wrong> {
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

fn wrong(field: &str, why: impl Into<String>) -> Result<(), Wrong> {
    let field = if field.is_empty() { "files.from".to_owned() } else { format!("files.from.{field}") };
    Err((field, why.into()))
}

/// What can be checked of any store.
fn check_store(
    store: &str,
    (kind, name): (&str, &str),
    prefix: &str,
    endpoint: Option<&String>,
) -> Result<(), Wrong> {
    if name.is_empty() || name.contains('/') {
        return wrong(&format!("{store}.{kind}"), format!("write the name of the {kind} alone"));
    }
    if prefix.starts_with('/') || prefix.contains("//") {
        return wrong(&format!("{store}.prefix"), "write it as `in/`, or `in/bank/`");
    }
    if endpoint.is_some_and(|url| !["https://", "http://", "${"].iter().any(|begin| url.starts_with(begin))) {
        return wrong(&format!("{store}.endpoint"), "write an address, such as https://store.example");
    }
    Ok(())
}

/// A secret comes from the environment.
fn check_secret(field: &str, secret: Option<&Secret>) -> Result<(), Wrong> {
    match secret {
        Some(secret) if !secret.expose().contains("${") => wrong(
            field,
            "name a variable of the environment, such as ${BANK_KEY}; a secret itself does not belong in a file",
        ),
        _ => Ok(()),
    }
}

/// So does a key, but for one that is in a file.
fn check_key(field: &str, key: Option<&Secret>) -> Result<(), Wrong> {
    match key {
        Some(key) if key.expose().starts_with('/') => Ok(()),
        key => check_secret(field, key),
    }
}

fn filled(text: Option<&String>, lookup: Lookup) -> Result<Option<String>, InterpolateError> {
    text.map(|text| interpolate(text, lookup)).transpose()
}

fn filled_secret(secret: &Secret, lookup: Lookup) -> Result<Secret, InterpolateError> {
    interpolate(secret.expose(), lookup).map(Secret::from)
}

/// Nothing, or the path with the `/` behind it.
fn folder_of(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;

    /// The file with `from`, on lines of its own from the fourth on.
    fn parse(from: &str) -> Result<Provider, String> {
        let lookup = |name: &str| (name == "SECRET").then(|| "a-secret".to_owned());
        Provider::parse(&format!("provider: acme\nfiles:\n  from:\n{from}"), &lookup)
    }

    fn place(from: &str) -> FilePlace {
        parse(from).unwrap().file_source.unwrap().place
    }

    /// A server with a host key and a folder, whose other fields are given.
    fn sftp(of_server: &str, of_login: &str) -> String {
        let key = "SHA256:6ICQ2glMQufz3hSAzFd4eeNgF92wpqnnI4ONzqa18Qw";
        let folder = if of_login == "folder: out" { "" } else { "folder: out, " };
        format!("    sftp: {{ {of_server}, host_key: \"{key}\", {folder}{of_login} }}\n")
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_what_to_write() {
        for (from, told) in [
            (
                "    settle: 1m\n",
                "line 3, column 3: files.from: write where files are: one of `folder`, `s3`, `gcs`, `azure` and `sftp`",
            ),
            (
                "    folder: /in\n    gcs: { bucket: b }\n",
                "line 3, column 3: files.from: write one place: `folder` and `gcs` are several",
            ),
            (
                "    folder: in\n",
                "line 4, column 5: files.from.folder: write an absolute path, such as /srv/acme/in",
            ),
            (
                "    folder: /in\n    after: { move: ../done }\n",
                "line 5, column 14: files.from.after.move: write the name of a folder below the one that files are in, such as done",
            ),
            (
                "    folder: /in\n    after: gone\n",
                "line 5, column 12: files.from.after: `gone` is none of these",
            ),
            ("    folder: /in\n    settle: soon\n", "line 5, column 13: files.from.settle"),
            ("    folder: /in\n    every: 5\n", "line 5, column 12: files.from.every"),
            ("    folder: /in\n    names: \"*.xml\"\n", "line 5, column 12: files.from.names"),
            (
                "    s3: { bucket: b }\n",
                "line 4, column 5: files.from.s3.region: write the region of the bucket, such as eu-central-1",
            ),
            ("    s3:\n      region: eu-central-1\n", "files.from.s3: `bucket` is missing"),
            (
                "    s3: { bucket: b/in, region: r }\n",
                "line 4, column 11: files.from.s3.bucket: write the name of the bucket alone",
            ),
            (
                "    gcs: { bucket: \"\" }\n",
                "line 4, column 12: files.from.gcs.bucket: write the name of the bucket alone",
            ),
            (
                "    gcs: { bucket: b, prefix: /in }\n",
                "line 4, column 23: files.from.gcs.prefix: write it as `in/`, or `in/bank/`",
            ),
            (
                "    s3: { bucket: b, endpoint: minio.example }\n",
                "line 4, column 22: files.from.s3.endpoint: write an address, such as https://store.example",
            ),
            (
                "    s3: { bucket: b, region: r, access_key: a }\n",
                "files.from.s3.secret_key: is missing: an `access_key` goes with its secret",
            ),
            (
                "    s3: { bucket: b, region: r, secret_key: \"${SECRET}\" }\n",
                "files.from.s3.access_key: is missing: a `secret_key` goes with the id of its key",
            ),
            (
                "    s3:\n      bucket: b\n      region: r\n      access_key: a\n      secret_key: hunter2\n",
                "line 8, column 7: files.from.s3.secret_key: name a variable of the environment, such as ${BANK_KEY}; a secret \
                 itself does not belong in a file",
            ),
            (
                "    gcs: { bucket: b, key: hunter2 }\n",
                "files.from.gcs.key: name a variable of the environment",
            ),
            (
                "    azure: { account: \"\", container: c }\n",
                "files.from.azure.account: write the name of the storage account",
            ),
            (
                "    azure: { account: a, container: c/in }\n",
                "files.from.azure.container: write the name of the container alone",
            ),
            (
                "    azure: { account: a, container: c, key: hunter2 }\n",
                "files.from.azure.key: name a variable",
            ),
            (
                "    azure: { account: a, container: c, sas: hunter2 }\n",
                "files.from.azure.sas: name a variable",
            ),
            (
                "    azure: { account: a, container: c, key: \"${SECRET}\", sas: \"${SECRET}\" }\n",
                "files.from.azure.sas: write `key` or `sas`, not both",
            ),
            (
                &sftp("host: sftp://bank.example, user: u", "key: /k"),
                "line 4, column 13: files.from.sftp.host: write the name of the server alone, such as sftp.bank.example",
            ),
            (&sftp("host: h, user: \"\"", "key: /k"), "files.from.sftp.user: write who logs in"),
            (
                &sftp("host: h, user: u", "folder: out"),
                "line 4, column 5: files.from.sftp: write who we are: `password` or `key`",
            ),
            (
                &sftp("host: h, user: u", "key: /k, password: \"${SECRET}\""),
                "files.from.sftp.key: write `password` or `key`, not both",
            ),
            (
                &sftp("host: h, user: u", "password: \"${SECRET}\", passphrase: \"${SECRET}\""),
                "files.from.sftp.passphrase: is of a `key`, and there is none",
            ),
            (
                &sftp("host: h, user: u", "password: hunter2"),
                "files.from.sftp.password: name a variable of the environment",
            ),
            (
                &sftp("host: h, user: u", "key: hunter2"),
                "files.from.sftp.key: name a variable of the environment",
            ),
            (
                &sftp("host: h, user: u", "key: /k, passphrase: hunter2"),
                "files.from.sftp.passphrase: name a variable",
            ),
            (
                "    sftp: { host: h, user: u, key: /k, folder: out }\n",
                "files.from.sftp: `host_key` is missing",
            ),
            (
                "    sftp: { host: h, user: u, key: /k, folder: out, host_key: \"MD5:16:27:ac\" }\n",
                "files.from.sftp.host_key: write the fingerprint of the server's key as `ssh-keygen -l` prints it: SHA256: and \
                 43 characters. `ssh-keyscan HOST | ssh-keygen -lf -` shows which a server has",
            ),
            (
                "    sftp: { host: h, user: u, key: /k, folder: out, host_key: [] }\n",
                "files.from.sftp.host_key: write the",
            ),
            (
                &sftp("host: h, user: u", "key: /k").replace("folder: out", "folder: \"\""),
                "files.from.sftp.folder: write the folder that files are in, such as out",
            ),
            (&sftp("host: h, user: u, port: ssh", "key: /k"), "files.from.sftp.port"),
        ] {
            let error = parse(from).unwrap_err();
            assert!(error.contains(told), "{told}\n{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_place_is_named_without_its_secrets() {
        for (from, name) in [
            ("    folder: /srv/in\n", "/srv/in"),
            ("    s3: { bucket: b, prefix: in/bank, region: r }\n", "s3://b/in/bank"),
            ("    s3: { bucket: b, region: r, access_key: a, secret_key: \"${SECRET}\" }\n", "s3://b"),
            ("    gcs: { bucket: b, prefix: in/, key: \"${SECRET}\" }\n", "gs://b/in"),
            ("    gcs: { bucket: b, key: /etc/key.json }\n", "gs://b"),
            ("    azure: { account: a, container: c, prefix: in, sas: \"${SECRET}\" }\n", "az://a/c/in"),
            (&sftp("host: h, user: u", "password: \"${SECRET}\""), "sftp://u@h/out"),
            (
                &sftp("host: h, user: u, port: 2222", "key: \"${SECRET}\", passphrase: \"${SECRET}\""),
                "sftp://u@h:2222/out",
            ),
        ] {
            let place = place(from);
            assert_eq!(place.name(), name);
            assert!(!format!("{place:?}").contains("a-secret"), "{place:?}");
        }
    }

    #[test]
    fn files_are_only_posted_where_a_variable_is_not_set() {
        let provider =
            parse("    s3: { bucket: b, region: r, access_key: a, secret_key: \"${UNSET}\" }\n").unwrap();
        assert!(provider.file_source.is_none());
        assert!(
            provider.warnings[0].contains("files are taken only as they are posted"),
            "{:?}",
            provider.warnings
        );
        assert!(provider.warnings[0].contains("UNSET must be set"), "{:?}", provider.warnings);
    }
}
