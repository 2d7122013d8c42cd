//! What a check says of one part of the server.

use serde::{Serialize, Serializer};

use super::catalogue::Check;
use super::text::cut;

/// How a check ended, from harmless to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There was nothing to check it with; what is missing is said.
    Skipped,
    /// It holds, as far as it was seen.
    Ok,
    /// Formance gets everything, but at a cost, or only as long as something stays as it is.
    Warning,
    /// Formance loses rows, stops, or counts wrong.
    Fail,
}

impl Verdict {
    /// As a person reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "-",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fail => "FAIL",
        }
    }
}

/// The result of one check on one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "check_name")]
    pub check: Check,
    /// Of what: `accounts`, `beneficiaries`, `transactions`, `balances` or `server`.
    pub subject: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// A row or request that shows it.
    pub example: Option<String>,
}

fn check_name<S: Serializer>(check: &Check, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(check.name())
}

/// The longest example, in characters: enough for a row, not for a page.
const EXAMPLE_LENGTH: usize = 400;

impl Finding {
    fn new(check: Check, subject: &'static str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self { check, subject, verdict, seen: seen.into(), example: None }
    }

    /// It holds.
    pub fn ok(check: Check, subject: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::Ok, seen)
    }

    /// It holds, but.
    pub fn warning(check: Check, subject: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::Warning, seen)
    }

    /// It does not hold.
    pub fn fail(check: Check, subject: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::Fail, seen)
    }

    /// It could not be checked.
    pub fn skipped(check: Check, subject: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::Skipped, seen)
    }

    /// The same with a row or request that shows it, cut where it is very long.
    pub fn with_example(mut self, example: impl AsRef<str>) -> Self {
        self.example = Some(cut(example.as_ref(), EXAMPLE_LENGTH));
        self
    }
}
