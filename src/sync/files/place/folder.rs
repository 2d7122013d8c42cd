//! A folder that every instance sees.

use std::io::ErrorKind;
use std::path::Path;

use super::{AfterTaking, Listed, PlaceError, TOO_MANY, free_names};

/// The files that are there, by name, without those of folders below.
pub async fn list(folder: &Path) -> Result<Vec<Listed>, PlaceError> {
    let (place, folder) = (folder.display().to_string(), folder.to_owned());
    aside(move || list_folder(&folder)).await.map_err(|error| {
        PlaceError::Gone(format!(
            "{place} cannot be listed ({error}): see to it that it is there and may be read"
        ))
    })
}

/// The bytes of a file, as it was listed; `None` where it is not that any more.
pub async fn read(folder: &Path, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
    let (folder, listed) = (folder.to_owned(), listed.clone());
    aside(move || read_file(&folder, &listed)).await.map_err(|error| PlaceError::File(error.to_string()))
}

/// Does with a file that was taken what is to be done, if it is still as it was listed.
pub async fn finish(folder: &Path, listed: &Listed, after: &AfterTaking) -> Result<(), PlaceError> {
    let (folder, listed, after) = (folder.to_owned(), listed.clone(), after.clone());
    let finished = aside(move || finish_file(&folder, &listed, &after)).await;
    finished.map_err(|error| PlaceError::File(error.to_string()))
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
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
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
            let free = free_names(&listed.name).map(|name| to.join(name)).find(|path| !path.exists());
            std::fs::rename(path, free.ok_or_else(|| std::io::Error::other(TOO_MANY))?)
        }
    }
}
