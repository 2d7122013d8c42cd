//! What goes wrong with the files of banks, and how often it did.

use std::collections::BTreeMap;

/// Something that a bank, or whoever carries its files, does to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The same bytes come again, under another name.
    Renamed,
    /// The same statement comes again in other bytes.
    Redelivered,
    /// The same statement comes again with its entries in another order.
    Reordered,
    /// A statement comes after those that follow on it.
    Late,
    /// A statement never comes.
    MissingDay,
    /// Another content of a statement came before, which it replaces.
    Restated,
    /// A statement comes in pages, all in one file.
    PagedInOne,
    /// A statement comes in pages, each in a file of its own.
    PagedInSeveral,
    /// A file breaks off.
    Truncated,
    /// A line is lost, and the balances are those of the whole.
    DoesNotClose,
    /// A control total is not what there is.
    WrongTotal,
    /// Text is in another charset than the file says or everybody takes.
    WrongCharset,
    /// Exports have days in common.
    Overlapping,
    /// The movements of a day come before its statement.
    Reported,
    /// A zip is around, of several files where there are.
    Zipped,
    /// A gzip is around.
    Gzipped,
}

/// How often each fault happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fired(BTreeMap<Fault, usize>);

impl Fired {
    pub(super) fn note(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// How often `fault` happened.
    pub fn count(&self, fault: Fault) -> usize {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }
}
