//! How requests prove who sends them: what `auth:` of a manifest says, ready to use.

mod assertion;
mod login;
mod oauth2;
mod pem;
mod sign;
mod token;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use self::login::LoginGrant;
use self::oauth2::OAuth2Grant;
use self::sign::Signer;
use self::token::{Grant, TokenSource};
use super::cage::Cage;
use super::manifest::{Manifest, Proof, TokenHeader};
use super::secret::Secret;
use super::wire::{AccessToken, ClientError, Outgoing, Transport};

pub use self::pem::load as load_pem;

/// Proves who sends the requests of one connection.
pub struct Authenticator {
    proof: Ready,
    signer: Option<Signer>,
}

enum Ready {
    None,
    Header(HeaderName, HeaderValue),
    Query(String, Secret),
    Token { source: Arc<TokenSource>, name: HeaderName, prefix: String },
}

/// What the requests for tokens need to know of the source.
pub struct Surroundings<'a> {
    pub base: &'a Url,
    /// Of every request to the host of `base`.
    pub headers: &'a HeaderMap,
    pub functions: &'a str,
    pub attempts: u32,
    pub cage: &'a Arc<Cage>,
}

impl Authenticator {
    /// Takes `auth:` of `manifest`. The error names the field that is wrong.
    pub fn new(manifest: &Manifest, surroundings: &Surroundings) -> Result<Self, String> {
        let proof = match &manifest.auth.proof {
            Proof::None => Ready::None,
            Proof::Bearer(token) => {
                let value = Secret::from(format!("Bearer {}", given("auth.bearer", token)?));
                Ready::Header(AUTHORIZATION, header_value("auth.bearer", &value)?)
            }
            Proof::Basic(basic) => {
                let user = given("auth.basic.user", &basic.user)?;
                if user.contains(':') {
                    return Err("auth.basic.user: must not contain a colon".to_owned());
                }
                Ready::Header(AUTHORIZATION, header_value("auth.basic", &basic_value(user, &basic.password))?)
            }
            Proof::Header(named) => {
                given("auth.header.value", &named.value)?;
                let name = header_name("auth.header.name", &named.name)?;
                Ready::Header(name, header_value("auth.header.value", &named.value)?)
            }
            Proof::Query(named) => {
                given("auth.query.value", &named.value)?;
                if named.name.is_empty() {
                    return Err("auth.query.name: is empty".to_owned());
                }
                Ready::Query(named.name.clone(), named.value.clone())
            }
            Proof::OAuth2(described) => {
                let grant = Grant::OAuth2(Box::new(OAuth2Grant::new(described, surroundings)?));
                Ready::token("auth.oauth2.header", grant, &described.header, surroundings)?
            }
            Proof::Login(described) => {
                let grant = Grant::Login(Box::new(LoginGrant::new(described, surroundings)?));
                Ready::token("auth.login.header", grant, &described.header, surroundings)?
            }
        };
        let signer = manifest.auth.hmac.as_ref().map(Signer::new).transpose()?;
        Ok(Self { proof, signer })
    }

    /// Whether there is any proof.
    pub fn proves(&self) -> bool {
        self.signer.is_some() || !matches!(self.proof, Ready::None)
    }

    /// Whether a refused proof can be replaced by another one.
    pub fn is_renewable(&self) -> bool {
        matches!(self.proof, Ready::Token { .. })
    }

    /// The token that the next request carries, if it is one that has to be got: another one
    /// than `refused`.
    pub async fn token(
        &self,
        transport: &Arc<Transport>,
        refused: Option<&AccessToken>,
    ) -> Result<Option<AccessToken>, ClientError> {
        match &self.proof {
            Ready::Token { source, .. } => source.token(transport, refused).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Puts the proof on a request that is sent at `now`, and signs it. The error completes
    /// "cannot be asked for: …".
    pub fn stamp(
        &self,
        outgoing: &mut Outgoing,
        token: Option<&AccessToken>,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        match &self.proof {
            Ready::None => {}
            Ready::Header(name, value) => {
                outgoing.headers.insert(name.clone(), value.clone());
            }
            Ready::Query(name, value) => set_query(&mut outgoing.url, name, value.expose()),
            Ready::Token { name, prefix, .. } => {
                let token = token.ok_or("there is no token")?;
                let value = Secret::from(format!("{prefix}{}", token.value.expose()));
                outgoing.headers.insert(name.clone(), header_value("the token", &value)?);
            }
        }
        match &self.signer {
            Some(signer) => signer.sign(outgoing, now),
            None => Ok(()),
        }
    }

    /// Waits until no token is being exchanged.
    pub async fn drained(&self) {
        if let Ready::Token { source, .. } = &self.proof {
            source.drained().await;
        }
    }
}

impl Ready {
    fn token(
        field: &str,
        grant: Grant,
        header: &TokenHeader,
        surroundings: &Surroundings,
    ) -> Result<Self, String> {
        let name = header_name(&format!("{field}.name"), &header.name)?;
        header_value(&format!("{field}.prefix"), &Secret::from(header.prefix.clone()))?;
        let source = Arc::new(TokenSource::new(grant, surroundings.attempts));
        Ok(Self::Token { source, name, prefix: header.prefix.clone() })
    }
}

/// Everything of `auth:` that must never be shown.
pub fn secrets(manifest: &Manifest) -> Vec<Secret> {
    let mut secrets: Vec<Secret> = Vec::new();
    match &manifest.auth.proof {
        Proof::None => {}
        Proof::Bearer(token) => secrets.push(token.clone()),
        Proof::Basic(basic) => {
            let header = basic_value(basic.user.expose(), &basic.password);
            let encoded = header.expose().trim_start_matches("Basic ").to_owned();
            secrets.extend([basic.user.clone(), basic.password.clone(), encoded.into()]);
        }
        Proof::Header(named) | Proof::Query(named) => secrets.push(named.value.clone()),
        Proof::OAuth2(oauth2) => {
            secrets.extend(oauth2.client_secret.iter().chain(&oauth2.refresh_token).cloned());
            secrets.extend(oauth2.extra.values().cloned());
        }
        Proof::Login(login) => {
            secrets.extend(login.request.headers.values().cloned());
            let body = login.request.body.iter().flat_map(|body| body.texts());
            secrets.extend(body.map(|text| Secret::from(text.to_owned())));
        }
    }
    if let Some(hmac) = &manifest.auth.hmac {
        secrets.push(hmac.secret.clone());
    }
    secrets
}

/// The text of a secret that has to be there.
fn given<'a>(field: &str, secret: &'a Secret) -> Result<&'a str, String> {
    Some(secret.expose()).filter(|text| !text.is_empty()).ok_or_else(|| format!("{field}: is empty"))
}

/// The `Authorization` header of a user and a password.
fn basic_value(user: &str, password: &Secret) -> Secret {
    let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
    Secret::from(format!("Basic {pair}"))
}

pub fn header_name(field: &str, name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("{field}: {name:?} is no header name"))
}

/// The value of a header that must not be shown.
pub fn header_value(field: &str, secret: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| format!("{field}: holds a character that no header can carry, such as a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A URL of the manifest that secrets are sent to: whole, or a path below the base.
fn endpoint(field: &str, text: &str, base: &Url) -> Result<Url, String> {
    let whole = match text.starts_with('/') && !text.starts_with("//") {
        true => format!("{}{text}", base.as_str().trim_end_matches('/')),
        false => text.to_owned(),
    };
    let url = Url::parse(&whole).map_err(|error| format!("{field}: {error}"))?;
    if url.scheme() != "https" && url.scheme() != base.scheme() {
        return Err(format!("{field}: has to begin with https:// or /"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("{field}: must not contain a user, a password or #"));
    }
    Ok(url)
}

/// Puts a parameter into a query in place of those of the same name: a link to the next page
/// may already carry the one of the page before.
fn set_query(url: &mut Url, name: &str, value: &str) {
    if url.query_pairs().any(|(found, _)| found == name) {
        let others: Vec<(String, String)> =
            url.query_pairs().filter(|(found, _)| found != name).map(|(n, v)| (n.into(), v.into())).collect();
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    url.query_pairs_mut().append_pair(name, value);
}

#[cfg(test)]
mod tests;
