//! The requests that the calls ask for and the answers that they are given.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{CallError, ErrorClass};
use super::gojson::{JsonError, Raw, assign};
use super::gotime::GoTime;

/// The three lists that are polled with a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `/accounts`, walked by `createdAt`.
    Accounts,
    /// `/beneficiaries`, walked by `createdAt`; Formance's external accounts.
    Beneficiaries,
    /// `/transactions`, walked by `updatedAt`; Formance's payments.
    Transactions,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Accounts, Self::Beneficiaries, Self::Transactions];

    /// The last segment of the list's path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Beneficiaries => "beneficiaries",
            Self::Transactions => "transactions",
        }
    }

    /// The key under which the saved state holds the watermark.
    pub fn state_key(self) -> &'static str {
        match self {
            Self::Accounts | Self::Beneficiaries => "lastCreatedAtFrom",
            Self::Transactions => "lastUpdatedAtFrom",
        }
    }

    /// The request for one page: `page` counts from 1, and `from` is left out of
    /// the query while it is the zero time.
    pub fn list(self, page: u64, page_size: usize, from: GoTime) -> Request {
        // Parameters stand in alphabetical order, colons are percent-encoded.
        let from = (!from.is_zero()).then(|| from.to_utc_seconds().replace(':', "%3A"));
        let paging = format!("page={page}&pageSize={page_size}");
        let query = match (self, from) {
            (Self::Transactions, None) => format!("{paging}&sort=updatedAt%3Aasc"),
            (Self::Transactions, Some(from)) => {
                format!("{paging}&sort=updatedAt%3Aasc&updatedAtFrom={from}")
            }
            (_, None) => format!("{paging}&sort=createdAt%3Aasc"),
            (_, Some(from)) => format!("createdAtFrom={from}&{paging}&sort=createdAt%3Aasc"),
        };
        Request { method: Method::Get, path: format!("/{}", self.as_str()), query: Some(query), body: None }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The two methods that the client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// For lists and balances.
    Get,
    /// For payouts and transfers.
    Post,
}

/// A request, without the endpoint it is sent to and without its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// The path below the endpoint, percent-encoded as it is sent.
    pub path: String,
    /// The query without its question mark, percent-encoded as it is sent.
    pub query: Option<String>,
    pub body: Option<serde_json::Value>,
}

/// `GET /accounts?page=1`: what to print in a message.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        write!(f, "{method} {}", self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        match &self.body {
            Some(body) => write!(f, " {body}"),
            None => Ok(()),
        }
    }
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// Decodes the body with `decode` if the status is no failure. The body of a
    /// failure is only looked into for its title and detail; whether it is JSON
    /// does not change the class.
    pub fn decode<T>(&self, decode: impl FnOnce(Raw<'_>) -> Result<T, JsonError>) -> Result<T, CallError> {
        if let Some(class) = ErrorClass::of_status(self.status) {
            return Err(self.failure(class));
        }
        Raw::parse(&self.body)
            .and_then(decode)
            .map_err(|source| CallError::Body { status: self.status, source })
    }

    fn failure(&self, class: ErrorClass) -> CallError {
        let (mut title, mut detail) = (String::new(), String::new());
        let message = Raw::parse(&self.body).and_then(|raw| {
            assign::object(raw, "error", |key, value| match key {
                "TITLE" => assign::string(value, "title", &mut title),
                "DETAIL" => assign::string(value, "detail", &mut detail),
                _ => Ok(()),
            })
        });
        if message.is_err() {
            (title, detail) = (String::new(), String::new());
        }
        CallError::Status { status: self.status, class, title, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> CallError {
        let answer = Answer { status, body: body.into() };
        answer.decode(|_| Ok(())).unwrap_err()
    }

    #[test]
    fn a_list_is_asked_from_the_second_of_the_watermark_in_utc() {
        let from = GoTime::parse(b"2026-03-01T14:00:01.9+02:00").unwrap();
        assert_eq!(
            Kind::Transactions.list(3, 100, from).to_string(),
            "GET /transactions?page=3&pageSize=100&sort=updatedAt%3Aasc&updatedAtFrom=2026-03-01T12%3A00%3A01Z"
        );
        assert_eq!(
            Kind::Beneficiaries.list(1, 5, from).to_string(),
            "GET /beneficiaries?createdAtFrom=2026-03-01T12%3A00%3A01Z&page=1&pageSize=5&sort=createdAt%3Aasc"
        );
    }

    #[test]
    fn without_a_watermark_a_list_is_asked_from_its_beginning() {
        assert_eq!(
            Kind::Accounts.list(1, 100, GoTime::ZERO).to_string(),
            "GET /accounts?page=1&pageSize=100&sort=createdAt%3Aasc"
        );
    }

    #[test]
    fn title_and_detail_of_a_failure_are_read_in_any_case() {
        let CallError::Status { title, detail, .. } = failure(409, r#"{"Title":"T","DETAIL":"D"}"#) else {
            panic!("a status is a failure of its own");
        };
        assert_eq!((title.as_str(), detail.as_str()), ("T", "D"));
    }

    #[test]
    fn a_failure_keeps_its_class_whatever_its_body() {
        for body in ["", "not json", "[]", "{}", r#"{"title":"t","detail":5}"#] {
            let error = failure(503, body);
            assert_eq!(error.class(), ErrorClass::ServerError, "{body}");
            assert_eq!(error.to_string().trim_end(), "status 503 (server_error):", "{body}");
        }
    }

    #[test]
    fn a_status_below_400_is_read_like_a_success() {
        assert_eq!(failure(304, "").class(), ErrorClass::Other);
        assert_eq!(failure(204, "").class(), ErrorClass::Other);
    }
}
