//! Another process that uses the private PostgreSQL: this test program, run again.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::*;

/// Another process that holds the private PostgreSQL open until its standard input ends.
pub(super) struct Other(Child);

impl Other {
    pub(super) fn start(data: &Path) -> Self {
        // The file itself may have been replaced by a build since this process began.
        let running = PathBuf::from("/proc/self/exe");
        let program = if running.exists() { running } else { std::env::current_exe().unwrap() };
        let child = Command::new(program)
            .args(["--exact", "tests::other::as_another_process", "--ignored", "--nocapture"])
            .env("TRIBUTARY_TEST_PRIVATE_PG", data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Waits until it has opened the private PostgreSQL.
    pub(super) async fn has_opened(&mut self) {
        // Borrowed: without a reader, the end of the other process's own report would fail it.
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("has opened it") {
                return;
            }
        }
        panic!("the other process ended early");
    }

    /// Lets it close its handle and end; fails if it fails.
    pub(super) async fn leave(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().await.unwrap().success());
    }

    /// As the terminal's Ctrl-C: to the whole process group. But with a signal that cannot be caught.
    pub(super) async fn kill(mut self) {
        killpg(Pid::from_raw(self.0.id().unwrap().cast_signed()), Signal::SIGKILL).unwrap();
        self.0.wait().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "the other process of the tests with two processes"]
async fn as_another_process() {
    let Some(data) = std::env::var_os("TRIBUTARY_TEST_PRIVATE_PG") else {
        panic!("only meant to be run by other tests");
    };
    let pg = open(Path::new(&data)).await;
    println!("the other process has opened it");
    let end = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    end.await.unwrap().unwrap();
    pg.close().await.unwrap();
}
