//! Text that PostgreSQL can hold: no NUL, and no longer than its column allows.

use super::RecordError;

/// The longest name of an account or beneficiary, in bytes.
pub const NAME_MAX_BYTES: usize = 4096;

/// Checks `value` of `field`: no NUL character and at most `max_bytes` bytes.
pub fn check(field: &'static str, value: &str, max_bytes: usize) -> Result<(), RecordError> {
    if value.contains('\0') {
        return Err(RecordError::new(
            field,
            "holds a NUL character (\\u0000), which no text column can keep",
        ));
    }
    if value.len() > max_bytes {
        return Err(RecordError::new(
            field,
            format!("is {} bytes long; at most {max_bytes} fit", value.len()),
        ));
    }
    Ok(())
}
