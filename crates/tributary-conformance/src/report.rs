//! What a check comes to.

use serde::Serialize;

use super::catalogue::Check;
use super::finding::{Finding, Verdict};
use super::table;

/// All findings about a server. Its keys as JSON are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The server.
    pub url: String,
    /// When the check began, RFC 3339.
    pub started_at: String,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Requests sent.
    pub requests: u64,
    /// The worst of the findings.
    pub verdict: Verdict,
    /// Rows of each list, as a walk from its beginning found them.
    pub rows: Rows,
    /// What bounds the findings, such as a limit that was hit.
    pub notes: Vec<String>,
    /// One for each check and part of the server, in the order of the table of checks.
    pub findings: Vec<Finding>,
}

/// Rows of each list.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rows {
    /// Rows of `/accounts`.
    pub accounts: usize,
    /// Rows of `/beneficiaries`.
    pub beneficiaries: usize,
    /// Rows of `/transactions`.
    pub transactions: usize,
}

impl Report {
    /// Puts the findings into the order of the table of checks, and draws the verdict.
    pub(super) fn conclude(mut self) -> Self {
        self.findings.sort_by_key(|finding| finding.check);
        let worst = self.findings.iter().map(|finding| finding.verdict).max();
        self.verdict = worst.unwrap_or(Verdict::Skipped).max(Verdict::Ok);
        self
    }

    pub fn of(&self, check: Check) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.check == check)
    }

    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }

    /// For a person: a table, then each problem with its reason, then the verdict.
    pub fn to_table(&self) -> String {
        table::render(self)
    }

    /// For a program: one JSON object, in which each finding also says `holds` and `why`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::to_value(self).expect("a report is plain data");
        let findings = json["findings"].as_array_mut().into_iter().flatten();
        for (finding, own) in findings.zip(&self.findings) {
            finding["holds"] = own.check.holds().into();
            finding["why"] = own.check.why().into();
        }
        json
    }
}
