//! As whom the private PostgreSQL runs: PostgreSQL refuses to run as root.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use tokio::process::Command;

use super::error::{PrivatePgError, Result};

/// The user that PostgreSQL runs as.
#[derive(Debug, Clone)]
pub(super) enum OsAccount {
    /// The user that Tributary runs as.
    Own,
    /// Another one, since Tributary runs as root and PostgreSQL refuses to.
    Other {
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
        /// The user's name, or number if it has none.
        name: String,
    },
}

impl OsAccount {
    /// Whoever owns the cluster; as root, for a new cluster, the system's user `postgres`, else
    /// `nobody`.
    pub(super) fn choose(cluster: &Path) -> Result<Self> {
        let owner = match fs::metadata(cluster) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(PrivatePgError::io("look at", cluster)(error)),
        };
        let foreign = |owner: u32, advice: String| PrivatePgError::ForeignData {
            cluster: cluster.to_path_buf(),
            owner: user_name(owner),
            advice,
        };
        match owner {
            Some((owner, _)) if owner == geteuid().as_raw() && !geteuid().is_root() => Ok(Self::Own),
            Some((owner, _)) if !geteuid().is_root() => {
                Err(foreign(owner, "run Tributary as that user, or choose another data directory".to_owned()))
            }
            Some((0, _)) => {
                let (uid, gid, name) = system_user()?;
                let advice = format!("run `chown -R {uid}:{gid} {}` ({name})", cluster.display());
                Err(foreign(0, advice))
            }
            Some((uid, gid)) => Ok(Self::Other { uid, gid, name: user_name(uid) }),
            None if geteuid().is_root() => {
                let (uid, gid, name) = system_user()?;
                Ok(Self::Other { uid, gid, name })
            }
            None => Ok(Self::Own),
        }
    }

    /// The user's number.
    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Own => geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Makes the directory this user's, and nobody else's.
    pub(super) fn own(&self, dir: &Path) -> Result<()> {
        if let Self::Other { uid, gid, .. } = self {
            chown(dir, Some(*uid), Some(*gid))
                .map_err(PrivatePgError::io("give to PostgreSQL's user", dir))?;
        }
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(PrivatePgError::io("set the permissions of", dir))
    }

    /// Makes the command run as this user.
    pub(super) fn assume(&self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            // Gives up root's further groups as well.
            command.uid(*uid).gid(*gid);
        }
    }

    /// Explains why the program could not be run in `dir`, where the explanation is a directory on
    /// the way that this user may not pass.
    pub(super) fn explain(&self, program: &Path, dir: &Path, source: io::Error) -> PrivatePgError {
        if let Self::Other { uid, gid, name } = self
            && source.kind() == ErrorKind::PermissionDenied
            && let Some(barrier) = barrier(dir, *uid, *gid)
        {
            let data = dir.parent().unwrap_or(dir).to_path_buf();
            return PrivatePgError::OutOfReach { dir: barrier, user: name.clone(), data };
        }
        PrivatePgError::Spawn { program: program.to_path_buf(), source }
    }
}

/// The first directory on the way to `dir` (from the root) that the user may not pass.
fn barrier(dir: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let mut way: Vec<&Path> = dir.ancestors().skip(1).collect();
    way.reverse();
    let shut = |step: &&Path| {
        fs::metadata(step).is_ok_and(|metadata| {
            let needed = match () {
                () if metadata.uid() == uid => 0o100,
                () if metadata.gid() == gid => 0o010,
                () => 0o001,
            };
            metadata.mode() & needed == 0
        })
    };
    way.into_iter().find(shut).map(Path::to_path_buf)
}

/// The user that a new cluster of a Tributary that runs as root is given to.
fn system_user() -> Result<(u32, u32, String)> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .filter(|user| !user.uid.is_root())
        .map(|user| (user.uid.as_raw(), user.gid.as_raw(), user.name))
        .ok_or(PrivatePgError::NoServerUser)
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}
