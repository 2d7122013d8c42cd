//! A provider file: who the provider is, who may call for it, and where its records come from.

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::Lookup;
use crate::domain::ProviderName;
use crate::http::{KeyDigest, Scope};
use crate::provider::{Manifest, Period};
use crate::store::feeds::Pace;

/// A provider as its file declares it.
#[derive(Debug, Clone)]
pub struct Provider {
    pub name: ProviderName,
    pub source: Source,
    pub formance: FormanceVersion,
    pub pace: Pace,
    /// Keys that the file brings, by scope.
    pub keys: Vec<(Scope, KeyDigest)>,
    /// What the operator has to be told: declared, but not in force.
    pub warnings: Vec<String>,
}

/// Where a provider's records come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// They are pushed in, or written with SQL.
    Push,
    /// They are pulled from the provider's API, as this manifest says.
    Pull(Box<Manifest>),
    /// They would be pulled, but a variable that the manifest needs is not set: what is there
    /// is served.
    Unset,
}

/// What the provider's Formance understands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FormanceVersion {
    V3_0,
    V3_1,
    /// v3.2 and later.
    #[default]
    Current,
}

impl FormanceVersion {
    /// Whether it knows every type and status of today's API.
    pub fn knows_all_statuses(self) -> bool {
        self == Self::Current
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    provider: ProviderName,
    source: Source,
    #[serde(default)]
    formance: FormanceSection,
    #[serde(default)]
    feed: FeedSection,
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FormanceSection {
    #[serde(default)]
    version: FormanceVersion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FeedSection {
    max_per_second: i32,
    parent_wait: Period,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    scope: Scope,
    key: String,
}

impl Default for FeedSection {
    fn default() -> Self {
        Self { max_per_second: 100, parent_wait: Period::from_seconds(24 * 3600) }
    }
}

impl FeedSection {
    fn pace(&self) -> Result<Pace, String> {
        if !(1..=1_000_000).contains(&self.max_per_second) {
            return Err(format!("feed.max_per_second: {} is not from 1 to 1000000", self.max_per_second));
        }
        Ok(Pace { per_second: self.max_per_second, parent_wait: self.parent_wait.as_duration() })
    }
}

impl Provider {
    /// Reads the text of a provider file; `lookup` resolves the `${NAME}` of its keys. A key
    /// whose variable is not set opens nothing, and the provider's warnings say so.
    pub fn parse(text: &str, lookup: Lookup) -> Result<Self, String> {
        let file: ProviderFile = parse_yaml(text)?;
        let mut keys = Vec::new();
        let mut warnings = Vec::new();
        for (i, entry) in file.keys.iter().enumerate() {
            let name = entry.key.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).ok_or_else(|| {
                format!("keys[{i}].key: name a variable of the environment, such as ${{ACME_API_KEY}}; no key belongs in a file")
            })?;
            match lookup(name).filter(|key| !key.is_empty()) {
                Some(key) if key.len() < 16 => {
                    return Err(format!("keys[{i}].key: the value of {name} is shorter than 16 characters"));
                }
                Some(key) => keys.push((entry.scope, KeyDigest::of(&key))),
                None => warnings.push(format!(
                    "{name} is not set: the key of scope {} is not in force",
                    entry.scope.as_str()
                )),
            }
        }
        let source = match file.source {
            Source::Pull(manifest) => match manifest.interpolated(lookup) {
                Ok(manifest) => Source::Pull(Box::new(manifest)),
                Err(error) => {
                    warnings.push(format!("nothing is pulled: {error}"));
                    Source::Unset
                }
            },
            other => other,
        };
        Ok(Self {
            name: file.provider,
            source,
            formance: file.formance.version,
            pace: file.feed.pace()?,
            keys,
            warnings,
        })
    }
}

/// Without the lines around a mistake: they may hold a token that somebody wrote into the file.
fn parse_yaml(text: &str) -> Result<ProviderFile, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

impl<'de> Deserialize<'de> for FormanceVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.trim_start_matches('v') {
            "3.0" => Ok(Self::V3_0),
            "3.1" => Ok(Self::V3_1),
            "3.2" | "3.3" | "3.4" | "current" => Ok(Self::Current),
            other => Err(serde::de::Error::custom(format!(
                "Formance version {other:?} is not known: write \"3.0\", \"3.1\", or \"current\" for 3.2 and later"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("the word push, or the manifest of an API to pull from")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Source, E> {
                if word == "push" {
                    Ok(Source::Push)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                Manifest::deserialize(MapAccessDeserializer::new(map))
                    .map(|manifest| Source::Pull(Box::new(manifest)))
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Provider, String> {
        Provider::parse(text, &|name| (name == "ACME_KEY").then(|| "0123456789abcdef".to_owned()))
    }

    #[test]
    fn the_smallest_file_is_two_lines() {
        let provider = parse("provider: acme\nsource: push\n").unwrap();
        assert_eq!(provider.name.as_str(), "acme");
        assert_eq!(provider.formance, FormanceVersion::Current);
        assert_eq!(
            provider.pace,
            Pace { per_second: 100, parent_wait: std::time::Duration::from_secs(86_400) }
        );
    }

    #[test]
    fn versions_are_read_with_and_without_quotes() {
        for text in ["3.1", "\"3.1\"", "v3.1"] {
            let provider =
                parse(&format!("provider: acme\nsource: push\nformance: {{ version: {text} }}\n")).unwrap();
            assert_eq!(provider.formance, FormanceVersion::V3_1);
        }
    }

    #[test]
    fn keys_come_from_the_environment_only() {
        let file = |key: &str| {
            format!("provider: acme\nsource: push\nkeys:\n  - {{ scope: connector, key: \"{key}\" }}\n")
        };
        assert_eq!(parse(&file("${ACME_KEY}")).unwrap().keys.len(), 1);
        let unset = parse(&file("${OTHER}")).unwrap();
        assert!(unset.keys.is_empty() && unset.warnings[0].contains("OTHER"));
        assert!(parse(&file("plain text secret")).unwrap_err().contains("keys[0]"));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = parse("provider: acme\nsource: push\nfeed:\n  max_per_secnd: 5\n").unwrap_err();
        assert!(error.contains("max_per_secnd") && error.contains("line 4"), "{error}");
        assert!(parse("provider: acme\nsource: pull\n").unwrap_err().contains("push"));
        assert!(parse("provider: Acme\nsource: push\n").unwrap_err().contains("Acme"));
    }
}
