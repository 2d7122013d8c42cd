//! stub
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Manifest(pub serde_json::Value);
