//! One attempt to sign in: a random text that the browser holds. What has to be known of the attempt when the provider sends
//! the browser back follows from it, so that no instance has to remember it, and whoever reads the database has none of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::http::new_key;
use tributary_domain::ApiKeyDigest;

const PREFIX: &str = "tra_";

/// What a browser holds between going to the provider and coming back.
pub struct Attempt(String);

impl Attempt {
    /// A new one.
    pub fn begin() -> Self {
        Self(new_key(PREFIX).1)
    }

    /// The one whose text a browser shows.
    pub fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What the browser is given, and nobody else.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the database knows it by.
    pub fn digest(&self) -> ApiKeyDigest {
        ApiKeyDigest::of(&self.0)
    }

    /// Which comes back with the browser.
    pub fn state(&self) -> String {
        self.derived(b"state")
    }

    /// Whether that did.
    pub fn is_of_state(&self, shown: &str) -> bool {
        // of digests, how long a comparison takes tells nothing
        ApiKeyDigest::of(&self.state()) == ApiKeyDigest::of(shown)
    }

    /// Which comes back in the token.
    pub fn nonce(&self) -> String {
        self.derived(b"nonce")
    }

    /// Of PKCE: who shows it began what the code ends.
    pub fn verifier(&self) -> String {
        self.derived(b"verifier")
    }

    /// 256 bits that tell nothing of the text, nor of each other.
    fn derived(&self, what: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_the_provider_follows_from_what_the_browser_holds_and_tells_nothing_of_the_rest() {
        let (one, other) = (Attempt::begin(), Attempt::begin());
        let again = Attempt::shown(one.text());
        assert!(again.is_of_state(&one.state()) && !other.is_of_state(&one.state()));
        assert!(!one.is_of_state("") && !one.is_of_state(&one.nonce()));
        let mut told =
            vec![one.state(), one.nonce(), one.verifier(), other.state(), other.nonce(), other.verifier()];
        assert!(told.iter().all(|text| text.len() == 43 && !one.text().contains(text.as_str())));
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 6);
    }
}
