//! What a file says of this service: who the provider is to it, and who calls it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::callers::{CallersSection, per_second};
use crate::config::files::FilesSection;
use crate::config::keys::KeyEntry;
use crate::store::feeds::FeedPace;
use tributary_domain::{FormanceVersion, ProviderName, Resource};
use tributary_manifest::Period;
use tributary_manifest::language::Rate;

/// What a file says of this service: who the provider is to it, and who calls it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceFile {
    /// The provider's name: lower-case letters, digits, `-` and `_`.
    #[schemars(with = "String")]
    pub provider: ProviderName,
    /// `all`: records are pushed in or written with SQL, and nothing is pulled. Or a list of the resources
    /// that may be pushed beside what is pulled; any, if not given.
    #[serde(default)]
    pub push: Option<Push>,
    /// The Formance that polls, and what it understands.
    #[serde(default)]
    pub formance: FormanceSection,
    /// Statement files of a bank, alone or beside what is pulled.
    #[serde(default)]
    pub files: Option<FilesSection>,
    /// How changes are published.
    #[serde(default)]
    pub feed: FeedSection,
    /// How many requests each API key of the provider may send.
    #[serde(default)]
    pub callers: CallersSection,
    /// Keys with which the API of this service is called, beside those that
    /// `tributary keys create` made.
    #[serde(default)]
    pub keys: Vec<KeyEntry>,
}

/// The fields of a [`ServiceFile`]: the rest of a file is of the provider's API.
pub const OF_SERVICE: [&str; 7] = ["provider", "push", "formance", "files", "feed", "callers", "keys"];

/// What may be pushed.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write all, or a list such as [beneficiaries]")]
pub enum Push {
    All(All),
    Beside(Vec<Resource>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum All {
    All,
}

impl Push {
    /// The resources that may be pushed to a provider that is pulled, by what its file says of them.
    pub fn beside(given: Option<Self>) -> Vec<Resource> {
        match given {
            Some(Self::Beside(resources)) => resources,
            None | Some(Self::All(_)) => Resource::ALL.to_vec(),
        }
    }
}

/// The Formance that polls.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormanceSection {
    /// `3.0`, `3.1`, or `current` (the default) for 3.2 and later.
    #[serde(default)]
    pub version: FormanceVersion,
}

/// How changes are published.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeedSection {
    /// How many changes share one second of the feed at most, 1/s to 1000000/s; 100/s if not given.
    pace: Rate,
    /// How long a child waits for its parent before it is published without it; 24h if
    /// not given.
    parent_wait: Period,
}

impl Default for FeedSection {
    fn default() -> Self {
        Self {
            pace: Rate { count: 100, per: Period::from_seconds(1) },
            parent_wait: Period::from_seconds(24 * 3600),
        }
    }
}

impl FeedSection {
    pub fn pace(&self) -> Result<FeedPace, String> {
        let pace = per_second("feed.pace", self.pace, 1_000_000)?;
        let per_second = i32::try_from(pace.get()).map_err(|error| error.to_string())?;
        Ok(FeedPace { per_second, parent_wait: self.parent_wait.as_duration() })
    }
}
