//! Keys and certificates, which a manifest holds itself or names the file of.

use crate::secret::Secret;

/// The PEM text of `field`: `given` itself, or what the file of that path holds. A text on one
/// line, as variables often have it, may write its line breaks as `\n`.
pub fn load(field: &str, given: &Secret) -> Result<Secret, String> {
    let text = given.expose();
    if text.contains("-----BEGIN ") {
        return Ok(text.replace("\\n", "\n").into());
    }
    // neither path nor content is repeated: the text may be a key with its frame lost
    let read = std::fs::read_to_string(text.trim());
    let content =
        read.map_err(|error| format!("{field}: is no PEM, and no file that can be read: {error}"))?;
    if !content.contains("-----BEGIN ") {
        return Err(format!("{field}: the file holds no PEM"));
    }
    Ok(content.into())
}
