//! The canonical record: the connector's own field names, for everything that is ingested.

use serde::Deserialize;

use super::{Account, Balances, Beneficiary, JsonBudget, Resource, Transaction};

/// Why a record cannot be taken. Its text says what is wrong with which field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(String);

impl RecordError {
    /// `field` is the canonical name, `what` completes the sentence.
    pub fn new(field: &'static str, what: impl std::fmt::Display) -> Self {
        Self(shortened(format!("{field}: {what}")))
    }
}

/// The most bytes of a reason: it may quote what was sent, and is kept, answered and logged.
const REASON_MAX_BYTES: usize = 1_000;

fn shortened(mut reason: String) -> String {
    if reason.len() > REASON_MAX_BYTES {
        reason.truncate(reason.floor_char_boundary(REASON_MAX_BYTES));
        reason.push('…');
    }
    reason
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self(shortened(in_words(&error.to_string())))
    }
}

/// `json` in the form of a record. The error names the field that has another.
pub(crate) fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, RecordError> {
    serde_json::from_slice(json).map_err(|error| {
        // to know the path costs time, which good records need not spend
        let reader = &mut serde_json::Deserializer::from_slice(json);
        let path =
            serde_path_to_error::deserialize::<_, T>(reader).err().map(|error| error.path().to_string());
        let path = path.filter(|path| path != ".").map(|path| format!("{path}: ")).unwrap_or_default();
        RecordError(shortened(format!("{path}{}", in_words(&error.to_string()))))
    })
}

/// What serde says, without the place in a text that nobody sees.
fn in_words(said: &str) -> String {
    let said = said.split(" at line ").next().unwrap_or(said);
    match said.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, wanted)) => {
            let found = match found {
                "sequence" => "a list",
                "map" => "an object",
                other => other,
            };
            format!("is {found}, and not {}", wanted.replace("a string", "a text"))
        }
        None => said.to_owned(),
    }
}

/// What a record may cost: much more than one that fits into the tables.
const BUDGET: JsonBudget = JsonBudget { values: 400_000, depth: 32, digits: 1_000 };

/// A record of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Account(Account),
    Balances(Balances),
    Beneficiary(Beneficiary),
    Transaction(Transaction),
}

impl Record {
    /// The canonical JSON, which [`parse_record`] takes back.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Account(account) => account.to_json(),
            Self::Balances(balances) => balances.to_json(),
            Self::Beneficiary(beneficiary) => beneficiary.to_json(),
            Self::Transaction(transaction) => transaction.to_json(),
        }
    }
}

/// Takes the canonical JSON of a record of `resource`: an object. (A list of values in the right order
/// would pass for one, too.) One that costs more to read than any record has to is refused unread, and
/// so is metadata that only Tributary writes: Formance could not tell the two apart.
pub fn parse_record(resource: Resource, json: &[u8]) -> Result<Record, RecordError> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(RecordError("a record is a JSON object".to_owned()));
    }
    BUDGET.check(json).map_err(|why| RecordError(format!("the record cannot be read: {why}")))?;
    let record = match resource {
        Resource::Accounts => Account::from_json(json).map(Record::Account),
        Resource::Balances => Balances::from_json(json).map(Record::Balances),
        Resource::Beneficiaries => Beneficiary::from_json(json).map(Record::Beneficiary),
        Resource::Transactions => Transaction::from_json(json).map(Record::Transaction),
    }?;
    match &record {
        Record::Account(account) | Record::Beneficiary(Beneficiary(account)) => {
            account.metadata.require_foreign()
        }
        Record::Transaction(transaction) => transaction.metadata.require_foreign(),
        Record::Balances(_) => Ok(()),
    }?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_an_object() {
        let account = r#"["acc_1","Main","2026-01-01T00:00:00Z",null]"#;
        for json in [account, "null", "1", "", "\"acc_1\""] {
            let error = parse_record(Resource::Accounts, json.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "a record is a JSON object", "{json}");
        }
    }

    #[test]
    fn a_field_of_another_form_is_named_with_what_it_holds() {
        let record = |more: &str| {
            format!(
                r#"{{"id":"t","createdAt":"2026-03-01T12:00:00Z","type":"PAYIN","status":"PENDING","currency":"JPY",{more}}}"#
            )
        };
        for (more, told) in [
            (r#""amount":null"#, "amount: is null, and not a text"),
            (r#""amount":"1","metadata":{"k":[]}"#, "metadata.k: is a list, and not a text"),
            (r#""amount":"1","sourceAccountID":7"#, "sourceAccountID: is integer `7`, and not a text"),
            (r#""balance":"1""#, "unknown field `balance`, expected one of"),
            (r#""sourceAccountID":"a""#, "missing field `amount`"),
        ] {
            let error =
                parse_record(Resource::Transactions, record(more).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains(" at line "), "{told}: {error}");
        }
        let account = r#"{"id":null,"accountName":"Main","createdAt":"2026-03-01T12:00:00Z"}"#;
        let error = parse_record(Resource::Accounts, account.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "id: is null, and not a text");
    }

    #[test]
    fn a_record_that_costs_too_much_is_refused_unread() {
        let account = |more: &str| {
            format!(
                r#"{{"id":"a","accountName":"Main","createdAt":"2026-03-01T12:00:00Z","metadata":{more}}}"#
            )
        };
        let keys: String = (0..1_000_000).map(|n| format!("\"k{n}\":\"\",")).collect();
        for (more, told) in [
            ("9".repeat(1_000_000), "more than 1000 digits"),
            (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), "deeper than 32 levels"),
            (format!("{{{keys}\"z\":\"\"}}"), "more than 400000 values"),
        ] {
            let error = parse_record(Resource::Accounts, account(&more).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn metadata_that_only_tributary_writes_is_refused_in_every_kind_of_record() {
        let metadata = r#""createdAt":"2026-03-01T12:00:00Z","metadata":{"tributary.reason":"x","a":"b"}"#;
        for (resource, fields) in [
            (Resource::Accounts, r#""id":"a","accountName":"Main""#),
            (Resource::Beneficiaries, r#""id":"a","ownerName":"Ann""#),
            (
                Resource::Transactions,
                r#""id":"t","type":"OTHER","status":"PENDING","currency":"JPY","amount":"1""#,
            ),
        ] {
            let record = format!("{{{fields},{metadata}}}");
            let error = parse_record(resource, record.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("metadata: \"tributary.reason\" is reserved"), "{error}");
            let other = record.replace("tributary.reason", "tributary");
            assert!(parse_record(resource, other.as_bytes()).is_ok(), "{other}");
        }
    }

    #[test]
    fn a_record_of_any_kind_is_the_same_after_being_written_and_read() {
        for (resource, json) in [
            (
                Resource::Accounts,
                r#"{"id":"a","accountName":"Main","createdAt":"2026-03-01T12:00:00.1234567+01:00",
                    "updatedAt":"2026-03-02T00:00:00Z","metadata":{"k":"v"}}"#,
            ),
            (Resource::Beneficiaries, r#"{"id":"b","ownerName":"Ann","createdAt":"2026-03-01T12:00:00Z"}"#),
            (
                Resource::Balances,
                r#"{"accountID":"a","at":"2026-03-01T12:00:00Z",
                    "balances":[{"currency":"EUR/2","amount":"-1"},{"currency":"JPY","amount":"123456789012345678901"}]}"#,
            ),
            (Resource::Balances, r#"{"accountID":"a","at":"2026-03-01T12:00:00Z","balances":[]}"#),
            (
                Resource::Transactions,
                r#"{"id":"t","relatedTransactionID":"p","createdAt":"2026-03-01T12:00:00Z","type":"OTHER",
                    "status":"REFUNDED","currency":"EUR/2","amount":"1050","orderReference":"r"}"#,
            ),
        ] {
            let record = parse_record(resource, json.as_bytes()).unwrap();
            let written = record.to_json().to_string();
            assert_eq!(parse_record(resource, written.as_bytes()), Ok(record), "{written}");
        }
    }

    #[test]
    fn a_reason_quotes_no_more_than_people_read() {
        let account =
            |created_at: &str| format!(r#"{{"id":"a","accountName":"a","createdAt":"{created_at}"}}"#);
        let refused =
            |json: String| parse_record(Resource::Accounts, json.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused(account("soon")),
            "createdAt: \"soon\" is not an RFC 3339 time such as \"2026-03-01T12:00:00Z\""
        );
        for json in [account(&"\u{200b}".repeat(1_000_000)), format!(r#"{{"{}":1}}"#, "é".repeat(1_000_000))]
        {
            assert!(refused(json).len() <= 1_003);
        }
    }
}
