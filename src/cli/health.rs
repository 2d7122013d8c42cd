//! `tributary health`: for a container's health check.

use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::CommandResult;

#[derive(Args)]
pub struct HealthArgs {
    /// Address of the server.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: String,
}

pub async fn run(args: HealthArgs) -> CommandResult {
    Ok(ask(&args.listen).await?)
}

/// Whether the server that listens at `listen` is ready; the error says what it is instead.
pub async fn ask(listen: &str) -> Result<(), String> {
    // a server that listens on every address is reached on this one
    let address = listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
    let answer = tokio::time::timeout(Duration::from_secs(3), is_ready(&address)).await;
    match answer {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(format!("{address} answers, but is not ready")),
        Ok(Err(error)) => Err(format!("{address} does not answer: {error}")),
        Err(_) => Err(format!("{address} does not answer within 3 s")),
    }
}

async fn is_ready(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
