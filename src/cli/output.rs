//! What commands print: one way for all of them. Whoever reads only the beginning of it (`| head`)
//! has what they wanted, and the command goes on to its own end, with everything in order behind it;
//! the macros of the standard library would panic instead. Declared before all commands, the macros
//! here take the place of those.
//!
//! Much of it was written by others: by FSPs, by whoever pushes, by Formance. On a terminal none of it
//! moves the cursor, changes what stands there, or types anything.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal, Write};
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
        *closed = write(io::stdout().lock(), text).err().map(|error| error.kind());
    }
}

/// Writes `text` as it is, but to a terminal without what it would obey.
fn write(mut to: impl Write + IsTerminal, text: Arguments<'_>) -> io::Result<()> {
    if to.is_terminal() { to.write_all(harmless(&text.to_string()).as_bytes()) } else { to.write_fmt(text) }
}

/// Whether a terminal would do something at `c` other than to show it: control characters, and those
/// that turn the direction of the text around them.
pub fn disturbs(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// `text` with lines and tabs, and with a mark in the place of all else that [`disturbs`].
fn harmless(text: &str) -> String {
    let shown = |c: char| if disturbs(c) && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// What `eprint!` does. There is nowhere to say that nobody hears it.
pub fn err(text: Arguments<'_>) {
    write(io::stderr().lock(), text).ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_of_a_text() {
        for (text, shown) in [
            ("a\tb\nc é €", "a\tb\nc é €"),
            ("\u{1b}[2J\u{1b}]0;x\u{7}", "\u{fffd}[2J\u{fffd}]0;x\u{fffd}"),
            ("\u{9b}2J\u{7f}\r\u{8}", "\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}"),
            ("1\u{202e}00", "1\u{fffd}00"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
