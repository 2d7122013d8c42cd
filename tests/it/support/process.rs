//! The program itself, run as a process in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::logins;

/// The connector key that the provider file takes from the environment.
pub const FILE_KEY: &str = "a-key-of-the-environment";

/// The program that this test was built with.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary");

/// A folder with a provider file, in which commands run.
pub struct Place(pub PathBuf);

impl Place {
    /// A folder of its own for the test `name`.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("providers")).unwrap();
        let file = "provider: acme\npush: all\nkeys:\n  - { scope: connector, key: \"${ACME_KEY}\" }\n";
        std::fs::write(folder.join("providers/acme.yaml"), file).unwrap();
        Self(folder)
    }

    /// The command, not yet started, without a database of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(PROGRAM), args)
    }

    /// As [`Place::command`], of another build.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.0).env_remove("DATABASE_URL").env("TRIBUTARY_LOG", "warn");
        // there is no proxy that would have to notice a stop
        command.env("TRIBUTARY_LAME_DUCK", "0s").env("TRIBUTARY_OPERATOR_LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// Runs a command that has to succeed; gives its standard output.
    pub async fn stdout(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts `serve` on a free port and waits until it is up. With `database`, on that one.
    pub async fn serve(&self, database: Option<&str>) -> (Child, String) {
        self.serve_of(Path::new(PROGRAM), database).await
    }

    /// As [`Place::serve`], of another build.
    pub async fn serve_of(&self, program: &Path, database: Option<&str>) -> (Child, String) {
        self.start(program, |command| {
            command.env("ACME_KEY", FILE_KEY);
            if let Some(url) = database {
                command.env("DATABASE_URL", url);
            }
        })
        .await
    }

    /// As [`Place::serve`], with the log going to `log`.
    pub async fn serve_logging(&self, database: Option<&str>, log: Stdio) -> (Child, String) {
        self.start(Path::new(PROGRAM), |command| {
            command.env("ACME_KEY", FILE_KEY).stderr(log);
            if let Some(url) = database {
                command.env("DATABASE_URL", url);
            }
        })
        .await
    }

    /// As [`Place::serve`], with an environment and output of the caller's choice.
    pub async fn serve_as(&self, set: impl FnOnce(&mut Command)) -> (Child, String) {
        self.start(Path::new(PROGRAM), set).await
    }

    async fn start(&self, program: &Path, set: impl FnOnce(&mut Command)) -> (Child, String) {
        let [address, operator] = free_addresses();
        std::fs::write(self.operator_file(&address), &operator).unwrap();
        // the flag goes before the variable
        let mut command =
            self.command_of(program, &["serve", "--listen", &address, "--operator-listen", &operator]);
        command.env("TRIBUTARY_LISTEN", "127.0.0.1:1");
        set(&mut command);
        as_the_service(&mut command).await;
        let server = command.spawn().unwrap();
        self.until_up(&address).await;
        (server, address)
    }

    fn operator_file(&self, address: &str) -> PathBuf {
        self.0.join(format!("operator-of-{}", address.replace(':', "-")))
    }

    /// Where operators look at the server that serves at `address`.
    pub fn operator(&self, address: &str) -> String {
        std::fs::read_to_string(self.operator_file(address)).unwrap()
    }

    /// Waits until a server is up at `address`.
    pub async fn until_up(&self, address: &str) {
        let up = async {
            while !self.run(&["health", "--listen", address]).await.status.success() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), up).await.expect("it is up");
    }
}

/// Has the command use the login of the service, where it was to use the owner's.
pub async fn as_the_service(command: &mut Command) {
    let url = command.as_std().get_envs().find(|(name, _)| *name == "DATABASE_URL");
    let url = url.and_then(|(_, url)| url?.to_str().map(str::to_owned));
    if let Some(url) = url.filter(|url| logins::is_owner(url)) {
        command.env("DATABASE_URL", logins::service(&url).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Addresses on which nobody listens, nor will before they are used: below those that the system gives to whoever connects,
/// or listens wherever there is room.
pub fn free_addresses<const N: usize>() -> [String; N] {
    const FIRST: u16 = 20_000;
    const ALL: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    [(); N].map(|()| {
        loop {
            let address = format!("127.0.0.1:{}", FIRST + NEXT.fetch_add(1, Relaxed) % ALL);
            if std::net::TcpListener::bind(&address).is_ok() {
                break address;
            }
        }
    })
}

/// Reads the log of a process, which is piped, until `text` is in it.
pub async fn read_log_until(process: &mut Child, text: &str) {
    let mut lines = BufReader::new(process.stderr.take().expect("its log is piped")).lines();
    let reading =
        async { while !lines.next_line().await.unwrap().expect("it goes on logging").contains(text) {} };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is logged");
    // a log that nobody reads would block its writer in the end
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

/// Sends `signal` to a process.
pub fn signal(process: &Child, signal: Signal) {
    kill(Pid::from_raw(process.id().expect("it runs") as i32), signal).unwrap();
}

/// Stops a server as an orchestrator would; it has to end well.
pub async fn stop(mut server: Child) {
    signal(&server, Signal::SIGTERM);
    let status =
        tokio::time::timeout(Duration::from_secs(60), server.wait()).await.expect("it stops").unwrap();
    assert!(status.success(), "{status}");
}
