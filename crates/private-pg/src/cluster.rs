//! Initialises the cluster, the directory that PostgreSQL keeps its data in.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use super::binaries::Binaries;
use super::database::ROLE;
use super::error::{PrivatePgError, Result};
use super::place::{self, Place};
use super::setup::Setup;

/// Creates the cluster if there is none. A directory takes the cluster's name only once `initdb` has
/// written everything, so a killed one leaves nothing but rubbish, which is removed here.
pub(super) async fn initialise(setup: &Setup<'_>, binaries: &Binaries) -> Result<()> {
    let (place, cluster) = (setup.place, setup.place.cluster());
    remove_leftovers(place)?;
    if place.major_version()?.is_some() {
        return Ok(());
    }
    tracing::info!("initialising the private PostgreSQL in {}", cluster.display());
    // A new name each time: an initdb that outlived its caller may still be writing in the last one.
    let name = format!("postgres.initdb-{:08x}", rand::random::<u32>());
    let new = place.data().join(name);
    place::create_private(&new)?;
    setup.account.own(&new)?;

    let program = binaries.dir.join("initdb");
    let mut command = setup.command(&program, &new);
    // The locale C orders by bytes: the same on every machine, whatever its C library, so an index
    // stays right when the directory moves. Local connections need no password, since whoever can
    // reach the socket (the server's user and root) can read the files as well.
    command.args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth-local=trust"]);
    command.args(["--auth-host=reject", "--username", ROLE]);
    if !setup.options.fsync {
        command.arg("--no-sync");
    }
    command.arg("-D").arg(&new).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|source| setup.account.explain(&program, &new, source))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(PrivatePgError::Initdb { output: String::from_utf8_lossy(&said).into_owned() });
    }
    ask_operators(&new)?;
    fs::rename(&new, &cluster).map_err(PrivatePgError::io("put in place", &cluster))?;
    File::open(place.data())
        .and_then(|data| data.sync_all())
        .map_err(PrivatePgError::io("write to disk", place.data()))
}

/// Has the server ask operators for their password: they decide about payments in their own names, and
/// whoever reaches the socket could use any name otherwise.
fn ask_operators(cluster: &Path) -> Result<()> {
    let file = cluster.join("pg_hba.conf");
    let rules = fs::read_to_string(&file).map_err(PrivatePgError::io("read", &file))?;
    let rules = format!("local all +tributary_operator scram-sha-256\n{rules}");
    fs::write(&file, rules).map_err(PrivatePgError::io("write", &file))
}

/// Removes what an `initdb` that was killed left behind.
fn remove_leftovers(place: &Place) -> Result<()> {
    let entries = fs::read_dir(place.data()).map_err(PrivatePgError::io("list", place.data()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("postgres.initdb-")
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            // That initdb may still be writing; the next start tries again.
            tracing::warn!(%error, "cannot remove {}", entry.path().display());
        }
    }
    Ok(())
}
