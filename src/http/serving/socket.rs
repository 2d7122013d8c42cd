//! The socket that is listened on: bound here, or handed over by whoever started the process.
//!
//! A handed-over socket has one accept queue, whichever process takes from it: nothing in it is
//! lost as long as somebody holds the socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use listenfd::ListenFd;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// As many connections may wait to be accepted; the kernel has a limit of its own.
const BACKLOG: u32 = 4096;
/// A pause after an error that only time can mend, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("cannot listen on {address}: {error}; choose another address with --listen")]
    Bind { address: SocketAddr, error: io::Error },
    #[error("cannot take over the socket of LISTEN_FDS: {0}")]
    Handed(io::Error),
    #[error("LISTEN_FDS hands over {0} sockets; one is needed, to listen on")]
    Several(usize),
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
}

impl Listening {
    /// Listens on `address`.
    pub fn bind(address: SocketAddr) -> Result<Self, SocketError> {
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let listener = bound().map_err(|error| SocketError::Bind { address, error })?;
        Ok(Self { listener })
    }

    /// Takes what the process was handed over, if anything (`LISTEN_FDS`).
    pub fn handed_over(mut handed: ListenFd) -> Result<Option<Self>, SocketError> {
        match handed.len() {
            0 => return Ok(None),
            1 => {}
            several => return Err(SocketError::Several(several)),
        }
        let mut taken = || {
            let Some(listener) = handed.take_tcp_listener(0)? else { return Ok(None) };
            if !SockRef::from(&listener).is_listener()? {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
            }
            fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener).map(Some)
        };
        let listener = taken().map_err(SocketError::Handed)?;
        Ok(listener.map(|listener| Self { listener }))
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The socket itself once more, to be inherited by a child.
    pub fn inheritable(&self) -> io::Result<OwnedFd> {
        Ok(nix::unistd::dup(&self.listener)?)
    }

    /// The next connection, however long it takes.
    pub(super) async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes every connection that waits in the queue by now.
    pub(super) fn take_queued(&self, mut take: impl FnMut(TcpStream)) {
        // asks the kernel itself: the runtime may not have heard yet of what came last
        let mut taken = || -> io::Result<()> {
            let listener = std::net::TcpListener::from(self.listener.as_fd().try_clone_to_owned()?);
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(true)?;
                        take(TcpStream::from_std(stream)?);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if of_one_connection(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        };
        if let Err(error) = taken() {
            tracing::error!(%error, "cannot accept the connections that wait in the queue");
        }
    }
}

/// Errors that concern a connection which broke before it was accepted.
fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
