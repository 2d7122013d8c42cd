//! Places that files are fetched from.

use std::path::{Path, PathBuf};

/// A place that files are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// A folder that every instance sees.
    Folder(PathBuf),
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

impl FilePlace {
    /// How messages and rows name it.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
        }
    }

    /// The files that are there, by name, without those of folders below.
    pub async fn list(&self) -> std::io::Result<Vec<Listed>> {
        match self.clone() {
            Self::Folder(folder) => aside(move || list_folder(&folder)).await,
        }
    }

    /// The bytes of a file, as it was listed; `None` where it is not that any more.
    pub async fn read(&self, listed: &Listed) -> std::io::Result<Option<Vec<u8>>> {
        match self.clone() {
            Self::Folder(folder) => {
                let listed = listed.clone();
                aside(move || read_file(&folder, &listed)).await
            }
        }
    }

    /// Does with a file that was taken what is to be done, if it is still as it was listed.
    pub async fn finish(&self, listed: &Listed, after: &AfterTaking) -> std::io::Result<()> {
        match self.clone() {
            Self::Folder(folder) => {
                let (listed, after) = (listed.clone(), after.clone());
                aside(move || finish_file(&folder, &listed, &after)).await
            }
        }
    }
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn version(metadata: &std::fs::Metadata) -> String {
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{} bytes, {} ns", metadata.len(), changed.unwrap_or_default().as_nanos())
}

fn list_folder(folder: &Path) -> std::io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // one that went since is not there
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if metadata.is_file() {
            listed.push(Listed { name, size: metadata.len(), version: version(&metadata) });
        }
    }
    listed.sort();
    Ok(listed)
}

fn read_file(folder: &Path, listed: &Listed) -> std::io::Result<Option<Vec<u8>>> {
    let path = folder.join(&listed.name);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let as_listed =
        version(&std::fs::metadata(&path)?) == listed.version && bytes.len() as u64 == listed.size;
    Ok(as_listed.then_some(bytes))
}

fn finish_file(folder: &Path, listed: &Listed, after: &AfterTaking) -> std::io::Result<()> {
    let path = folder.join(&listed.name);
    match std::fs::metadata(&path) {
        Ok(metadata) if version(&metadata) == listed.version => {}
        // somebody else moved it, or another one has its name
        _ => return Ok(()),
    }
    match after {
        AfterTaking::Leave => Ok(()),
        AfterTaking::Delete => std::fs::remove_file(path),
        AfterTaking::Move(to) => {
            let to = folder.join(to);
            std::fs::create_dir_all(&to)?;
            let free = (0..).map(|n| match n {
                0 => to.join(&listed.name),
                n => to.join(format!("{}.{n}", listed.name)),
            });
            let free = free.into_iter().find(|path| !path.exists());
            std::fs::rename(path, free.unwrap_or_else(|| to.join(&listed.name)))
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
