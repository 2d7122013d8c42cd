//! Signing in through an OpenID provider, all but the pages and the database: where a person is sent to, and who the provider
//! says that came back. Authorization code flow with PKCE. The provider is asked what it is when somebody signs in, and
//! that is kept for a time, so that one that is down keeps nothing else from working.

mod attempt;
mod http;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreProviderMetadata};
use openidconnect::{
    AuthType, ClientId, ClientSecret, CsrfToken, DiscoveryError, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use url::Url;

use crate::config::{SingleSignOn, is_private};
use http::{Http, HttpError};
use tributary_domain::Role;

pub use attempt::Attempt;

/// For how long it is believed what a provider said of itself, its keys included.
const KEPT: Duration = Duration::from_secs(3600);
/// And for how long that it did not answer: whoever waited meanwhile is told the same, and does not wait as long again.
const FAILURE_KEPT: Duration = Duration::from_secs(2);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why nobody is signed in. The text says so to the person who tries, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignOnError {
    /// The provider does not answer, or not as one; later it may.
    #[error("{0}")]
    Unavailable(String),
    /// What it answered is not believed.
    #[error("{0}")]
    Refused(String),
}

/// Whom the provider names.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Never given to anybody else by this provider.
    pub subject: String,
    /// What the provider calls them, which may change, and be anything.
    pub called: String,
    /// What their groups give; `None` where nothing.
    pub role: Option<Role>,
}

/// What the provider said of itself.
struct Provider {
    client: Client,
    userinfo: Option<Url>,
    learnt: Instant,
}

/// What came of asking it.
#[derive(Default)]
struct Kept {
    provider: Option<Arc<Provider>>,
    failed: Option<(Instant, SignOnError)>,
}

/// An OpenID provider, as this service uses it.
pub struct SignOn {
    of: SingleSignOn,
    http: Http,
    kept: Mutex<Kept>,
}

impl SignOn {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// There can be no client for HTTP.
    pub fn new(of: SingleSignOn) -> Result<Self, String> {
        Ok(Self { of, http: Http::new()?, kept: Mutex::default() })
    }

    /// How it is configured.
    pub fn config(&self) -> &SingleSignOn {
        &self.of
    }

    /// Where `attempt` begins: an address of the provider.
    pub async fn begin(&self, attempt: &Attempt) -> Result<Url, SignOnError> {
        let provider = self.provider().await?;
        let verifier = PkceCodeVerifier::new(attempt.verifier());
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let request = provider.client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new(state),
            || Nonce::new(nonce),
        );
        let scopes = self.of.scopes.iter().cloned().map(Scope::new);
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        Ok(request.add_scopes(scopes).set_pkce_challenge(challenge).url().0)
    }

    /// Who came back from `attempt` with this code.
    pub async fn finish(&self, attempt: &Attempt, code: String) -> Result<Person, SignOnError> {
        token::person(self, attempt, code).await
    }

    async fn provider(&self) -> Result<Arc<Provider>, SignOnError> {
        self.learn(|known| known.learnt.elapsed() < KEPT).await
    }

    /// What the provider says of itself now, where that was not asked since `known` was learnt.
    async fn anew(&self, known: &Arc<Provider>) -> Result<Arc<Provider>, SignOnError> {
        self.learn(|kept| !Arc::ptr_eq(kept, known)).await
    }

    /// What is known of the provider, if that is `enough`; else it is asked, by one at a time.
    async fn learn(&self, enough: impl Fn(&Arc<Provider>) -> bool) -> Result<Arc<Provider>, SignOnError> {
        let mut kept = self.kept.lock().await;
        if let Some(provider) = kept.provider.as_ref().filter(|provider| enough(provider)) {
            return Ok(Arc::clone(provider));
        }
        if let Some((_, error)) = kept.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_KEPT) {
            return Err(error.clone());
        }
        match self.ask().await {
            Ok(provider) => {
                kept.failed = None;
                Ok(Arc::clone(kept.provider.insert(Arc::new(provider))))
            }
            Err(error) => {
                kept.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<Provider, SignOnError> {
        let issuer =
            IssuerUrl::new(self.of.issuer.clone()).map_err(|error| self.strange(&error.to_string()))?;
        let said = CoreProviderMetadata::discover_async(issuer, &self.http).await;
        let said = said.map_err(|error| match error {
            DiscoveryError::Request(error) => self.unreachable(&error),
            DiscoveryError::Validation(why) => {
                self.strange(&format!("TRIBUTARY_OIDC_ISSUER is not what it calls itself: {why}"))
            }
            DiscoveryError::Response(status, ..) if status.is_server_error() => {
                self.strange(&format!("it answered {status}"))
            }
            DiscoveryError::Response(status, ..) => self.strange(&format!(
                "it answered {status} where it should describe itself: is TRIBUTARY_OIDC_ISSUER right?"
            )),
            other => self.strange(&other.to_string()),
        })?;
        let userinfo = said.userinfo_endpoint().map(|url| url.url().clone());
        let addresses = [
            Some(said.authorization_endpoint().url()),
            Some(said.jwks_uri().url()),
            said.token_endpoint().map(|url| url.url()),
            userinfo.as_ref(),
        ];
        if let Some(open) = addresses.into_iter().flatten().find(|url| !is_private(url)) {
            return Err(self.strange(&format!("{open} of it is not https")));
        }
        let by = said.token_endpoint_auth_methods_supported();
        let has = |method| by.is_some_and(|by| by.contains(&method));
        let only_post =
            has(CoreClientAuthMethod::ClientSecretPost) && !has(CoreClientAuthMethod::ClientSecretBasic);
        let secret = self.of.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let back = RedirectUrl::new(self.of.callback()).map_err(|error| self.strange(&error.to_string()))?;
        let client =
            CoreClient::from_provider_metadata(said, ClientId::new(self.of.client_id.clone()), secret)
                .set_redirect_uri(back)
                .set_auth_type(if only_post { AuthType::RequestBody } else { AuthType::BasicAuth });
        Ok(Provider { client, userinfo, learnt: Instant::now() })
    }

    fn unreachable(&self, error: &HttpError) -> SignOnError {
        SignOnError::Unavailable(format!(
            "{} does not answer ({error}). Try again later, or sign in with the key of an operator.",
            self.of.name
        ))
    }

    fn strange(&self, why: &str) -> SignOnError {
        SignOnError::Unavailable(format!(
            "{} does not answer as an OpenID provider: {why}. Until that is mended, sign in with the key of an operator.",
            self.of.name
        ))
    }
}
