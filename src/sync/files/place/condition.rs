//! Deletions on a condition: an object that took the place of the one that was read is not deleted for it.

use async_trait::async_trait;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{HeaderValue, Result};
use reqwest::Method;
use reqwest::header::HeaderName;

tokio::task_local! {
    /// The header that the deletion of this task is sent with, beside those that its signature covers.
    static CONDITION: (HeaderName, HeaderValue);
}

/// Does `deletion` on a condition, which stores understand as a header.
pub async fn only_if<T>(header: &'static str, value: &str, deletion: impl Future<Output = T>) -> T {
    match HeaderValue::from_str(value) {
        Ok(value) => CONDITION.scope((HeaderName::from_static(header), value), deletion).await,
        Err(_) => deletion.await,
    }
}

/// Connects as the store does by itself, and adds the conditions.
#[derive(Debug)]
pub struct Conditional;

#[derive(Debug)]
struct Sender(HttpClient);

impl HttpConnector for Conditional {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(Sender(ReqwestConnector::default().connect(options)?)))
    }
}

#[async_trait]
impl HttpService for Sender {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.method() == Method::DELETE
            && let Ok((name, value)) = CONDITION.try_with(Clone::clone)
        {
            request.headers_mut().insert(name, value);
        }
        self.0.execute(request).await
    }
}
