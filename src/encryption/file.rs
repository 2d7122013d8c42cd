//! The key of a private PostgreSQL: a file beside its data, as nobody else would look after one.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::{Rng as _, TryRngCore as _};

/// The name of the file in the data folder.
const NAME: &str = "encryption.key";

/// The key in the folder `data`, as `id:base64`; made at the first call, readable for its owner only.
/// Fails where the file can be read by others, or cannot be read or made.
pub fn private_key(data: &Path) -> io::Result<String> {
    let path = data.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                let why = format!("others may read {} (mode {mode:o}): chmod 600 it", path.display());
                return Err(io::Error::other(why));
            }
            Ok(text.trim().to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(data, &path),
        Err(error) => Err(error),
    }
}

/// Makes the file whole or not at all; whoever comes second takes the key of the first.
fn make(data: &Path, path: &Path) -> io::Result<String> {
    let mut key = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    // keys of two folders are never taken for each other
    let id = format!("file-{:08x}", rand::rng().random::<u32>());
    let text = format!("{id}:{}", STANDARD.encode(key));
    let new = data.join(format!("{NAME}.{id}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Ok(()) => {
            fs::File::open(data)?.sync_all()?;
            Ok(text)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => private_key(data),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::Keyring;

    #[test]
    fn a_folder_has_one_key_however_many_ask_for_it_and_nobody_else_may_read_it() {
        let data = std::env::temp_dir().join(format!("tributary-key-{:016x}", rand::random::<u64>()));
        fs::create_dir(&data).unwrap();
        let keys: Vec<String> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| private_key(&data).unwrap())).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(Keyring::parse(&keys[0]).unwrap().ids().count(), 1);
        let path = data.join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing else is left behind");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(private_key(&data).unwrap_err().to_string().contains("chmod 600"));
        fs::remove_dir_all(data).unwrap();
    }
}
