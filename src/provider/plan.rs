//! A manifest made ready to run: checked, its filters compiled, its streams in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Resource, Status};

use super::incremental::UpdatedWindow;
use super::jq::{Filter, FilterError};
use super::manifest::{Incremental, Manifest, StreamManifest};
use super::template::PathTemplate;

/// Why a manifest cannot be run. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{0}")]
    Field(String),
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// A stream ready to run.
#[derive(Debug)]
pub struct Stream {
    pub name: String,
    pub path: PathTemplate,
    pub records: Filter,
    /// What records become; `None` for a stream that only feeds others.
    pub output: Option<Output>,
    /// The stream whose records are this one's partitions.
    pub parent: Option<Parent>,
    pub incremental: Option<UpdatedWindow>,
    /// Whether a later stream needs the records of this one.
    pub is_parent: bool,
}

/// What the records of a stream become.
#[derive(Debug)]
pub struct Output {
    pub resource: Resource,
    pub map: Filter,
    pub status_map: Option<BTreeMap<String, Status>>,
}

/// How a stream is divided.
#[derive(Debug)]
pub struct Parent {
    /// Its place among the streams, before the stream itself.
    pub index: usize,
    /// The partition's name, from the parent's record.
    pub key: Arc<Filter>,
}

/// Checks and compiles the streams of `manifest`.
pub fn streams(manifest: &Manifest) -> Result<Vec<Stream>, ManifestError> {
    Filter::compile("", "functions", &manifest.functions, ".")
        .map_err(|error| ManifestError::Field(format!("functions: {}", error.message)))?;
    if manifest.streams.is_empty() {
        return Err(ManifestError::Field("streams: lists none".to_owned()));
    }
    let mut streams: Vec<Stream> = Vec::with_capacity(manifest.streams.len());
    for described in &manifest.streams {
        let stream = compile(described, &manifest.functions, &streams)?;
        if let Some(parent) = &stream.parent {
            streams[parent.index].is_parent = true;
        }
        streams.push(stream);
    }
    let useless = streams.iter().find(|stream| stream.output.is_none() && !stream.is_parent);
    match useless {
        Some(stream) => Err(field(
            &stream.name,
            "resource",
            "is missing, and no later stream is read for_each of its records",
        )),
        None => Ok(streams),
    }
}

fn compile(described: &StreamManifest, functions: &str, earlier: &[Stream]) -> Result<Stream, ManifestError> {
    let name = described.name.as_str();
    if name.is_empty() || earlier.iter().any(|stream| stream.name == name) {
        return Err(field(name, "name", "is empty or used twice"));
    }
    let filter = |field, code| Filter::compile(name, field, functions, code);
    let path =
        PathTemplate::parse(&described.request.path).map_err(|why| field(name, "request.path", why))?;
    let parent = match (&described.for_each, &described.partition) {
        (Some(parent), Some(key)) => {
            let index = earlier.iter().position(|stream| stream.name == *parent);
            let index = index.ok_or_else(|| field(name, "for_each", "names no stream above this one"))?;
            Some(Parent { index, key: Arc::new(filter("partition", key)?) })
        }
        (None, None) if path.has_fields() => {
            return Err(field(
                name,
                "request.path",
                "has fields, but there is no for_each to take them from",
            ));
        }
        (None, None) => None,
        _ => return Err(field(name, "partition", "belongs to for_each: give both or none")),
    };
    let incremental = match &described.incremental {
        None => None,
        Some(Incremental::UpdatedWindow { cursor, param, lookback, start }) => Some(UpdatedWindow {
            cursor: filter("incremental.cursor", cursor)?,
            param: param.clone(),
            lookback: lookback.as_delta(),
            start: start.as_delta(),
        }),
    };
    Ok(Stream {
        name: name.to_owned(),
        path,
        records: filter("records", &described.records)?,
        output: output(described, functions)?,
        parent,
        incremental,
        is_parent: false,
    })
}

fn output(described: &StreamManifest, functions: &str) -> Result<Option<Output>, ManifestError> {
    let name = described.name.as_str();
    let (resource, map) = match (described.resource, &described.map) {
        (Some(resource), Some(map)) => (resource, map),
        (None, None) if described.incremental.is_some() => {
            // its cursor could be kept nowhere, since it hands over no pages
            return Err(field(name, "incremental", "needs a resource"));
        }
        (None, None) => return Ok(None),
        _ => return Err(field(name, "map", "belongs to resource: give both or none")),
    };
    if described.status_map.is_some() && resource != Resource::Transactions {
        return Err(field(name, "status_map", "is for transactions"));
    }
    let map = Filter::compile(name, "map", functions, map)?;
    Ok(Some(Output { resource, map, status_map: described.status_map.clone() }))
}

fn field(stream: &str, field: &str, why: &str) -> ManifestError {
    ManifestError::Field(format!("{field} of stream {stream:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
base_url: https://bank.example
auth: { bearer: token }
every: 5m
functions: "def own: .id;"
streams:
  - name: accounts
    request: { path: /accounts }
    records: .accounts[]
  - name: feed
    resource: transactions
    for_each: accounts
    partition: own
    request: { path: "/accounts/{id}/feed" }
    records: .items[]
    map: "{ id: own }"
    status_map: { DONE: SUCCEEDED }
"#;

    #[test]
    fn streams_know_their_parents() {
        let streams = streams(&serde_saphyr::from_str(GOOD).unwrap()).unwrap();
        assert!(streams[0].is_parent && streams[0].output.is_none());
        assert_eq!(streams[1].parent.as_ref().map(|parent| parent.index), Some(0));
    }

    #[test]
    fn a_manifest_that_cannot_run_says_which_field_is_wrong() {
        for (from, to, about) in [
            ("for_each: accounts", "for_each: feed", "for_each of stream \"feed\""),
            ("    partition: own\n", "", "partition of stream \"feed\""),
            ("    for_each: accounts\n    partition: own\n", "", "request.path of stream \"feed\""),
            ("name: feed", "name: accounts", "used twice"),
            ("path: /accounts", "path: accounts", "request.path of stream \"accounts\""),
            ("map: \"{ id: own }\"", "map: \"{ id: \"", "map of stream feed: expected"),
            ("partition: own", "partition: env", "partition of stream feed: undefined filter env"),
            ("def own: .id;", "def own: .id", "functions: expected"),
            ("resource: transactions", "resource: balances", "status_map"),
            ("    resource: transactions\n", "", "map of stream \"feed\""),
            (
                "    for_each: accounts\n    partition: own\n    request: { path: \"/accounts/{id}/feed\" }",
                "    request: { path: /feed }",
                "resource of stream \"accounts\"",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let manifest = serde_saphyr::from_str(&GOOD.replacen(from, to, 1)).unwrap();
            let error = streams(&manifest).unwrap_err().to_string();
            assert!(error.contains(about), "{about}: {error}");
        }
    }
}
