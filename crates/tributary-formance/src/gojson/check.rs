//! Whether a text is JSON: Go decides that for the whole text before it assigns
//! the first field, so one stray byte at the end leaves nothing decoded.

use super::JsonError;

/// Go's limit on arrays and objects within each other.
const MAX_DEPTH: usize = 10_000;

/// Checks that `text` is exactly one JSON value.
pub(super) fn check(text: &[u8]) -> Result<(), JsonError> {
    let mut checker = Checker { text, at: 0, open: Vec::new() };
    checker.run().ok_or(JsonError::Syntax { offset: checker.at })
}

struct Checker<'a> {
    text: &'a [u8],
    at: usize,
    /// The brackets that are open. A list instead of recursion, since a hostile
    /// text may open thousands.
    open: Vec<u8>,
}

/// In all steps `None` means that the text is not JSON at `self.at`.
impl Checker<'_> {
    fn run(&mut self) -> Option<()> {
        loop {
            self.value()?;
            if self.close_and_separate()? {
                return Some(());
            }
        }
    }

    /// Reads up to the end of the next scalar or empty array or object.
    fn value(&mut self) -> Option<()> {
        loop {
            match self.next_visible()? {
                bracket @ (b'[' | b'{') => {
                    if self.open.len() == MAX_DEPTH {
                        return None;
                    }
                    self.at += 1;
                    self.open.push(bracket);
                    // An opening bracket plus two is its closing one, in ASCII.
                    if self.next_visible()? == bracket + 2 {
                        self.open.pop();
                        self.at += 1;
                        return Some(());
                    }
                    if bracket == b'{' {
                        self.key()?;
                    }
                }
                b'"' => return self.string(),
                b'-' | b'0'..=b'9' => return self.number(),
                b't' => return self.word(b"true"),
                b'f' => return self.word(b"false"),
                b'n' => return self.word(b"null"),
                _ => return None,
            }
        }
    }

    /// After a value: reads closing brackets up to a comma (and the key after
    /// it), or up to the end of the text, which gives `true`.
    fn close_and_separate(&mut self) -> Option<bool> {
        while let Some(&bracket) = self.open.last() {
            let next = self.next_visible()?;
            if next == b',' {
                self.at += 1;
                if bracket == b'{' {
                    self.key()?;
                }
                return Some(false);
            }
            if next != bracket + 2 {
                return None;
            }
            self.at += 1;
            self.open.pop();
        }
        self.next_visible().is_none().then_some(true)
    }

    fn key(&mut self) -> Option<()> {
        self.next_visible()?;
        self.string()?;
        self.next_visible()?;
        self.byte(b':')
    }

    fn string(&mut self) -> Option<()> {
        self.byte(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.byte(b'"'),
                b'\\' => {
                    self.at += 1;
                    self.escape()?;
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek()?.is_ascii_hexdigit() {
                        return None;
                    }
                    self.at += 1;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        word.iter().try_for_each(|&b| self.byte(b))
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space, or `None` at the end of the text.
    fn next_visible(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_accepted() {
        for text in [
            "null",
            " true ",
            "\t[\r\n]",
            "{}",
            "[[],{}]",
            "-0",
            "0.5",
            "-1e+5",
            "12E3",
            r#""""#,
            r#""\"\\\/\b\f\n\r\t\u00e9\uD800""#,
            r#"{"a":1,"a":[{"b":"c"}], "":null}"#,
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
        assert_eq!(check(b"\"\xff\xfe\""), Ok(()), "invalid UTF-8 is no error");
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_shows() {
        for (text, offset) in [
            ("", 0),
            ("  ", 2),
            ("[", 1),
            ("[1", 2),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[}", 1),
            ("{]", 1),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("{'a':1}", 1),
            ("01", 1),
            ("1.", 2),
            (".5", 0),
            ("+1", 0),
            ("1e", 2),
            ("nul", 3),
            ("not json", 1),
            ("NaN", 0),
            ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("\"\n\"", 1),
            ("[] []", 3),
            ("\u{feff}[]", 0),
        ] {
            assert_eq!(check(text.as_bytes()), Err(JsonError::Syntax { offset }), "{text:?}");
        }
    }

    #[test]
    fn nesting_ends_at_ten_thousand() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(nested(10_000).as_bytes()), Ok(()));
        assert!(check(nested(10_001).as_bytes()).is_err());
    }
}
