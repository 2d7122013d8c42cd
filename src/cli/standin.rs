//! `tributary standin`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use rand::SeedableRng as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CommandResult, serve::stop_on_signal};
use tributary_standin::airwallex::Airwallex;
use tributary_standin::bank::{Format, Ledger, Mail};
use tributary_standin::gocardless::GoCardless;
use tributary_standin::kit::{self, Fsp, Standin, StandinConfig};
use tributary_standin::mercury::Mercury;
use tributary_standin::mollie::Mollie;
use tributary_standin::obie::Obie;
use tributary_standin::paypal::PayPal;
use tributary_standin::paystack::Paystack;
use tributary_standin::revolut::Revolut;
use tributary_standin::square::Square;
use tributary_standin::starling::Starling;
use tributary_standin::stripe::Stripe;
use tributary_standin::wise::Wise;
use tributary_standin::xendit::Xendit;

/// The providers. While one with an API runs, `/_standin/advance`, `/_standin/faults`, `/_standin/settle`,
/// `/_standin/truth` and `/_standin/fired` control it.
#[derive(Subcommand)]
pub enum StandinCommand {
    /// Starling Bank: accounts, balances, payees and a feed that lives.
    Starling(StarlingArgs),
    /// Mercury: accounts with balances inside, transactions by offset or cursor, recipients.
    Mercury(StandinArgs),
    /// Mollie: payments, refunds, chargebacks, balances and payouts, by HAL links.
    Mollie(StandinArgs),
    /// Square: payments, refunds, disputes and payouts of locations, by a cursor in the body.
    Square(StandinArgs),
    /// Paystack: transactions, transfers, refunds and disputes by page number; balances.
    Paystack(StandinArgs),
    /// Revolut Business: transactions with legs, by time; exchanges; a limit of 60 a minute.
    Revolut(StandinArgs),
    /// GoCardless: payments, refunds and payouts of creditors by creation; balances, bank accounts.
    Gocardless(StandinArgs),
    /// Airwallex: balances by currency, financial transactions and transfers by page number, a login.
    Airwallex(StandinArgs),
    /// Stripe: balance transactions, refunds, payouts and their events, by the ids of rows.
    Stripe(StandinArgs),
    /// PayPal: the search for transactions, by windows that hold so many rows at most; balances.
    Paypal(StandinArgs),
    /// A bank of UK Open Banking: transactions with and without ids, pending and booked.
    Obie(StandinArgs),
    /// Wise: balances of profiles, transfers, statements, recipients; payments of three requests.
    Wise(StandinArgs),
    /// Xendit: balances of currencies, transactions by a cursor, payouts.
    Xendit(StandinArgs),
    /// A bank without an API: writes its files into a folder, with all that goes wrong with files.
    Bank(FilesArgs),
}

/// What a bank sends.
#[derive(Args)]
pub struct FilesArgs {
    /// The folder; it is made where it is not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The format of the files.
    #[arg(long, value_enum, default_value_t = FileFormat::Camt)]
    format: FileFormat,
    /// How many days they tell of, 5 or more.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=366))]
    days: u32,
    /// Movements of each account, beside those of every kind that there are always.
    #[arg(long, default_value_t = 60)]
    movements: usize,
    /// The seed: the same one gives the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A format of files.
#[derive(Clone, Copy, ValueEnum)]
enum FileFormat {
    Camt,
    Mt940,
    Bai2,
    Ofx,
    Csv,
}

impl FilesArgs {
    fn write(&self) -> CommandResult {
        let format = match self.format {
            FileFormat::Camt => Format::Camt,
            FileFormat::Mt940 => Format::Mt,
            FileFormat::Bai2 => Format::Bai2,
            FileFormat::Ofx => Format::Ofx,
            FileFormat::Csv => Format::Csv,
        };
        let mut rng = rand::rngs::StdRng::seed_from_u64(self.seed);
        let ledger = Ledger::random(&mut rng, self.days, self.movements);
        let mail = Mail::send(&ledger, format, true, self.seed);
        std::fs::create_dir_all(&self.folder)?;
        for file in &mail.files {
            let unfinished = self.folder.join(format!("{}.part", file.name));
            std::fs::write(&unfinished, &file.bytes)?;
            std::fs::rename(unfinished, self.folder.join(&file.name))?;
        }
        let refused = mail.files.iter().filter(|file| file.refused).count();
        println!("{} files are in {}", mail.files.len(), self.folder.display());
        println!("{refused} of them break off and cannot be read; in others are statements to be put aside:");
        for aside in mail.files.iter().flat_map(|file| &file.put_aside) {
            println!("  {}/{}: {}", aside.account, aside.currency, aside.why);
        }
        Ok(())
    }
}

/// How large a provider is.
#[derive(Args)]
pub struct StandinArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The access token that clients have to send, or the secret that they get one for.
    #[arg(long, env = "STANDIN_TOKEN", default_value = "demo", hide_env_values = true)]
    token: String,
    /// Accounts of the provider (or balances, or locations).
    #[arg(long, default_value_t = 3)]
    accounts: usize,
    /// Records that are there from the start.
    #[arg(long, default_value_t = 2_000)]
    items: usize,
    /// Changes a second: new records, changes of status, refunds and disputes.
    #[arg(long, default_value_t = 1)]
    changes_per_second: usize,
    /// The seed: the same one gives the same records and changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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

/// How large the stand-in is, and how busy.
#[derive(Args, Clone)]
pub struct BankArgs {
    /// Accounts of the stand-in.
    #[arg(long, default_value_t = 6)]
    accounts: usize,
    /// Feed items that are there from the start.
    #[arg(long, default_value_t = 25_000)]
    items: usize,
    /// Changes a second: new items and changes of status.
    #[arg(long, default_value_t = 5)]
    changes_per_second: usize,
    /// The seed: the same one gives the same records and changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl BankArgs {
    /// Feed items that are there from the start.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Opens the bank and lets it change.
    pub fn open(&self, token: &str) -> Result<Arc<Standin>, kit::ConfigError> {
        let (accounts, items) = (self.accounts, self.items);
        let config = StandinConfig { accounts, items, ..StandinConfig::new(self.seed, token) };
        open(&Starling, config, self.changes_per_second)
    }
}

fn open(
    fsp: &'static dyn Fsp,
    config: StandinConfig,
    changes_per_second: usize,
) -> Result<Arc<Standin>, kit::ConfigError> {
    let standin = Arc::new(Standin::new(fsp, config)?);
    if changes_per_second > 0 {
        kit::spawn_changes(Arc::clone(&standin), Duration::from_secs(1), changes_per_second);
    }
    Ok(standin)
}

pub async fn run(command: StandinCommand) -> CommandResult {
    let (fsp, args): (&'static dyn Fsp, _) = match command {
        StandinCommand::Starling(args) => {
            return serve("starling", args.listen, args.bank.open(&args.token)?).await;
        }
        StandinCommand::Mercury(args) => (&Mercury, args),
        StandinCommand::Mollie(args) => (&Mollie, args),
        StandinCommand::Square(args) => (&Square, args),
        StandinCommand::Paystack(args) => (&Paystack, args),
        StandinCommand::Revolut(args) => (&Revolut, args),
        StandinCommand::Gocardless(args) => (&GoCardless, args),
        StandinCommand::Airwallex(args) => (&Airwallex, args),
        StandinCommand::Stripe(args) => (&Stripe, args),
        StandinCommand::Paypal(args) => (&PayPal, args),
        StandinCommand::Obie(args) => (&Obie, args),
        StandinCommand::Wise(args) => (&Wise, args),
        StandinCommand::Xendit(args) => (&Xendit, args),
        StandinCommand::Bank(args) => return args.write(),
    };
    let (accounts, items) = (args.accounts, args.items);
    let config = StandinConfig { accounts, items, ..StandinConfig::new(args.seed, args.token) };
    serve(fsp.name(), args.listen, open(fsp, config, args.changes_per_second)?).await
}

async fn serve(provider: &str, listen: SocketAddr, standin: Arc<Standin>) -> CommandResult {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, provider, "the stand-in serves");
    kit::serve(listener, standin, stop.cancelled_owned()).await?;
    Ok(())
}
