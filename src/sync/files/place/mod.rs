//! Places that files are fetched from.

mod azure;
mod bucket;
mod condition;
mod folder;
mod objects;
mod sftp;
mod store_error;

use std::path::PathBuf;

pub use bucket::{AzureCredential, Bucket, BucketOf};
pub use sftp::{Sftp, SftpLogin};

/// A place that files are fetched from.
#[derive(Debug, Clone)]
pub enum FilePlace {
    /// A folder that every instance sees.
    Folder(PathBuf),
    /// Objects of a store.
    Bucket(Box<Bucket>),
    /// A folder of a server.
    Sftp(Box<Sftp>),
}

/// What becomes of a file once what it says is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterTaking {
    Leave,
    Delete,
    /// Into this folder below the one that it is in.
    Move(String),
}

/// A file as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub name: String,
    pub size: u64,
    /// What changes when the file does.
    pub version: String,
}

/// Files that are listed together.
#[derive(Debug)]
pub struct ListedPage {
    pub files: Vec<Listed>,
    /// Where the next page begins; `None` of the last.
    pub next: Option<String>,
}

/// Why a place does not do what it is asked. The text is for operators, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It answers, and does not do this with this file.
    #[error("{0}")]
    File(String),
    /// It does not answer: the next file may be luckier.
    #[error("{0}")]
    Silent(String),
    /// Nothing more can be had of it for now.
    #[error("{0}")]
    Gone(String),
}

/// Endings of names that programs give to what they have not finished.
const UNFINISHED: [&str; 5] = [".tmp", ".part", ".partial", ".filepart", ".crdownload"];

/// Whether a file of this name is to be taken by `patterns`, none of which means all.
pub fn is_wanted(name: &str, patterns: &[String]) -> bool {
    let lower = name.to_ascii_lowercase();
    let unfinished = name.starts_with('.') || UNFINISHED.iter().any(|end| lower.ends_with(end));
    !unfinished && (patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, name)))
}

/// Whether `name` is of the form `pattern`, in which `*` is any part.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Why a file is not moved where all [`free_names`] are taken.
const TOO_MANY: &str = "1000 files of this name are there already";

/// The names that a file may get where it is moved to: its own, and where that is taken, others.
fn free_names(name: &str) -> impl Iterator<Item = String> + '_ {
    (0..1_000).map(move |n| match n {
        0 => name.to_owned(),
        n => format!("{name}.{n}"),
    })
}

impl FilePlace {
    /// How messages and rows name it.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Bucket(bucket) => bucket.name(),
            Self::Sftp(sftp) => sftp.name(),
        }
    }

    /// Connects to it, for one look.
    pub async fn open(&self) -> Result<OpenPlace, PlaceError> {
        Ok(match self {
            Self::Folder(folder) => OpenPlace::Folder(folder.clone()),
            Self::Bucket(bucket) => OpenPlace::Bucket(Box::new(bucket.open()?)),
            Self::Sftp(sftp) => OpenPlace::Sftp(Box::new(sftp.open().await?)),
        })
    }
}

/// A place while it is looked at.
pub enum OpenPlace {
    Folder(PathBuf),
    Bucket(Box<objects::OpenBucket>),
    Sftp(Box<sftp::OpenSftp>),
}

impl OpenPlace {
    /// The files that are there, without those of folders below: from the beginning, or from where the page before said
    /// that the next begins.
    pub async fn list(&self, from: Option<String>) -> Result<ListedPage, PlaceError> {
        match self {
            Self::Folder(folder) => Ok(ListedPage { files: folder::list(folder).await?, next: None }),
            Self::Bucket(bucket) => bucket.list(from).await,
            Self::Sftp(sftp) => sftp.list().await,
        }
    }

    /// The bytes of a file, as it was listed; `None` where it is not that any more.
    pub async fn read(&self, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
        match self {
            Self::Folder(folder) => folder::read(folder, listed).await,
            Self::Bucket(bucket) => bucket.read(listed).await,
            Self::Sftp(sftp) => sftp.read(listed).await,
        }
    }

    /// Does with a file that was taken what is to be done, if it is still as it was listed. To be done again where it
    /// fails, or breaks off.
    pub async fn finish(&self, listed: &Listed, after: &AfterTaking) -> Result<(), PlaceError> {
        match self {
            Self::Folder(folder) => folder::finish(folder, listed, after).await,
            Self::Bucket(bucket) => bucket.finish(listed, after).await,
            Self::Sftp(sftp) => sftp.finish(listed, after).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_by_their_patterns_and_unfinished_ones_never() {
        let patterns = ["*.xml".to_owned(), "STA*2026*.txt".to_owned()];
        for (name, wanted) in [
            ("a.xml", true),
            (".xml", false),
            ("a.xml.filepart", false),
            ("a.XML.tmp", false),
            ("STA_2026_1.txt", true),
            ("STA_2025_1.txt", false),
            ("a.xml.gz", false),
        ] {
            assert_eq!(is_wanted(name, &patterns), wanted, "{name}");
        }
        assert!(is_wanted("anything", &[]) && !is_wanted("anything.part", &[]));
    }
}
