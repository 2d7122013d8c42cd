//! The numbers in `benches/baseline.json`, which those of a run are compared with, or which
//! they replace where `BENCH_SAVE` says, in general words, what machine this is.

use serde_json::{Map, Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline.json");

/// The baseline as the file has it, and what was measured since it was read.
pub struct Baseline {
    file: Value,
    measured: Map<String, Value>,
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// Where the file is not there, or is no JSON.
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let file = serde_json::from_str(&std::fs::read_to_string(FILE)?)?;
        Ok(Self { file, measured: Map::new() })
    }

    /// How a number relates to the baseline's, as words for the end of a line. `measure` has its
    /// unit; `rows` is the size of the work, and a baseline of another size tells nothing.
    pub fn compare(&mut self, measure: &str, rows: usize, value: f64) -> String {
        self.measured
            .insert(measure.to_owned(), json!({ "rows": rows, "value": (value * 1000.0).round() / 1000.0 }));
        let kept = &self.file["measures"][measure];
        match (kept["rows"].as_u64(), kept["value"].as_f64()) {
            (Some(kept), Some(value_kept)) if kept == rows as u64 => {
                format!("{:.2} × the baseline", value / value_kept)
            }
            (Some(kept), _) => format!("the baseline is of {kept} rows"),
            _ => "no baseline".to_owned(),
        }
    }

    /// Makes the numbers of this run the baseline, if that is asked for.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_if_asked(self) -> Result<(), Box<dyn std::error::Error>> {
        if let Some(machine) = std::env::var("BENCH_SAVE").ok().filter(|machine| !machine.is_empty()) {
            // numbers of two machines are no baseline
            let kept = self.file["measures"].as_object().filter(|_| self.file["machine"] == *machine);
            let mut measures = kept.cloned().unwrap_or_default();
            measures.extend(self.measured);
            let file = json!({ "machine": machine, "measures": measures });
            std::fs::write(FILE, serde_json::to_string_pretty(&file)? + "\n")?;
        }
        Ok(())
    }
}
