//! Names of records and providers, and the URL-safe form in which account ids are served.

use serde::{Deserialize, Serialize};

use super::{RecordError, text};

/// The longest id of a record, in bytes: what fits an index entry with its provider.
pub const ID_MAX_BYTES: usize = 1000;

/// The provider's own id of a record: 1 to 1,000 bytes without NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RecordId(String);

impl RecordId {
    /// Takes the `value` of `field`; an empty or blank, over-long or NUL-holding one is refused.
    pub fn parse(field: &'static str, value: &str) -> Result<Self, RecordError> {
        if value.trim().is_empty() {
            return Err(RecordError::new(field, "is empty, or of blanks alone"));
        }
        text::check(field, value, ID_MAX_BYTES)?;
        Ok(Self(value.to_owned()))
    }

    /// As [`RecordId::parse`], where the field may be absent; empty or blank text counts as absent.
    pub fn parse_optional(field: &'static str, value: Option<&str>) -> Result<Option<Self>, RecordError> {
        match value {
            Some(value) if !value.trim().is_empty() => Self::parse(field, value).map(Some),
            _ => Ok(None),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a provider: 1 to 64 of `a-z 0-9 _ -`, as used in file names, keys and tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProviderName(String);

impl ProviderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ProviderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProviderName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if fits {
            Ok(Self(name))
        } else {
            Err(format!("\"{name}\" is no provider name: take 1 to 64 of a-z, 0-9, _ and -"))
        }
    }
}

impl std::str::FromStr for ProviderName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::try_from(name.to_owned())
    }
}

/// Undoes the SQL function `url_safe_id`: gives the original of an account id as served.
/// `None` where `served` is not something that the function can have made.
pub fn served_id_to_original(served: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(served.len());
    let mut rest = served.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'~' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let (hex, tail) = tail.split_at_checked(2)?;
        if !hex.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')) {
            return None;
        }
        bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_ids_turn_back_into_the_originals() {
        for (served, original) in
            [("acc_1", "acc_1"), ("a~2Fb~20c", "a/b c"), ("~C3~A9", "é"), ("~7E", "~"), ("~2E.", "..")]
        {
            assert_eq!(served_id_to_original(served).as_deref(), Some(original));
        }
    }

    #[test]
    fn a_text_of_blanks_names_nothing() {
        for blank in ["", " ", "\t\u{a0}"] {
            assert!(RecordId::parse("id", blank).is_err(), "{blank:?}");
            assert_eq!(RecordId::parse_optional("sourceAccountID", Some(blank)), Ok(None));
        }
    }

    #[test]
    fn what_no_id_is_served_as_has_no_original() {
        for served in ["~", "~2", "~zz", "~2f", "~FF"] {
            assert_eq!(served_id_to_original(served), None, "{served}");
        }
    }

    #[test]
    fn provider_names_are_safe_in_paths_and_tables() {
        assert!("starling-2".parse::<ProviderName>().is_ok());
        for name in ["", "A", "a/b", "..", "a b", &"a".repeat(65)] {
            assert!(name.parse::<ProviderName>().is_err(), "{name}");
        }
    }
}
