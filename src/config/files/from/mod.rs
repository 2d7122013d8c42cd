//! `files.from` of a provider file: where statement files are fetched from.

mod buckets;
mod sftp;

use schemars::JsonSchema;
use serde::Deserialize;

use self::buckets::{AzureSection, GcsSection, S3Section};
use self::sftp::SftpSection;
use super::Wrong;
use crate::config::Lookup;
use crate::sync::{AfterTaking, FilePlace, FileSource};
use tributary_manifest::{InterpolateError, Period, Secret, interpolate};

/// Where files are fetched from: one of `folder`, `s3`, `gcs`, `azure` and `sftp`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FromSection {
    /// A folder of this machine, which every instance sees, as an absolute path; `${NAME}` is a variable of the environment.
    #[serde(default)]
    folder: Option<String>,
    /// A bucket of Amazon S3, or of a store that speaks like it.
    #[serde(default)]
    s3: Option<S3Section>,
    /// A bucket of Google Cloud Storage.
    #[serde(default)]
    gcs: Option<GcsSection>,
    /// A container of Azure Blob Storage.
    #[serde(default)]
    azure: Option<AzureSection>,
    /// A folder of a server, by SFTP.
    #[serde(default)]
    sftp: Option<SftpSection>,
    /// The names of the files that are taken, each with `*` for any part: `["*.xml", "*.zip"]`; all if not given. Names
    /// that begin with a dot or end with `.tmp`, `.part`, `.partial` or `.filepart` never are.
    #[serde(default)]
    names: Vec<String>,
    /// How long a file has to stay as it is before it is read; 1m if not given.
    #[serde(default)]
    settle: Option<Period>,
    /// What becomes of a file once what it says is committed; it is left if not given.
    #[serde(default)]
    after: After,
    /// The pause between two looks; 5m if not given.
    #[serde(default)]
    every: Option<Period>,
}

/// What becomes of a file that was taken.
#[derive(Debug, Deserialize, Default, Clone, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum After {
    /// It stays.
    #[default]
    Leave,
    /// It is deleted.
    Delete,
    /// It is moved into this folder below the one that it is in.
    Move(String),
}

/// How long a file has to stay as it is, if its provider's file does not say.
const DEFAULT_SETTLE: std::time::Duration = std::time::Duration::from_secs(60);

impl FromSection {
    /// Where files are fetched from, and how. Fails where a variable that it names is not set.
    pub fn source(&self, lookup: Lookup) -> Result<FileSource, InterpolateError> {
        Ok(FileSource {
            place: self.place(lookup)?,
            names: self.names.clone(),
            settle: self.settle.map_or(DEFAULT_SETTLE, Period::as_duration),
            after: match &self.after {
                After::Leave => AfterTaking::Leave,
                After::Delete => AfterTaking::Delete,
                After::Move(folder) => AfterTaking::Move(folder.clone()),
            },
            every: self.every.unwrap_or(Period::from_seconds(300)),
        })
    }

    fn place(&self, lookup: Lookup) -> Result<FilePlace, InterpolateError> {
        if let Some(sftp) = &self.sftp {
            return Ok(FilePlace::Sftp(Box::new(sftp.server(lookup)?)));
        }
        let bucket = match (&self.s3, &self.gcs, &self.azure) {
            (Some(s3), ..) => s3.bucket(lookup)?,
            (_, Some(gcs), _) => gcs.bucket(lookup)?,
            (.., Some(azure)) => azure.bucket(lookup)?,
            _ => {
                let folder = self.folder.as_deref().unwrap_or_default();
                return Ok(FilePlace::Folder(interpolate(folder, lookup)?.into()));
            }
        };
        Ok(FilePlace::Bucket(Box::new(bucket)))
    }

    /// What can be checked without variables.
    pub fn check(&self) -> Result<(), Wrong> {
        let places = [
            ("folder", self.folder.is_some()),
            ("s3", self.s3.is_some()),
            ("gcs", self.gcs.is_some()),
            ("azure", self.azure.is_some()),
            ("sftp", self.sftp.is_some()),
        ];
        let named: Vec<&str> = places.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        match named.as_slice() {
            [_] => {}
            [] => {
                return wrong("", "write where files are: one of `folder`, `s3`, `gcs`, `azure` and `sftp`");
            }
            several => {
                let several = several.join("` and `");
                return wrong("", format!("write one place: `{several}` are several"));
            }
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.starts_with(['/', '$'])) {
            return wrong("folder", "write an absolute path, such as /srv/acme/in");
        }
        self.s3.as_ref().map_or(Ok(()), S3Section::check)?;
        self.gcs.as_ref().map_or(Ok(()), GcsSection::check)?;
        self.azure.as_ref().map_or(Ok(()), AzureSection::check)?;
        self.sftp.as_ref().map_or(Ok(()), SftpSection::check)?;
        if let After::Move(folder) = &self.after
            && (folder.is_empty() || folder.contains(['/', '\\']) || folder.starts_with('.'))
        {
            return wrong(
                "after.move",
                "write the name of a folder below the one that files are in, such as done",
            );
        }
        Ok(())
    }
}

fn wrong(field: &str, why: impl Into<String>) -> Result<(), Wrong> {
    let field = if field.is_empty() { "files.from".to_owned() } else { format!("files.from.{field}") };
    Err((field, why.into()))
}

/// A secret comes from the environment.
fn check_secret(field: &str, secret: Option<&Secret>) -> Result<(), Wrong> {
    match secret {
        Some(secret) if !secret.expose().contains("${") => wrong(
            field,
            "name a variable of the environment, such as ${BANK_KEY}; a secret itself does not belong in a file",
        ),
        _ => Ok(()),
    }
}

/// So does a key, but for one that is in a file.
fn check_key(field: &str, key: Option<&Secret>) -> Result<(), Wrong> {
    match key {
        Some(key) if key.expose().starts_with('/') => Ok(()),
        key => check_secret(field, key),
    }
}

fn filled(text: Option<&String>, lookup: Lookup) -> Result<Option<String>, InterpolateError> {
    text.map(|text| interpolate(text, lookup)).transpose()
}

fn filled_secret(secret: &Secret, lookup: Lookup) -> Result<Secret, InterpolateError> {
    interpolate(secret.expose(), lookup).map(Secret::from)
}

#[cfg(test)]
mod tests;
