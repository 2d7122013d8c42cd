//! A provider with a ledger of its own, whose syncs overlap: what was told is told again from
//! older snapshots, at the same time or late.

use serde_json::Value;
use tributary_formance::histories::{History, Telling};
use tributary_formance::{Kept, Kind, Row};

use crate::support::TestApp;

/// The most records of an older snapshot that are told again at once.
const SNAPSHOT: usize = 30;

pub struct Provider {
    history: History,
    told: usize,
    /// Snapshots that syncs took and have not told yet.
    late: Vec<Vec<Value>>,
}

impl Provider {
    /// The provider that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { history: History::new(seed, 5, Telling::Interleaved), told: 0, late: Vec::new() }
    }

    /// Tells the next records while an overlapping sync tells them too, with up to `overlap`
    /// of those before. Gives whether there was anything to tell.
    pub async fn sync(&mut self, app: &TestApp, records: usize, overlap: usize, together: bool) -> bool {
        let end = (self.told + records).min(self.history.records().len());
        let batch = self.history.records()[self.told..end].to_vec();
        if batch.is_empty() {
            return false;
        }
        let snapshot = self.snapshot(self.told.saturating_sub(overlap), end);
        self.told = end;
        if together {
            tokio::join!(app.push("transactions", &batch), app.push("transactions", &snapshot));
        } else {
            app.push("transactions", &batch).await;
            self.late.push(snapshot);
        }
        true
    }

    /// A sync that was slow tells what it read long ago. Gives whether there was one.
    pub async fn late_sync(&mut self, app: &TestApp) -> bool {
        let Some(snapshot) = self.late.pop() else { return false };
        app.push("transactions", &snapshot).await;
        !snapshot.is_empty()
    }

    /// Only what carries the provider's own time can be told from news. And nothing is in a
    /// snapshot that is not told in turn as well: what a provider keeps to itself is its loss.
    fn snapshot(&self, from: usize, end: usize) -> Vec<Value> {
        let records = self.history.records()[from..end].iter();
        records.filter(|record| record["updatedAt"].is_string()).take(SNAPSHOT).cloned().collect()
    }

    /// Tells all that is left.
    pub async fn finish(&mut self, app: &TestApp) {
        while self.sync(app, 10, 0, true).await {}
        while self.late_sync(app).await {}
    }

    /// What Formance keeps of these rows is the ledger; gives how many payments it has.
    pub fn check(&self, rows: &[Row]) -> u64 {
        let rows: Vec<Row> = rows.iter().filter(|row| is_of_provider(&row.reference)).cloned().collect();
        let mut kept = Kept::default();
        kept.take(Kind::Transactions, &rows);
        let wrong = self.history.disagreements(&kept);
        assert!(wrong.is_empty(), "Formance does not show the ledger: {}", wrong.join("; "));
        self.history.expected().len() as u64
    }
}

/// Whether the record is one of a provider's history rather than of a session or a push.
pub fn is_of_provider(id: &str) -> bool {
    id.starts_with("tx_")
}
