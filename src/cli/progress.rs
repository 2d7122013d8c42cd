//! How far a command has come, on standard error: a line that moves on a terminal, else a line
//! now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is shown of a command at work.
pub struct Shown {
    bar: ProgressBar,
    terminal: bool,
    unit: &'static str,
    begun: Instant,
    last_line: std::sync::Mutex<Instant>,
}

impl Shown {
    /// With an estimate, where the `total` of records is known.
    pub fn new(total: Option<u64>) -> Self {
        Self::of("records", total)
    }

    /// The same of another `unit` than records.
    pub fn of(unit: &'static str, total: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = match (terminal, total) {
            (false, _) => ProgressBar::hidden(),
            (true, Some(total)) => ProgressBar::new(total),
            (true, None) => ProgressBar::new_spinner(),
        };
        let style = match total {
            Some(_) => format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{wide_msg}}"),
            None => format!("{{spinner}} {{elapsed}}  {{pos}} {unit}  {{per_sec}}  {{wide_msg}}"),
        };
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let begun = Instant::now();
        Self { bar, terminal, unit, begun, last_line: std::sync::Mutex::new(begun) }
    }

    /// Shows that so many are done, and what else there is to say.
    pub fn at(&self, done: u64, more: &str) {
        self.bar.set_position(done);
        self.bar.set_message(more.to_owned());
        if self.terminal {
            return;
        }
        let Ok(mut last) = self.last_line.lock() else { return };
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let rate = done as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
            eprintln!("{done} {}, {rate:.0}/s, {more}", self.unit);
        }
    }

    /// Says something besides.
    pub fn say(&self, line: &str) {
        if self.terminal { self.bar.println(line) } else { eprintln!("{line}") }
    }

    /// Takes the moving line away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Asks a person for a yes; an error where there is nobody to ask and `yes` was not given before.
pub fn confirm(question: &str, yes: bool) -> Result<bool, String> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("{question} Confirm with --yes"));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
