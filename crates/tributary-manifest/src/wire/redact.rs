//! Keeps secrets out of what is shown.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use crate::secret::{HIDDEN, Secret};

/// Shorter ones (a version in a header, say) are no secrets, and blanking them garbles errors.
const SHORTEST_SECRET: usize = 6;
/// How many tokens of the past an answer may still echo.
const MOST_OBTAINED: usize = 64;

/// Everything that must never be shown, should an answer echo it.
#[derive(Debug, Default)]
pub struct Redactor {
    configured: Vec<Secret>,
    /// Tokens that were got at run time.
    obtained: RwLock<VecDeque<Secret>>,
}

impl Redactor {
    /// Hides `configured` and whatever is added.
    pub fn new(configured: impl IntoIterator<Item = Secret>) -> Self {
        let configured = configured.into_iter().flat_map(|secret| forms(&secret)).collect();
        Self { configured, obtained: RwLock::default() }
    }

    /// Hides `secret` from now on.
    pub fn add(&self, secret: &Secret) {
        let mut obtained = self.obtained.write().unwrap_or_else(PoisonError::into_inner);
        if !obtained.contains(secret) {
            obtained.extend(forms(secret));
            while obtained.len() > MOST_OBTAINED {
                obtained.pop_front();
            }
        }
    }

    /// `text` without any secret.
    pub fn redact(&self, text: &str) -> String {
        let obtained = self.obtained.read().unwrap_or_else(PoisonError::into_inner);
        let mut secrets: Vec<&str> =
            self.configured.iter().chain(obtained.iter()).map(Secret::expose).collect();
        // the longer one first, where one is part of another
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// As a secret may appear: as it is, and as URLs and forms write it.
fn forms(secret: &Secret) -> Vec<Secret> {
    let plain = secret.expose();
    if plain.len() < SHORTEST_SECRET {
        return Vec::new();
    }
    let encoded: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    let mut forms = vec![secret.clone()];
    if encoded != plain {
        forms.push(encoded.into());
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_every_form_and_the_longest_first() {
        let secret = |text: &str| Secret::from(text.to_owned());
        let redactor = Redactor::new([secret("hunter"), secret("hunter/2 3"), secret("v2")]);
        redactor.add(&secret("token-17"));
        assert_eq!(
            redactor.redact("hunter/2 3, hunter%2F2+3, hunter, token-17, v2"),
            "[secret], [secret], [secret], [secret], v2"
        );
        assert!(!format!("{redactor:?}").contains("hunter"));
    }

    #[test]
    fn tokens_of_long_ago_are_forgotten() {
        let redactor = Redactor::default();
        for n in 0..1_000 {
            redactor.add(&Secret::from(format!("token-{n}")));
        }
        assert_eq!(redactor.obtained.read().unwrap().len(), MOST_OBTAINED);
        assert_eq!(redactor.redact("token-999"), "[secret]");
    }
}
