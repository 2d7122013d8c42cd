//! Which format a file is in, by what it holds: names are whatever somebody called them.

use crate::{ReadError, text};

/// A format of statement files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// camt.052, .053 or .054 of ISO 20022.
    Camt,
    /// MT940 or MT942 of SWIFT.
    Mt,
    /// BAI2, the cash management format of North America.
    Bai2,
    /// OFX or QFX, of either generation.
    Ofx,
    /// A table by the description of its provider.
    Csv,
}

/// Recognises the format of one file, which is no archive.
///
/// # Errors
/// [`ReadError::Empty`], or [`ReadError::Unrecognised`], which names what the file is where that is known.
pub fn sniff(bytes: &[u8]) -> Result<Format, ReadError> {
    let start = text::decode(&bytes[..bytes.len().min(64 * 1024)], None);
    let start = start.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() {
        return Err(ReadError::Empty);
    }
    let upper = start.to_ascii_uppercase();
    if upper.starts_with("OFXHEADER") || upper.contains("<OFX>") || upper.contains("<?OFX") {
        return Ok(Format::Ofx);
    }
    if start.starts_with('<') {
        return xml(start);
    }
    if start.starts_with("01,") {
        return Ok(Format::Bai2);
    }
    if is_mt(start) {
        return Ok(Format::Mt);
    }
    if start.starts_with("101 ")
        || start.starts_with("101") && start.lines().next().is_some_and(|l| l.len() == 94)
    {
        return Err(unrecognised("it looks like a NACHA file, which is not read"));
    }
    Err(unrecognised(
        "it is no camt, MT940, MT942, BAI2 or OFX; of a CSV file the provider says what its columns are",
    ))
}

fn xml(start: &str) -> Result<Format, ReadError> {
    let has = |name: &str| {
        start
            .match_indices(name)
            .any(|(at, _)| matches!(start.as_bytes().get(at.wrapping_sub(1)), Some(b'<' | b':')))
    };
    if ["BkToCstmrStmt", "BkToCstmrAcctRpt", "BkToCstmrDbtCdtNtfctn"].into_iter().any(has) {
        return Ok(Format::Camt);
    }
    if has("CstmrPmtStsRpt") {
        return Err(unrecognised("it is a pain.002, a report on payments: it moves no money"));
    }
    Err(unrecognised("it is XML, and neither camt.052, .053, .054 nor OFX"))
}

fn is_mt(start: &str) -> bool {
    let tags = [":20:", ":25:", ":28C:", ":28:", ":60F:", ":60M:", ":61:", ":13D:", ":34F:"];
    let text = start.replace("@@", "\n");
    let found = tags
        .iter()
        .filter(|tag| {
            text.starts_with(**tag)
                || text.contains(&format!("\n{tag}"))
                || text.contains(&format!("{{4:{tag}"))
        })
        .count();
    found >= 2
}

fn unrecognised(what: &str) -> ReadError {
    ReadError::Unrecognised(what.to_owned())
}
