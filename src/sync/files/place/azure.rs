//! Deletion of a blob on a condition. The crate deletes blobs in batches, which take no condition, and which a shared access
//! signature does not open everywhere.

use object_store::azure::{AzureAuthorizer, AzureCredentialProvider, MicrosoftAzure};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use object_store::path::Path;
use object_store::{Error, HeaderValue, Result};
use reqwest::header::IF_MATCH;
use reqwest::{Method, StatusCode};
use url::Url;

use super::PlaceError;
use super::store_error::{failed, innermost};

/// The blobs of a container, as far as they can be deleted.
pub struct Blobs {
    credentials: AzureCredentialProvider,
    http: HttpClient,
    account: String,
    container: Url,
}

impl Blobs {
    /// Those of the `container` of `store`, at `endpoint` where that is not the usual one.
    pub fn new(
        store: &MicrosoftAzure,
        options: &ClientOptions,
        (account, container): (&str, &str),
        endpoint: Option<&str>,
    ) -> Result<Self> {
        let usual = format!("https://{account}.blob.core.windows.net");
        let generic = |source: url::ParseError| Error::Generic { store: "Azure", source: Box::new(source) };
        let mut url = Url::parse(endpoint.unwrap_or(&usual)).map_err(generic)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(container);
        }
        Ok(Self {
            credentials: store.credentials().clone(),
            http: ReqwestConnector::default().connect(options)?,
            account: account.to_owned(),
            container: url,
        })
    }

    /// Deletes a blob if it is still the one of this ETag; else nothing is to be done.
    pub async fn delete(&self, path: &Path, e_tag: Option<&str>) -> Result<(), PlaceError> {
        let mut url = self.container.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path.parts());
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() =
            url.as_str().parse().map_err(|_| PlaceError::File("has no address".to_owned()))?;
        if let Some(value) = e_tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            request.headers_mut().insert(IF_MATCH, value);
        }
        let credential = self.credentials.get_credential().await.map_err(|error| failed(&error))?;
        let authorizer = AzureAuthorizer::new(&credential, &self.account);
        authorizer.try_authorize(&mut request).map_err(|error| failed(&error))?;
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| PlaceError::Silent(innermost(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => Ok(()),
            status => {
                let code = answer.headers().get("x-ms-error-code").and_then(|code| code.to_str().ok());
                Err(PlaceError::File(code.map_or_else(|| status.to_string(), str::to_owned)))
            }
        }
    }
}
