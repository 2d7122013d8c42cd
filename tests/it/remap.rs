//! A mapping that was wrong is put right: from the records that were kept, and for those in
//! quarantine, without asking the provider.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tributary::encryption::Keyring;
use tributary::store::quarantine::{self, Chosen, Which};
use tributary::store::{leases, raw_records, sync_runs};
use tributary::sync::{
    Busy, DatabaseSink, Housekeeper, ProviderRetention, Puller, RemapOutcome, RemapRequest, Remapped,
    Retention, RunOutcome, SyncProgress, SyncRequest, Synced,
};
use tributary::verbs::quarantine::Outcome;
use tributary_domain::{Origin, RawRecord, Resource};
use tributary_manifest::{CompiledProvider, MappedRecord, PageSink, RecordPage};

use crate::support::jobs::{self, count, file, manifest, puller, stream};
use crate::support::{TestApp, Upstream, edited, records};

/// Transactions of which the bank gives `amount` in minor units, and the mapping takes `amount`.
fn payments(amount: &str) -> String {
    edited(&stream("payments", ""), "amount: \"100\"", &format!("amount: ({amount})"))
}

struct Setup {
    upstream: Upstream,
    app: TestApp,
}

impl Setup {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let app = TestApp::with_file(&file(&upstream, "", &payments(".amount"))).await;
        Self { upstream, app }
    }

    fn puller(&self, streams: &str) -> Puller {
        puller(&self.app, &file(&self.upstream, "", streams), "by hand")
    }

    /// Commits a page as a run over `streams` would, with its raw records kept.
    async fn came(&self, streams: &str, raw: &[Value]) {
        let file = file(&self.upstream, "", streams);
        let connection = CompiledProvider::new(self.app.name(), &manifest(&file)).unwrap();
        let raw: Vec<Origin> = raw.iter().map(kept).collect();
        let mapped: Vec<MappedRecord> =
            connection.map_again(raw.clone()).await.unwrap().into_iter().flatten().collect();
        let time = Duration::from_secs(60);
        let taken = leases::take_now(&self.app.pool, self.app.name(), "payments", "test", time);
        let lease = taken.await.unwrap().unwrap().lease;
        let run = sync_runs::begin(&mut self.app.pool.acquire().await.unwrap(), &lease).await.unwrap();
        let (groups, progress) = (connection.groups(), SyncProgress::default());
        let mut sink = DatabaseSink::new(&self.app.pool, &lease, run, &connection, &groups, &progress);
        let page = RecordPage {
            stream: "payments".to_owned(),
            resource: Resource::Transactions,
            partition: String::new(),
            records: mapped,
            history: false,
            again: false,
            open: Vec::new(),
            closed: Vec::new(),
            cursor: None,
            first_of_stream: true,
            end_of_stream: true,
            requests: 1,
            warnings: Default::default(),
            raw: raw.into_iter().map(|origin| RawRecord { origin, became: vec![] }).collect(),
        };
        sink.page(page).await.unwrap();
        leases::give_back(&self.app.pool, &lease).await.unwrap();
    }

    async fn remap(&self, streams: &str) -> Remapped {
        let request = RemapRequest { stream: None, busy: Busy::GiveUp, report: &|_| {} };
        let outcome = self.puller(streams).remap(&request, &CancellationToken::new()).await.unwrap();
        let RemapOutcome::Done(done) = outcome else { panic!("{outcome:?}") };
        done
    }

    async fn stored(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("select id, status, amount::text from transactions order by id")
            .fetch_all(&self.app.pool)
            .await
            .unwrap()
    }

    /// Status and amount of what is stored.
    async fn states(&self) -> Vec<(String, String)> {
        sqlx::query_as("select status, amount::text from transactions order by 1, 2")
            .fetch_all(&self.app.pool)
            .await
            .unwrap()
    }

    /// Id, status and amount of what waits for publication, in its order.
    async fn changes(&self) -> Vec<(String, String)> {
        sqlx::query_as("select id, body ->> 'status' from changes order by seq")
            .fetch_all(&self.app.pool)
            .await
            .unwrap()
    }
}

fn kept(record: &Value) -> Origin {
    Origin {
        stream: "payments".to_owned(),
        partition: String::new(),
        record: serde_json::to_vec(record).unwrap(),
        parent: b"null".to_vec(),
        asked_at: "2026-03-01T12:00:00Z".to_owned(),
        identity: None,
        vanished: false,
    }
}

fn raw(id: &str, status: &str, amount: &str) -> Value {
    json!({"id": id, "status": status, "amount": amount})
}

fn row(id: &str, status: &str, amount: &str) -> (String, String, String) {
    (id.to_owned(), status.to_owned(), amount.to_owned())
}

#[tokio::test]
async fn a_mapping_that_was_wrong_is_put_right_without_a_request() {
    let setup = Setup::new().await;
    setup.came(&payments(".amount + \"0\""), &[raw("a", "PENDING", "1"), raw("b", "SUCCEEDED", "2")]).await;
    setup.came(&payments(".amount + \"0\""), &[raw("a", "SUCCEEDED", "1")]).await;
    assert_eq!(setup.stored().await, [row("a", "SUCCEEDED", "10"), row("b", "SUCCEEDED", "20")]);
    setup.app.sql("delete from changes").await;
    let done = setup.remap(&payments(".amount")).await;
    assert_eq!(setup.stored().await, [row("a", "SUCCEEDED", "1"), row("b", "SUCCEEDED", "2")]);
    assert_eq!((done.read, done.tally.updated, done.superseded), (3, 2, 1));
    // the state that `a` has left is not told again
    let mut changes = setup.changes().await;
    changes.sort();
    assert_eq!(changes, [("a".to_owned(), "SUCCEEDED".to_owned()), ("b".to_owned(), "SUCCEEDED".to_owned())]);
    assert_eq!(setup.upstream.asked("/payments"), 0);
    setup.app.sql("delete from changes").await;
    let again = setup.remap(&payments(".amount")).await;
    assert_eq!((again.tally.created, again.tally.updated), (0, 0));
    assert_eq!(setup.changes().await, []);
}

#[tokio::test]
async fn a_state_that_comes_again_is_the_last_one() {
    let setup = Setup::new().await;
    for status in ["PENDING", "FAILED", "PENDING"] {
        setup.came(&payments(".amount"), &[raw("a", status, "1")]).await;
    }
    setup.remap(&payments(".amount + \"0\"")).await;
    assert_eq!(setup.stored().await, [row("a", "PENDING", "10")]);
}

#[tokio::test]
async fn what_a_mapping_left_out_comes_with_all_its_states_in_order() {
    let setup = Setup::new().await;
    let nothing = edited(&stream("payments", ""), "map: '{", "map: 'select(.id != \"a\") | {");
    setup.came(&nothing, &[raw("a", "PENDING", "1"), raw("b", "PENDING", "1")]).await;
    setup.came(&nothing, &[raw("a", "SUCCEEDED", "1")]).await;
    setup.app.sql("delete from changes").await;
    setup.remap(&stream("payments", "")).await;
    let told = |status: &str| ("a".to_owned(), status.to_owned());
    assert_eq!(setup.changes().await, [told("PENDING"), told("SUCCEEDED")]);
}

#[tokio::test]
async fn records_that_have_their_place_now_leave_the_quarantine_and_others_go_there() {
    let setup = Setup::new().await;
    setup.came(&payments(".amount"), &[raw("a", "PENDING", "one"), raw("b", "PENDING", "1")]).await;
    assert_eq!(count(&setup.app.pool, "select count(*) from quarantine").await, 1);
    let done = setup.remap(&payments("if .amount == \"one\" then \"1\" else error(\"not one\") end")).await;
    assert_eq!((done.freed, done.quarantined, done.tally.created), (1, 1, 1));
    let reason: String =
        sqlx::query_scalar("select reason from quarantine").fetch_one(&setup.app.pool).await.unwrap();
    assert!(reason.contains("not one"), "{reason}");
}

#[tokio::test]
async fn nothing_is_mapped_again_while_another_instance_reads() {
    let setup = Setup::new().await;
    setup.came(&payments(".amount"), &[raw("a", "PENDING", "1")]).await;
    let time = Duration::from_secs(60);
    leases::take_now(&setup.app.pool, setup.app.name(), "payments", "the other", time)
        .await
        .unwrap()
        .unwrap();
    let request = RemapRequest { stream: None, busy: Busy::GiveUp, report: &|_| {} };
    let outcome =
        setup.puller(&payments(".amount")).remap(&request, &CancellationToken::new()).await.unwrap();
    assert!(matches!(outcome, RemapOutcome::Busy { holder, .. } if holder.name == "the other"));
}

#[tokio::test]
async fn raw_records_go_when_their_time_is_over() {
    let setup = Setup::new().await;
    setup.came(&payments(".amount"), &[raw("old", "PENDING", "1"), raw("new", "PENDING", "1")]).await;
    setup.app.sql("update raw_records set kept_at = now() - interval '31 days' where position = (select min(position) from raw_records)").await;
    let month = tributary_manifest::Period::from_seconds(30 * 86_400);
    let housekeeper = |raw| {
        let of_provider = ProviderRetention { provider: setup.app.name().clone(), raw, longest_budget: None };
        Housekeeper::new(setup.app.pool.clone(), vec![of_provider], Retention::default())
    };
    housekeeper(Some(month)).forget(Utc::now()).await.unwrap();
    let keys = Keyring::default();
    let left =
        raw_records::list(&setup.app.pool, &keys, setup.app.name(), "payments", i64::MIN, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(String::from_utf8_lossy(&left[0].origin.record).contains("new"));
    housekeeper(None).forget(Utc::now()).await.unwrap();
    assert_eq!(count(&setup.app.pool, "select count(*) from raw_records").await, 0, "none are kept any more");
}

/// Records without ids, of which pending ones may vanish; kept as they came.
fn nameless(amount: &str) -> String {
    let statement = stream(
        "statement",
        "      identity: { id: .id, fields: '[.date, .amount]' }\n      pending: '.status == \"PENDING\"'\n",
    );
    let statement = edited(&statement, "'{ id,", "'{ id: $identity,");
    edited(&statement, "amount: \"100\"", &format!("amount: ({amount})"))
}

#[tokio::test]
async fn equal_records_stay_two_and_one_that_vanished_stays_cancelled() {
    let setup = Setup::new().await;
    let puller = |amount: &str| {
        puller(&setup.app, &file(&setup.upstream, "keep_raw: 30d\n", &nameless(amount)), "by hand")
    };
    let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
    let coffee = json!({"date": "2026-03-01", "amount": "3", "status": "SUCCEEDED"});
    let pending = json!({"date": "2026-03-02", "amount": "9", "status": "PENDING"});
    setup.upstream.set("/statement", json!([coffee, pending, coffee]));
    puller(".amount").sync_now(&request, &CancellationToken::new()).await.unwrap();
    setup.upstream.set("/statement", json!([coffee, coffee]));
    // one absence is no proof
    for _ in 0..2 {
        puller(".amount").sync_now(&request, &CancellationToken::new()).await.unwrap();
    }
    let states = |coffee: &str, pending: &str| {
        vec![
            ("CANCELLED".to_owned(), pending.to_owned()),
            ("SUCCEEDED".to_owned(), coffee.to_owned()),
            ("SUCCEEDED".to_owned(), coffee.to_owned()),
        ]
    };
    assert_eq!(setup.states().await, states("3", "9"));
    let request = RemapRequest { stream: None, busy: Busy::GiveUp, report: &|_| {} };
    let outcome = puller(".amount + \"00\"").remap(&request, &CancellationToken::new()).await.unwrap();
    assert!(matches!(outcome, RemapOutcome::Done(Remapped { quarantined: 0, .. })), "{outcome:?}");
    assert_eq!(setup.states().await, states("300", "900"));
    assert_eq!(setup.upstream.asked("/statement"), 3);
}

#[tokio::test]
async fn equal_records_that_no_mapping_took_are_replayed_each() {
    let setup = Setup::new().await;
    let file = |amount: &str| file(&setup.upstream, "", &nameless(amount));
    let coffee = json!({"date": "2026-03-01", "amount": "3", "status": "SUCCEEDED"});
    setup.upstream.set("/statement", json!([coffee, coffee]));
    let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
    let stop = CancellationToken::new();
    puller(&setup.app, &file("error(\"no\")"), "by hand").sync_now(&request, &stop).await.unwrap();
    let done = replay(&setup, &nameless(".amount")).await;
    assert_eq!((done.freed, done.created), (2, 2));
}

async fn replay(setup: &Setup, streams: &str) -> Outcome {
    let connection =
        CompiledProvider::new(setup.app.name(), &manifest(&file(&setup.upstream, "", streams))).unwrap();
    let connections = [(setup.app.name().clone(), Arc::new(connection))];
    jobs::replay(&setup.app.pool, connections, Chosen::All(Which::default())).await
}

#[tokio::test]
async fn records_that_no_mapping_took_are_replayed_through_the_mapping_of_now() {
    let setup = Setup::new().await;
    setup.upstream.set("/payments", json!([raw("a", "PENDING", "one"), raw("b", "PENDING", "two")]));
    let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
    let synced =
        setup.puller(&payments(".amount")).sync_now(&request, &CancellationToken::new()).await.unwrap();
    assert!(matches!(synced, Synced::Ran(RunOutcome::Succeeded { quarantined: 2, .. })), "{synced:?}");
    let same = replay(&setup, &payments(".amount")).await;
    assert_eq!((same.freed, same.stay), (0, 2), "nothing was put right");
    let done = replay(&setup, &payments("if .amount == \"one\" then \"1\" else .amount end")).await;
    assert_eq!((done.freed, done.stay, done.created), (1, 1, 1));
    assert_eq!(setup.stored().await, [row("a", "PENDING", "1")]);
    let left = quarantine::list(&setup.app.pool, &Keyring::default(), Which::default(), 0, 10).await.unwrap();
    assert_eq!((left.len(), left[0].attempts), (1, 3), "the other one stays, and its attempts are counted");
    assert_eq!(setup.upstream.asked("/payments"), 1);
}

#[tokio::test]
async fn records_that_were_pushed_in_are_replayed_as_they_came() {
    let setup = Setup::new().await;
    let mut bad = records::transaction("a", "PENDING");
    bad["amount"] = "ten".into();
    setup.app.push("transactions", &[bad]).await;
    assert_eq!(
        replay(&setup, &payments(".amount")).await,
        Outcome { records: 1, stay: 1, ..Outcome::default() }
    );
    // as an operator would who knows what was meant
    setup
        .app
        .sql(
            "update quarantine set raw = convert_to(replace(convert_from(raw, 'UTF8'), 'ten', '10'), 'UTF8')",
        )
        .await;
    let done = replay(&setup, &payments(".amount")).await;
    assert_eq!((done.freed, done.created), (1, 1));
    assert_eq!(count(&setup.app.pool, "select count(*) from quarantine").await, 0);
    assert_eq!(setup.stored().await, [row("a", "PENDING", "10")]);
}

#[tokio::test]
async fn a_record_that_the_database_refuses_stays_in_quarantine_and_does_not_stop_the_others() {
    let setup = Setup::new().await;
    setup.came(&payments(".amount"), &[raw("a", "PENDING", "one"), raw("b", "PENDING", "two")]).await;
    setup.app.sql("alter table transactions add constraint no_a check (id <> 'a')").await;
    let done = replay(&setup, &payments("\"1\"")).await;
    assert_eq!((done.freed, done.stay), (1, 1));
    assert_eq!(setup.stored().await, [row("b", "PENDING", "1")]);
    let left = quarantine::list(&setup.app.pool, &Keyring::default(), Which::default(), 0, 10).await.unwrap();
    assert!(left.len() == 1 && left[0].reason.contains("no_a"), "{left:?}");
}
