//! Who may call the API of this service, and how much.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Formance's connector: reads, payouts and transfers.
    Connector,
    /// The push API.
    Ingest,
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Connector, Self::Ingest, Self::Admin];

    /// The name in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }
}

/// SHA-256 of an API key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKeyDigest([u8; 32]);

impl ApiKeyDigest {
    /// The digest of `key`.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these bytes are the digest; takes the same time wherever they differ.
    pub fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl std::fmt::Debug for ApiKeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKeyDigest(..)")
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str() == name).ok_or_else(|| format!("{name:?} is no scope of an API key"))
    }
}

/// What one API key may ask of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimit {
    /// Requests a second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

/// Formance asks once or a few times a second, and a drain of ours some hundred times: so much
/// is only asked by something that went wrong, and it leaves room for others on a small machine.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not zero");
const BURST: NonZeroU32 = NonZeroU32::new(10_000).expect("it is not zero");
impl Default for RequestLimit {
    fn default() -> Self {
        Self { per_second: PER_SECOND, burst: BURST }
    }
}
