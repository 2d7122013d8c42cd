//! Where the records of a provider come from, and the file that says so.

use std::path::PathBuf;
use std::sync::Arc;

use tributary_manifest::Manifest;

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

/// The text of a provider file, as it is written: its `${NAME}` are not filled in. It may hold secrets all the same.
#[derive(Clone)]
pub struct FileText {
    pub(crate) text: Arc<str>,
    /// Where descriptions are that it can use, besides those that ship.
    pub(crate) folder: Option<PathBuf>,
}

impl FileText {
    /// Of a file that can use the descriptions that ship, and those in `folder`.
    pub fn new(text: &str, folder: Option<PathBuf>) -> Self {
        Self { text: text.into(), folder }
    }
}

impl std::fmt::Debug for FileText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileText")
    }
}
