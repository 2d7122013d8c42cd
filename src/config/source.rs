//! Where the records of a provider come from.

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
