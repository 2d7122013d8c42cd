//! The log of the server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::place::Place;

/// A log longer than this is set aside when a server starts.
const LOG_BYTES: u64 = 10 * 1024 * 1024;

/// How much of the log an error quotes.
const TAIL_BYTES: u64 = 2_000;

/// The log, opened for appending, and its length.
pub(super) fn open(place: &Place) -> io::Result<(File, u64)> {
    let path = place.log();
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
        fs::rename(&path, place.data().join("postgres.log.old"))?;
    }
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// The end of the log, from `from` on at most.
pub(super) fn tail(log: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if !bytes.is_empty() => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Ok(_) => "nothing".to_owned(),
        Err(error) => format!("(unreadable: {error})"),
    }
}
