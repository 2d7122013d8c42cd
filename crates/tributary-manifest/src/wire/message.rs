//! What goes over the network, and what comes back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jaq_json::Val;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use super::lane::Lane;
use super::request::Method;

/// A request in full.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// What it is closed with.
    pub lane: Lane,
    /// As of [`Request`](super::request::Request).
    pub template: Option<Arc<str>>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Unpacked; `None` where it is larger than what is read.
    pub body: Option<Vec<u8>>,
    pub sent_at: DateTime<Utc>,
}

/// A JSON answer.
#[derive(Debug)]
pub struct Answer {
    /// Null where there is nothing.
    pub json: Val,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// What was asked, without what proves who asks: what a relative link is relative to.
    pub url: Url,
    /// When the request was sent that got it: what the answer says is at least as new.
    pub sent_at: DateTime<Utc>,
    /// What was mended in it so that it can be read.
    pub repaired: Option<String>,
    /// Whether it has no body, which the request takes for an empty list.
    pub is_empty: bool,
}
