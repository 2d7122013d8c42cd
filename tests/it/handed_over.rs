//! A socket that is handed over belongs to the process that serves on it, and to nobody that it
//! starts.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::process::{FILE_KEY, PROGRAM, Place, signal, stop};

/// The processes that have this socket open.
fn holders(inode: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        open.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_str() == Some(inode)))
    };
    numbers.filter(has).collect()
}

#[tokio::test]
async fn the_private_postgresql_does_not_inherit_the_socket() {
    let place = Place::new("handed_over");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let own = std::os::fd::AsRawFd::as_raw_fd(&socket);
    let inode = std::fs::read_link(format!("/proc/self/fd/{own}")).unwrap().to_str().unwrap().to_owned();
    let mut command = place.command_of("/bin/sh".as_ref(), &[]);
    command.args(["-c", "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve", PROGRAM]);
    command.env("ACME_KEY", FILE_KEY).stdin(Stdio::from(OwnedFd::from(socket)));
    let mut server = command.spawn().unwrap();
    drop(command);
    place.until_up(&address).await;
    assert_eq!(holders(&inode), [server.id().unwrap()]);
    // whoever comes after a crash can listen there
    signal(&server, Signal::SIGKILL);
    server.wait().await.unwrap();
    let mut next = place.command(&["serve", "--listen", &address]);
    next.env("ACME_KEY", FILE_KEY);
    let next = next.spawn().unwrap();
    place.until_up(&address).await;
    stop(next).await;
}
