//! Random histories: a bank that fails in every way, instances that die or are held up anywhere,
//! answers that are lost, syncs in between, people who press Retry, and whoever lies about orders with
//! a key that pushes records. In the end the bank's
//! ledger has one movement for each order that ended well, none for one that was refused, and
//! Formance shows the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use tributary::payments::{Point, Settings};
use tributary_domain::Status;
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{Client, Kept, Kind, Movement, PaymentStatus, State};

use super::liar::Lies;
use crate::providers::shipped::{AIRWALLEX, MERCURY, PAYSTACK, REVOLUT, STRIPE, Shipped, WISE, XENDIT};
use crate::support::edited;
use crate::support::till::{Formance, Till, now, number, quick};

/// How long after a refusal a repeated request is a person's Retry.
const GUARD: Duration = Duration::from_millis(300);
/// How many are under way at the same time.
const AT_ONCE: usize = 10;

/// How often each point was reached, and how many died or were held up there.
#[derive(Default)]
struct Fate {
    reached: [AtomicU64; Point::ALL.len()],
    died: AtomicU64,
    held_up: AtomicU64,
}

impl Fate {
    /// One in 25 dies at each point; one in 20 sleeps right before the first byte until its claim
    /// is over.
    fn at(&self, point: Point) -> BoxFuture<'static, ()> {
        let place = Point::ALL.iter().position(|one| *one == point).unwrap();
        let reached = self.reached[place].fetch_add(1, Ordering::Relaxed) + place as u64;
        if reached % 25 == 7 {
            self.died.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        } else if point == Point::Sending && reached % 20 == 3 {
            self.held_up.fetch_add(1, Ordering::Relaxed);
            Box::pin(tokio::time::sleep(Duration::from_millis(2_000)))
        } else {
            Box::pin(std::future::ready(()))
        }
    }
}

/// Those who may die.
fn mortal(fate: &Arc<Fate>) -> Settings {
    let fate = Arc::clone(fate);
    Settings {
        claim: Duration::from_millis(1_800),
        at: Some(Arc::new(move |point| fate.at(point))),
        ..quick()
    }
}

/// Formance, of which many requests are under way.
struct Tables {
    kept: Mutex<Kept>,
    clients: Vec<Client>,
    movement: Movement,
    /// How many orders there are.
    orders: usize,
}

impl Tables {
    /// The connector sends until it has an answer; some answers are lost on their way.
    async fn send(&self, till: &Till, key: &str, amount: u32, rng: &mut SmallRng) {
        let initiation = till.initiation(key, amount);
        for _ in 0..8 {
            let client = &self.clients[rng.random_range(0..self.clients.len())];
            let outcome = client.create(self.movement, &initiation).await;
            let lost = rng.random_range(0..100) < 15;
            if let Err(error) = &outcome {
                assert!(!error.class().is_final(), "{key}: {error}");
            } else if !lost {
                self.kept.lock().unwrap().conclude(key, &outcome, now());
                return;
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..80))).await;
        }
    }

    fn initiate(&self, key: &str) -> bool {
        self.kept.lock().unwrap().initiate(key, now())
    }

    fn is_failed(&self, key: &str) -> bool {
        let kept = self.kept.lock().unwrap();
        kept.initiation(key).is_some_and(|initiation| initiation.status() == InitiationStatus::Failed)
    }

    fn is_answered(&self, key: &str) -> bool {
        self.kept.lock().unwrap().initiation(key).is_some_and(|initiation| !initiation.payments.is_empty())
    }
}

fn key(order: usize) -> String {
    format!("order-{order}")
}

fn amount(order: usize) -> u32 {
    // some are alike
    100 + (order % 50) as u32
}

async fn live(till: &Till, tables: &Tables, order: usize) {
    let mut rng = SmallRng::seed_from_u64(order as u64);
    let key = key(order);
    assert!(tables.initiate(&key));
    tables.send(till, &key, amount(order), &mut rng).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..900))).await;
        if tables.is_failed(&key) && rng.random_range(0..2) == 0 && tables.initiate(&key) {
            tables.send(till, &key, amount(order), &mut rng).await;
        }
    }
}

/// Workers that are killed again and again, wherever they stand.
async fn killed_workers(till: Arc<Till>, name: &'static str, fate: Arc<Fate>, stop: CancellationToken) {
    let mut rng = SmallRng::seed_from_u64(99);
    while !stop.is_cancelled() {
        let worker = till.payments(name, mortal(&fate)).worker();
        let running = tokio::spawn(worker.run(stop.clone()));
        tokio::time::sleep(Duration::from_millis(rng.random_range(200..1_500))).await;
        running.abort();
    }
}

async fn syncs(till: Arc<Till>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        till.try_sync().await;
        till.bank.advance(3);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn polls(till: Arc<Till>, poller: Client, tables: Arc<Tables>, stop: CancellationToken) -> State {
    let mut state = State::default();
    while !stop.is_cancelled() {
        // a busy database is asked again later
        let _ = till.app.publisher().publish_now().await;
        match poller.drain(Kind::Transactions, &mut state).await {
            Ok(rows) => tables.kept.lock().unwrap().take(Kind::Transactions, &rows),
            // Formance keeps what came before, and goes on from there
            Err(stopped) => tables.kept.lock().unwrap().take(Kind::Transactions, &stopped.rows),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_random_histories_move_money_once_for_each_order_that_ends_well() {
    histories(Till::open(GUARD).await, 240).await;
}

async fn histories_at(shipped: Shipped, movement: Movement) {
    histories(Till::at(shipped, movement, GUARD).await, 80).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_airwallex_move_money_once() {
    histories_at(AIRWALLEX, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_mercury_move_money_once() {
    histories_at(MERCURY, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_at_mercury_move_money_once() {
    histories_at(MERCURY, Movement::Transfer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_revolut_move_money_once() {
    histories_at(REVOLUT, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_at_revolut_move_money_once() {
    histories_at(REVOLUT, Movement::Transfer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_paystack_move_money_once() {
    histories_at(PAYSTACK, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_stripe_move_money_once() {
    histories_at(STRIPE, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_wise_move_money_once() {
    histories_at(WISE, Movement::Payout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_at_xendit_move_money_once() {
    // as it ships, its file takes no payment that is pushed, and so no lie about one
    let mut lied_about = XENDIT;
    lied_about.manifest = edited(XENDIT.manifest, "push: [beneficiaries]\n", "").leak();
    histories_at(lied_about, Movement::Payout).await;
}

async fn histories(till: Till, orders: usize) {
    let till = Arc::new(till);
    let fate: Arc<Fate> = Arc::default();
    let (one, _) = till.instance("one", mortal(&fate));
    let (two, _) = till.instance("two", mortal(&fate));
    let patience = Duration::from_millis(2_500);
    let clients = vec![
        Client::new(&one.listen().await, &one.connector_key).with_timeout(patience),
        Client::new(&two.listen().await, &two.connector_key).with_timeout(patience),
    ];
    let poller = Client::new(&one.listen().await, &one.connector_key);
    let movement = till.movement;
    let tables = Arc::new(Tables { kept: Mutex::default(), clients, movement, orders });
    till.bank.set_payment_chance(400, 7);
    let stop = CancellationToken::new();
    let workers = [
        tokio::spawn(killed_workers(Arc::clone(&till), "worker-1", Arc::clone(&fate), stop.clone())),
        tokio::spawn(killed_workers(Arc::clone(&till), "worker-2", Arc::clone(&fate), stop.clone())),
        tokio::spawn(syncs(Arc::clone(&till), stop.clone())),
    ];
    let lies: Arc<Lies> = Arc::default();
    let (liars, _) = till.instance("liars", quick());
    let lying = tokio::spawn(Arc::clone(&lies).tell(Arc::clone(&till), liars, stop.clone()));
    let polling = tokio::spawn(polls(Arc::clone(&till), poller, Arc::clone(&tables), stop.clone()));
    let lives = futures::StreamExt::buffer_unordered(
        futures::stream::iter((0..orders).map(|order| {
            let (till, tables) = (Arc::clone(&till), Arc::clone(&tables));
            async move { live(&till, &tables, order).await }
        })),
        AT_ONCE,
    );
    futures::StreamExt::collect::<Vec<()>>(lives).await;
    // calm: nothing goes wrong any more
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    lying.await.unwrap();
    let state = polling.await.unwrap();
    till.bank.set_payment_chance(0, 0);
    calm(&till, &tables).await;
    let kept = tables.kept.lock().unwrap().clone();
    let mut formance = Formance::at(&one, kept, state).await;
    formance.poll(&till.app).await;
    let (mut well, mut failed) = (0, 0);
    for order in 0..orders {
        match check(&till, &formance, &key(order)).await {
            true => well += 1,
            false => failed += 1,
        }
    }
    let pool = &till.app.pool;
    let again = number(pool, "select count(*) from payment_attempts").await;
    let lost = number(pool, "select count(*) from payment_audit where what = 'outcome unknown'").await;
    let expired = number(
        pool,
        "select count(*) from payment_audit where what = 'claim expired: its instance did not renew it'",
    )
    .await;
    let resent = number(pool, "select count(*) from payment_orders where tries > 1").await;
    let [dead, held_up] = [&fate.died, &fate.held_up].map(|count| count.load(Ordering::Relaxed));
    println!(
        "{orders} orders: {well} well, {failed} failed; {again} tried anew, {lost} outcomes unknown, {expired} senders \
         lost, {resent} sent again under their key; {dead} deaths, {held_up} held up; {} requests, {} movements",
        till.bank.payment_requests(),
        till.bank.movements().len()
    );
    assert!(well > orders / 3, "most end well");
    assert_eq!(
        till.bank.payment_faults().len(),
        10,
        "every fault, and none: {:?}",
        till.bank.payment_faults()
    );
    assert!(failed as i64 + again > 0 && lost > 0 && expired > 0 && resent > 0 && dead > 0 && held_up > 0);
    assert_eq!(number(pool, "select count(*) from unmatched_records").await, 0);
    assert_eq!(number(pool, "select count(*) from payment_orders where state = 'parked'").await, 0);
    lies.were_all_refused(&till).await;
}

/// Until every order has ended, at the bank and here.
async fn calm(till: &Till, tables: &Tables) {
    let survivors = till.payments("survivor", quick());
    let mut rng = SmallRng::seed_from_u64(1);
    let ended = async {
        loop {
            survivors.worker().run_once().await.unwrap();
            let open = number(
                &till.app.pool,
                "select count(*) from payment_orders where state in ('recorded', 'sending', 'unknown')",
            )
            .await;
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for order in (0..tables.orders).filter(|order| !tables.is_answered(&key(*order))) {
            while !tables.is_answered(&key(order)) {
                tables.send(till, &key(order), amount(order), &mut rng).await;
                survivors.worker().run_once().await.unwrap();
            }
        }
        for movement in till.bank.movements() {
            if movement.status == Status::Pending {
                till.bank.move_payment(&movement.key, Status::Succeeded);
            }
        }
        loop {
            till.sync().await;
            survivors.worker().run_once().await.unwrap();
            let open = number(
                &till.app.pool,
                "select count(*) from payment_orders where state not in ('succeeded', 'failed')",
            )
            .await;
            if open == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(120), ended).await.is_err() {
        let open: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "select idempotency_key, state, reason from payment_orders where state not in ('succeeded', 'failed')",
        )
        .fetch_all(&till.app.pool)
        .await
        .unwrap();
        panic!("these never end: {open:#?}");
    }
}

/// What the bank, the order and Formance say of a key agrees; gives whether it ended well.
async fn check(till: &Till, formance: &Formance, key: &str) -> bool {
    let statuses = till.movements(key).await.into_iter().map(|movement| movement.status);
    let (unmoved, moved): (Vec<Status>, Vec<Status>) =
        statuses.partition(|status| matches!(status, Status::Failed | Status::Cancelled));
    assert!(moved.len() <= 1, "{key} moved money {} times", moved.len());
    let expected = match moved.first() {
        None if unmoved.last() == Some(&Status::Cancelled) => {
            (PaymentStatus::Cancelled, InitiationStatus::Failed)
        }
        None => (PaymentStatus::Failed, InitiationStatus::Failed),
        Some(Status::Succeeded) => (PaymentStatus::Succeeded, InitiationStatus::Processed),
        Some(Status::Refunded) => (PaymentStatus::Refunded, InitiationStatus::Reversed),
        Some(other) => panic!("{key} is still {other:?}"),
    };
    assert_eq!(formance.shows(key), expected, "{key}: {:#?}", formance.kept.initiation(key));
    !moved.is_empty()
}
