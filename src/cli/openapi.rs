//! `tributary openapi`.

use super::CommandResult;

pub fn run() -> CommandResult {
    println!("{}", serde_json::to_string_pretty(&crate::http::openapi())?);
    Ok(())
}
