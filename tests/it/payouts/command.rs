//! `tributary payouts`, typed as a person would type it: what it shows, and what it refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary::payments::{AssetLimit, Payments, Policy};
use tributary_domain::Amount;
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_manifest::Manifest;
use tributary_standin::kit::PaymentFault;

use crate::support::TestApp;
use crate::support::app::secret_of;
use crate::support::logins::{self, ANN};
use crate::support::process::Place;
use crate::support::till::{Formance, MANIFEST, TOKEN, Till, number, quick};

pub const AUDITED: &str = "select count(*) from payment_audit";

/// A till, and a person at a terminal.
pub struct Desk {
    pub till: Till,
    pub app: TestApp,
    pub payments: Payments,
    pub formance: Formance,
    place: Place,
}

impl Desk {
    /// Above £10 a person has to agree. The bank does not remember keys, and by `change` may be
    /// still worse.
    pub async fn open(name: &str, guard: Duration, change: fn(&mut Manifest)) -> Self {
        Self::with_approvals(name, guard, None, change).await
    }

    /// As [`Desk::open`], with as many persons who have to agree.
    pub async fn with_approvals(
        name: &str,
        guard: Duration,
        approvals: Option<u8>,
        change: fn(&mut Manifest),
    ) -> Self {
        let mut till = Till::open(guard).await;
        let above = Some(Amount::parse("amount", "1000").unwrap());
        let limit = AssetLimit { require_approval_above: above, approvals, ..AssetLimit::default() };
        till.policy.limits = BTreeMap::from([("GBP/2".to_owned(), limit)]);
        till.change(|manifest| {
            manifest.payouts.as_mut().unwrap().key.lifetime = None;
            change(manifest);
        });
        let (app, payments) = till.instance("one", quick());
        let (formance, place) = (Formance::of(&app).await, Place::new(name));
        std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
        std::fs::write(place.0.join("providers/starling.yaml"), MANIFEST).unwrap();
        Self { till, app, payments, formance, place }
    }

    /// Runs `tributary payouts` as Ann: exit code, standard output, standard error.
    pub async fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_as(ANN, args).await
    }

    /// As [`Desk::run`], as another person.
    pub async fn run_as(&self, name: &str, args: &[&str]) -> (i32, String, String) {
        self.typed(name, &[&["payouts"], args].concat()).await
    }

    /// Runs any command, as [`Desk::run`]. No secret is in what it prints.
    async fn typed(&self, name: &str, args: &[&str]) -> (i32, String, String) {
        let mut command = self.place.command(args);
        let url = logins::person(&self.app.url, name).await;
        command.env("DATABASE_URL", &url).env("STARLING_TOKEN", TOKEN);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        for secret in [TOKEN, secret_of(&self.app.connector_key), &url] {
            assert!(!out.contains(secret) && !err.contains(secret), "{args:?} shows {secret}: {out}{err}");
        }
        (output.status.code().unwrap(), out, err)
    }

    /// As [`Desk::run`], of a command that has to succeed; gives its standard output.
    pub async fn says(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args).await;
        assert_eq!(code, 0, "{args:?}: {err}");
        out
    }

    /// The line of a list that is about `key`, in words.
    pub async fn listed(&self, args: &[&str], key: &str) -> Option<String> {
        let list = self.says(args).await;
        let words = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.skip(1).find(|words| words.contains(&key)).map(|words| words.join(" "))
    }

    pub async fn pay(&mut self, key: &str, amount: u32) {
        self.formance.pay(&self.till.initiation(key, amount)).await.unwrap();
    }

    /// Orders while the bank does `fault`, until the order waits for a person.
    pub async fn park(&mut self, key: &str, fault: PaymentFault) {
        self.till.bank.set_payment_faults([fault]);
        self.pay(key, 800).await;
        self.till.carry_on(&self.payments, key, &["parked"]).await;
    }

    /// Polls; gives what Formance then shows of `key`.
    pub async fn shows(&mut self, key: &str) -> (PaymentStatus, InitiationStatus) {
        self.formance.poll(&self.app).await;
        self.formance.shows(key)
    }

    pub async fn id(&self, key: &str) -> String {
        let id = sqlx::query_scalar("select id::text from payment_orders where idempotency_key = $1");
        id.bind(key).fetch_one(&self.app.pool).await.unwrap()
    }
}

pub fn as_shipped(_: &mut Manifest) {}

#[tokio::test]
async fn a_list_has_what_is_under_way_held_or_parked_and_why() {
    let mut desk = Desk::open("payouts_list", Policy::GUARD, as_shipped).await;
    desk.pay("sent", 900).await;
    desk.pay("large", 1001).await;
    desk.park("lost", PaymentFault::ErrorBefore).await;
    desk.till.bank.set_payment_faults([PaymentFault::Refuse("not enough money".to_owned())]);
    desk.pay("refused", 700).await;
    for (key, state, amount, why) in [
        ("sent", "pending", "900", "-"),
        ("large", "held", "1001", "-"),
        ("lost", "parked", "800", "the outcome of its request is unknown, it is not found there"),
    ] {
        let line = desk.listed(&["list"], key).await.unwrap();
        let begin = format!("{} {state} PAYOUT {amount} GBP/2 20", desk.id(key).await);
        assert!(line.starts_with(&begin) && line.contains(&format!(" starling {key} {why}")), "{line}");
    }
    assert_eq!(desk.listed(&["list"], "refused").await, None, "it has ended");
    let ended = desk.listed(&["list", "--all"], "refused").await.unwrap();
    assert!(ended.contains(" failed ") && ended.ends_with("not enough money"), "{ended}");
    for (args, count) in [
        (&["list"][..], 3),
        (&["list", "--all"], 4),
        (&["list", "--state", "parked"], 1),
        (&["list", "--state", "parked", "--state", "failed"], 2),
        (&["list", "--provider", "starling", "--limit", "2"], 2),
        (&["list", "--provider", "other"], 0),
    ] {
        assert_eq!(desk.says(args).await.lines().skip(1).count(), count, "{args:?}");
    }
}

#[tokio::test]
async fn a_list_of_what_was_refused_says_why_and_how_often() {
    let mut desk = Desk::open("payouts_refused", Policy::GUARD, as_shipped).await;
    let mut euros = desk.till.initiation("euros", 800);
    euros.asset = "EUR/2".to_owned();
    for _ in 0..2 {
        desk.formance.pay(&euros).await.unwrap_err();
    }
    let line = desk.listed(&["list", "--refused"], "euros").await.unwrap();
    assert!(line.contains(" 400 starling PAYOUT 2 euros ") && line.contains("pay.limits"), "{line}");
    assert_eq!(desk.listed(&["list", "--all"], "euros").await, None, "it is no order");
    assert_eq!(desk.says(&["list", "--refused", "--provider", "other"]).await.lines().count(), 1);
}

#[tokio::test]
async fn an_order_is_shown_by_key_or_id_with_everything_that_happened() {
    let mut desk = Desk::open("payouts_show", Policy::GUARD, as_shipped).await;
    let mut initiation = desk.till.initiation("k", 800);
    // what somebody wrote stays on its line, and what a bank repeats of us is not shown
    initiation.description = "rent\nstate          succeeded".to_owned();
    desk.till.bank.set_payment_faults([PaymentFault::Refuse(format!("{TOKEN} may not\u{1b}[2J\0"))]);
    desk.formance.pay(&initiation).await.unwrap();
    let shown = desk.says(&["show", "k"]).await;
    assert_eq!(desk.says(&["show", &desk.id("k").await]).await, shown);
    let bank_key = desk.till.bank_keys("k").await.remove(0);
    for line in [
        "idempotency key  k",
        "amount           800 GBP/2",
        &format!("from             {}", desk.till.account),
        &format!("to               {}", desk.till.payees[0]),
        "description      rent state          succeeded",
        "state            failed",
        "reason           [secret] may not [2J ",
        "attempt          1",
        &format!("provider key     {bank_key}"),
        "    state: recorded",
        "    state: recorded -> sending",
        "    state: sending -> failed",
        "    status: PENDING -> FAILED",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} in\n{shown}");
    }
    assert!(
        shown.contains("status           FAILED since 20") && shown.contains("sent             20"),
        "{shown}"
    );
    let happened = ["recorded", "about to send", "refused by the provider"];
    let entries = shown.lines().filter_map(|line| line.split_once("Z  one: ")).map(|(_, what)| what);
    assert_eq!(entries.collect::<Vec<_>>(), happened, "each with its actor");
}

#[tokio::test]
async fn a_mistake_is_answered_with_what_is_wrong_and_changes_nothing() {
    let mut desk = Desk::open("payouts_mistakes", Policy::GUARD, as_shipped).await;
    desk.pay("sent", 900).await;
    desk.pay("held", 1001).await;
    desk.park("lost", PaymentFault::ErrorBefore).await;
    let state = async |desk: &Desk| {
        let states = "select string_agg(state || tries, ' ' order by idempotency_key) from payment_orders";
        let states: String = sqlx::query_scalar(states).fetch_one(&desk.app.pool).await.unwrap();
        (number(&desk.app.pool, AUDITED).await, desk.till.bank.payment_requests(), states)
    };
    let before = state(&desk).await;
    for (code, args, advice) in [
        (1, "show nothing", "there is no order \"nothing\""),
        (1, "approve 00000000-0000-4000-8000-000000000000", "there is no order"),
        (1, "reject nothing --reason x", "there is no order"),
        (1, "resolve nothing --outcome look", "there is no order"),
        (1, "approve sent", "is pending and not held"),
        (1, "reject lost --reason x", "is parked: it can only be rejected"),
        (1, "resolve sent --outcome failed --reason x", "is pending and not parked"),
        (1, "resolve held --outcome look", "is held and not parked"),
        (1, "resolve lost --outcome look --reason x", "--reason is for --outcome failed"),
        (1, "resolve lost --outcome failed --reason x --payment-id y", "--payment-id is for"),
        (2, "reject held", "--reason <REASON>"),
        (2, "reject held --reason=", "'--reason <REASON>'"),
        (2, "resolve lost", "--outcome <OUTCOME>"),
        (2, "resolve lost --outcome gone", "succeeded, failed, look"),
        (2, "resolve lost --outcome failed", "--reason <REASON>"),
        (2, "resolve lost --outcome succeeded --payment-id=", "'--payment-id <PAYMENT_ID>'"),
        (2, "list --refused --all", "cannot be used with"),
    ] {
        let (ended, out, err) = desk.run(&args.split(' ').collect::<Vec<_>>()).await;
        assert!(ended == code && err.contains(advice) && out.is_empty(), "{args}: {ended} {out}{err}");
    }
    assert_eq!(state(&desk).await, before);
}

#[tokio::test]
async fn a_key_that_two_orders_have_is_answered_with_their_ids() {
    let mut desk = Desk::open("payouts_two", Policy::GUARD, as_shipped).await;
    desk.pay("k", 1001).await;
    let first = desk.id("k").await;
    let again = "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount,
          source_account_id, destination_account_id, provider_key, request, state)
        select gen_random_uuid(), 'other', kind, idempotency_key, fingerprint, asset, amount,
          source_account_id, destination_account_id, provider_key, request, state from payment_orders";
    desk.app.sql(again).await;
    let (code, _, err) = desk.run(&["approve", "k"]).await;
    assert!(code == 1 && err.contains(&format!("{first} (PAYOUT of starling)")), "{err}");
    desk.says(&["approve", &first]).await;
    assert_eq!(number(&desk.app.pool, "select count(*) from payment_orders where state = 'held'").await, 1);
}

#[tokio::test]
async fn programs_read_every_list_and_show_as_json() {
    let mut desk = Desk::open("payouts_json", Policy::GUARD, as_shipped).await;
    let order = desk.till.initiation("held", 1_500);
    desk.formance.pay(&order).await.unwrap();
    let no_account =
        tributary_formance::Initiation { source: "nobody".to_owned(), ..desk.till.initiation("no", 5) };
    desk.formance.pay(&no_account).await.unwrap_err();
    desk.till.sync().await;
    desk.app.push("accounts", &[serde_json::json!({"id": ""})]).await;
    let mut read = Vec::new();
    for args in [
        &["payouts", "list"][..],
        &["payouts", "list", "--refused"],
        &["payouts", "show", "held"],
        &["runs"],
        &["keys", "list"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
    ] {
        let (code, json, error) = desk.typed(ANN, &[args, &["--output", "json"]].concat()).await;
        assert_eq!(code, 0, "{args:?}: {error}");
        let value: serde_json::Value =
            serde_json::from_str(&json).unwrap_or_else(|why| panic!("{args:?}: {why}: {json}"));
        assert!(value.as_array().is_none_or(|rows| !rows.is_empty()), "{args:?}: {json}");
        read.push(value);
    }
    assert_eq!((&read[0][0]["state"], &read[0][0]["amount"]), (&"held".into(), &"1500".into()));
    assert_eq!(
        (&read[2]["idempotency_key"], &read[2]["audit"][0]["what"]),
        (&"held".into(), &"held for approval".into())
    );
    assert!(read[1][0]["detail"].as_str().unwrap().contains("nobody"), "{}", read[1]);
    assert!(read[3][0]["streams"].as_array().is_some_and(|streams| !streams.is_empty()), "{}", read[3]);
    assert!(read[4][0].get("digest").is_none());
}
