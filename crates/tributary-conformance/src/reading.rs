//! Pages, read row by row: one bad row does not hide the others, as it does in Formance.

use url::form_urlencoded::byte_serialize;

use tributary_formance::gojson::Raw;
use tributary_formance::{GoTime, Kind, PaymentStatus, PaymentType, Row, decode, storage};

/// The page size that Formance asks for.
pub const PAGE_SIZE: usize = tributary_formance::client::PAGE_SIZE;

/// What stands between a row and Formance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connector cannot read it.
    Decoding(String),
    /// Storage refuses it.
    Storage(String),
}

/// One row as it was served.
#[derive(Clone, Debug)]
pub struct ServedRow {
    /// The row's JSON.
    pub literal: String,
    /// What Formance makes of it.
    pub row: Result<Row, Fault>,
}

/// What tells one version of a record from all others. Where timestamps are shared, the id and
/// the timestamp alone do not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionKey {
    /// The record.
    pub id: String,
    /// The time by which the list is walked.
    pub at: GoTime,
    created_at: GoTime,
    status: Option<PaymentStatus>,
}

/// The key of a row that was read.
pub fn version_key(row: &Row) -> VersionKey {
    VersionKey {
        id: row.reference.clone(),
        at: row.watermark,
        created_at: row.created_at,
        status: row.payment.as_ref().map(|payment| payment.status),
    }
}

/// The name of the field by which a list is walked.
pub fn walked_by(kind: Kind) -> &'static str {
    match kind {
        Kind::Accounts | Kind::Beneficiaries => "createdAt",
        Kind::Transactions => "updatedAt",
    }
}

/// What to ask for a page, below the endpoint; `from` is any text.
pub fn target(kind: Kind, page: u64, page_size: usize, from: Option<&str>) -> String {
    let field = walked_by(kind);
    let mut target = format!("/{kind}?page={page}&pageSize={page_size}&sort={field}%3Aasc");
    if let Some(from) = from {
        target.push_str(&format!("&{field}From="));
        target.extend(byte_serialize(from.as_bytes()));
    }
    target
}

/// Reads the body of a page. `Err` says why it is no list at all.
pub fn rows(kind: Kind, body: &[u8]) -> Result<Vec<ServedRow>, String> {
    let raw = Raw::parse(body).map_err(|error| format!("the body is {error}"))?;
    if raw.is_null() {
        return Ok(Vec::new());
    }
    let elements =
        raw.elements().ok_or_else(|| format!("the body is of type {}, no array", raw.type_name()))?;
    Ok(elements.map(|element| seen(kind, element)).collect())
}

fn seen(kind: Kind, element: Raw<'_>) -> ServedRow {
    let literal = String::from_utf8_lossy(element.literal()).into_owned();
    let row = row(kind, element).and_then(|row| {
        let stored = storage::check(std::slice::from_ref(&row));
        stored.map(|()| row).map_err(|rejection| Fault::Storage(rejection.to_string()))
    });
    ServedRow { literal, row }
}

fn row(kind: Kind, element: Raw<'_>) -> Result<Row, Fault> {
    let page = [b"[", element.literal(), b"]"].concat();
    let raw = Raw::parse(&page).map_err(|error| Fault::Decoding(error.to_string()))?;
    let mut rows = decode::page(kind, raw).map_err(|error| Fault::Decoding(error.to_string()))?;
    let row = rows.pop().ok_or_else(|| Fault::Decoding("it is no row".into()))?;
    row.into_row(kind).map_err(|error| Fault::Decoding(error.to_string()))
}

impl ServedRow {
    /// The row, where Formance would take it.
    pub fn ok(&self) -> Option<&Row> {
        self.row.as_ref().ok()
    }

    /// The row's content without the time by which the list is walked, in a form that does not
    /// depend on the order of keys or on white space.
    pub fn content(&self, kind: Kind) -> String {
        match serde_json::from_str::<serde_json::Value>(&self.literal) {
            Ok(serde_json::Value::Object(mut fields)) => {
                fields.retain(|key, _| !key.eq_ignore_ascii_case(walked_by(kind)));
                serde_json::Value::Object(fields).to_string()
            }
            _ => self.literal.clone(),
        }
    }

    /// Whether two rows say the same, whatever the order of their keys.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let value = |seen: &Self| serde_json::from_str::<serde_json::Value>(&seen.literal).ok();
        self.literal == other.literal || value(self).is_some_and(|own| Some(own) == value(other))
    }

    /// What to call the row in a sentence: its id and time where it has them.
    pub fn name(&self) -> String {
        match &self.row {
            Ok(row) => format!("{:?} of {}", row.reference, row.watermark),
            Err(_) => self.id().map_or_else(|| "a row without an id".into(), |id| format!("the row {id}")),
        }
    }

    fn id(&self) -> Option<String> {
        let raw = Raw::parse(self.literal.as_bytes()).ok()?;
        let (_, id) = raw.members()?.find(|(key, _)| key.eq_ignore_ascii_case("id"))?;
        Some(String::from_utf8_lossy(id.literal()).into_owned())
    }
}

/// The key of a payment in Formance: its reference and its type.
pub fn payment_key(row: &Row) -> (String, PaymentType) {
    (row.payment_reference().to_owned(), row.payment().kind)
}

/// The whole second of a time, in UTC, as Formance asks from it.
pub fn whole_second(at: GoTime) -> String {
    at.to_utc_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"t1","createdAt":"2026-03-01T12:00:00Z","updatedAt":"2026-03-01T12:00:01.5Z",
        "type":"PAYIN","status":"SUCCEEDED","currency":"EUR/2","amount":"5","metadata":{}}"#;

    /// [`GOOD`] with each `to` in the one place where it has `from`.
    fn edited(edits: &[(&str, &str)]) -> String {
        edits.iter().fold(GOOD.to_owned(), |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
            text.replace(from, to)
        })
    }

    fn read(body: &str) -> Vec<ServedRow> {
        rows(Kind::Transactions, body.as_bytes()).unwrap()
    }

    #[test]
    fn one_bad_row_does_not_hide_the_others() {
        let number = edited(&[("\"5\"", "5"), ("t1", "t2")]);
        let asset = edited(&[("EUR/2", "eur"), ("t1", "t3")]);
        let seen = read(&format!("[{GOOD},{number},{asset},null]"));
        assert_eq!(seen[0].ok().unwrap().reference, "t1");
        assert!(matches!(&seen[1].row, Err(Fault::Decoding(why)) if why.contains("amount")), "{:?}", seen[1]);
        assert!(matches!(&seen[2].row, Err(Fault::Storage(why)) if why.contains("asset")), "{:?}", seen[2]);
        assert!(matches!(&seen[3].row, Err(Fault::Decoding(_))), "{:?}", seen[3]);
        assert_eq!(seen[1].name(), r#"the row "t2""#);
        assert_eq!(seen[3].name(), "a row without an id");
    }

    #[test]
    fn what_is_no_list_says_what_it_is() {
        assert!(read("null").is_empty());
        let error = |body: &str| rows(Kind::Accounts, body.as_bytes()).unwrap_err();
        assert!(error("<html>").contains("not JSON"));
        assert!(error(r#"{"items":[]}"#).contains("object"));
    }

    #[test]
    fn content_leaves_out_the_time_of_the_walk_and_the_order_of_keys() {
        let other = r#"{"metadata":{},"updatedAt":"2027-01-01T00:00:00Z","amount":"5","type":"PAYIN",
            "createdAt":"2026-03-01T12:00:00Z","status":"SUCCEEDED","currency":"EUR/2","id":"t1"}"#;
        let seen = read(&format!("[{GOOD},{other}]"));
        assert_eq!(seen[0].content(Kind::Transactions), seen[1].content(Kind::Transactions));
        assert_ne!(seen[0].content(Kind::Accounts), seen[1].content(Kind::Accounts));
        assert!(!seen[0].says_the_same(&seen[1]) && seen[0].says_the_same(&seen[0].clone()));
    }

    #[test]
    fn a_from_is_percent_encoded() {
        assert_eq!(
            target(Kind::Transactions, 2, 100, Some("2026-03-01T14:00:00+02:00")),
            "/transactions?page=2&pageSize=100&sort=updatedAt%3Aasc&updatedAtFrom=2026-03-01T14%3A00%3A00%2B02%3A00"
        );
        assert_eq!(target(Kind::Accounts, 1, 5, None), "/accounts?page=1&pageSize=5&sort=createdAt%3Aasc");
    }
}
