//! What commands print: one way for all of them. Whoever reads only the beginning of it (`| head`)
//! has what they wanted, and the command goes on to its own end, with everything in order behind it;
//! the macros of the standard library would panic instead. Declared before all commands, the macros
//! here take the place of those.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// Prints on standard output.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::out(::std::format_args!($($text)*)) };
}

/// Prints a line on standard output.
macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => { print!("{}\n", ::std::format_args!($($text)*)) };
}

/// Prints on standard error.
macro_rules! eprint {
    ($($text:tt)*) => { $crate::cli::output::err(::std::format_args!($($text)*)) };
}

/// Prints a line on standard error.
macro_rules! eprintln {
    ($($text:tt)*) => { eprint!("{}\n", ::std::format_args!($($text)*)) };
}

/// Why standard output takes no more.
static CLOSED: Mutex<Option<ErrorKind>> = Mutex::new(None);

/// What `print!` does.
pub fn out(text: Arguments<'_>) {
    let mut closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    if closed.is_none() {
        *closed = io::stdout().lock().write_fmt(text).err().map(|error| error.kind());
    }
}

/// What `eprint!` does. There is nowhere to say that nobody hears it.
pub fn err(text: Arguments<'_>) {
    io::stderr().lock().write_fmt(text).ok();
}

/// Writes out what is left of it. Fails if part of what was printed is lost, and somebody would
/// have read it.
pub fn finish() -> Result<(), String> {
    let mut closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = closed.take().or_else(|| io::stdout().lock().flush().err().map(|error| error.kind()));
    match failed {
        None | Some(ErrorKind::BrokenPipe) => Ok(()),
        Some(kind) => Err(format!("not everything could be printed: {kind}")),
    }
}
