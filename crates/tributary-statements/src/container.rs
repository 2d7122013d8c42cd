//! Zip and gzip around files, opened within limits: an archive of a few bytes can hold more than a machine.

use std::io::{Cursor, Read};

use crate::ReadError;

/// What may come out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files in one archive.
    pub files: usize,
    /// Bytes of all of them together, unpacked.
    pub bytes: u64,
    /// Archives within archives.
    pub depth: usize,
    /// Bytes unpacked for one byte packed, beyond the first megabyte.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 1_000, bytes: 256 * 1024 * 1024, depth: 3, ratio: 1_000 }
    }
}

/// The files within `bytes`: itself, or those of the archive that it is, in the order of the archive.
///
/// # Errors
/// [`ReadError::Archive`] where an archive cannot be opened, or exceeds `limits`.
pub fn unwrap(bytes: &[u8], limits: Limits) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut files = Vec::new();
    let mut room = Room { files: limits.files, bytes: limits.bytes, ratio: limits.ratio };
    unwrap_into(bytes, limits.depth, &mut room, &mut files)?;
    Ok(files)
}

/// What is left of the limits.
struct Room {
    files: usize,
    bytes: u64,
    ratio: u64,
}

fn unwrap_into(
    bytes: &[u8],
    depth: usize,
    room: &mut Room,
    files: &mut Vec<Vec<u8>>,
) -> Result<(), ReadError> {
    let archive = is_zip(bytes) || is_gzip(bytes);
    if archive && depth == 0 {
        return Err(too_much("there are archives within archives within archives"));
    }
    if is_zip(bytes) {
        for inner in unzip(bytes, room)? {
            unwrap_into(&inner, depth - 1, room, files)?;
        }
        return Ok(());
    }
    if is_gzip(bytes) {
        let inner = take(flate2::read::MultiGzDecoder::new(bytes), bytes.len() as u64, room)?;
        return unwrap_into(&inner, depth - 1, room, files);
    }
    room.files = room.files.checked_sub(1).ok_or_else(|| too_much("it holds too many files"))?;
    files.push(bytes.to_vec());
    Ok(())
}

fn unzip(bytes: &[u8], room: &mut Room) -> Result<Vec<Vec<u8>>, ReadError> {
    let refused = |error: zip::result::ZipError| ReadError::Archive(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(refused)?;
    if archive.len() > room.files {
        return Err(too_much("it holds too many files"));
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(refused)?;
        if file.is_dir() {
            continue;
        }
        let packed = file.compressed_size();
        files.push(take(file, packed, room)?);
    }
    Ok(files)
}

/// Reads `source` within what is left.
fn take(source: impl Read, packed: u64, room: &mut Room) -> Result<Vec<u8>, ReadError> {
    const FREE: u64 = 1024 * 1024;
    let by_ratio = packed.saturating_mul(room.ratio).saturating_add(FREE);
    let most = room.bytes.min(by_ratio);
    let mut unpacked = Vec::new();
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| ReadError::Archive(error.to_string()))?;
    if unpacked.len() as u64 > most {
        return Err(too_much("it unpacks to more than it may"));
    }
    room.bytes -= unpacked.len() as u64;
    Ok(unpacked)
}

fn too_much(what: &str) -> ReadError {
    ReadError::Archive(format!("{what}: raise the limits if the bank means it"))
}

fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1f\x8b")
}
