//! Buckets of S3, Google Cloud Storage and Azure Blob Storage.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Wrong, check_key, check_secret, filled, filled_secret, wrong};
use crate::config::Lookup;
use crate::sync::{AzureCredential, Bucket, BucketOf};
use tributary_manifest::{InterpolateError, Secret, interpolate};

/// A bucket of Amazon S3, or of a store that speaks like it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Section {
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
pub struct GcsSection {
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
pub struct AzureSection {
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

impl S3Section {
    pub fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
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

    pub fn check(&self) -> Result<(), Wrong> {
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
    pub fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
        let key = self.key.as_ref().map(|key| filled_secret(key, lookup)).transpose()?;
        Ok(Bucket {
            of: BucketOf::Gcs { key },
            bucket: interpolate(&self.bucket, lookup)?,
            prefix: folder_of(&interpolate(&self.prefix, lookup)?),
            endpoint: filled(self.endpoint.as_ref(), lookup)?,
        })
    }

    pub fn check(&self) -> Result<(), Wrong> {
        check_store("gcs", ("bucket", &self.bucket), &self.prefix, self.endpoint.as_ref())?;
        check_key("gcs.key", self.key.as_ref())
    }
}

impl AzureSection {
    pub fn bucket(&self, lookup: Lookup) -> Result<Bucket, InterpolateError> {
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

    pub fn check(&self) -> Result<(), Wrong> {
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

/// Nothing, or the path with the `/` behind it.
fn folder_of(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    }
}
