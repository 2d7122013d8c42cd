//! Older versions of Formance know fewer types and statuses, and a word that they do not know
//! stops their feed. They are served the nearest status that they know; the real one stays in metadata.

use serde_json::Value;
use serde_json::value::RawValue;

use super::ApiError;
use tributary_domain::FormanceVersion;
use tributary_domain::{Status, TransactionType};

/// Folds the types and statuses of an array of transactions to what `formance` knows.
pub fn fold(array: &mut Vec<u8>, formance: FormanceVersion) -> Result<(), ApiError> {
    if formance.knows_all_statuses() {
        return Ok(());
    }
    *array = fold_all(array).map_err(|error| {
        tracing::error!(%error, "a feed entry cannot be read as it was written");
        ApiError::Internal
    })?;
    Ok(())
}

fn fold_all(array: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let bodies: Vec<&RawValue> = serde_json::from_slice(array)?;
    let folded: Result<Vec<_>, _> = bodies.into_iter().map(|body| fold_one(body.get())).collect();
    Ok(format!("[{}]", folded?.join(",")).into_bytes())
}

fn fold_one(body: &str) -> Result<String, serde_json::Error> {
    let mut entry: Value = serde_json::from_str(body)?;
    let kind: TransactionType = serde_json::from_value(entry["type"].clone())?;
    let status: Status = serde_json::from_value(entry["status"].clone())?;
    for (field, real, served) in [
        ("type", kind.as_str(), kind.before_v3_2().as_str()),
        ("status", status.as_str(), status.before_v3_2().as_str()),
    ] {
        if real != served {
            entry[field] = served.into();
            entry["metadata"][format!("tributary.{field}")] = real.into();
        }
    }
    serde_json::to_string(&entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_1_hears_only_words_that_it_knows() {
        let other = r#"{"type":"OTHER","status":"DISPUTE_LOST","metadata":{"k":"v"}}"#;
        let mut bodies = format!("[{other},{other}]").into_bytes();
        fold(&mut bodies, FormanceVersion::V3_1).unwrap();
        let entries: Vec<Value> = serde_json::from_slice(&bodies).unwrap();
        assert_eq!(entries.len(), 2);
        let entry = &entries[1];
        assert_eq!(entry["type"], "TRANSFER");
        assert_eq!(entry["status"], "FAILED");
        assert_eq!(entry["metadata"]["tributary.status"], "DISPUTE_LOST");
        assert_eq!(entry["metadata"]["k"], "v");
    }
}
