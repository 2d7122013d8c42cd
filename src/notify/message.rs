//! A signed message, and its way to whoever is told.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use reqwest::header::CONTENT_TYPE;
use ring::hmac;

use crate::config::Notify;
use crate::store::notifications::Due;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends messages. Clones share their connections.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    to: Arc<Notify>,
}

impl Sender {
    /// Sends to the address of `notify`, signed with its secret.
    pub fn new(notify: Notify) -> Result<Self, String> {
        // two that do so at the same time install the same
        let _ = rustls::crypto::ring::default_provider().install_default();
        // a redirect would take the message to somebody whom nobody named
        let built =
            reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let http = built.map_err(|error| format!("notifications cannot be sent: {error}"))?;
        Ok(Self { http, to: Arc::new(notify) })
    }

    /// Sends `due` once. The error says why it did not arrive, without the address, which may hold a secret.
    pub async fn send(&self, due: &Due) -> Result<(), String> {
        let (id, timestamp) = (due.id.to_string(), Utc::now().timestamp());
        let signature = signature(&self.to.secret, &id, timestamp, &due.body);
        let request = self
            .http
            .post(self.to.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(due.body.clone());
        let answer = request.send().await.map_err(|error| explain(&error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("answered {status}")),
        }
    }
}

/// The header `webhook-signature` of Standard Webhooks, version 1.
fn signature(secret: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes())))
}

/// The error with its causes.
fn explain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
