//! Who came back: the code is exchanged, and what the provider's token says is believed once it is proven to be signed by
//! this provider, for this service, now, and for this attempt.

use std::sync::Arc;

use axum::http::{Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AsyncHttpClient as _, AuthorizationCode, ClaimsVerificationError, Nonce,
    OAuth2TokenResponse as _, PkceCodeVerifier, RequestTokenError, SignatureVerificationError,
    TokenResponse as _,
};
use serde_json::Value;

use super::{Attempt, Person, Provider, SignOn, SignOnError};

/// Signatures that only the provider can make: none of a secret that this service has, too.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// The longest subject that OpenID allows.
const SUBJECT_MAX_BYTES: usize = 255;

/// Exchanges the code, and reads who it is for.
pub(super) async fn person(on: &SignOn, attempt: &Attempt, code: String) -> Result<Person, SignOnError> {
    let provider = on.provider().await?;
    let tokens = exchange(on, &provider, attempt, code).await?;
    let token = tokens.id_token().ok_or_else(|| {
        on.refused(
            "no ID token came with the code: does the provider know this client as one of OpenID Connect?",
        )
    })?;
    let nonce = Nonce::new(attempt.nonce());
    let claims = match verified(&provider, token, &nonce) {
        // it may have new keys
        Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
        )) => {
            let provider = on.anew(&provider).await?;
            check(on, &provider, &tokens, token, &nonce)?
        }
        _ => check(on, &provider, &tokens, token, &nonce)?,
    };
    let subject = claims.subject().as_str().to_owned();
    if subject.is_empty()
        || subject.len() > SUBJECT_MAX_BYTES
        || !subject.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Err(on.refused("its subject is no text of 1 to 255 ASCII characters"));
    }
    let told = payload(token).ok_or_else(|| on.refused("its claims cannot be read"))?;
    let mut groups = on.of.groups.named(&told);
    let mut called = called(&told);
    if groups.is_none() || called.is_none() {
        let more = userinfo(on, &provider, &tokens, &subject).await?;
        groups = groups.or_else(|| on.of.groups.named(&more));
        called = called.or_else(|| self::called(&more));
    }
    let role = on.of.groups.role(&groups.unwrap_or_default());
    Ok(Person { subject, called: called.unwrap_or_default(), role })
}

async fn exchange(
    on: &SignOn,
    provider: &Arc<Provider>,
    attempt: &Attempt,
    code: String,
) -> Result<CoreTokenResponse, SignOnError> {
    let request = provider.client.exchange_code(AuthorizationCode::new(code));
    let request = request.map_err(|error| on.strange(&error.to_string()))?;
    let request = request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier()));
    request.request_async(&on.http).await.map_err(|error| match error {
        RequestTokenError::Request(error) => on.unreachable(&error),
        RequestTokenError::ServerResponse(said) => {
            let code: String = said.error().to_string().chars().take(100).collect();
            let hint = match code.as_str() {
                "invalid_client" | "unauthorized_client" => {
                    "are TRIBUTARY_OIDC_CLIENT_ID and TRIBUTARY_OIDC_CLIENT_SECRET those of this client?"
                }
                "invalid_grant" => "the code was used already or is over: sign in again",
                _ => "sign in again; if that does not help, its log says more",
            };
            on.refused(&format!("it did not take the code ({code}): {hint}"))
        }
        // neither its text nor the answer: there may be a token in it
        RequestTokenError::Parse(..) => on.refused("its answer to the code cannot be read"),
        RequestTokenError::Other(_) => on.strange("its answer to the code is none of OAuth 2"),
    })
}

fn verifier(provider: &Provider) -> CoreIdTokenVerifier<'_> {
    provider.client.id_token_verifier().set_allowed_algs(ALGORITHMS)
}

fn verified<'t>(
    provider: &Provider,
    token: &'t CoreIdToken,
    nonce: &Nonce,
) -> Result<&'t CoreIdTokenClaims, ClaimsVerificationError> {
    token.claims(&verifier(provider), nonce)
}

/// The claims of a token that proves itself and what came with it.
fn check<'t>(
    on: &SignOn,
    provider: &Provider,
    tokens: &CoreTokenResponse,
    token: &'t CoreIdToken,
    nonce: &Nonce,
) -> Result<&'t CoreIdTokenClaims, SignOnError> {
    let claims = verified(provider, token, nonce).map_err(|error| on.refused(&explain(&error)))?;
    if let Some(expected) = claims.access_token_hash() {
        let verifier = verifier(provider);
        let actual = match (token.signing_alg(), token.signing_key(&verifier)) {
            (Ok(by), Ok(key)) => AccessTokenHash::from_token(tokens.access_token(), by, key).ok(),
            _ => None,
        };
        if actual.as_ref() != Some(expected) {
            return Err(on.refused("the access token beside it is another one's"));
        }
    }
    Ok(claims)
}

/// What is wrong with a token, without anything of it.
fn explain(error: &ClaimsVerificationError) -> String {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::Expired(_) => {
            "it has expired: do the clocks of this server and of the provider agree?"
        }
        ClaimsVerificationError::InvalidAudience(_) => {
            "it is for another client: is TRIBUTARY_OIDC_CLIENT_ID right?"
        }
        ClaimsVerificationError::InvalidIssuer(_) => {
            "it is of another issuer: is TRIBUTARY_OIDC_ISSUER what the provider calls itself?"
        }
        ClaimsVerificationError::InvalidNonce(_) => {
            "it was made for another attempt to sign in: sign in again"
        }
        ClaimsVerificationError::InvalidSubject(_) => "it names nobody",
        ClaimsVerificationError::SignatureVerification(Signature::NoMatchingKey) => {
            "it is signed by a key that the provider does not publish"
        }
        ClaimsVerificationError::SignatureVerification(
            Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_) | Signature::NoSignature,
        ) => "it is signed in a way that is not taken: have the provider sign with RS256, ES256 or EdDSA",
        ClaimsVerificationError::SignatureVerification(_) => "its signature is not the provider's",
        _ => "it cannot be verified",
    }
    .to_owned()
}

/// What a token that was verified says, as JSON: providers add claims of their own.
fn payload(token: &CoreIdToken) -> Option<Value> {
    let text = token.to_string();
    let claims = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// What the provider calls them.
fn called(claims: &Value) -> Option<String> {
    let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    ["preferred_username", "email", "name"].into_iter().find_map(text).map(str::to_owned)
}

/// What the provider says besides of whoever the access token is for: where it has nothing to say, nothing.
async fn userinfo(
    on: &SignOn,
    provider: &Provider,
    tokens: &CoreTokenResponse,
    subject: &str,
) -> Result<Value, SignOnError> {
    let Some(address) = &provider.userinfo else { return Ok(Value::Null) };
    let request = axum::http::Request::builder()
        .method(Method::GET)
        .uri(address.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", tokens.access_token().secret()))
        .body(Vec::new())
        .map_err(|error| on.strange(&error.to_string()))?;
    let answer = on.http.call(request).await.map_err(|error| on.unreachable(&error))?;
    if !answer.status().is_success() {
        return Err(
            on.strange(&format!("it answered {} where it should say more of the person", answer.status()))
        );
    }
    let told: Value = serde_json::from_slice(answer.body()).map_err(|_| {
        on.strange("what it says of the person is no JSON: have it answer unsigned at its userinfo endpoint")
    })?;
    // or it would be about somebody else
    match told.get("sub").and_then(Value::as_str) == Some(subject) {
        true => Ok(told),
        false => Err(on.refused("the userinfo beside it is another one's")),
    }
}

impl SignOn {
    fn refused(&self, why: &str) -> SignOnError {
        SignOnError::Refused(format!("What {} says of you is not believed: {why}.", self.of.name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_called_by_the_first_name_that_says_something() {
        let claims = json!({"preferred_username": " ", "email": "ann@example.com", "name": "Ann"});
        assert_eq!(called(&claims).as_deref(), Some("ann@example.com"));
        assert_eq!(called(&json!({"name": "Ann", "email": 1})).as_deref(), Some("Ann"));
        assert_eq!(called(&json!({"sub": "1"})), None);
    }
}
