//! The style, the script and the icon, out of the program itself.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

static STYLE_TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(STYLE));
static SCRIPT_TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(SCRIPT));
static ICON_TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(ICON));

pub async fn style(headers: HeaderMap) -> Response {
    served("text/css; charset=utf-8", STYLE, &STYLE_TAG, &headers)
}

pub async fn script(headers: HeaderMap) -> Response {
    served("text/javascript; charset=utf-8", SCRIPT, &SCRIPT_TAG, &headers)
}

pub async fn icon(headers: HeaderMap) -> Response {
    served("image/svg+xml", ICON, &ICON_TAG, &headers)
}

/// A weak tag, as it stays the same when it is compressed.
fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("W/\"{hex}\"")).expect("it is hex")
}

/// Kept by browsers, which ask each time whether it is still the same.
fn served(kind: &'static str, text: &'static str, tag: &HeaderValue, asked: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let known = asked.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known =
        known.is_some_and(|known| known.split(',').any(|known| known.trim().as_bytes() == tag.as_bytes()));
    match is_known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, text).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_short_and_neither_it_nor_the_style_names_another_origin() {
        assert!(SCRIPT.lines().count() < 200);
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("//cdn") && !text.contains("http:") && !text.contains("https:"), "{text}");
            assert!(!text.contains("@import") && !text.contains("eval("), "{text}");
        }
    }
}
