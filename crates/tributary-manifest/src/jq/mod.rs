//! jq in a cage: filters of a manifest see the value they are given, `$now`, `$parent` and
//! `$identity`, and nothing else. No environment, clock, files, log or exit; bounded numbers of outputs; a
//! deadline between outputs. A filter that never yields cannot be stopped from within: whoever
//! runs filters does so on a thread that may be abandoned.

mod iso4217;
mod json;
mod money;
mod time;
pub mod yielded;

use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, native};
use jaq_json::Val;

pub use json::{BUDGET, NotJson, parse, parse_within, to_json};
pub use yielded::{boolean, holds, scalar, text, token_of};

/// The most of a message of jq that an error repeats, in bytes: it may quote a whole record.
const MESSAGE_BYTES: usize = 300;

/// What no filter of a manifest may call: what reads the surroundings, writes to the log or
/// ends the process.
const FORBIDDEN: [&str; 12] = [
    "env",
    "now",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "localtime",
    "strflocaltime",
    "input",
    "inputs",
];

/// Why a filter failed, and which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} of stream {stream}: {message}")]
pub struct FilterError {
    pub stream: String,
    /// The field of the manifest that holds the filter.
    pub field: &'static str,
    /// What jq says, cut to a readable length.
    pub message: String,
}

/// What a filter can see besides its input.
#[derive(Debug, Clone)]
pub struct Scope {
    /// `$now`: when the request was sent, as text.
    pub now: Val,
    /// `$parent`: the `for_each` record, or null.
    pub parent: Val,
    /// `$identity`: what makes the record one and the same for ever, or null.
    pub identity: Val,
}

impl Scope {
    /// What is seen of a request sent at `now` for the record `parent`.
    pub fn at(now: DateTime<Utc>, parent: Val) -> Self {
        let now = Val::from(now.to_rfc3339_opts(SecondsFormat::Micros, true));
        Self { now, parent, identity: Val::Null }
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

impl Limits {
    /// Of a filter that yields one value until `deadline`.
    pub fn one(deadline: Instant) -> Self {
        Self { outputs: 1, deadline }
    }
}

/// A compiled filter.
pub struct Filter {
    program: jaq_core::Filter<JustLut<Val>>,
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
        let program = compile(&format!("{functions}\n{code}")).map_err(|message| FilterError {
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
        let variables = Vars::new([scope.now.clone(), scope.parent.clone(), scope.identity.clone()]);
        let context = Ctx::<JustLut<Val>>::new(&self.program.lut, variables);
        let mut outputs = Vec::new();
        for output in self.program.id.run((context, input)) {
            let output = output.map_err(|exception| match exception.get_err() {
                Ok(error) => self.error(error.to_string()),
                Err(_) => self.error("left the filter by other means than a value".to_owned()),
            })?;
            if outputs.len() == limits.outputs {
                return Err(self.error(format!("yields more than {} values", limits.outputs)));
            }
            outputs.push(output);
            if Instant::now() > limits.deadline {
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

    /// An error of this filter.
    pub fn error(&self, message: String) -> FilterError {
        FilterError { stream: self.stream.clone(), field: self.field, message: shorten(message) }
    }
}

fn compile(code: &str) -> Result<jaq_core::Filter<JustLut<Val>>, String> {
    let allowed = |name: &str| !FORBIDDEN.contains(&name);
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let natives = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|(name, ..)| allowed(name))
        .chain(money::filters().into_iter().chain(time::filters()).map(native::run));

    let arena = Arena::default();
    let loader = Loader::new(definitions.filter(|definition| allowed(definition.name)));
    let modules = loader.load(&arena, File { code, path: () }).map_err(explain_load)?;
    load::import(&modules, |_| Err("no files can be read here".to_owned())).map_err(explain_load)?;
    Compiler::default()
        .with_funs(natives)
        .with_global_vars(["$now", "$parent", "$identity"])
        .compile(modules)
        .map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, undefined)| undefined);
            join(undefined.map(|(name, kind)| format!("undefined {} {name}", kind.as_str())))
        })
}

fn explain_load(errors: load::Errors<&str, ()>) -> String {
    join(errors.into_iter().flat_map(|(_, error)| match error {
        load::Error::Io(errors) => {
            errors.into_iter().map(|(path, why)| format!("{path}: {why}")).collect::<Vec<_>>()
        }
        load::Error::Lex(errors) => {
            errors.into_iter().map(|(wanted, at)| expected(wanted.as_str(), at)).collect()
        }
        load::Error::Parse(errors) => {
            errors.into_iter().map(|(wanted, at)| expected(wanted.as_str(), at)).collect()
        }
    }))
}

fn expected(wanted: &str, at: &str) -> String {
    let line = at.lines().next().unwrap_or_default();
    if line.is_empty() {
        format!("expected {wanted} at the end")
    } else {
        format!("expected {wanted} at {line:?}")
    }
}

fn join(messages: impl Iterator<Item = String>) -> String {
    messages.collect::<Vec<_>>().join("; ")
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
