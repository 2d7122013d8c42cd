//! The places of a stream that are read by themselves.

use std::collections::HashSet;
use std::time::Instant;

use jaq_json::Val;

use crate::jq::{Filter, FilterError, Limits, Scope, name_of};

/// A place of a stream that is read by itself.
#[derive(Debug, Clone)]
pub struct Partition {
    pub key: String,
    /// The parent's record, or null.
    pub record: Val,
}

impl Partition {
    /// The only one of a stream that is not divided.
    pub fn whole() -> Self {
        Self { key: String::new(), record: Val::Null }
    }
}

/// The partitions that the `records` of a parent stand for, each key once, and why others have
/// no key.
pub fn partitions(
    key: &Filter,
    records: Vec<Val>,
    scope: &Scope,
    deadline: Instant,
) -> (Vec<Partition>, Vec<FilterError>) {
    let mut seen = HashSet::new();
    let (mut partitions, mut nameless) = (Vec::new(), Vec::new());
    for record in records {
        let named = key.run_one(record.clone(), scope, Limits::one(deadline));
        match named.and_then(|name| name_of(key, &name)) {
            Ok(Some(name)) if seen.insert(name.clone()) => partitions.push(Partition { key: name, record }),
            Ok(Some(_)) => {}
            Ok(None) => nameless.push(key.error("yields nothing that names a partition".to_owned())),
            Err(error) => nameless.push(error),
        }
    }
    (partitions, nameless)
}
