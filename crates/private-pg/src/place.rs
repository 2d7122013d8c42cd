//! Where the private PostgreSQL lives in the data directory.
//!
//! ```text
//! <data>/postgres              the cluster (PGDATA), owned by the user that the server runs as
//! <data>/postgres.initdb-*     a cluster that is being initialised, or was when initdb was killed
//! <data>/postgres.log          what the server says; the start of a server sets a long one aside
//! <data>/postgres.socket/      its Unix socket, if the path is short enough, else
//! <data>/postgres.socket-at    where the socket is
//! <data>/postgres.*.lock       see the module `private_pg`
//! ```

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::account::OsAccount;
use super::error::{PrivatePgError, Result};

/// The port that names the socket file; nothing listens on it in the network.
pub(super) const PORT: u16 = 5432;

/// The longest path of a socket: 107 bytes on Linux, 103 on macOS.
const SOCKET_PATH_BYTES: usize = 103;

/// The paths of one private PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Place {
    data: PathBuf,
}

impl Place {
    /// Creates the data directory if there is none.
    pub(super) fn prepare(data_dir: &Path) -> Result<Self> {
        let missing: Vec<&Path> =
            data_dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        fs::create_dir_all(data_dir).map_err(PrivatePgError::io("create the data directory", data_dir))?;
        // The server of a Tributary that runs as root is another user and must pass through.
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        for dir in missing {
            fs::set_permissions(dir, Permissions::from_mode(mode))
                .map_err(PrivatePgError::io("set the permissions of", dir))?;
        }
        let data =
            data_dir.canonicalize().map_err(PrivatePgError::io("find the data directory", data_dir))?;
        Ok(Self { data })
    }

    /// The data directory, absolute.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The directory that PostgreSQL calls its data directory.
    pub(super) fn cluster(&self) -> PathBuf {
        self.data.join("postgres")
    }

    /// The log of the server.
    pub(super) fn log(&self) -> PathBuf {
        self.data.join("postgres.log")
    }

    /// One of the lock files.
    pub(super) fn lock(&self, name: &str) -> PathBuf {
        self.data.join(format!("postgres.{name}.lock"))
    }

    /// The major version that wrote the cluster; `None` if there is no cluster yet.
    pub(super) fn major_version(&self) -> Result<Option<u32>> {
        let path = self.cluster().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
        .map_err(PrivatePgError::io("read", path))
    }

    /// The directory of the server's socket, created if need be; only the server's user (and root)
    /// can enter it. The same at every call as long as it exists.
    pub(super) fn socket_dir(&self, account: &OsAccount) -> Result<PathBuf> {
        let inside = self.data.join("postgres.socket");
        if fits_socket(&inside) {
            if !inside.is_dir() {
                create_private(&inside)?;
            }
            account.own(&inside)?;
            return Ok(inside);
        }
        if let Some(dir) = self.recorded_socket_dir(account) {
            return Ok(dir);
        }
        let dir = short_dir()?;
        account.own(&dir)?;
        let record = [dir.as_os_str().as_bytes(), b"\n", self.cluster().as_os_str().as_bytes()].concat();
        let path = self.socket_record();
        fs::write(&path, record).map_err(PrivatePgError::io("write", path))?;
        Ok(dir)
    }

    /// Removes the socket's directory where it is not inside the data directory. For a server that
    /// does not run any more.
    pub(super) fn forget_socket_dir(&self, dir: &Path) {
        if !dir.starts_with(&self.data) {
            // A directory that stays is empty, and is used again.
            let _ = fs::remove_dir(dir);
        }
    }

    fn socket_record(&self) -> PathBuf {
        self.data.join("postgres.socket-at")
    }

    /// The directory written down, unless it was made for another place (a copied or moved data
    /// directory brings its record along) or anybody else could have put it there since: temporary
    /// directories are emptied at times, and open to all.
    fn recorded_socket_dir(&self, account: &OsAccount) -> Option<PathBuf> {
        let record = fs::read(self.socket_record()).ok()?;
        let end = record.iter().position(|byte| *byte == b'\n')?;
        let (dir, cluster) = (&record[..end], &record[end + 1..]);
        if cluster != self.cluster().as_os_str().as_bytes() {
            return None;
        }
        let dir = PathBuf::from(OsStr::from_bytes(dir));
        let metadata = fs::symlink_metadata(&dir).ok()?;
        let ours = metadata.is_dir() && metadata.uid() == account.uid() && metadata.mode() & 0o777 == 0o700;
        ours.then_some(dir)
    }
}

/// The path of the socket in its directory.
pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

/// Whether a socket in this directory can be named everywhere as it is: short enough for the system,
/// and without a character that means something in a setting or in a URL.
fn fits_socket(dir: &Path) -> bool {
    let bytes = dir.as_os_str().as_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    socket(dir).as_os_str().len() <= SOCKET_PATH_BYTES && bytes.iter().all(plain)
}

/// A new directory with a short path, for this user alone.
fn short_dir() -> Result<PathBuf> {
    let new = |base: PathBuf| base.join(format!("tributary-{:08x}", rand::random::<u32>()));
    let mut dir = new(std::env::temp_dir());
    if !fits_socket(&dir) {
        dir = new(PathBuf::from("/tmp"));
    }
    create_private(&dir)?;
    Ok(dir)
}

/// Creates a directory that must not exist yet, for this user alone.
pub(super) fn create_private(dir: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(dir).map_err(PrivatePgError::io("create", dir))
}
