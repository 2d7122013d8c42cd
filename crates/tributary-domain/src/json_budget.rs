//! How much JSON may cost whoever reads it. Looked at before it is parsed, in one pass and without any
//! memory: 64 KB on the wire can be a value that takes a gigabyte, or minutes.

/// What JSON may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonBudget {
    /// Texts (keys are texts, too), numbers, words, lists and objects, all together.
    pub values: usize,
    /// How deep lists and objects may nest.
    pub depth: usize,
    /// How many characters a number may have.
    pub digits: usize,
}

/// What JSON holds too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooCostly {
    #[error("it holds more than {0} values")]
    Values(usize),
    #[error("it nests deeper than {0} levels")]
    Depth(usize),
    #[error("it holds a number of more than {0} digits")]
    Digits(usize),
}

impl JsonBudget {
    /// Whether `json` is within the budget. What is no JSON may be told to be; its parser tells more.
    pub fn check(&self, json: &[u8]) -> Result<(), TooCostly> {
        let (mut values, mut depth) = (0_usize, 0_usize);
        let mut at = 0;
        while let Some(byte) = json.get(at) {
            at += 1;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b'"' => at = end_of_text(json, at),
                _ => {
                    let begun = at - 1;
                    at = end_of_word(json, at);
                    if at - begun > self.digits {
                        return Err(TooCostly::Digits(self.digits));
                    }
                }
            }
            values += 1;
            if values > self.values {
                return Err(TooCostly::Values(self.values));
            }
            if depth > self.depth {
                return Err(TooCostly::Depth(self.depth));
            }
        }
        Ok(())
    }
}

/// Behind the quotation mark that ends the text in which `at` is.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => return at,
            b'\\' => at += 1,
            _ => {}
        }
    }
    json.len()
}

/// Behind the number or word in which `at` is.
fn end_of_word(json: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'[' | b']' | b'{' | b'}' | b'"')
    };
    json[at..].iter().position(ends).map_or(json.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: JsonBudget = JsonBudget { values: 10, depth: 3, digits: 5 };

    #[test]
    fn what_is_within_every_part_of_the_budget_passes() {
        for json in [
            "",
            "null",
            r#"{"a":[1,-2.5,{"b":"c"}],"d":null}"#,
            "[[[1]],[[2]]]",
            "[1,2,3,4,5,6,7,8,9]",
            "[12345, -1e10]",
            // brackets, quotation marks and digits within texts are text
            r#"["[[[[[[[[","{\"","\\","123456789", "\\\"1234567,8,9,10,11,12"]"#,
        ] {
            assert_eq!(BUDGET.check(json.as_bytes()), Ok(()), "{json}");
        }
    }

    #[test]
    fn whatever_is_beyond_it_is_told() {
        for (json, wrong) in [
            ("[1,2,3,4,5,6,7,8,9,10]", TooCostly::Values(10)),
            (r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#, TooCostly::Values(10)),
            ("[[[[]]]]", TooCostly::Depth(3)),
            (r#"{"a":{"a":{"a":{}}}}"#, TooCostly::Depth(3)),
            ("123456", TooCostly::Digits(5)),
            ("[-1.345]", TooCostly::Digits(5)),
            ("1e99999", TooCostly::Digits(5)),
        ] {
            assert_eq!(BUDGET.check(json.as_bytes()), Err(wrong), "{json}");
        }
    }

    #[test]
    fn the_end_may_come_anywhere() {
        let json = r#"{"a":[1,-2.5,{"b":"c\"\\"}],"d":null}"#.as_bytes();
        for end in 0..json.len() {
            assert_eq!(BUDGET.check(&json[..end]), Ok(()), "{end}");
        }
    }
}
