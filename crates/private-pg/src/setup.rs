//! What the programs of PostgreSQL are started with.

use std::path::Path;

use tokio::process::Command;

use super::Options;
use super::account::OsAccount;
use super::place::{self, Place};

/// What a start needs to know.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    /// Where everything is.
    pub(super) place: &'a Place,
    /// As whom the server runs.
    pub(super) account: &'a OsAccount,
    /// The directory of the socket.
    pub(super) socket_dir: &'a Path,
    /// What the caller chose.
    pub(super) options: &'a Options,
}

impl Setup<'_> {
    /// A command that runs as the server's user in `dir`, in a process group of its own, so that the
    /// terminal's Ctrl-C does not reach it.
    pub(super) fn command(&self, program: &Path, dir: &Path) -> Command {
        let mut command = Command::new(program);
        // PGPORT, PGOPTIONS and their like are meant for other servers.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").current_dir(dir).process_group(0);
        self.account.assume(&mut command);
        command
    }

    /// The settings of the server, the caller's last: PostgreSQL takes the last of several.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let socket_dir = self.socket_dir.to_string_lossy();
        let port = place::PORT.to_string();
        let mut settings = vec![
            ("cluster_name", "tributary"),
            // Reached through the socket only, by the server's user and root only.
            ("listen_addresses", ""),
            ("unix_socket_directories", &socket_dir),
            ("unix_socket_permissions", "0700"),
            ("port", &port),
            ("max_connections", "100"),
            ("shared_buffers", "128MB"),
            // A first full sync writes much at once.
            ("max_wal_size", "2GB"),
            // Compiling costs more than it saves on our short statements.
            ("jit", "off"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("lc_messages", "C"),
            ("log_destination", "stderr"),
            ("logging_collector", "off"),
            ("fsync", "on"),
        ];
        if !self.options.fsync {
            settings.extend([("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")]);
        }
        let ours = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        ours.chain(self.options.extra_settings.iter().cloned()).collect()
    }
}
