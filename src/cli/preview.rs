//! What a preview says on the command line.

use std::path::{Path, PathBuf};

use super::Common;
use super::table::{self, Output};
use crate::sync::{Field, FilesAgain, Preview};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The text of a `file` that is to be tried, and where the descriptions are that it uses.
pub fn given(common: &Common, file: Option<&Path>) -> Result<(Option<String>, Option<PathBuf>), Error> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    Ok((file.map(read).transpose()?, std::path::absolute(&common.providers).ok()))
}

/// Prints `preview`.
pub fn print(preview: &Preview, output: Output) {
    if output == Output::Json {
        table::json(preview);
        return;
    }
    if let Some(files) = &preview.files {
        println!("nothing written: {}", of_files(files));
        files.refused.iter().for_each(|why| println!("refused, so that nothing would be written: {why}"));
        files.stays.iter().for_each(|stays| println!("{stays}"));
        if preview.total == 0 {
            return;
        }
    }
    println!(
        "{} of {} records tried, and nothing written: {} would be taken ({} created, {} updated, {} unchanged, {} superseded)",
        preview.tried,
        preview.total,
        preview.taken,
        preview.created,
        preview.updated,
        preview.unchanged,
        preview.superseded
    );
    for refusal in &preview.refused {
        println!("{} would be in quarantine: {}", refusal.count, refusal.fault);
        println!("  the first: {}", refusal.reason);
    }
    for example in &preview.examples {
        let new = if example.is_new { ", new" } else { "" };
        println!("{} {:?}{new}", example.resource, example.id);
        example.fields.iter().for_each(|field| println!("  {}", told(field)));
    }
}

/// What came, or would come, of reading statement files again.
pub fn of_files(done: &FilesAgain) -> String {
    let FilesAgain { files, published, created, updated, unchanged, quarantined, .. } = done;
    format!(
        "{files} statement files read again: {created} created, {updated} updated, {unchanged} unchanged, {quarantined} \
         quarantined; {published} statements published that were put aside"
    )
}

fn told(field: &Field) -> String {
    let shown = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "(none)".to_owned(), |text| format!("{text:?}"))
    };
    format!("{}: {} -> {}", field.name, shown(&field.now), shown(&field.then))
}
