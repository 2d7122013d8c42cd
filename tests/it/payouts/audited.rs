//! The chain of the audit: whatever somebody does to it who may do everything, `tributary audit verify`
//! finds it. (Rewritten as a whole, by a head that was noted elsewhere.)

use sqlx::Executor;
use tributary::payments::audit::Watch;

use super::approvals::place;
use crate::support::TestApp;
use crate::support::logins::{self, ANN};
use crate::support::process::Place;
use crate::support::till::number;

/// A database with an audit of 12 rows, and somebody who checks it.
struct Books {
    app: TestApp,
    desk: Place,
}

impl Books {
    async fn open(name: &str) -> Self {
        let app = TestApp::new().await;
        for n in 0..4 {
            let id = place(&app, &format!("k{n}"), "recorded", 0, "key:formance").await;
            for state in ["sending", "pending"] {
                let sql = format!("update payment_orders set state = '{state}' where id = '{id}'");
                app.service.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            }
        }
        Self { app, desk: Place::new(name) }
    }

    /// Runs `tributary audit verify`: exit code, what it says, and the head that it prints.
    async fn verify(&self, heads: &[&str]) -> (i32, String, String) {
        let mut args = vec!["audit", "verify"];
        heads.iter().for_each(|head| args.extend(["--head", head]));
        let url = logins::person(&self.app.url, ANN).await;
        let output = self.desk.command(&args).env("DATABASE_URL", url).output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let head = said.lines().find_map(|line| line.strip_prefix("head ")).unwrap_or_default().to_owned();
        (output.status.code().unwrap(), said, head)
    }

    /// The head of an audit that is as it was written.
    async fn head(&self) -> String {
        let (code, said, head) = self.verify(&[]).await;
        assert_eq!((code, head.len()), (0, 64), "{said}");
        head
    }
}

/// Computes the chain anew over whatever there is, as somebody would who can read the migrations.
const CHAIN_ANEW: &str = "do $$
declare
  a payment_audit;
  n bigint := 0;
  last bytea := decode(repeat('00', 32), 'hex');
begin
  update payment_audit set position = -position;
  for a in select * from payment_audit order by position desc loop
    n := n + 1;
    a.position := n;
    a.content_digest := audit_digest(a.salt, a.before, a.after);
    last := audit_hash(last, a);
    update payment_audit set position = n, content_digest = a.content_digest, hash = last where id = a.id;
  end loop;
  update payment_audit_head set position = n, hash = last;
end $$";

#[tokio::test]
async fn an_audit_that_is_as_it_was_written_holds_and_so_does_every_head_it_ever_had() {
    let books = Books::open("audit_holds").await;
    let first = books.head().await;
    assert!(books.verify(&[]).await.1.starts_with("12 rows, each as it was written\n"));
    place(&books.app, "more", "recorded", 0, "key:formance").await;
    let second = books.head().await;
    assert_ne!(first, second);
    let beginning = "0".repeat(64);
    let (code, said, _) = books.verify(&[&first, &second.to_uppercase(), &beginning]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said, _) = books.verify(&[&first, &"1".repeat(64)]).await;
    assert!(code == 1 && said.contains("no row has the head 111"), "{said}");
    assert_eq!(books.verify(&["abc"]).await.0, 2);
}

#[tokio::test]
async fn whatever_is_done_to_the_audit_with_the_triggers_off_is_found_where_it_was_done() {
    for (n, (done, expected)) in [
        ("update payment_audit set after = '{\"state\": \"failed\"}' where position = 5", "position 5 (\"update\" by "),
        ("update payment_audit set before = null where position = 5", "position 5 ("),
        ("update payment_audit set actor = 'somebody else' where position = 6", "row 6 at position 6 (\"update\" by somebody else"),
        ("update payment_audit set login = 'postgres' where position = 6", "position 6 "),
        ("update payment_audit set at = at - interval '1 us' where position = 6", "position 6 "),
        ("update payment_audit set provider = 'b', actor = 'c' where position = 6", "position 6 "),
        ("update payment_audit set order_id = gen_random_uuid() where position = 6", "position 6 "),
        ("update payment_audit set erased_at = now(), before = null, after = null, what = 'nothing' where position = 6", "position 6 "),
        ("update payment_audit set hash = null where position = 7", "position 7 "),
        ("delete from payment_audit where position = 7", "the row at position 7 is missing: the next one is row 8 at position 8"),
        ("delete from payment_audit where position = 1", "the row at position 1 is missing"),
        ("delete from payment_audit where position > 10", "ends at position 10 instead of 12"),
        ("delete from payment_audit", "ends at position 0 instead of 12"),
        ("delete from payment_audit where position > 10; update payment_audit_head set position = 10", "head of the chain is lost or another one"),
        ("delete from payment_audit_head", "head of the chain is lost"),
        (
            "insert into payment_audit (order_id, provider, actor, login, what, content_digest)
             values (gen_random_uuid(), 'acme', 'ann', 'ann', 'approved', '')",
            "is not in the chain",
        ),
        (
            "insert into payment_audit (order_id, provider, actor, login, what, content_digest, position)
             values (gen_random_uuid(), 'acme', 'ann', 'ann', 'approved', '', -1)",
            "is not in the chain",
        ),
        (
            "insert into payment_audit (order_id, provider, actor, login, what, content_digest, position, hash)
             values (gen_random_uuid(), 'acme', 'ann', 'ann', 'approved', sha256(''), 13, sha256(''))",
            "at position 13 (\"approved\" by ann",
        ),
        (
            "update payment_audit set position = -position where position in (4, 5);
             update payment_audit set position = case position when -4 then 5 else 4 end where position < 0",
            "row 5 at position 4 ",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let books = Books::open(&format!("audit_found_{n}")).await;
        books.app.rewrite(done).await;
        let (code, said, _) = books.verify(&[]).await;
        assert!(code == 1 && said.contains(expected), "{done}: {code} {said}");
    }
}

#[tokio::test]
async fn an_audit_that_was_rewritten_as_a_whole_holds_and_is_found_by_a_head_that_was_noted() {
    for (n, done) in [
        "update payment_audit set actor = 'somebody else' where position = 5",
        "update payment_audit set after = null where position = 5",
        "delete from payment_audit where position = 7",
        "delete from payment_audit where position > 10",
        "insert into payment_audit (order_id, provider, actor, login, what, content_digest, position, salt)
         values (gen_random_uuid(), 'acme', 'ann', 'ann', 'approved', '', 13, '')",
        "truncate payment_audit",
    ]
    .into_iter()
    .enumerate()
    {
        let books = Books::open(&format!("audit_rewritten_{n}")).await;
        let noted = books.head().await;
        let mut watch = Watch::new(books.app.service.clone());
        assert!(watch.look(false).await.unwrap() && watch.look(false).await.unwrap());
        books.app.rewrite(&format!("{done}; {CHAIN_ANEW}")).await;
        let (code, said, head) = books.verify(&[]).await;
        if done.starts_with("insert") {
            assert_eq!(books.verify(&[&noted]).await.0, 0, "what was noted is still there: {said}");
            continue;
        }
        assert!(code == 0 && head != noted, "it is a chain, of other rows: {said}");
        let (code, said, _) = books.verify(&[&noted]).await;
        assert!(code == 1 && said.contains(&format!("no row has the head {noted}")), "{done}: {said}");
        assert!(!watch.look(false).await.unwrap(), "{done}: an instance that serves notices by itself");
    }
}

#[tokio::test]
async fn what_is_erased_leaves_the_chain_whole_and_who_did_what_in_it() {
    let books = Books::open("audit_erased").await;
    let noted = books.head().await;
    let erase = "update payment_audit set before = null, after = null, erased_at = clock_timestamp() where position = 4";
    assert_eq!(books.app.sql(erase).await, 1, "the owner may, with the triggers on");
    assert_eq!(number(&books.app.pool, "select count(*) from payment_audit where salt is null").await, 1);
    let (code, said, _) = books.verify(&[&noted]).await;
    assert!(code == 0 && said.contains("1 of them were erased"), "{said}");
    for sql in [
        "update payment_audit set erased_at = null where position = 4",
        "update payment_audit set erased_at = now(), what = 'x' where position = 5",
        "update payment_audit set after = '{}' where position = 4",
        "update payment_audit set hash = '' where position = 5",
        "update payment_audit_head set position = 20",
        "delete from payment_audit_head",
        "truncate payment_audit_head",
    ] {
        let refused = books.app.pool.execute(sqlx::AssertSqlSafe(sql)).await;
        assert!(refused.is_err(), "{sql}");
    }
    books.app.rewrite("update payment_audit set what = 'x' where position = 4").await;
    assert!(books.verify(&[]).await.1.contains("position 4"), "what stays is held to the chain");
}

#[tokio::test]
async fn no_order_waits_for_the_chain_while_something_is_done_with_another() {
    let books = Books::open("audit_waits").await;
    let app = &books.app;
    let (one, other) = (
        place(app, "one", "recorded", 0, "key:formance").await,
        place(app, "other", "recorded", 0, "key:formance").await,
    );
    let update = |id, state| format!("update payment_orders set state = '{state}' where id = '{id}'");
    let mut open = app.service.begin().await.unwrap();
    open.execute(sqlx::AssertSqlSafe(update(one, "sending"))).await.unwrap();
    // would wait for ever if the chain were locked by a transaction that is open
    app.service.execute(sqlx::AssertSqlSafe(update(other, "sending"))).await.unwrap();
    // and each may go on to what the other has worked on
    open.execute(sqlx::AssertSqlSafe(update(other, "pending"))).await.unwrap();
    open.commit().await.unwrap();
    // nor does a transaction that comes to nothing leave a gap
    let mut nothing = app.service.begin().await.unwrap();
    nothing.execute(sqlx::AssertSqlSafe(update(one, "pending"))).await.unwrap();
    nothing.rollback().await.unwrap();
    let many =
        (0..40).map(|n| async move { place(app, &format!("many{n}"), "recorded", 0, "key:formance").await });
    futures::future::join_all(many).await;
    let rows = 12 + 2 + 3 + 40;
    let (code, said, _) = books.verify(&[]).await;
    assert!(code == 0 && said.starts_with(&format!("{rows} rows")), "{said}");
}

#[tokio::test]
async fn who_works_on_an_order_and_when_it_was_answered_are_no_news() {
    let books = Books::open("audit_quiet").await;
    let before = books.head().await;
    for set in [
        "replied_at = now()",
        "claim_owner = 'one', claim_token = gen_random_uuid(), claimed_until = now()",
        "next_at = now(), lookups = lookups + 1, answer_by = now()",
    ] {
        books.app.sql(&format!("update payment_orders set {set}")).await;
    }
    assert_eq!(books.head().await, before);
    books.app.sql("update payment_orders set reason = 'x', replied_at = now()").await;
    let written = "select count(*) from payment_audit where after = '{\"reason\": \"x\"}'";
    assert_eq!(number(&books.app.pool, written).await, 4);
}
