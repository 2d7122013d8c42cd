//! Warnings of a run, reported in one way: to the log, to the metric, to the run that is kept, and to
//! whoever waits for it.

use std::collections::BTreeMap;

use metrics::counter;

use tributary_domain::ProviderName;
use tributary_manifest::Warnings;

/// How much of the words of a warning is kept, in characters: they may be a provider's.
const TEXT_CHARS: usize = 300;

/// How often one kind of warning occurred, and the first of them in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warned {
    pub times: u64,
    pub text: String,
}

/// The warnings of one stream of a run, or of several, by stream and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WarnedOf(BTreeMap<(String, &'static str), Warned>);

impl WarnedOf {
    /// `warnings` of a partition of a stream, which the words name.
    pub fn new(stream: &str, partition: &str, warnings: &Warnings) -> Self {
        let mut warned = Self::default();
        for (warning, times) in warnings {
            let text =
                if partition.is_empty() { warning.to_string() } else { format!("{partition}: {warning}") };
            let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS).collect();
            warned.add((stream.to_owned(), warning.kind()), Warned { times: *times, text });
        }
        warned
    }

    /// Adds one that is no warning of the engine; `text` is told as it is.
    pub fn add_text(&mut self, stream: &str, kind: &'static str, text: &str) {
        self.add((stream.to_owned(), kind), Warned { times: 1, text: text.to_owned() });
    }

    fn add(&mut self, place: (String, &'static str), more: Warned) {
        self.0.entry(place).and_modify(|warned| warned.times += more.times).or_insert(more);
    }

    /// Adds those of `more`.
    pub fn append(&mut self, more: Self) {
        more.0.into_iter().for_each(|(place, warned)| self.add(place, warned));
    }

    /// Each kind of each stream.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'static str, &Warned)> {
        self.0.iter().map(|((stream, kind), warned)| (stream.as_str(), *kind, warned))
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.0.values().map(|warned| warned.times).sum()
    }
}

/// Reports to the log and the metric `warnings` of a partition of a stream. The log has each in
/// words; the metric has only kinds, so that no answer of a provider can make it grow.
pub fn report(provider: &ProviderName, stream: &str, partition: &str, warnings: &Warnings) {
    for (warning, count) in warnings {
        let kind = warning.kind();
        tracing::warn!(%provider, stream, partition, kind, count, "{warning}");
        counter!("tributary_sync_warnings_total", "provider" => provider.to_string(),
            "stream" => stream.to_owned(), "kind" => kind)
        .increment(*count);
    }
}
