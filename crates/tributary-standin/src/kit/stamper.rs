//! The `updatedAt` of each change.

/// Gives ascending times, each unique or shared by a run of changes.
#[derive(Debug)]
pub(super) struct Stamper {
    last: i64,
    width: u32,
    left_in_run: u32,
}

/// One `updatedAt`, and whether an earlier change already bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub at: i64,
    pub tied: bool,
}

impl Stamper {
    pub fn new() -> Self {
        Self { last: i64::MIN, width: 1, left_in_run: 0 }
    }

    /// From here on `width` consecutive changes share one `updatedAt` (0 is taken as 1). A run
    /// that was begun before is over.
    pub fn restart(&mut self, width: u32) {
        self.width = width.max(1);
        self.left_in_run = 0;
    }

    /// Whether the next `updatedAt` may be the one of a version of `previous`: an item with
    /// that version has to wait for the next run, or it would end this one.
    pub fn would_tie_with(&self, previous: i64) -> bool {
        self.left_in_run > 0 && previous >= self.last
    }

    /// The `updatedAt` of the next change, made at `now`, of an item whose previous one is
    /// `previous`. An item's own versions are never tied, so a run ends where one item would
    /// come twice. Runs ahead of `now` only as far as changes outnumber milliseconds.
    pub fn next(&mut self, now: i64, previous: Option<i64>) -> Stamp {
        if self.left_in_run > 0 && !previous.is_some_and(|previous| self.would_tie_with(previous)) {
            self.left_in_run -= 1;
            return Stamp { at: self.last, tied: true };
        }
        self.last = now.max(self.last.saturating_add(1));
        self.left_in_run = self.width - 1;
        Stamp { at: self.last, tied: false }
    }
}
