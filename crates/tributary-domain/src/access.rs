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
    /// Of these, reads alone.
    Read,
    /// And payouts and transfers alone.
    Pay,
    /// The push API.
    Ingest,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connector, Self::Read, Self::Pay, Self::Ingest];

    /// The name in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Read => "read",
            Self::Pay => "pay",
            Self::Ingest => "ingest",
        }
    }

    /// Whether a key of this scope opens what needs `needed`.
    pub fn opens(self, needed: Self) -> bool {
        self == needed || (self == Self::Connector && matches!(needed, Self::Read | Self::Pay))
    }
}

/// What an operator may do at the console. Each may do what those before it may, but for approvals: these are for
/// persons alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Has providers read, replays and discards.
    Operator,
    /// Decides about payments.
    Approver,
    /// Makes and revokes keys.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The name in tables and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == name);
        known.ok_or_else(|| format!("{name:?} is no role: there are viewer, operator, approver and admin"))
    }
}

/// What a key is called among those of its provider: 1 to 63 lower-case letters, digits, `.`, `-` and
/// `_`, of which the first is a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyName(String);

impl TryFrom<String> for KeyName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl KeyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for KeyName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| plain(byte) || b".-_".contains(&byte))
            && name.bytes().next().is_some_and(plain);
        if fits {
            return Ok(Self(name.to_owned()));
        }
        Err(format!(
            "{name:?} is no name of a key: take 1 to 63 lower-case letters, digits, . - and _, the first a letter or digit"
        ))
    }
}

/// What an operator is called: the name of a key, or, of a person who signs in by single sign-on, what the provider calls
/// them in up to 40 such letters (also `@` and `+`), `~`, and 8 hexadecimal digits of who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OperatorName(String);

impl TryFrom<String> for OperatorName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl OperatorName {
    /// How such a name begins: `called`, in the letters that one may have.
    pub fn beginning(called: &str) -> String {
        let plain = |c: char| if is_letter_of_person(c) { c } else { '-' };
        let letters = called.trim().chars().flat_map(char::to_lowercase).map(plain);
        let from_first = letters.skip_while(|c| !c.is_ascii_alphanumeric());
        let beginning: String = from_first.take(BEGINNING_MAX).collect();
        if beginning.is_empty() { "person".to_owned() } else { beginning }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest beginning of a person's name.
const BEGINNING_MAX: usize = 40;

fn is_letter_of_person(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "._@+-".contains(c)
}

impl std::fmt::Display for OperatorName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for OperatorName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let of_person = |(beginning, digits): (&str, &str)| {
            beginning == Self::beginning(beginning)
                && digits.len() == 8
                && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        if name.parse::<KeyName>().is_ok() || name.split_once('~').is_some_and(of_person) {
            return Ok(Self(name.to_owned()));
        }
        Err(format!("{name:?} is no name of an operator: write it as `tributary operators list` does"))
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

/// How many payments one key may order of one process: few, as people and payrolls order them. What is
/// beyond is asked again, and moves no money meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentLimit(pub RequestLimit);

const PAYMENTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).expect("it is not zero");
const PAYMENTS_BURST: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");

impl Default for PaymentLimit {
    fn default() -> Self {
        Self(RequestLimit { per_second: PAYMENTS_PER_SECOND, burst: PAYMENTS_BURST })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_name_is_that_of_a_key_or_of_a_person_and_one_is_never_taken_for_the_other() {
        for name in ["ann", "ann~0a1b2c3d", "ann.b@example.com~0a1b2c3d"] {
            assert_eq!(name.parse::<OperatorName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "Ann",
            "ann@example.com",
            "ann~0a1b2c3",
            "ann~0A1B2C3D",
            "~0a1b2c3d",
            "a~b~0a1b2c3d",
            "a b~0a1b2c3d",
        ] {
            assert!(name.parse::<OperatorName>().unwrap_err().contains("operators list"), "{name}");
        }
        assert!("ann~0a1b2c3d".parse::<KeyName>().is_err());
        for (called, beginning) in [
            ("Ann.B@Example.com", "ann.b@example.com"),
            (" O'Neill, Zo\u{eb} ", "o-neill--zo-"),
            ("~ann~0a1b2c3d", "ann-0a1b2c3d"),
            ("\u{0430}nn\n", "nn"),
            ("\u{738b}", "person"),
            ("", "person"),
        ] {
            assert_eq!(OperatorName::beginning(called), beginning);
        }
        let long = OperatorName::beginning(&"x".repeat(100));
        assert!(format!("{long}~0a1b2c3d").parse::<OperatorName>().is_ok() && long.len() == 40);
    }

    #[test]
    fn a_connector_reads_and_pays_and_every_other_scope_opens_itself_alone() {
        use Scope::{Connector, Ingest, Pay, Read};
        for (scope, opened) in
            [(Connector, &[Connector, Read, Pay][..]), (Read, &[Read]), (Pay, &[Pay]), (Ingest, &[Ingest])]
        {
            let opens: Vec<Scope> = Scope::ALL.into_iter().filter(|needed| scope.opens(*needed)).collect();
            assert_eq!(opens, opened, "{scope:?}");
        }
    }

    #[test]
    fn names_of_keys_are_plain() {
        for name in ["formance", "2026-01", "a.b_c", &"x".repeat(63)] {
            assert_eq!(name.parse::<KeyName>().unwrap().as_str(), name);
        }
        for name in ["", "-a", "A", "a b", "a/b", "a:b", "\u{1b}[0m", "é", &"x".repeat(64)] {
            assert!(name.parse::<KeyName>().is_err(), "{name:?}");
        }
    }
}
