//! The one place that reads the environment and the provider files.

mod callers;
mod files;
mod keys;
mod notify;
mod payments;
mod provider_file;
mod reference;
mod single_sign_on;
mod source;
mod traces;
mod uses;

use std::path::{Path, PathBuf};

pub use keys::FileKey;
pub use notify::Notify;
pub use provider_file::{Described, Provider, QUESTION, described, manifest_of, schema, try_examples};
pub use reference::reference;
pub use single_sign_on::{CALLBACK, Groups, SingleSignOn, is_private};
pub use source::{FileText, Source};
pub use traces::{Sampling, TraceExport, traces};
pub use uses::beside;

/// Reads a variable of the environment.
pub type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The process's own environment.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why the configuration cannot be used. The text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the providers folder {}: {error}; name another with --providers", path.display())]
    Folder { path: PathBuf, error: std::io::Error },
    #[error("cannot read {}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: {message}", path.display())]
    Invalid { path: PathBuf, message: String },
    #[error(
        "keys[{}] of {} and keys[{}] of {} are the same key: give each provider a key of its own",
        first.1, first.0.display(), second.1, second.0.display()
    )]
    SameKey { first: (PathBuf, usize), second: (PathBuf, usize) },
    #[error("{name}: {message}")]
    Variable { name: &'static str, message: String },
    #[error("provider {provider} is declared twice: in {} and in {}", first.display(), second.display())]
    Twice { provider: String, first: PathBuf, second: PathBuf },
}

/// The files (`*.yaml`, `*.yml`) in `folder` that declare providers, by their names.
pub fn provider_files(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |error| ConfigError::Folder { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Every provider that a file in `folder` declares, by name of file.
pub fn load_providers(folder: &Path, lookup: Lookup) -> Result<Vec<Provider>, ConfigError> {
    let mut providers: Vec<(PathBuf, Provider)> = Vec::new();
    for path in provider_files(folder)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::File { path: path.clone(), error })?;
        let mut provider = Provider::parse_beside(&text, lookup, &|name| uses::beside(folder, name))
            .map_err(|message| ConfigError::Invalid { path: path.clone(), message })?;
        // the workshop is in another folder
        provider.file = FileText::new(&text, std::path::absolute(folder).ok());
        if let Some((first, _)) = providers.iter().find(|(_, other)| other.name == provider.name) {
            return Err(ConfigError::Twice {
                provider: provider.name.to_string(),
                first: first.clone(),
                second: path,
            });
        }
        if let Some((first, second)) = same_key(&providers, &provider) {
            return Err(ConfigError::SameKey { first, second: (path, second) });
        }
        providers.push((path, provider));
    }
    Ok(providers.into_iter().map(|(_, provider)| provider).collect())
}

/// Where another file brings a key of `provider`, and its place in that list, and the one here: whose
/// rows it opens would be left to chance.
fn same_key(others: &[(PathBuf, Provider)], provider: &Provider) -> Option<((PathBuf, usize), usize)> {
    let keys = others.iter().flat_map(|(path, other)| other.keys.iter().map(move |key| (path, key)));
    keys.into_iter().find_map(|(path, first)| {
        let second = provider.keys.iter().find(|key| key.digest == first.digest)?;
        Some(((path.clone(), first.place), second.place))
    })
}
