//! Movements of money as the provider reports them.

use std::collections::BTreeMap;

use chrono::{NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::id::ID_MAX_BYTES;
use super::{Amount, Asset, Metadata, RecordError, RecordId, Timestamp, text};

/// Which way the money goes, as v3.2 and later of the connector know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TransactionType {
    Payin,
    Payout,
    Transfer,
    Other,
}

/// Where a transaction stands, as v3.2 and later of the connector know it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
    Refunded,
    RefundedFailure,
    RefundReversed,
    Dispute,
    DisputeWon,
    DisputeLost,
    Authorisation,
    Capture,
    CaptureFailed,
    Other,
}

impl TransactionType {
    /// The name in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payin => "PAYIN",
            Self::Payout => "PAYOUT",
            Self::Transfer => "TRANSFER",
            Self::Other => "OTHER",
        }
    }

    /// What v3.0 and v3.1, which know no OTHER, are served.
    pub fn before_v3_2(self) -> Self {
        match self {
            Self::Other => Self::Transfer,
            known => known,
        }
    }
}

impl Status {
    /// The name in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Refunded => "REFUNDED",
            Self::RefundedFailure => "REFUNDED_FAILURE",
            Self::RefundReversed => "REFUND_REVERSED",
            Self::Dispute => "DISPUTE",
            Self::DisputeWon => "DISPUTE_WON",
            Self::DisputeLost => "DISPUTE_LOST",
            Self::Authorisation => "AUTHORISATION",
            Self::Capture => "CAPTURE",
            Self::CaptureFailed => "CAPTURE_FAILED",
            Self::Other => "OTHER",
        }
    }

    /// What v3.0 and v3.1, which know only PENDING, SUCCEEDED and FAILED, are served: whether
    /// the money arrived. A refund or an open dispute comes after it did.
    pub fn before_v3_2(self) -> Self {
        match self {
            Self::Pending | Self::Authorisation | Self::Other => Self::Pending,
            Self::Failed | Self::Cancelled | Self::Expired | Self::CaptureFailed | Self::DisputeLost => {
                Self::Failed
            }
            Self::Succeeded
            | Self::Capture
            | Self::Refunded
            | Self::RefundedFailure
            | Self::RefundReversed
            | Self::Dispute
            | Self::DisputeWon => Self::Succeeded,
        }
    }
}

/// How RFC 3339 writes the offset of a clock whose zone is not known.
const UNKNOWN_ZONE: &str = "-00:00";

/// One movement of money.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    pub id: RecordId,
    /// The parent that this refund, capture or dispute belongs to.
    pub related_id: Option<RecordId>,
    pub kind: TransactionType,
    pub status: Status,
    pub asset: Asset,
    pub amount: Amount,
    pub source_account_id: Option<RecordId>,
    pub destination_account_id: Option<RecordId>,
    pub created_at: Timestamp,
    pub metadata: Metadata,
    /// The reference or key that the provider repeats of a payment ordered through us.
    pub order_reference: Option<String>,
    /// The provider's own time of this state.
    pub provider_updated_at: Option<Timestamp>,
    /// Whether that is by a clock of which the zone is not known (RFC 3339 writes it `-00:00`).
    pub updated_by_local_clock: bool,
    /// Whether the provider's word for the status is in no list, so that the status is a guess. Not part
    /// of the JSON: who pushes OTHER means it.
    pub status_unknown: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransactionRecord {
    id: String,
    #[serde(default, rename = "relatedTransactionID")]
    related_transaction_id: Option<String>,
    created_at: String,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(rename = "type")]
    kind: TransactionType,
    status: Status,
    currency: String,
    amount: String,
    #[serde(default, rename = "sourceAccountID")]
    source_account_id: Option<String>,
    #[serde(default, rename = "destinationAccountID")]
    destination_account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_reference: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Transaction {
    /// Takes the canonical JSON of a transaction. One that names itself as its parent has none.
    pub fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        let wire: TransactionRecord = super::record::read(json)?;
        let id = RecordId::parse("id", &wire.id)?;
        let order_reference = wire.order_reference.filter(|reference| !reference.is_empty());
        if let Some(reference) = &order_reference {
            text::check("orderReference", reference, ID_MAX_BYTES)?;
        }
        let related_id =
            RecordId::parse_optional("relatedTransactionID", wire.related_transaction_id.as_deref())?;
        Ok(Self {
            related_id: related_id.filter(|related| *related != id),
            id,
            kind: wire.kind,
            status: wire.status,
            asset: Asset::parse("currency", &wire.currency)?,
            amount: Amount::parse_unsigned("amount", &wire.amount)?,
            source_account_id: RecordId::parse_optional(
                "sourceAccountID",
                wire.source_account_id.as_deref(),
            )?,
            destination_account_id: RecordId::parse_optional(
                "destinationAccountID",
                wire.destination_account_id.as_deref(),
            )?,
            created_at: Timestamp::parse("createdAt", &wire.created_at)?,
            metadata: Metadata::parse(wire.metadata.unwrap_or_default())?,
            order_reference,
            provider_updated_at: Timestamp::parse_optional("updatedAt", wire.updated_at.as_deref())?,
            status_unknown: false,
            updated_by_local_clock: wire.updated_at.is_some_and(|text| text.ends_with(UNKNOWN_ZONE)),
        })
    }

    /// By how much the time of a later state may be before that of an earlier one, since its clock cannot
    /// tell them apart: a day where it shows days, an hour where clocks are put back and it does not show
    /// that, a second where it shows no parts of one.
    pub fn clock_tolerance(&self) -> TimeDelta {
        let Some(at) = self.provider_updated_at.map(Timestamp::as_utc) else { return TimeDelta::zero() };
        match (self.updated_by_local_clock, at.time() == NaiveTime::MIN, at.timestamp_subsec_micros()) {
            (true, true, _) => TimeDelta::days(1),
            (true, false, _) => TimeDelta::hours(1),
            (false, _, 0) => TimeDelta::microseconds(999_999),
            (false, ..) => TimeDelta::zero(),
        }
    }
}

impl Transaction {
    /// The canonical JSON, which [`Transaction::from_json`] takes back.
    pub fn to_json(&self) -> serde_json::Value {
        let id = |id: &Option<RecordId>| id.as_ref().map(|id| id.as_str().to_owned());
        let record = TransactionRecord {
            id: self.id.as_str().to_owned(),
            related_transaction_id: id(&self.related_id),
            created_at: self.created_at.to_text(),
            updated_at: self.provider_updated_at.map(|at| match self.updated_by_local_clock {
                true => at.to_text().replace('Z', UNKNOWN_ZONE),
                false => at.to_text(),
            }),
            kind: self.kind,
            status: self.status,
            currency: self.asset.as_str().to_owned(),
            amount: self.amount.to_string(),
            source_account_id: id(&self.source_account_id),
            destination_account_id: id(&self.destination_account_id),
            order_reference: self.order_reference.clone(),
            metadata: Some(self.metadata.as_map().clone()),
        };
        serde_json::to_value(record).expect("texts make JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"tx_1","relatedTransactionID":null,"createdAt":"2026-03-01T12:00:00Z",
        "updatedAt":"2026-03-01T12:05:00Z","type":"PAYIN","status":"SUCCEEDED","currency":"EUR/2","amount":"1050",
        "sourceAccountID":null,"destinationAccountID":"acc_1","metadata":{"k":"v"}}"#;

    /// [`GOOD`] with `to` in the one place where it has `from`.
    fn edited(from: &str, to: &str) -> String {
        assert_eq!(GOOD.matches(from).count(), 1, "{from:?} in {GOOD}");
        GOOD.replace(from, to)
    }

    #[test]
    fn the_canonical_record_is_read() {
        let transaction = Transaction::from_json(GOOD.as_bytes()).unwrap();
        assert_eq!(transaction.amount.minor_units(), 1050);
        assert_eq!(transaction.related_id, None);
    }

    #[test]
    fn a_transaction_is_the_same_after_being_written_and_read() {
        let with_reference = edited("\"type\"", "\"orderReference\":\"TRX\",\"type\"");
        for json in [GOOD, &with_reference] {
            let transaction = Transaction::from_json(json.as_bytes()).unwrap();
            let written = transaction.to_json().to_string();
            assert_eq!(Transaction::from_json(written.as_bytes()).unwrap(), transaction);
        }
    }

    #[test]
    fn what_a_clock_cannot_tell_is_known_of_its_times() {
        for (updated_at, tolerance) in [
            ("2026-03-01T12:05:00.5Z", TimeDelta::zero()),
            ("2026-03-01T12:05:00Z", TimeDelta::microseconds(999_999)),
            ("2026-03-01T00:00:00Z", TimeDelta::microseconds(999_999)),
            ("2026-10-25T02:10:00-00:00", TimeDelta::hours(1)),
            ("2026-10-25T00:00:00-00:00", TimeDelta::days(1)),
        ] {
            let transaction =
                Transaction::from_json(edited("2026-03-01T12:05:00Z", updated_at).as_bytes()).unwrap();
            assert_eq!(transaction.clock_tolerance(), tolerance, "{updated_at}");
            let again = Transaction::from_json(transaction.to_json().to_string().as_bytes());
            assert_eq!(again, Ok(transaction), "it is the same after being written and read");
        }
    }

    #[test]
    fn what_would_poison_a_page_is_refused_with_its_field() {
        for (from, to, field) in [
            (r#""1050""#, r#""10.50""#, "amount"),
            (r#""1050""#, "1050", "amount: is integer `1050`, and not a text"),
            (r#""EUR/2""#, r#""euro""#, "currency"),
            ("SUCCEEDED", "CHARGEBACK", "CHARGEBACK"),
            (r#""2026-03-01T12:00:00Z""#, "null", "createdAt: is null, and not a text"),
            (r#""tx_1""#, r#""""#, "id"),
            (r#""tx_1""#, r#""a\u0000""#, "id"),
            (r#"{"k":"v"}"#, r#"{"k":1}"#, "metadata.k: is integer `1`, and not a text"),
            (r#"{"k":"v"}"#, r#"{"k":"\u0000"}"#, "metadata"),
            (r#""metadata""#, r#""metaData""#, "metaData"),
        ] {
            let bad = edited(from, to);
            let error = Transaction::from_json(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(field), "{bad}: {error}");
        }
    }
}
