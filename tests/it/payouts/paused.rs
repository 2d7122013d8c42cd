//! The real program, stopped while it pays and continued when another process has gone on.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::PgPool;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tributary::payments::Point;
use tributary::store;
use tributary_domain::Status as BankStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{CallError, Client, Movement, PaymentStatus, Row};
use tributary_standin::kit::{OnDuplicate, PaymentFault, Running, Standin};

use crate::support::process::{FILE_KEY, Place, read_log_until, signal, stop};
use crate::support::server;
use crate::support::till::{Formance, MANIFEST, SECRET, TOKEN, impatient, now, number, order_of, small_bank};
use crate::support::{edited, with_fast_feed};

/// How long the bank has for an answer. A claim holds for twice that and 5 s more.
const TIMEOUT: &str = "timeout: 2s";

fn provider_file() -> String {
    let quick = with_fast_feed(&edited(&impatient(MANIFEST), "timeout: 1s", TIMEOUT));
    format!("{quick}\nkeys:\n  - {{ scope: connector, key: \"${{ACME_KEY}}\" }}\n")
}

/// Two processes that share a database, at a bank that lets the same key pay again: whatever is
/// sent twice is paid twice.
struct Pair {
    bank: Arc<Standin>,
    _bank_running: Running,
    pool: PgPool,
    /// The one that is stopped.
    first: Child,
    second: Child,
    formance: Formance,
    /// What the first one is asked by Formance.
    asked: JoinHandle<Result<Row, CallError>>,
    /// The processes run in its folder.
    _place: Place,
}

impl Pair {
    /// Formance orders from the first process, which stops itself at `point` if there is one;
    /// `fault` is what the bank does with the first request.
    async fn order(name: &str, point: Option<Point>, fault: PaymentFault) -> Self {
        let (bank, running) = small_bank().await;
        bank.set_on_duplicate(OnDuplicate::Forget);
        bank.set_payment_faults([fault]);
        let place = Place::new(name);
        std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
        std::fs::write(place.0.join("providers/starling.yaml"), provider_file()).unwrap();
        let url = server::new_database().await;
        let pool = store::connect(&url, 4).await.unwrap();
        let start = async |point: Option<Point>| {
            place
                .serve_as(|command| {
                    command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &url);
                    command.env("STARLING_URL", &running.url).env("STARLING_TOKEN", TOKEN);
                    command.env_remove("TRIBUTARY_DIE_AT");
                    command.env("TRIBUTARY_PAYMENT_SECRET", SECRET);
                    if let Some(point) = point {
                        command.env("TRIBUTARY_DIE_AT", format!("stop:{}", point.as_str()));
                        command.stderr(Stdio::piped());
                    }
                })
                .await
        };
        let ((first, address), (second, other)) = tokio::join!(start(point), start(None));
        let read = "select count(*) from accounts, beneficiaries
                    where not exists (select from sync_runs where status = 'running')";
        wait_for("the accounts", async || number(&pool, read).await > 0).await;
        let mut formance = Formance::over(&format!("http://{other}"), FILE_KEY);
        assert!(formance.kept.initiate("k", now()));
        let (client, initiation) = (Client::new(&format!("http://{address}"), FILE_KEY), order(&pool).await);
        let asked = tokio::spawn(async move { client.create(Movement::Payout, &initiation).await });
        Self { bank, _bank_running: running, pool, first, second, formance, asked, _place: place }
    }

    async fn state(&self) -> String {
        let state = sqlx::query_scalar("select state from payment_orders").fetch_one(&self.pool);
        state.await.unwrap()
    }

    /// How often the second process did `what` to the order.
    async fn second_did(&self, what: &str) -> i64 {
        let sql = "select count(*) from payment_audit where what = $1 and actor like '%, process ' || $2";
        let pid = self.second.id().unwrap().to_string();
        sqlx::query_scalar(sql).bind(what).bind(pid).fetch_one(&self.pool).await.unwrap()
    }

    /// The second process goes on until the bank has the payment, while the first stands still;
    /// Formance, which got no answer, asks it again.
    async fn second_takes_over(&mut self, how: &str) {
        wait_for(how, async || self.second_did(how).await > 0).await;
        wait_for("the payment", async || self.state().await == "pending").await;
        let again = self.formance.send(&order(&self.pool).await).await.unwrap();
        assert_eq!(again.payment().status.to_string(), "PENDING");
        assert_eq!((self.bank.movements().len(), state_of(&self.first)), (1, 'T'));
    }

    /// Everybody comes to an end, and there is one movement, one payment, with the right status.
    async fn ends_with_one_payment(mut self, requests: u64) {
        // what the first one answers after all, if Formance still waits for it
        let late = self.asked.await.unwrap();
        match &late {
            Ok(row) => assert_eq!(row.payment().status.to_string(), "PENDING"),
            Err(error) => assert!(!error.class().is_final(), "{error}"),
        }
        self.formance.kept.conclude("k", &late, now());
        // it does to the end whatever it still does
        stop(self.first).await;
        assert_eq!((self.bank.payment_requests(), self.bank.movements().len()), (requests, 1));
        self.bank.move_payment(&self.bank.movements()[0].key, BankStatus::Succeeded);
        let told = "select count(*) from feed where body ->> 'relatedTransactionID' = 'k'
                    and body ->> 'status' = 'SUCCEEDED'";
        wait_for("the end", async || number(&self.pool, told).await > 0).await;
        self.formance.take().await;
        assert_eq!(self.formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
        stop(self.second).await;
        assert_eq!((self.bank.payment_requests(), self.bank.movements().len()), (requests, 1));
        assert_eq!(number(&self.pool, "select count(*) from payment_orders").await, 1);
        assert_eq!(number(&self.pool, "select count(*) from payment_attempts").await, 0);
    }
}

async fn order(pool: &PgPool) -> tributary_formance::Initiation {
    let id = async |sql: &'static str| -> String { sqlx::query_scalar(sql).fetch_one(pool).await.unwrap() };
    let account = id("select id from accounts order by id limit 1").await;
    let payee = id("select id from beneficiaries order by id limit 1").await;
    order_of("k", 1500, &account, &payee)
}

/// The state of a process, as the kernel has it: `T` is stopped.
fn state_of(process: &Child) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id().unwrap())).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(90), waited).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// The first process is stopped while its request is at the bank, and its claim runs out.
async fn stopped_while_the_bank_works(name: &str, fault: PaymentFault, requests: u64) {
    let mut pair = Pair::order(name, None, fault).await;
    wait_for("a request at the bank", async || pair.bank.payment_requests() == 1).await;
    signal(&pair.first, Signal::SIGSTOP);
    wait_for("a stop", async || state_of(&pair.first) == 'T').await;
    assert_eq!(pair.state().await, "sending", "it stopped before it could keep an outcome");
    pair.second_takes_over("claim expired: its instance did not renew it").await;
    signal(&pair.first, Signal::SIGCONT);
    pair.ends_with_one_payment(requests).await;
}

#[tokio::test]
async fn s21_sigstop_while_the_bank_answers_late() {
    // the answer is there when the process is continued
    let late = PaymentFault::Late(Duration::from_secs(3));
    stopped_while_the_bank_works("stopped_late", late, 1).await;
}

#[tokio::test]
async fn s21_sigstop_while_the_bank_lost_the_request() {
    // so that the other process has to send it again
    stopped_while_the_bank_works("stopped_lost", PaymentFault::SilentBefore, 2).await;
}

/// The first process stops itself at `point`, before it has sent anything; when it is continued,
/// it `says` why it still sends nothing.
async fn stopped_before_the_first_byte(point: Point, how: &str, says: &str) {
    let mut pair =
        Pair::order(&format!("stopped_at_{}", point.as_str()), Some(point), PaymentFault::None).await;
    wait_for("a stop", async || state_of(&pair.first) == 'T').await;
    assert_eq!((pair.bank.payment_requests(), pair.second_did(how).await), (0, 0));
    pair.second_takes_over(how).await;
    signal(&pair.first, Signal::SIGCONT);
    read_log_until(&mut pair.first, says).await;
    pair.ends_with_one_payment(1).await;
}

#[tokio::test]
async fn s21_sigstop_right_before_the_first_byte() {
    let lost = "claim expired: its instance did not renew it";
    stopped_before_the_first_byte(Point::Sending, lost, "the process was paused for too long").await;
}

#[tokio::test]
async fn s21_sigstop_when_the_order_is_recorded() {
    stopped_before_the_first_byte(Point::Recorded, "about to send", "another instance works on it").await;
}
