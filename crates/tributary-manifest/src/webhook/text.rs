//! What a code is over: pieces of the call with any text around them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{Call, Unproven};

/// From here on a number is no second of any near year, but a millisecond.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// A `signed`, in its pieces.
pub struct Text(Vec<Piece>);

enum Piece {
    Text(String),
    Body,
    Timestamp,
    Url,
    Header(String),
}

impl Text {
    /// Takes `signed` apart. The error says what it cannot hold.
    pub fn parse(signed: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = signed;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, tail)) = after.split_once('}') else { break };
            let piece = match name {
                "body" => Piece::Body,
                "timestamp" => Piece::Timestamp,
                "url" => Piece::Url,
                "id" => {
                    return Err(
                        "{id} is not known: name the header that holds it, as in {header.webhook-id}"
                            .to_owned(),
                    );
                }
                other => match other.strip_prefix("header.").filter(|name| !name.is_empty()) {
                    Some(name) => Piece::Header(name.to_ascii_lowercase()),
                    None => {
                        return Err(format!(
                            "{{{name}}} is not known: take {{body}}, {{timestamp}}, {{url}} and {{header.NAME}}"
                        ));
                    }
                },
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece);
            rest = tail;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    pub fn holds_body(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Body))
    }

    pub fn holds_timestamp(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Timestamp))
    }

    pub fn holds_url(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Url))
    }

    /// The text of `call`, which came to `url` and says that it was sent at `timestamp`.
    pub fn of(&self, call: &Call<'_>, timestamp: &str, url: &str) -> Result<Vec<u8>, Unproven> {
        let mut text = Vec::with_capacity(call.body.len() + 256);
        for piece in &self.0 {
            let piece: Cow<'_, [u8]> = match piece {
                Piece::Text(text) => text.as_bytes().into(),
                Piece::Body => call.body.into(),
                Piece::Timestamp => timestamp.as_bytes().into(),
                Piece::Url => match call.query {
                    Some(query) => format!("{url}?{query}").into_bytes().into(),
                    None => url.as_bytes().into(),
                },
                Piece::Header(name) => {
                    let value = (call.header)(name).ok_or_else(|| Unproven::Header(name.clone()))?;
                    value.into_bytes().into()
                }
            };
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }
}

/// The time that a call says: seconds or milliseconds since 1970, RFC 3339, or a date of HTTP.
pub fn time(text: &str) -> Option<DateTime<Utc>> {
    match text.trim().parse::<i64>() {
        Ok(number) if number >= MILLISECONDS_FROM => DateTime::from_timestamp_millis(number),
        Ok(number) => DateTime::from_timestamp(number, 0),
        Err(_) => match DateTime::parse_from_rfc3339(text.trim()) {
            Ok(time) => Some(time.to_utc()),
            Err(_) => httpdate::parse_http_date(text.trim()).ok().map(DateTime::from),
        },
    }
}
