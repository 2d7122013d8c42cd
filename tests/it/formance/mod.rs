//! `tributary formance`: Formance compared with what it was told, and its connector installed.

mod install;
mod twin;
mod verify;

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// `tributary formance`, with nothing of the environment that it reads.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("formance").args(args).current_dir(Path::new(env!("CARGO_TARGET_TMPDIR")));
    for variable in [
        "FORMANCE_URL",
        "FORMANCE_TOKEN",
        "FORMANCE_TOKEN_URL",
        "FORMANCE_CLIENT_ID",
        "FORMANCE_CLIENT_SECRET",
        "TRIBUTARY_CONNECTOR_KEY",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
