//! Where a bucket is, and who we are there: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::ClientOptions;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, RetryConfig};
use tributary_manifest::Secret;

use super::PlaceError;
use super::azure::Blobs;
use super::condition::Conditional;
use super::objects::{OpenBucket, Store};
use super::store_error::told;

/// How long is waited for a connection, and for the next bytes of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an object may take as a whole.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a request is sent again that found no answer, or a failing server, and for how long.
const RETRIES: usize = 3;
const RETRIES_TIMEOUT: Duration = Duration::from_secs(60);

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
        Ok(OpenBucket::new(store, blobs, self.clone()))
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
