//! jq in a cage: filters of a manifest see the value they are given, `$now`, `$parent` and
//! `$identity`, and nothing else. No environment, clock, files, log or exit; bounded numbers of outputs; a
//! deadline between outputs. A filter that never yields cannot be stopped from within: whoever
//! runs filters does so on a thread that may be abandoned.

mod iso4217;
mod json;
mod money;
mod programs;
mod repair;
mod time;
pub mod yielded;

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use jaq_core::data::JustLut;
use jaq_core::{Ctx, Vars};
use jaq_json::Val;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

pub use json::{BUDGET, NotJson, number, parse, parse_mended, to_json};
pub use money::whole;
use programs::Program;
pub use yielded::{boolean, count_of, holds, id_of, name_of, scalar, text, text_of, token_of};

/// The most of a message of jq that an error repeats, in bytes: it may quote a whole record.
const MESSAGE_BYTES: usize = 300;

/// Why a filter failed, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The stream that has the filter; of payments the path of their section, such as `pay.payouts`.
    pub stream: String,
    /// The field of the manifest that holds the filter.
    pub field: &'static str,
    /// What jq says, cut to a readable length.
    pub message: String,
}

impl std::error::Error for FilterError {}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, field, message } = self;
        if !stream.starts_with("pay.") {
            return write!(f, "{field} of stream {stream}: {message}");
        }
        // what was made of several fields says itself which of them it is about
        let named = ["let.", "made.", "find."].iter().any(|own| message.starts_with(own));
        match (named, *field) {
            (true, _) => write!(f, "{stream}.{message}"),
            (false, "request.body") => write!(f, "{stream}.body: {message}"),
            (false, "request.fields") => write!(f, "{stream}.post: {message}"),
            (false, field) => write!(f, "{stream}.{field}: {message}"),
        }
    }
}

/// What a filter can see besides its input.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// `$now`: when the request was sent, as text.
    pub now: Val,
    /// `$parent`: the `for_each` record, or null.
    pub parent: Val,
    /// `$identity`: what makes the record one and the same for ever, or null.
    pub identity: Val,
    /// `$page`, `$since`, `$until` and `$report`: what a request asks for, or null.
    pub asked: Asked,
    /// `$status` and `$headers`: those of the answer, or null.
    pub answered: Answered,
}

/// What a request asks for, as its own jq sees it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub page: Val,
    pub since: Val,
    pub until: Val,
    pub report: Val,
}

/// What an answer is besides its body.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    pub status: Val,
    pub headers: Val,
}

impl Answered {
    /// Of an answer with `status` and `headers`: an object of texts by names in lower case, those of
    /// one name with commas between them.
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let members = headers.keys().map(|name| {
            let texts: Vec<String> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            (Val::from(name.as_str().to_owned()), Val::from(texts.join(", ")))
        });
        Self { status: Val::from(isize::from(status.as_u16() as i16)), headers: Val::obj(members.collect()) }
    }
}

impl Scope {
    /// What is seen of a request sent at `now` for the record `parent`.
    pub fn at(now: DateTime<Utc>, parent: Val) -> Self {
        let now = Val::from(now.to_rfc3339_opts(SecondsFormat::Micros, true));
        Self { now, parent, ..Self::default() }
    }
}

/// When a filter has to stop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most values that it may yield.
    pub outputs: usize,
    /// When it has to be done.
    pub deadline: Instant,
}

/// Whether `deadline` has passed.
pub fn is_late(deadline: Instant) -> bool {
    Instant::now() > deadline
}

impl Limits {
    /// Of a filter that yields one value until `deadline`.
    pub fn one(deadline: Instant) -> Self {
        Self { outputs: 1, deadline }
    }
}

/// A compiled filter.
pub struct Filter {
    program: Arc<Program>,
    stream: String,
    field: &'static str,
    code: String,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filter({}.{})", self.stream, self.field)
    }
}

impl Filter {
    /// Compiles `code`, the `field` of `stream`, which may call the definitions in `functions`.
    pub fn compile(
        stream: &str,
        field: &'static str,
        functions: &str,
        code: &str,
    ) -> Result<Self, FilterError> {
        if let Some(variable) = variable_in(code) {
            return Err(FilterError { stream: stream.to_owned(), field, message: not_filled_in(variable) });
        }
        let program = programs::compile(&format!("{functions}\n{code}")).map_err(|message| FilterError {
            stream: stream.to_owned(),
            field,
            message: shorten(message),
        })?;
        Ok(Self { program, stream: stream.to_owned(), field, code: code.to_owned() })
    }

    /// What it was compiled from, without the functions.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Everything that the filter yields for `input`. Stops at the first error.
    pub fn run(&self, input: Val, scope: &Scope, limits: Limits) -> Result<Vec<Val>, FilterError> {
        let Scope { now, parent, identity, asked, answered } = scope;
        let variables = [
            now,
            parent,
            identity,
            &asked.page,
            &asked.since,
            &asked.until,
            &asked.report,
            &answered.status,
            &answered.headers,
        ];
        let variables = Vars::new(variables.map(Val::clone));
        let context = Ctx::<JustLut<Val>>::new(&self.program.lut, variables);
        let mut outputs = Vec::new();
        for output in self.program.id.run((context, input)) {
            let output = output.map_err(|exception| match exception.get_err() {
                Ok(error) => self.error(plain(error.to_string())),
                Err(_) => self.error("ended the filter without a value".to_owned()),
            })?;
            if outputs.len() == limits.outputs {
                return Err(self.error(format!("yields more than {} values", limits.outputs)));
            }
            outputs.push(output);
            if is_late(limits.deadline) {
                return Err(self.error("took too long".to_owned()));
            }
        }
        Ok(outputs)
    }

    /// As [`Filter::run`], for a filter that has to yield exactly one value.
    pub fn run_one(&self, input: Val, scope: &Scope, limits: Limits) -> Result<Val, FilterError> {
        let mut outputs = self.run(input, scope, Limits { outputs: 1, ..limits })?;
        outputs.pop().ok_or_else(|| self.error("yields nothing".to_owned()))
    }

    pub fn error(&self, message: String) -> FilterError {
        FilterError { stream: self.stream.clone(), field: self.field, message: shorten(message) }
    }
}

/// A message as it was written: jq shows one that is a text as JSON.
fn plain(message: String) -> String {
    serde_json::from_str(&message).unwrap_or(message)
}

/// That `variable` of the environment means nothing in jq, and where it would.
pub fn not_filled_in(variable: &str) -> String {
    format!(
        "{variable}}} would stay as it is: jq does not see the environment. Write the text itself; or, of a list of \
         texts, a stream with `values: \"{variable}}}\"`, which others are read for `each` of"
    )
}

/// What looks like a variable of the environment in `code`.
pub fn variable_in(code: &str) -> Option<&str> {
    let begun = code.find("${")?;
    let named = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let name = code[begun + 2..].split(|c| !named(c)).next().filter(|name| !name.is_empty())?;
    Some(&code[begun..begun + 2 + name.len()])
}

fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let cut = (0..=MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
        message.truncate(cut);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;
