//! How many files the process may have open: connections are files, too.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is open besides connections of clients and to the database: logs, providers, the runtime.
const OTHERS: usize = 200;

/// Makes sure that `connections` may be open at once, which many systems forbid until asked.
pub fn allow(connections: usize) -> Result<(), String> {
    let needed = (connections + OTHERS) as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| format!("cannot see how many files may be open: {error}"))?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(format!(
            "{needed} files have to be open at once, and {hard} may be: lower --connections, or raise the limit \
             (`ulimit -n`, LimitNOFILE= in the unit, `ulimits:` of the container)"
        ));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard)
        .map_err(|error| format!("cannot have {needed} files open at once: {error}; lower --connections"))
}
