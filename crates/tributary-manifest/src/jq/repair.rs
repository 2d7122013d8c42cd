//! JSON that is not quite any: what some APIs write, and no parser takes. One record that is written like
//! that must not keep a whole page from being read, in every run again.

use std::borrow::Cow;

/// What was mended, each by how often.
#[derive(Debug, Default)]
struct Mended {
    marks: usize,
    texts: usize,
    numbers: usize,
}

/// `body` without the mark of a byte order that it may begin with.
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// `body` as JSON that can be read, and what was mended; `None` where nothing of this kind is wrong with
/// it. In a text, half a surrogate and bytes that are no UTF-8 become U+FFFD, and control
/// characters are escaped. A number that is none (`NaN`, `Infinity`) becomes the text of it, which no
/// mapping takes for an amount, a time or a page.
pub fn repaired(body: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut mended = Mended::default();
    let bare = without_mark(body);
    mended.marks = usize::from(bare.len() != body.len());
    let text = String::from_utf8_lossy(bare);
    if let Cow::Owned(_) = text {
        mended.texts += 1;
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            at = text_at(bytes, at, &mut out, &mut mended);
        } else if let Some(word) = no_number(&bytes[at..]) {
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            mended.numbers += 1;
            at += word.len();
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    Some((out, mended.told()?))
}

impl Mended {
    fn told(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.marks, "a byte order mark"),
            (self.texts, "texts with half a surrogate, a control character or bytes that are no UTF-8"),
            (self.numbers, "numbers that are none (NaN, Infinity)"),
        ]
        .into_iter()
        .filter(|(times, _)| *times > 0)
        .map(|(_, what)| what.to_owned())
        .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// What stands at the beginning of `bytes` in the place of a number.
fn no_number(bytes: &[u8]) -> Option<&'static [u8]> {
    let words: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    words.into_iter().find(|word| bytes.starts_with(word))
}

/// Copies the text that begins at `at`, and gives where it has ended.
fn text_at(bytes: &[u8], mut at: usize, out: &mut Vec<u8>, mended: &mut Mended) -> usize {
    out.push(b'"');
    at += 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                out.push(b'"');
                return at + 1;
            }
            b'\\' => at = escape_at(bytes, at, out, mended),
            control @ ..0x20 => {
                out.extend_from_slice(format!("\\u{control:04x}").as_bytes());
                mended.texts += 1;
                at += 1;
            }
            other => {
                out.push(*other);
                at += 1;
            }
        }
    }
    at
}

fn escape_at(bytes: &[u8], at: usize, out: &mut Vec<u8>, mended: &mut Mended) -> usize {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let length = match unit(at) {
        Some(0xD800..0xDC00) if matches!(unit(at + 6), Some(0xDC00..0xE000)) => 12,
        Some(0xD800..0xE000) => {
            out.extend_from_slice(b"\\ufffd");
            mended.texts += 1;
            return at + 6;
        }
        _ => 2,
    };
    let end = (at + length).min(bytes.len());
    out.extend_from_slice(&bytes[at..end]);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(body: &[u8]) -> String {
        String::from_utf8(repaired(body).unwrap().0).unwrap()
    }

    #[test]
    fn what_no_parser_takes_is_mended_and_everything_else_stays() {
        for (body, expected) in [
            (&b"\xEF\xBB\xBF{\"a\":1}"[..], r#"{"a":1}"#),
            (
                br#"["\ud83d","\ude00","\ud83d\ude00","\ud83dx"]"#,
                r#"["\ufffd","\ufffd","\ud83d\ude00","\ufffdx"]"#,
            ),
            (
                br#"{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN \" NaN"}"#,
                r#"{"a":"NaN","b":["Infinity","-Infinity"],"c":"NaN \" NaN"}"#,
            ),
            (b"[\"a\nb\tc\", \"\xFF\"]", "[\"a\\u000ab\\u0009c\", \"\u{FFFD}\"]"),
            (br#"["\\ud83d", NaN]"#, r#"["\\ud83d", "NaN"]"#),
        ] {
            assert_eq!(mended(body), expected);
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
    }

    #[test]
    fn what_is_broken_otherwise_is_not_taken_for_mended() {
        for body in [&b"{\"a\":"[..], b"", b"[1,]", b"<html>", br#"{"a":"\ud83"#, br#"["\"#] {
            assert!(repaired(body).is_none(), "{}", String::from_utf8_lossy(body));
        }
    }
}
