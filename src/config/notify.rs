//! Where is told what waits for a person: `TRIBUTARY_NOTIFY_URL` and `TRIBUTARY_NOTIFY_SECRET`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::{Lookup, is_private};

const URL: &str = "TRIBUTARY_NOTIFY_URL";
const SECRET: &str = "TRIBUTARY_NOTIFY_SECRET";
/// How Standard Webhooks writes a secret.
const PREFIX: &str = "whsec_";
/// How long its secrets are.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How one makes it.
const HOW: &str = "echo whsec_$(openssl rand -base64 32)";

/// An address, and the secret that proves to it who calls. Both may be shown to nobody: addresses hold tokens, too.
#[derive(Clone)]
pub struct Notify {
    pub url: Url,
    /// The bytes that messages are signed with.
    pub secret: Vec<u8>,
}

impl Notify {
    /// What the environment says; `None` where it says nothing.
    ///
    /// # Errors
    /// What is wrong and what to do, without either value.
    pub fn of(lookup: Lookup) -> Result<Option<Self>, String> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        match (set(URL), set(SECRET)) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(format!("{SECRET} is set, and {URL} is not: set both, or neither")),
            (Some(_), None) => Err(format!(
                "{URL} is set, and {SECRET} is not: whoever is called could not tell us from a stranger. `{HOW}` makes one"
            )),
            (Some(url), Some(secret)) => Ok(Some(Self { url: address(&url)?, secret: signing(&secret)? })),
        }
    }
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{URL} is no address: {error}"))?;
    if is_private(&url) {
        return Ok(url);
    }
    Err(format!("{URL} has to begin with https:// (http:// is for this machine alone)"))
}

fn signing(text: &str) -> Result<Vec<u8>, String> {
    let bytes = text.strip_prefix(PREFIX).and_then(|code| STANDARD.decode(code).ok());
    bytes
        .filter(|bytes| SECRET_BYTES.contains(&bytes.len()))
        .ok_or_else(|| format!("{SECRET} has to be {PREFIX} and 24 to 64 bytes in base64: `{HOW}` makes one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, secret: &str) -> Result<Option<Notify>, String> {
        Notify::of(&|name| Some(if name == URL { url.to_owned() } else { secret.to_owned() }))
    }

    #[test]
    fn both_are_needed_and_mistakes_are_told_without_what_was_typed() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert!(of("", "").unwrap().is_none());
        for url in
            ["https://ops.example/t/0ken", "http://localhost:9/x", "http://127.0.0.1/", "http://[::1]/"]
        {
            assert_eq!(of(url, secret).unwrap().unwrap().secret.len(), 24, "{url}");
        }
        for (url, secret) in [
            ("https://ops.example/t/0ken", ""),
            ("", secret),
            ("http://ops.example/t/0ken", secret),
            ("ops.example/t/0ken", secret),
            ("https://ops.example/t/0ken", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("https://ops.example/t/0ken", "whsec_c2hvcnQ="),
            ("https://ops.example/t/0ken", "whsec_MfKQ9r8%%%"),
        ] {
            let why = of(url, secret).err().unwrap_or_else(|| panic!("{url} {secret}"));
            assert!(why.contains("TRIBUTARY_NOTIFY_"), "{why}");
            assert!(!why.contains("0ken") && !why.contains("MfKQ9") && !why.contains("c2hv"), "{why}");
        }
    }
}
