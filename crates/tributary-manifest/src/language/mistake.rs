//! What is wrong with a provider file: all of it at once, each with its line.

use std::fmt;

use super::tree::LineColumn;

/// One thing that is wrong. Never repeats what the file holds in a field that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub at: LineColumn,
    /// The path of the field; empty where it is about the file.
    pub field: String,
    /// What is wrong, and what to write.
    pub why: String,
}

impl Mistake {
    pub fn at(at: LineColumn, why: &str) -> Self {
        Self { at, field: String::new(), why: why.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LineColumn { line, column } = self.at;
        write!(f, "line {line}, column {column}: ")?;
        match self.field.as_str() {
            "" => write!(f, "{}", self.why),
            field => write!(f, "{field}: {}", self.why),
        }
    }
}

/// Everything that is wrong with a file, in the order of its lines; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn add(&mut self, mistake: Mistake) {
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value`, if nothing is wrong.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            return Ok(value);
        }
        // what is missing only because it is wrong was told
        let told: Vec<String> = self.0.iter().map(|mistake| mistake.field.clone()).collect();
        self.0.retain(|mistake| {
            let missing = mistake.why.strip_prefix('`').and_then(|rest| rest.split_once("` is missing"));
            missing.is_none_or(|(name, _)| {
                let field = format!("{}.{name}", mistake.field);
                !told.iter().any(|told| told.starts_with(field.trim_start_matches('.')))
            })
        });
        // what many take from one place, such as a default, is wrong once
        self.0.sort_by_key(|mistake| (mistake.at, !mistake.field.starts_with("defaults")));
        let mut seen = std::collections::BTreeSet::new();
        self.0.retain(|mistake| seen.insert((mistake.at, mistake.why.clone())));
        Err(self)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
