//! The proof: one ledger, written by a bank in every format with every fault of files, posted and put into folders in
//! random order, to two instances of the real program that are killed anywhere and started again. What is published is
//! the ledger, under the ids that it has in another order; every broken statement is put aside for its reason, and no
//! other; balances are those of what closes.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::join_all;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::PgPool;
use tokio::process::Child;
use tributary::statements::Files;
use tributary::store;
use tributary_domain::Scope;
use tributary_standin::bank::{Fired, Ledger, Mail, Sent};

use super::books::Published;
use super::shipped::{ALL, Bank};
use crate::support::app::new_test_key;
use crate::support::process::{FILE_KEY, Place, signal, stop};
use crate::support::server;

/// How often an instance is killed in one case.
const KILLS: usize = 4;

/// A database, and a folder with a provider for each bank, whose files wait in a folder of its name.
struct Stage {
    place: Place,
    url: String,
    pool: PgPool,
    keys: Vec<String>,
    http: reqwest::Client,
}

impl Stage {
    async fn new(name: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let place = Place::new(name);
        let url = server::new_database().await;
        let pool = store::connect(&url, 4).await.unwrap();
        let mut keys = Vec::new();
        for bank in ALL {
            std::fs::write(place.0.join(format!("providers/{}.yaml", bank.name)), bank.hurried()).unwrap();
            std::fs::create_dir_all(place.0.join(bank.name)).unwrap();
            keys.push(new_test_key(&pool, &bank.name.parse().unwrap(), Scope::Ingest).await);
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { place, url, pool, keys, http }
    }

    fn folder(&self, bank: Bank) -> PathBuf {
        self.place.0.join(bank.name)
    }

    async fn serve(&self) -> (Child, String) {
        let serving = self.place.serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &self.url).env("TRIBUTARY_LEASE", "1s");
            for bank in ALL {
                command.env(bank.folder, self.folder(bank));
            }
        });
        serving.await
    }

    /// Posts a file of the bank of this number to `address`; `false` where no answer came, or one that says to try again.
    async fn post(&self, address: &str, bank: usize, file: &Sent) -> bool {
        let call = self
            .http
            .post(format!("http://{address}/ingest/files?name={}", file.name))
            .bearer_auth(&self.keys[bank])
            .body(file.bytes.clone());
        let Ok(answer) = call.send().await else { return false };
        let (status, Ok(text)) = (answer.status().as_u16(), answer.text().await) else { return false };
        match (status, file.refused) {
            (200, false) | (400, true) => true,
            (503, _) => false,
            _ => panic!("{} of {}: {status}: {text}", file.name, ALL[bank].name),
        }
    }

    /// Waits until the files that can be read are gone from the folders.
    async fn until_fetched(&self, refused: &[PathBuf]) {
        let left = || -> Vec<PathBuf> {
            let files = ALL.iter().flat_map(|bank| std::fs::read_dir(self.folder(*bank)).unwrap());
            let paths = files.map(|file| file.unwrap().path());
            paths.filter(|path| path.is_file() && !refused.contains(path)).collect()
        };
        let gone = async {
            while !left().is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), gone)
            .await
            .unwrap_or_else(|_| panic!("not fetched: {:?}", left()));
        assert!(refused.iter().all(|path| path.exists()), "what cannot be read stays where it is");
    }

    async fn published(&self, bank: Bank) -> Published {
        Published::of(&self.pool, bank.name).await
    }
}

/// Puts a file into `folder` as those do who mean well: under its name once it is whole.
fn put(folder: &Path, file: &Sent) -> PathBuf {
    let (unfinished, path) = (folder.join(format!("{}.part", file.name)), folder.join(&file.name));
    std::fs::write(&unfinished, &file.bytes).unwrap();
    std::fs::rename(unfinished, &path).unwrap();
    path
}

/// Two instances, of which one at a time is killed and started anew.
struct Instances<'a> {
    stage: &'a Stage,
    addresses: Mutex<[String; 2]>,
    /// Files that were answered, and calls that were not.
    answered: AtomicUsize,
    unanswered: AtomicUsize,
}

impl Instances<'_> {
    /// Posts what is `left` until nothing is, or puts it into its folder; gives the files there that cannot be read.
    async fn work(&self, left: &Mutex<Vec<(usize, Sent)>>, seed: u64) -> Vec<PathBuf> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut refused = Vec::new();
        loop {
            let Some((bank, file)) = left.lock().unwrap().pop() else { return refused };
            if rng.random_bool(0.3) {
                let path = put(&self.stage.folder(ALL[bank]), &file);
                refused.extend(file.refused.then_some(path));
                self.answered.fetch_add(1, Relaxed);
                continue;
            }
            let address = self.addresses.lock().unwrap()[rng.random_range(0..2)].clone();
            if self.stage.post(&address, bank, &file).await {
                self.answered.fetch_add(1, Relaxed);
            } else {
                self.unanswered.fetch_add(1, Relaxed);
                left.lock().unwrap().push((bank, file));
                tokio::task::yield_now().await;
            }
        }
    }

    /// Kills one of them again and again, each time in the middle of `files` that many; gives those that run then.
    async fn kill(&self, mut running: [Child; 2], files: usize, seed: u64) -> [Child; 2] {
        let mut rng = StdRng::seed_from_u64(seed);
        for kill in 0..KILLS {
            let reached = (kill + 1) * files / (KILLS + 2);
            while self.answered.load(Relaxed) < reached {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..30))).await;
            let which = rng.random_range(0..2);
            signal(&running[which], Signal::SIGKILL);
            running[which].wait().await.unwrap();
            let (child, address) = self.stage.serve().await;
            running[which] = child;
            self.addresses.lock().unwrap()[which] = address;
        }
        running
    }
}

/// Delivers all of `mails` in random order, by both ways, to two instances that are killed.
async fn deliver_killed(stage: &Stage, mails: &[Mail], rng: &mut StdRng) {
    let all = mails.iter().enumerate();
    let mut left: Vec<(usize, Sent)> =
        all.flat_map(|(bank, mail)| mail.files.iter().map(move |file| (bank, file.clone()))).collect();
    left.shuffle(rng);
    let files = left.len();
    let ((one, first), (other, second)) = tokio::join!(stage.serve(), stage.serve());
    let instances = Instances {
        stage,
        addresses: Mutex::new([first, second]),
        answered: AtomicUsize::new(0),
        unanswered: AtomicUsize::new(0),
    };
    let left = Mutex::new(left);
    let workers = join_all((0..4).map(|_| instances.work(&left, rng.random())));
    let (refused, running) = tokio::join!(workers, instances.kill([one, other], files, rng.random()));
    stage.until_fetched(&refused.concat()).await;
    assert!(instances.unanswered.load(Relaxed) > 0, "no kill met a call");
    until_published(&stage.pool).await;
    join_all(running.map(stop)).await;
}

/// Posts each bank's files one after the other, as they were sent.
async fn deliver_in_order(stage: &Stage, mails: &[Mail]) {
    let (server, address) = stage.serve().await;
    let banks = mails.iter().enumerate().map(|(bank, mail)| {
        let address = &address;
        async move {
            for file in &mail.files {
                assert!(stage.post(address, bank, file).await, "{} gets an answer", file.name);
            }
        }
    });
    join_all(banks).await;
    stop(server).await;
}

async fn until_published(pool: &PgPool) {
    let published = async {
        let waiting = "select count(*) from changes";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), published).await.expect("everything is published");
    let lost = "select count(*) from transactions t where not exists
        (select from feed f where f.provider = t.provider and f.resource = 'transactions' and f.body ->> 'id' = t.id)";
    let lost: i64 = sqlx::query_scalar(lost).fetch_one(pool).await.unwrap();
    assert_eq!(lost, 0, "what is there is in the feed");
}

async fn check(seed: u64) -> Vec<Fired> {
    let mut rng = StdRng::seed_from_u64(seed);
    let lines = rng.random_range(0..3);
    let books = Ledger::random(&mut rng, 6, lines);
    let mails: Vec<Mail> =
        ALL.iter().map(|bank| Mail::send(&books, bank.format, true, rng.random())).collect();
    let (killed, alone) = tokio::join!(Stage::new("bank_killed"), Stage::new("bank_alone"));
    deliver_killed(&killed, &mails, &mut rng).await;
    deliver_in_order(&alone, &mails).await;
    for (bank, mail) in ALL.iter().zip(&mails) {
        let files = bank.provider().files.unwrap();
        let accounts = |number: &str, currency: &str| account(&files, number, currency);
        let (mixed, in_order) = (killed.published(*bank).await, alone.published(*bank).await);
        let told = format!("seed {seed}, {}", bank.name);
        in_order.hold(mail, accounts, &format!("{told}, in order"));
        mixed.hold(mail, accounts, &format!("{told}, killed"));
        assert_eq!(mixed.ids(mail), in_order.ids(mail), "{told}: the ids are the same in another order");
    }
    killed.pool.close().await;
    alone.pool.close().await;
    mails.into_iter().map(|mail| mail.fired).collect()
}

/// The id of an account as its provider's file has it.
fn account(files: &Files, number: &str, currency: &str) -> String {
    let in_currency = files.accounts.get(&format!("{number}/{currency}"));
    in_currency.or_else(|| files.accounts.get(number)).map_or_else(|| number.to_owned(), Clone::clone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_files_arrives_whole_whoever_is_killed() {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1);
    let first = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = first.unwrap_or(1);
    for seed in first..first + cases {
        eprintln!("FUZZ_SEED={seed}");
        let fired = check(seed).await;
        for (bank, fired) in ALL.iter().zip(&fired) {
            let never: Vec<_> =
                bank.format.faults().into_iter().filter(|fault| fired.count(*fault) == 0).collect();
            assert!(never.is_empty(), "seed {seed}, {}: {never:?} never happened", bank.name);
        }
    }
}
