//! Objects of a store: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::ClientOptions;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
    RetryConfig,
};
use tributary_manifest::Secret;

use super::azure::Blobs;
use super::condition::{Conditional, only_if};
use super::{AfterTaking, Listed, ListedPage, PlaceError, TOO_MANY, free_names};

/// How long is waited for a connection, and for the next bytes of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an object may take as a whole.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a request is sent again that found no answer, or a failing server, and for how long.
const RETRIES: usize = 3;
const RETRIES_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of what a store says is told.
const TOLD_CHARS: usize = 300;

/// Objects of a bucket whose names begin with a prefix.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub of: BucketOf,
    /// A container, at Azure.
    pub bucket: String,
    /// Nothing, or a folder with the `/` behind it.
    pub prefix: String,
    /// Where the store is, if not where its own name says.
    pub endpoint: Option<String>,
}

/// Whose bucket it is, and who we are there.
#[derive(Debug, Clone)]
pub enum BucketOf {
    S3 {
        region: Option<String>,
        /// The id of an access key, and the secret; without them, who the machine is.
        keys: Option<(Secret, Secret)>,
        /// What the environment says of who the machine is: variables of the AWS SDKs.
        machine: Vec<(String, String)>,
    },
    Gcs {
        /// The key of a service account: JSON, or the path of a file that holds it; without it, who the machine is.
        key: Option<Secret>,
    },
    Azure {
        account: String,
        /// Without it, who the machine is.
        credential: Option<AzureCredential>,
    },
}

/// How one proves at Azure who one is.
#[derive(Debug, Clone)]
pub enum AzureCredential {
    /// A key of the storage account.
    Key(Secret),
    /// A shared access signature.
    Sas(Secret),
}

trait Store: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Store for T {}

impl Bucket {
    /// How messages and rows name it.
    pub fn name(&self) -> String {
        let Self { of, bucket, prefix, .. } = self;
        let name = match of {
            BucketOf::S3 { .. } => format!("s3://{bucket}/{prefix}"),
            BucketOf::Gcs { .. } => format!("gs://{bucket}/{prefix}"),
            BucketOf::Azure { account, .. } => format!("az://{account}/{bucket}/{prefix}"),
        };
        name.trim_end_matches('/').to_owned()
    }

    /// Makes ready to ask it. Nothing is sent yet.
    pub fn open(&self) -> Result<OpenBucket, PlaceError> {
        // another task may install it first; either way there is one afterwards
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, blobs) = self.store().map_err(|error| {
            PlaceError::Gone(format!("{} cannot be asked ({})", self.name(), told(&error)))
        })?;
        Ok(OpenBucket { store, blobs, bucket: self.clone() })
    }

    fn store(&self) -> object_store::Result<(Arc<dyn Store>, Option<Blobs>)> {
        let plain = self.endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        let options = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout(OBJECT_TIMEOUT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRIES_TIMEOUT,
        };
        let store: Arc<dyn Store> = match &self.of {
            BucketOf::S3 { region, keys, machine } => {
                let mut builder = AmazonS3Builder::new()
                    .with_bucket_name(&self.bucket)
                    // every store of this kind knows the deletion of one object, and takes a condition for it
                    .with_disable_bulk_delete(true)
                    .with_http_connector(Conditional)
                    .with_client_options(options)
                    .with_retry(retry);
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                builder = match keys {
                    Some((id, secret)) => {
                        builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose())
                    }
                    None => machine.iter().fold(builder, |builder, (name, value)| {
                        match name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                            Ok(key) => builder.with_config(key, value),
                            Err(_) => builder,
                        }
                    }),
                };
                Arc::new(builder.build()?)
            }
            BucketOf::Gcs { key } => {
                let mut builder = GoogleCloudStorageBuilder::new()
                    .with_bucket_name(&self.bucket)
                    .with_http_connector(Conditional)
                    .with_client_options(options)
                    .with_retry(retry);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_base_url(endpoint);
                }
                builder = match key.as_ref().map(Secret::expose) {
                    Some(json) if json.trim_start().starts_with('{') => {
                        builder.with_service_account_key(json)
                    }
                    Some(path) => builder.with_service_account_path(path),
                    None => builder,
                };
                Arc::new(builder.build()?)
            }
            BucketOf::Azure { account, credential } => {
                let mut builder = MicrosoftAzureBuilder::new()
                    .with_account(account)
                    .with_container_name(&self.bucket)
                    .with_client_options(options.clone())
                    .with_retry(retry);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                builder = match credential {
                    Some(AzureCredential::Key(key)) => builder.with_access_key(key.expose()),
                    Some(AzureCredential::Sas(sas)) => {
                        builder.with_config(object_store::azure::AzureConfigKey::SasKey, sas.expose())
                    }
                    None => builder,
                };
                let store = builder.build()?;
                let place = (account.as_str(), self.bucket.as_str());
                let blobs = Blobs::new(&store, &options, place, self.endpoint.as_deref())?;
                return Ok((Arc::new(store), Some(blobs)));
            }
        };
        Ok((store, None))
    }
}

/// A bucket that can be asked.
pub struct OpenBucket {
    store: Arc<dyn Store>,
    /// What deletes, at Azure.
    blobs: Option<Blobs>,
    bucket: Bucket,
}

impl OpenBucket {
    /// A page of the objects below the prefix.
    pub async fn list(&self, from: Option<String>) -> Result<ListedPage, PlaceError> {
        let prefix = &self.bucket.prefix;
        let options = PaginatedListOptions {
            delimiter: Some("/".into()),
            page_token: from,
            ..PaginatedListOptions::default()
        };
        let asked = self.store.list_paginated((!prefix.is_empty()).then_some(prefix), options);
        let page = asked.await.map_err(|error| self.unlisted(&error))?;
        let named = page.result.objects.iter().filter_map(|object| {
            let name = object.location.as_ref().strip_prefix(prefix.as_str())?;
            let listed = Listed { name: name.to_owned(), size: object.size, version: version(object) };
            (!name.is_empty() && !name.contains('/')).then_some(listed)
        });
        Ok(ListedPage { files: named.collect(), next: page.page_token })
    }

    fn unlisted(&self, error: &Error) -> PlaceError {
        let (what, right) = match self.bucket.of {
            BucketOf::S3 { .. } => ("bucket", "s3:ListBucket"),
            BucketOf::Gcs { .. } => ("bucket", "storage.objects.list"),
            BucketOf::Azure { .. } => ("container", "Storage Blob Data Reader"),
        };
        let todo = match (error, status(error).as_deref()) {
            (Error::InvalidPath { .. }, _) => "rename or delete the object of this name".to_owned(),
            (_, Some("404")) => format!("write the name of a {what} that is there"),
            (_, Some("401" | "403")) => format!("look at the keys, and allow them {right}"),
            _ => "look at its region, its endpoint and the network".to_owned(),
        };
        PlaceError::Gone(format!("{} cannot be listed ({}): {todo}", self.bucket.name(), told(error)))
    }

    fn path(&self, name: &str) -> Result<Path, PlaceError> {
        // as it is: `Path::from` would write some characters otherwise
        Path::parse(format!("{}{name}", self.bucket.prefix))
            .map_err(|error| PlaceError::File(format!("no object can be called so: {error}")))
    }

    /// The bytes of an object, of the version that was listed; `None` where it is another by now.
    pub async fn read(&self, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
        let path = self.path(&listed.name)?;
        let options = GetOptions { if_match: tag(&listed.version), ..GetOptions::default() };
        let got = match self.store.get_opts(&path, options).await {
            Ok(got) if is_listed(&got.meta, listed) => got,
            // not every store heeds the condition
            Ok(_) | Err(Error::NotFound { .. } | Error::Precondition { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let bytes = got.bytes().await.map_err(|error| failed(&error))?;
        if bytes.len() as u64 != listed.size {
            return Err(PlaceError::File(format!(
                "is {} bytes as it is listed, and {} came: store it without a Content-Encoding",
                listed.size,
                bytes.len()
            )));
        }
        Ok(Some(bytes.into()))
    }

    /// Does with an object that was taken what is to be done, if it is still the one that was listed.
    pub async fn finish(&self, listed: &Listed, after: &AfterTaking) -> Result<(), PlaceError> {
        let path = self.path(&listed.name)?;
        match after {
            AfterTaking::Leave => Ok(()),
            AfterTaking::Delete => self.delete(&path, listed).await,
            AfterTaking::Move(folder) => match self.read(listed).await? {
                Some(bytes) => {
                    self.put_into(folder, listed, bytes).await?;
                    self.delete(&path, listed).await
                }
                None => Ok(()),
            },
        }
    }

    /// Puts the bytes into the folder, over nothing that is there. Nothing is to be done where an earlier try came as far.
    async fn put_into(&self, folder: &str, listed: &Listed, bytes: Vec<u8>) -> Result<(), PlaceError> {
        let payload = PutPayload::from(bytes.clone());
        for name in free_names(&listed.name) {
            let to = self.path(&format!("{folder}/{name}"))?;
            match self.holds(&to, &bytes).await? {
                Some(true) => return Ok(()),
                Some(false) => continue,
                None => {}
            }
            let put = match self.store.put_opts(&to, payload.clone(), PutMode::Create.into()).await {
                Err(error) if is_unknown(&error) => self.store.put(&to, payload.clone()).await,
                put => put,
            };
            match put {
                Ok(_) => return Ok(()),
                Err(Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(PlaceError::File(TOO_MANY.to_owned()))
    }

    /// Whether the object is of these bytes; `None` where there is none.
    async fn holds(&self, path: &Path, bytes: &[u8]) -> Result<Option<bool>, PlaceError> {
        let there = match self.store.head(path).await {
            Ok(there) if there.size != bytes.len() as u64 => return Ok(Some(false)),
            Ok(_) => self.store.get(path).await,
            Err(error) => Err(error),
        };
        match there {
            Ok(there) => Ok(Some(there.bytes().await.map_err(|error| failed(&error))? == bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Deletes the object if it is the one that was listed. Stores that know conditions let nothing come between.
    async fn delete(&self, path: &Path, listed: &Listed) -> Result<(), PlaceError> {
        let there = match self.store.head(path).await {
            Ok(there) if is_listed(&there, listed) => there,
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        if let Some(blobs) = &self.blobs {
            return blobs.delete(path, there.e_tag.as_deref()).await;
        }
        let condition = match self.bucket.of {
            BucketOf::S3 { .. } => there.e_tag.as_deref().map(|tag| ("if-match", tag)),
            BucketOf::Gcs { .. } => {
                there.version.as_deref().map(|generation| ("x-goog-if-generation-match", generation))
            }
            BucketOf::Azure { .. } => None,
        };
        let deleted = match condition {
            Some((header, value)) => match only_if(header, value, self.store.delete(path)).await {
                Err(error) if is_unknown(&error) => self.store.delete(path).await,
                deleted => deleted,
            },
            None => self.store.delete(path).await,
        };
        match deleted {
            Ok(()) | Err(Error::NotFound { .. } | Error::Precondition { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// What stands before a version that is an ETag.
const TAGGED: &str = "etag ";

/// What changes when the object does: its ETag, else when it was last changed; and its size.
fn version(object: &ObjectMeta) -> String {
    match &object.e_tag {
        Some(tag) => format!("{TAGGED}{tag} of {} bytes", object.size),
        None => format!("{} bytes, {}", object.size, object.last_modified.timestamp()),
    }
}

/// The ETag within a version, as a header has it.
fn tag(version: &str) -> Option<String> {
    let (tag, _) = version.strip_prefix(TAGGED)?.rsplit_once(" of ")?;
    // Azure leaves out the quotes in its lists
    Some(if tag.ends_with('"') { tag.to_owned() } else { format!("\"{tag}\"") })
}

/// Whether `object`, as an answer has it, is of the version that was listed.
fn is_listed(object: &ObjectMeta, listed: &Listed) -> bool {
    let same = match tag(&listed.version) {
        Some(wanted) => tag(&version(object)).is_some_and(|tag| tag == wanted),
        None => version(&ObjectMeta { e_tag: None, ..object.clone() }) == listed.version,
    };
    same && object.size == listed.size
}

/// Whether the store does not know the condition that it was asked with.
fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. }) || error.to_string().contains("NotImplemented")
}

/// What a request for one object failed with.
pub fn failed(error: &Error) -> PlaceError {
    let answered = !matches!(error, Error::Generic { .. }) || status(error).is_some();
    if answered { PlaceError::File(told(error)) } else { PlaceError::Silent(told(error)) }
}

/// What stands before the status of an answer in the crate's texts, whose types are its own.
const STATUS: &str = "status code: ";

/// The status of the answer, such as `404`, where there was one.
fn status(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, status) = text.split_once(STATUS)?;
    Some(status.chars().take_while(char::is_ascii_digit).collect())
}

/// What a store says, or why it says nothing, in a line: its code and message, else the status, else the innermost cause.
fn told(error: &Error) -> String {
    let text = error.to_string();
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(inner, _)| inner.trim())
    };
    let said = match (element("Code"), element("Message"), text.split_once(STATUS)) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(code), None, _) => code.to_owned(),
        (None, _, Some((_, status))) => status.split(':').next().unwrap_or_default().to_owned(),
        (None, _, None) => innermost(error),
    };
    // Azure goes on with ids of the request
    let line = said.lines().next().unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD_CHARS).collect()
}

/// What is behind all other causes of an error.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(e_tag: Option<&str>, size: u64, seconds: i64) -> ObjectMeta {
        ObjectMeta {
            location: Path::from("in/a.xml"),
            last_modified: chrono::DateTime::from_timestamp(seconds, 5_000_000).unwrap(),
            size,
            e_tag: e_tag.map(str::to_owned),
            version: None,
        }
    }

    #[test]
    fn an_object_is_the_one_that_was_listed_by_its_etag_and_else_by_its_time() {
        let listed =
            |object: &ObjectMeta| Listed { name: String::new(), size: object.size, version: version(object) };
        let (tagged, untagged) = (object(Some("\"a\""), 5, 7), object(None, 5, 7));
        for (listing, answer, same) in [
            (&tagged, object(Some("\"a\""), 5, 8), true),
            (&tagged, object(Some("\"b\""), 5, 7), false),
            (&tagged, object(Some("\"a\""), 6, 7), false),
            (&tagged, object(None, 5, 7), false),
            (&object(Some("0x8D"), 5, 7), object(Some("\"0x8D\""), 5, 7), true),
            (&untagged, object(Some("\"a\""), 5, 7), true),
            (&untagged, object(None, 5, 8), false),
        ] {
            assert_eq!(is_listed(&answer, &listed(listing)), same, "{listing:?} {answer:?}");
        }
        assert_eq!(tag(&version(&tagged)).as_deref(), Some("\"a\""));
        assert_eq!(tag(&version(&untagged)), None);
    }
}
