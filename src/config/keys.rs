//! The section `keys:` of a provider file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Lookup;
use tributary_domain::{ApiKeyDigest, KeyName, Scope};

/// A key that a file brings.
#[derive(Debug, Clone)]
pub struct FileKey {
    /// What it is called in the file: its scope, if the file says nothing else.
    pub name: String,
    pub scope: Scope,
    pub digest: ApiKeyDigest,
    /// Its place in the list of the file, from 0 on.
    pub place: usize,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// What the key opens: `connector` is `read` and `pay`.
    scope: Scope,
    /// What the key is called where it says who placed an order: lower-case letters, digits, `.`, `-`
    /// and `_`; its scope, if not given.
    #[serde(default)]
    name: Option<String>,
    /// The variable of the environment that holds the key, as `${NAME}`.
    key: String,
}

/// The keys that a file brings, and warnings of those that are not in force.
pub fn keys(entries: &[KeyEntry], lookup: Lookup) -> Result<(Vec<FileKey>, Vec<String>), String> {
    let (mut keys, mut warnings) = (Vec::<FileKey>::new(), Vec::new());
    for (place, entry) in entries.iter().enumerate() {
        let variable = entry.key.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).ok_or_else(|| {
            format!("keys[{place}].key: name a variable of the environment, such as ${{ACME_API_KEY}}; an API key itself does not belong in a file")
        })?;
        let name = match &entry.name {
            Some(name) => {
                name.parse::<KeyName>().map_err(|why| format!("keys[{place}].name: {why}"))?.to_string()
            }
            None => entry.scope.as_str().to_owned(),
        };
        match lookup(variable).filter(|key| !key.is_empty()) {
            Some(key) if key.len() < 16 => {
                return Err(format!(
                    "keys[{place}].key: the value of {variable} is shorter than 16 characters"
                ));
            }
            Some(key) => {
                let key = FileKey { name, scope: entry.scope, digest: ApiKeyDigest::of(&key), place };
                if let Some(first) = keys.iter().find(|other| other.digest == key.digest) {
                    return Err(format!(
                        "keys[{}] and keys[{place}] are the same key: give each a value of its own",
                        first.place
                    ));
                }
                keys.push(key);
            }
            None => warnings.push(format!(
                "{variable} is not set: the API key of scope {} is not in force",
                entry.scope.as_str()
            )),
        }
    }
    Ok((keys, warnings))
}
