//! From the text of a filter to a program. Equal texts give one program, however many providers
//! write them: it holds the whole library of jq, which takes longer to compile than the filter itself.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, native};
use jaq_json::Val;

use super::{money, time};

/// What a filter was compiled to.
pub type Program = jaq_core::Filter<JustLut<Val>>;

/// The programs in use, by their texts.
static IN_USE: LazyLock<Mutex<HashMap<String, Weak<Program>>>> = LazyLock::new(Mutex::default);

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

/// The program of `code`; the error is what jq says.
pub fn compile(code: &str) -> Result<Arc<Program>, String> {
    if let Some(program) = in_use(|programs| programs.get(code).and_then(Weak::upgrade)) {
        return Ok(program);
    }
    let program = Arc::new(compile_anew(code)?);
    in_use(|programs| {
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(code.to_owned(), Arc::downgrade(&program));
    });
    Ok(program)
}

fn in_use<T>(look: impl FnOnce(&mut HashMap<String, Weak<Program>>) -> T) -> T {
    look(&mut IN_USE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What jq has and jaq has not.
const IN: &str = "def IN(s): any(s == .; .); def IN(src; s): any(src == s; .);";

fn compile_anew(code: &str) -> Result<Program, String> {
    let allowed = |name: &str| !FORBIDDEN.contains(&name);
    let own = jaq_core::load::parse(IN, |parser| parser.defs()).unwrap_or_default();
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
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
        .with_global_vars([
            "$now",
            "$parent",
            "$identity",
            "$page",
            "$since",
            "$until",
            "$report",
            "$status",
            "$headers",
        ])
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
