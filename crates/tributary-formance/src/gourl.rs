//! Paths as Go's `net/url` makes them of text that was never escaped.

/// What Go sends for a path (which may turn out to hold a query or a fragment):
/// the escaped path and, if a `?` was in it, the query. `None` if Go refuses to
/// make a URL of it.
///
/// A `#` cuts the rest off. Escapes that are in the text stay as they are, unless
/// something else has to be escaped: then all are resolved and escaped anew, so
/// that `a%2Fb` stays, but `a%2Fb c` becomes `a/b%20c`.
pub fn request_target(text: &str) -> Option<(String, Option<String>)> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    unescape(fragment)?;
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return None;
    }
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (text, None),
    };
    let plain = unescape(path)?;
    if path.bytes().all(|b| stays(b) || b"!'()*[]%".contains(&b)) {
        return Some((path.to_owned(), query));
    }
    Some((escape(&plain), query))
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            plain.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let digits = std::str::from_utf8(digits).ok()?;
        plain.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(plain)
}

fn escape(plain: &[u8]) -> String {
    let mut text = String::with_capacity(plain.len());
    for &byte in plain {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Whether Go leaves a byte as it is when it escapes a path.
fn stays(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        let (path, query) = request_target(text).unwrap();
        assert_eq!(query, None);
        path
    }

    #[test]
    fn what_a_path_may_hold_stays() {
        for text in ["/a-b_c.d~e", "/$&+,:;=@", "/!'()*[]", "/a%2Fb", "/a%c3%a9"] {
            assert_eq!(path(text), text);
        }
    }

    #[test]
    fn what_a_path_may_not_hold_is_escaped() {
        assert_eq!(path("/a b"), "/a%20b");
        assert_eq!(path("/é"), "/%C3%A9");
        assert_eq!(path("/a|b"), "/a%7Cb");
    }

    #[test]
    fn one_character_to_escape_renews_all_escapes() {
        assert_eq!(path("/a%2fb c%25"), "/a/b%20c%25");
        assert_eq!(path("/a(b c"), "/a%28b%20c");
    }

    #[test]
    fn a_question_mark_begins_a_query_and_a_hash_ends_all() {
        let target = |path: &str, query: &str| Some((path.to_owned(), Some(query.to_owned())));
        assert_eq!(request_target("/a?b/c"), target("/a", "b/c"));
        assert_eq!(path("/a#b?c"), "/a");
        assert_eq!(request_target("/a?b#c"), target("/a", "b"));
    }

    #[test]
    fn broken_escapes_make_no_url_and_control_characters_only_in_a_fragment() {
        assert_eq!(path("/a#\n"), "/a");
        for text in ["/a%", "/a%2", "/a%zz", "/a\nb", "/a\u{7f}", "/a#%"] {
            assert_eq!(request_target(text), None, "{text:?}");
        }
    }
}
