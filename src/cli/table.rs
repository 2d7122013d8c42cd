//! Lists as commands print them: a table for people, JSON for programs.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::output::disturbs;
use crate::verbs::keys::NewSecret;

/// Who reads what is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// People.
    #[default]
    Table,
    /// Programs: one JSON document, with everything that is known.
    Json,
}

/// The form of what is printed.
#[derive(Args, Clone, Copy)]
pub struct OutputArgs {
    /// How it is printed.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
}

impl OutputArgs {
    /// Prints a new secret: for people, it alone.
    pub fn secret(self, new: &NewSecret) {
        self.done(new, &new.key);
    }

    /// Prints what was done: for people, as `said` says it, if that says anything.
    pub fn done(self, answer: &impl Serialize, said: &str) {
        match self.output {
            Output::Json => json(answer),
            Output::Table if said.is_empty() => {}
            Output::Table => println!("{said}"),
        }
    }
}

/// A column: its head, and how its cells stand.
#[derive(Clone, Copy)]
pub struct Column(&'static str, CellAlignment);

/// A column of words.
pub const fn words(head: &'static str) -> Column {
    Column(head, CellAlignment::Left)
}

/// A column of numbers.
pub const fn numbers(head: &'static str) -> Column {
    Column(head, CellAlignment::Right)
}

/// Prints rows below the heads of their columns; each cell on one line, whatever somebody wrote.
pub fn print<R: IntoIterator<Item = String>>(columns: &[Column], rows: impl IntoIterator<Item = R>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|Column(head, _)| *head));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell)));
    }
    for (column, Column(_, alignment)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        column.set_cell_alignment(*alignment);
    }
    for line in table.lines() {
        println!("{}", line.trim_end());
    }
}

/// Prints `value` as JSON.
pub fn json(value: &impl Serialize) {
    println!("{:#}", serde_json::json!(value));
}

/// On one line, whatever somebody wrote into it.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if disturbs(c) { ' ' } else { c }).collect()
}

/// A time as commands print it.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
