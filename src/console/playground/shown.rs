//! What the pages of the playground show.

use maud::{Markup, html};

use super::Tried;
use crate::console::page::table;
use crate::http::SharedState;
use crate::sync::{FilesAgain, Preview};
use crate::verbs::ANSWERED;
use crate::workshop::{Became, Row};

/// What is wrong, line by line.
pub fn mistakes(why: &str) -> Markup {
    html! { div.bad role="alert" { h2 { "What is wrong" } pre { (why) } } }
}

pub fn row_of(n: usize, row: &Row) -> Markup {
    html! {
        h3 { "Row " (n) }
        pre { (row.row) }
        @match &row.becomes {
            Err(why) => p.bad { "The stream fails: " (why) },
            Ok(parts) if parts.is_empty() => p.note { "It becomes nothing." },
            Ok(parts) => @for part in parts {
                @match part {
                    Became::Refused(why) => p.bad { "It would be in quarantine: " (why) },
                    Became::Record { resource, record, .. } => {
                        p { (resource) }
                        pre data-copy { (format!("{record:#}")) }
                    }
                }
            },
        }
    }
}

/// What a preview says.
pub fn shown(preview: &Preview) -> Markup {
    let differences =
        preview.examples.iter().flat_map(|example| example.fields.iter().map(move |field| (example, field)));
    html! {
        @if let Some(files) = &preview.files { (of_files(files)) }
        p {
            (preview.tried) " of " (preview.total) " records were tried, and nothing was written: " (preview.taken)
            " would be taken (" (preview.created) " created, " (preview.updated) " updated, " (preview.unchanged)
            " unchanged, " (preview.superseded) " superseded)."
        }
        @if preview.tried < preview.total {
            p.note { "A page tries no more than " (ANSWERED.records) " records; the command tries all." }
        }
        @if !preview.refused.is_empty() {
            (table("What would be in quarantine, the most first", &["Fault", "#Records", "Reason of the first"],
                preview.refused.iter().map(|refusal| html! {
                    th scope="row" { (refusal.fault) }
                    td.number { (refusal.count) }
                    td { (refusal.reason) }
                })))
        }
        @if !preview.examples.is_empty() {
            (table("The first changes of what is published", &["Record", "Field", "Now", "Then"],
                differences.map(|(example, field)| html! {
                    th scope="row" { (example.resource) " " code { (example.id) } @if example.is_new { " (new)" } }
                    td { (field.name) }
                    td { (field.now.as_deref().unwrap_or("–")) }
                    td { (field.then.as_deref().unwrap_or("–")) }
                })))
        }
    }
}

/// What reading statement files again would do.
fn of_files(files: &FilesAgain) -> Markup {
    html! {
        p {
            (files.files) " statement files were read again, and nothing was written: " (files.created) " created, " (files.updated)
            " updated, " (files.unchanged) " unchanged, " (files.published) " statements published that were put aside."
        }
        @for why in &files.refused { p.bad { "Refused, so that nothing would be written: " (why) } }
        @for stays in &files.stays { p.warn { (stays) } }
    }
}

pub fn forms(state: &SharedState, tried: &Tried) -> Markup {
    let mut names: Vec<&str> = state.providers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    html! {
        h2 { "Try a file" }
        p.note {
            "It runs in a process of its own, without any variable of the environment, and asks nobody. Nothing is kept: "
            "neither the file, nor the sample, nor what comes of them."
        }
        form.tall method="post" action="/console/playground/sample" {
            label for="provider" { "The file of" }
            select #provider name="provider" {
                option value="" { "(pasted below)" }
                @for name in &names { option value=(name) selected[*name == tried.provider] { (name) } }
            }
            label for="file" { "Or a provider file" }
            textarea #file name="file" rows="16" spellcheck="false" data-copy="the file" { (tried.file) }
            label for="stream" { "The stream (or the only one)" }
            input #stream name="stream" value=(tried.stream);
            label for="kind" { "What the sample is" }
            select #kind name="kind" {
                option value="answer" { "a whole answer" }
                option value="rows" selected[tried.kind == "rows"] { "a row, or a list of rows" }
            }
            label for="sample" { "The sample, as JSON" }
            textarea #sample name="sample" rows="12" spellcheck="false" { (tried.sample) }
            label for="parent" { "The record of `each` that it was read for, as JSON, if there is one" }
            input #parent name="parent" value=(tried.parent);
            label for="now" { "When it was asked for, which filters see as " code { "$now" } "; empty for now" }
            input #now name="now" value=(tried.now);
            button { "Try it" }
            button formaction="/console/playground/file" { "Download the file" }
            button formaction="/console/playground/remap" { "Show what mapping the kept records again would change" }
        }
    }
}
