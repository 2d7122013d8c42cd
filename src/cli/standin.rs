//! `tributary standin`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CommandResult, serve::stop_on_signal};
use crate::standin::starling::{self, Starling, StarlingConfig};

#[derive(Subcommand)]
pub enum StandinCommand {
    /// Starling Bank: accounts, balances, payees and a feed that lives.
    Starling(StarlingArgs),
}

#[derive(Args)]
pub struct StarlingArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The access token that clients have to send.
    #[arg(long, env = "STARLING_TOKEN", default_value = "demo", hide_env_values = true)]
    token: String,
    #[command(flatten)]
    bank: BankArgs,
}

/// How large the bank is, and how busy.
#[derive(Args, Clone)]
pub struct BankArgs {
    /// Accounts of the bank.
    #[arg(long, default_value_t = 6)]
    accounts: usize,
    /// Feed items that are there from the start.
    #[arg(long, default_value_t = 25_000)]
    items: usize,
    /// Changes a second: new items and changes of status.
    #[arg(long, default_value_t = 5)]
    changes_per_second: usize,
    /// From which everything follows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl BankArgs {
    /// Feed items that are there from the start.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Opens the bank and lets it change.
    pub fn open(&self, token: &str) -> Result<Arc<Starling>, starling::ConfigError> {
        let mut config = StarlingConfig::new(self.seed, token);
        config.accounts = self.accounts;
        config.items = self.items;
        let bank = Arc::new(Starling::new(config)?);
        if self.changes_per_second > 0 {
            starling::spawn_changes(Arc::clone(&bank), Duration::from_secs(1), self.changes_per_second);
        }
        Ok(bank)
    }
}

pub async fn run(command: StandinCommand) -> CommandResult {
    let StandinCommand::Starling(args) = command;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let bank = args.bank.open(&args.token)?;
    let listener = TcpListener::bind(args.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "the stand-in of Starling is open");
    starling::serve(listener, bank, stop.cancelled_owned()).await?;
    Ok(())
}
