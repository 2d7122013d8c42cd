//! What a reason says without what varies from record to record, so that records which are here for the same fault
//! are one group.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::super::without_nul;

/// The most that is kept of a reason, in characters.
const MOST_CHARS: usize = 300;

/// What a record is here for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason without what varies.
    pub text: String,
    /// The id of the group: 16 hexadecimal digits, which follow from all that its records have in common.
    pub group: String,
}

impl Fault {
    /// Of a record that was refused for `reason`; one that was pushed has no `stream`.
    pub fn of(provider: &str, resource: &str, stream: Option<&str>, reason: &str) -> Self {
        let text = fault(reason);
        let mut digest = Sha256::new();
        for part in [provider, resource, stream.unwrap_or_default(), &text] {
            digest.update(part);
            digest.update([0]);
        }
        let mut group = String::with_capacity(16);
        for byte in &digest.finalize()[..8] {
            // a String takes whatever is written
            let _ = write!(group, "{byte:02x}");
        }
        Self { text, group }
    }
}

/// What records that were refused for `reason` have in common.
pub fn fault(reason: &str) -> String {
    common(&without_nul(reason))
}

/// `reason` with `…` in the place of quoted texts and of JSON, and `#` in that of numbers, ids and positions: of every
/// word with a digit.
fn common(reason: &str) -> String {
    let mut kept = String::new();
    let mut rest = reason;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => quoted(rest, '"'),
            // else an apostrophe
            '\'' if !kept.ends_with(char::is_alphanumeric) => quoted(rest, '\''),
            '{' | '[' => nested(rest),
            _ => 0,
        };
        if taken > 0 {
            kept.push_str(match first {
                '"' => "\"…\"",
                '\'' => "'…'",
                '{' => "{…}",
                _ => "[…]",
            });
            rest = &rest[taken..];
            continue;
        }
        let word = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        if word == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(word);
        // a full stop or a hyphen behind it belongs to the sentence
        let bare = word.trim_end_matches(['.', '-']);
        match bare.contains(|c: char| c.is_ascii_digit()) {
            true => kept.push('#'),
            false => kept.push_str(bare),
        }
        kept.push_str(&word[bare.len()..]);
        rest = after;
    }
    kept.chars().take(MOST_CHARS).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+')
}

/// How many bytes of `text` its first quotation takes, escapes heeded; all of it, where it was cut before its end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The same of what stands in brackets, with all brackets and quotations within.
fn nested(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => {
                at += quoted(&text[at..], '"');
                continue;
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_from_record_to_record_is_taken_out_of_a_reason() {
        for (reason, fault) in [
            ("there is no amount", "there is no amount"),
            ("the status \"NOPE\" is none", "the status \"…\" is none"),
            (r#"the id "a\"b" is that of another"#, "the id \"…\" is that of another"),
            (
                "amount: 10.50 is no whole number of minor units.",
                "amount: # is no whole number of minor units.",
            ),
            ("money: balances[17].amount: is too long", "money: balances[…].amount: is too long"),
            (
                "createdAt: 2026-03-01T12:00:00Z lies before the year 1970",
                "createdAt: #:#:# lies before the year #",
            ),
            (r#"cannot index {"a":[1,{"b":"}"}]} with "x" here"#, "cannot index {…} with \"…\" here"),
            ("tx_17 isn't one of acme's", "# isn't one of acme's"),
            ("no 'x y' there", "no '…' there"),
            // cut in the middle of a value
            ("the id \"abc", "the id \"…\""),
            ("is [1, 2", "is […]"),
            ("ends with \\", "ends with \\"),
            ("Ünïcode № 7 \u{1f4a5}", "Ünïcode № # \u{1f4a5}"),
            ("", ""),
        ] {
            assert_eq!(common(reason), fault, "{reason}");
        }
        assert_eq!(common(&"é".repeat(5_000)).chars().count(), MOST_CHARS);
    }

    #[test]
    fn a_group_is_of_one_provider_resource_and_stream() {
        let group = |provider, resource, stream, reason| Fault::of(provider, resource, stream, reason).group;
        let one = group("acme", "transactions", Some("payments"), "the id \"a\" is wrong");
        assert_eq!(one, group("acme", "transactions", Some("payments"), "the id \"b\" is wrong"));
        assert!(one.len() == 16 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        for (provider, resource, stream, reason) in [
            ("bank", "transactions", Some("payments"), "the id \"a\" is wrong"),
            ("acme", "balances", Some("payments"), "the id \"a\" is wrong"),
            ("acme", "transactions", Some("refunds"), "the id \"a\" is wrong"),
            ("acme", "transactions", None, "the id \"a\" is wrong"),
            ("acme", "transactions", Some("payments"), "the id \"a\" is missing"),
        ] {
            assert_ne!(one, group(provider, resource, stream, reason));
        }
    }
}
