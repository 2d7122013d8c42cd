//! Accounts of one's own at the provider, and beneficiaries to pay to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Metadata, RecordError, RecordId, Timestamp, text};

/// An account at the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub id: RecordId,
    pub name: String,
    pub created_at: Timestamp,
    pub metadata: Metadata,
    /// The provider's own time of this state.
    pub provider_updated_at: Option<Timestamp>,
}

/// Somebody to pay to. The same shape as an account, kept apart by its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Beneficiary(pub Account);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountRecord {
    id: String,
    account_name: String,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BeneficiaryRecord {
    id: String,
    owner_name: String,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Account {
    /// Takes the canonical JSON of an account.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let wire: AccountRecord = super::record::read(json)?;
        text::check("accountName", &wire.account_name, text::NAME_MAX_BYTES)?;
        Ok(Self {
            id: RecordId::parse("id", &wire.id)?,
            name: wire.account_name,
            created_at: Timestamp::parse("createdAt", &wire.created_at)?,
            metadata: Metadata::parse(wire.metadata.unwrap_or_default())?,
            provider_updated_at: Timestamp::parse_optional("updatedAt", wire.updated_at.as_deref())?,
        })
    }

    /// The canonical JSON, which [`Account::from_json`] takes back.
    pub fn to_json(&self) -> serde_json::Value {
        let record = AccountRecord {
            id: self.id.as_str().to_owned(),
            account_name: self.name.clone(),
            created_at: self.created_at.to_text(),
            updated_at: self.provider_updated_at.map(Timestamp::to_text),
            metadata: Some(self.metadata.as_map().clone()),
        };
        serde_json::to_value(record).expect("texts make JSON")
    }
}

impl Beneficiary {
    /// Takes the canonical JSON of a beneficiary.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let wire: BeneficiaryRecord = super::record::read(json)?;
        text::check("ownerName", &wire.owner_name, text::NAME_MAX_BYTES)?;
        Ok(Self(Account {
            id: RecordId::parse("id", &wire.id)?,
            name: wire.owner_name,
            created_at: Timestamp::parse("createdAt", &wire.created_at)?,
            metadata: Metadata::parse(wire.metadata.unwrap_or_default())?,
            provider_updated_at: Timestamp::parse_optional("updatedAt", wire.updated_at.as_deref())?,
        }))
    }

    /// The canonical JSON, which [`Beneficiary::from_json`] takes back.
    pub fn to_json(&self) -> serde_json::Value {
        let record = BeneficiaryRecord {
            id: self.0.id.as_str().to_owned(),
            owner_name: self.0.name.clone(),
            created_at: self.0.created_at.to_text(),
            updated_at: self.0.provider_updated_at.map(Timestamp::to_text),
            metadata: Some(self.0.metadata.as_map().clone()),
        };
        serde_json::to_value(record).expect("texts make JSON")
    }
}
