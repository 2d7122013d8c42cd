//! What the three feeds have in common: the query, the page, the link to the next one.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use metrics::{counter, gauge};

use super::auth::{Caller, PageReader};
use super::{ApiError, SharedState, version};
use crate::feed::{FeedPage, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageRequest, Reading, page};
use tributary_domain::FeedName;

/// How a feed is listed: the parameter by which the connector asks for it, and sorts it.
pub struct Listing {
    pub feed: FeedName,
    /// `createdAt` or `updatedAt`.
    pub field: &'static str,
}

pub const ACCOUNTS: Listing = Listing { feed: FeedName::Accounts, field: "createdAt" };
pub const BENEFICIARIES: Listing = Listing { feed: FeedName::Beneficiaries, field: "createdAt" };
pub const TRANSACTIONS: Listing = Listing { feed: FeedName::Transactions, field: "updatedAt" };

/// Answers a request for a page of a feed.
pub async fn list(state: &SharedState, listing: &Listing, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let mut reader = PageReader::of(&parts, state).await?;
    let request = parse_query(listing, parts.uri.query().unwrap_or_default())?;
    let mut page = loop {
        let reading = Reading { readers: &state.readers, pool: &state.pool };
        let provider = &reader.caller().provider;
        match page(reading, provider, listing.feed, request, reader.opener()).await? {
            Some(page) => break page,
            None => reader = reader.again(&parts, state).await?,
        }
    };
    let caller = reader.caller();
    report(caller, listing, &page, request);
    reader.polls(state).note(listing.feed, request, &page);
    if listing.feed == FeedName::Transactions {
        version::fold(&mut page.array, caller.served.formance)?;
    }
    Ok(render(page, listing, request.page_size))
}

fn report(caller: &Caller, listing: &Listing, page: &FeedPage, request: PageRequest) {
    let labels = [("provider", caller.provider.to_string()), ("feed", listing.feed.to_string())];
    counter!("tributary_pages_total", &labels).increment(1);
    counter!("tributary_entries_served_total", &labels).increment(page.entries.max(0).unsigned_abs());
    gauge!("tributary_watermark_ahead", &labels).set(if page.watermark_ahead { 1.0 } else { 0.0 });
    if page.watermark_ahead
        && let Some(from) = request.from
    {
        counter!("tributary_watermarks_ahead_total", &labels).increment(1);
        tracing::error!(provider = %caller.provider, feed = %listing.feed, watermark = %from,
            "a consumer's watermark is ahead of this feed: was the database restored, or is it another one?");
    }
}

fn render(page: FeedPage, listing: &Listing, page_size: i64) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (json, Body::from(page.array)).into_response();
    if let Some(next) = page.next {
        // relative, so that it holds behind any path prefix
        let cursor = URL_SAFE_NO_PAD.encode(next.to_be_bytes());
        let link =
            format!("<?cursor={cursor}&pageSize={page_size}&sort={}:asc>; rel=\"next\"", listing.field);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

fn parse_query(listing: &Listing, query: &str) -> Result<PageRequest, ApiError> {
    let mut request = PageRequest { from: None, page: 1, page_size: PAGE_SIZE_DEFAULT, cursor: None };
    let from_name = format!("{}From", listing.field);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "page" => request.page = parse_number("page", &value, i64::MAX)?,
            "pageSize" => request.page_size = parse_number("pageSize", &value, PAGE_SIZE_MAX)?,
            "sort" => check_sort(listing, &value)?,
            "cursor" => request.cursor = Some(parse_cursor(&value)?),
            name if name == from_name => request.from = Some(parse_from(&from_name, &value)?),
            "createdAtFrom" | "updatedAtFrom" => {
                return Err(ApiError::Invalid(format!(
                    "{name} does not filter {}; use {from_name}",
                    listing.feed
                )));
            }
            _ => {}
        }
    }
    Ok(request)
}

fn parse_number(name: &str, value: &str, max: i64) -> Result<i64, ApiError> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| match max {
        i64::MAX => ApiError::Invalid(format!("{name} has to be a whole number from 1 on, not {value:?}")),
        _ => ApiError::Invalid(format!("{name} has to be a whole number from 1 to {max}, not {value:?}")),
    })
}

fn check_sort(listing: &Listing, value: &str) -> Result<(), ApiError> {
    if value == format!("{}:asc", listing.field) {
        return Ok(());
    }
    Err(ApiError::Invalid(format!(
        "sort has to be {}:asc, the only order there is, not {value:?}",
        listing.field
    )))
}

fn parse_cursor(value: &str) -> Result<i64, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map(i64::from_be_bytes).filter(|position| *position >= 0).ok_or_else(|| {
        ApiError::Invalid("cursor is not one of ours: follow the link of the page before".into())
    })
}

/// RFC 3339 of any offset and precision. The feed counts in µs, so a finer time is rounded
/// up: an entry of the µs below it lies before it.
fn parse_from(name: &str, value: &str) -> Result<DateTime<Utc>, ApiError> {
    // an unescaped "+02:00" arrives with a blank
    let text = match value.split_at_checked(19) {
        Some((seconds, rest)) => seconds.to_owned() + &rest.replace(' ', "+"),
        None => value.to_owned(),
    };
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        ApiError::Invalid(format!(
            "{name} has to be an RFC 3339 time such as 2026-03-01T12:00:00Z, not {value:?}"
        ))
    })?;
    let time = time.with_timezone(&Utc);
    let beyond = i64::from(time.nanosecond() % 1000);
    Ok(if beyond == 0 { time } else { time + TimeDelta::nanoseconds(1000 - beyond) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(value: &str) -> Result<String, ApiError> {
        parse_from("updatedAtFrom", value).map(|time| time.to_rfc3339())
    }

    #[test]
    fn any_rfc_3339_time_is_an_instant() {
        assert_eq!(from("2026-03-01T14:00:00+02:00").unwrap(), "2026-03-01T12:00:00+00:00");
        assert_eq!(from("2026-03-01T14:00:00 02:00").unwrap(), "2026-03-01T12:00:00+00:00");
        assert_eq!(from("2026-03-01T12:00:00.000000001Z").unwrap(), "2026-03-01T12:00:00.000001+00:00");
        assert_eq!(from("0001-01-01T00:00:00Z").unwrap(), "0001-01-01T00:00:00+00:00");
        assert!(from("2016-12-31T23:59:60Z").is_ok());
        for garbage in
            ["", "now", "2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00", "ééééééééééééééééééééé"]
        {
            assert!(from(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn what_cannot_be_served_exactly_is_refused() {
        for query in [
            "page=0",
            "page=-1",
            "page=x",
            "pageSize=0",
            "pageSize=1001",
            "sort=updatedAt:desc",
            "sort=",
            "createdAtFrom=2026-03-01T12:00:00Z",
            "cursor=x",
            "updatedAtFrom=",
        ] {
            assert!(parse_query(&TRANSACTIONS, query).is_err(), "{query}");
        }
        let request =
            parse_query(&TRANSACTIONS, "page=9223372036854775807&pageSize=1000&sort=updatedAt%3Aasc")
                .unwrap();
        assert_eq!((request.page, request.page_size), (i64::MAX, 1000));
    }
}
