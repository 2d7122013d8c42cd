//! Strings and keys as Go reads them.

/// Resolves the escapes between the quotes of a checked JSON string. A surrogate
/// without its partner and each byte that is not UTF-8 become U+FFFD.
pub(super) fn unquote(content: &[u8]) -> String {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some((&first, after)) = rest.split_first() {
        rest = if first == b'\\' {
            let (character, after) = escape(after);
            text.push(character);
            after
        } else if first.is_ascii() {
            text.push(char::from(first));
            after
        } else {
            let (character, after) = non_ascii(rest);
            text.push(character);
            after
        };
    }
    text
}

/// Folds a key so that all keys which Go takes for the same field become equal:
/// case does not count, nor do two letters outside ASCII that fold into it.
pub(super) fn fold(key: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 'S',
        '\u{212a}' => 'K',
        c => c.to_ascii_uppercase(),
    };
    key.chars().map(fold).collect()
}

/// The character of the escape whose backslash has been read, and what follows.
fn escape(rest: &[u8]) -> (char, &[u8]) {
    let after = &rest[1..];
    let character = match rest[0] {
        b'u' => return unicode_escape(after),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        itself => char::from(itself),
    };
    (character, after)
}

fn unicode_escape(rest: &[u8]) -> (char, &[u8]) {
    let (unit, after) = (hex(&rest[..4]), &rest[4..]);
    if let Some(character) = char::from_u32(unit) {
        return (character, after);
    }
    // A surrogate. A high one followed by an escaped low one is one character;
    // else it alone is replaced, and what follows is read by itself.
    if let [b'\\', b'u', digits @ ..] = after {
        let low = hex(&digits[..4]);
        if unit < 0xdc00 && (0xdc00..0xe000).contains(&low) {
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            let character = char::from_u32(code).expect("a surrogate pair is a character");
            return (character, &digits[4..]);
        }
    }
    (char::REPLACEMENT_CHARACTER, after)
}

fn hex(digits: &[u8]) -> u32 {
    let value = |b: u8| char::from(b).to_digit(16).expect("checked to be hexadecimal");
    digits.iter().fold(0, |n, &b| n * 16 + value(b))
}

/// The character at the start of `text`, or U+FFFD for its first byte alone.
fn non_ascii(text: &[u8]) -> (char, &[u8]) {
    for length in 2..=text.len().min(4) {
        if let Ok(valid) = std::str::from_utf8(&text[..length]) {
            let character = valid.chars().next().expect("not empty");
            return (character, &text[length..]);
        }
    }
    (char::REPLACEMENT_CHARACTER, &text[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(
            unquote(br#"a\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"#),
            "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}"
        );
        assert_eq!(unquote("é😀".as_bytes()), "é😀");
    }

    #[test]
    fn each_lone_surrogate_becomes_one_replacement_character() {
        assert_eq!(unquote(br"\ud800"), "\u{fffd}");
        assert_eq!(unquote(br"\udc00\ud800x"), "\u{fffd}\u{fffd}x");
        assert_eq!(unquote(br"\ud800\u0041"), "\u{fffd}A");
        assert_eq!(unquote(br"\ud800\ud83d\ude00"), "\u{fffd}\u{1f600}");
    }

    #[test]
    fn each_byte_that_is_not_utf8_becomes_one_replacement_character() {
        assert_eq!(unquote(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(unquote(b"\xe2\x82"), "\u{fffd}\u{fffd}");
        assert_eq!(unquote(b"\xed\xa0\x80"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn keys_fold_over_case_and_the_two_foreign_letters() {
        assert_eq!(fold("createdAt"), fold("CREATEDAT"));
        assert_eq!(fold("tran\u{17f}fer\u{212a}ey"), fold("TransferKey"));
        assert_ne!(fold("\u{e9}"), fold("\u{c9}"));
    }
}
