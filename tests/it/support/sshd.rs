//! OpenSSH's own server on loopback, as whoever the tests run as: `daemon` where that is root, whom rights do not bind.
//! (`nobody` is no account: systemd's lookup of names says that it is locked.)

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use nix::unistd::{User, geteuid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Where it is, where PATH does not say.
const USUAL: &str = "/usr/sbin/sshd";
pub const PASSPHRASE: &str = "the-passphrase-of-the-key";

/// The server, with a folder `in` below the one in which logins begin. Ends with this value.
pub struct Sshd {
    pub port: u16,
    folder: PathBuf,
    said: Arc<Mutex<String>>,
    _process: Child,
}

impl Sshd {
    /// Starts it with keys of its own.
    pub async fn start(name: &str) -> Self {
        Self::starting(name, "").await
    }

    /// One that lets nothing be written, moved or deleted.
    pub async fn read_only(name: &str) -> Self {
        Self::starting(name, "-R").await
    }

    async fn starting(name: &str, how: &str) -> Self {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].iter().find(|path| Path::new(path).exists());
        let program = program.unwrap_or_else(|| {
            panic!("{USUAL} is not there: install OpenSSH's server (Debian: apt-get install openssh-server)")
        });
        let folder = std::env::temp_dir().join(format!("tributary-sshd-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("in")).unwrap();
        for (kind, file, passphrase) in [
            ("ed25519", "host_ed25519", ""),
            ("rsa", "host_rsa", ""),
            ("ed25519", "client_ed25519", ""),
            ("rsa", "client_rsa", PASSPHRASE),
        ] {
            keygen(&["-q", "-t", kind, "-N", passphrase, "-f", folder.join(file).to_str().unwrap()]).await;
        }
        let public = ["client_ed25519.pub", "client_rsa.pub"];
        let allowed = public.map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
        std::fs::write(folder.join("allowed"), allowed.concat()).unwrap();
        let server = Self::run(program, folder, how).await;
        server.give_away(&server.folder);
        server
    }

    async fn run(program: &str, folder: PathBuf, how: &str) -> Self {
        let at = |file: &str| folder.join(file).display().to_string();
        // another program may take the port in between
        for _ in 0..10 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
                 PidFile none\nLogLevel VERBOSE\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -d {} {how}\n",
                at("host_ed25519"),
                at("host_rsa"),
                at("allowed"),
                folder.display()
            );
            std::fs::write(folder.join("config"), config).unwrap();
            let mut command = Command::new(program);
            command.args(["-D", "-e", "-f", &at("config")]).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::piped()).kill_on_drop(true);
            if geteuid().is_root() {
                let account = daemon();
                command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
                for file in ["host_ed25519", "host_rsa", "allowed", "config"] {
                    chown(folder.join(file), Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
                }
            }
            let mut process = command.spawn().unwrap();
            let said = Arc::new(Mutex::new(String::new()));
            let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
            let mut listens = false;
            while let Ok(Some(line)) = lines.next_line().await {
                said.lock().unwrap().push_str(&format!("{line}\n"));
                if line.contains("Server listening on") {
                    listens = true;
                    break;
                }
            }
            if listens {
                let kept = Arc::clone(&said);
                tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        kept.lock().unwrap().push_str(&format!("{line}\n"));
                    }
                });
                return Self { port, folder, said, _process: process };
            }
            let said = said.lock().unwrap().clone();
            assert!(said.contains("Address already in use"), "sshd does not start: {said}");
        }
        panic!("no port is free for sshd");
    }

    /// The fingerprint of its key of this kind, as `ssh-keygen -l` prints it.
    pub async fn fingerprint(&self, kind: &str) -> String {
        let line = keygen(&["-lf", self.folder.join(format!("host_{kind}.pub")).to_str().unwrap()]).await;
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Where the private key is of whoever may log in; that of `rsa` has a [`PASSPHRASE`].
    pub fn client_key(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("client_{kind}"))
    }

    /// Who may log in.
    pub fn user() -> String {
        if geteuid().is_root() { daemon().name } else { User::from_uid(geteuid()).unwrap().unwrap().name }
    }

    /// The folder in which logins begin.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join("in").join(name)
    }

    /// Puts a file into `in`.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
        self.give_away(&self.path(name));
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Makes `path`, and what is in it, that of whoever logs in.
    fn give_away(&self, path: &Path) {
        if !geteuid().is_root() {
            return;
        }
        let account = daemon();
        for path in [path.to_owned(), path.join("in")].iter().filter(|path| path.exists()) {
            chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
    }

    /// Forbids that anything is written into `in`, or allows it again.
    pub fn set_writable(&self, writable: bool) {
        let mode = if writable { 0o755 } else { 0o555 };
        std::fs::set_permissions(self.path(""), std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn daemon() -> User {
    User::from_name("daemon").unwrap().expect("the system has a user daemon")
}

/// Runs `ssh-keygen`; gives what it prints.
async fn keygen(args: &[&str]) -> String {
    let output = Command::new("ssh-keygen").args(args).stdin(Stdio::null()).output().await;
    let output = output.expect("ssh-keygen is there: install OpenSSH's client");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
