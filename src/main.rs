//! The command `tributary`.

use std::process::ExitCode;

/// Filters make and drop many small values: a good fifth of a sync's time goes to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tributary::cli::main()
}
