//! `tributary completions` and `tributary man`: what a shell and `man` know of the commands.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::CommandResult;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary completions bash > /etc/bash_completion.d/tributary
  tributary completions zsh > ~/.zfunc/_tributary
  tributary completions fish > ~/.config/fish/completions/tributary.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Args)]
#[command(after_help = "Example:
  tributary man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder that they are written into; it is made where there is none.
    folder: PathBuf,
}

/// Prints what completes commands in a shell.
pub fn completions(args: &CompletionsArgs) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "tributary", &mut script);
    print!("{}", String::from_utf8(script)?);
    Ok(())
}

/// Writes a page for each command.
pub fn man(args: &ManArgs) -> CommandResult {
    let failed = |error| format!("cannot write into {}: {error}", args.folder.display());
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(super::command(), &args.folder).map_err(failed)?;
    Ok(())
}
