//! A provider file is tried before it runs: on what is in quarantine, on what was kept, and on what somebody pastes.
//! Nothing is written, nothing gets out, and nothing that a filter does stops the service.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tributary::config::FileText;
use tributary::store::quarantine::{self, Chosen, Which};
use tributary::sync::{
    Bounds, Busy, Preview, RemapOutcome, RemapRequest, SyncRequest, preview_remap, preview_replay,
};
use tributary::workshop::WorkshopError;
use tributary_domain::Role;
use tributary_manifest::Sample;

use crate::console::{Browser, new_operator};
use crate::support::jobs::{file, puller, stream};
use crate::support::process::Place;
use crate::support::{TestApp, Upstream, edited};

/// Payments of which the amount is what this filter makes of a row.
fn payments(amount: &str) -> String {
    edited(&stream("payments", ""), "amount: \"100\"", &format!("amount: ({amount})"))
}

/// A bank that was read by a mapping that takes `.amount` as it is.
struct Bank {
    app: TestApp,
    upstream: Upstream,
}

impl Bank {
    async fn new(rows: Value) -> Self {
        let upstream = Upstream::start().await;
        let file = file(&upstream, "keep_raw: 30d\n", &payments(".amount"));
        let app = TestApp::with_file(&file).await;
        upstream.set("/payments", rows);
        let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
        puller(&app, &file, "by hand").sync_now(&request, &CancellationToken::new()).await.unwrap();
        app.publish_all().await;
        Self { app, upstream }
    }

    /// Reads it once more, by the same mapping.
    async fn sync_again(&self, rows: Value) {
        self.upstream.set("/payments", rows);
        let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
        let puller = puller(&self.app, &self.text(".amount"), "by hand");
        puller.sync_now(&request, &CancellationToken::new()).await.unwrap();
        self.app.publish_all().await;
    }

    fn text(&self, amount: &str) -> String {
        file(&self.upstream, "keep_raw: 30d\n", &payments(amount))
    }

    fn file(&self, amount: &str) -> FileText {
        FileText::new(&self.text(amount), None)
    }

    /// Everything that could have been written.
    async fn all(&self) -> String {
        sqlx::query_scalar(
            "select (select jsonb_agg(to_jsonb(t) order by t.id) from transactions t)::text
               || (select jsonb_agg(to_jsonb(q) order by q.id) from quarantine q)::text
               || (select count(*) from changes) || '/' || (select count(*) from feed)
               || '/' || (select count(*) from quarantine_actions) || '/' || (select count(*) from feeds)",
        )
        .fetch_one(&self.app.pool)
        .await
        .unwrap()
    }
}

fn row(id: &str, amount: &str) -> Value {
    json!({"id": id, "status": "SUCCEEDED", "amount": amount})
}

/// What a preview counts: taken, created, updated, unchanged.
fn counts(preview: &Preview) -> [u64; 4] {
    [preview.taken, preview.created, preview.updated, preview.unchanged]
}

#[tokio::test]
async fn a_preview_says_what_a_replay_with_another_file_would_do_and_writes_nothing() {
    let bank = Bank::new(json!([row("a", "one"), row("b", "one"), row("c", "two"), row("d", "7")])).await;
    let before = bank.all().await;
    let groups = quarantine::groups(&bank.app.service, Which::default(), 9).await.unwrap();
    assert_eq!((groups.len(), groups[0].count), (1, 3), "{groups:?}");
    let name = bank.app.name();
    let chosen = Chosen::Group(&groups[0].group);
    let mended = bank.file("if .amount == \"one\" then \"1\" else .amount end");
    let preview = preview_replay(&bank.app.service, name, chosen, &mended, Bounds::NONE).await.unwrap();
    assert_eq!((preview.total, preview.tried, counts(&preview)), (3, 3, [2, 2, 0, 0]), "{preview:?}");
    assert_eq!((preview.refused.len(), preview.refused[0].count), (1, 1), "{preview:?}");
    assert!(preview.refused[0].reason.contains("two"), "{preview:?}");
    let shown: Vec<(&str, bool)> =
        preview.examples.iter().map(|example| (example.id.as_str(), example.is_new)).collect();
    assert_eq!(shown, [("a", true), ("b", true)]);
    let amount = preview.examples[0].fields.iter().find(|field| field.name == "amount").unwrap();
    assert_eq!((&amount.now, amount.then.as_deref()), (&None, Some("1")));
    assert_eq!(bank.all().await, before, "nothing was written");

    // by the command, and by a file that is wrong
    let place = Place::new("quarantine_preview");
    let path = place.0.join("new.yaml");
    let run = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        let args = ["quarantine", "preview", "--group", &groups[0].group, "--file", path.to_str().unwrap()];
        let output = place.command(&args).env("DATABASE_URL", &bank.app.url).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, shown, said) = run(&bank.text("\"1\"")).await;
    assert!(
        ok && shown.starts_with("3 of 3 records tried, and nothing written: 3 would be taken"),
        "{shown} {said}"
    );
    assert!(shown.contains("amount: (none) -> \"1\""), "{shown}");
    let (ok, _, said) = run(&bank.text("nonsense(1)")).await;
    assert!(!ok && said.contains("nonsense") && said.contains("line "), "{said}");
    assert_eq!(bank.all().await, before, "nothing was written");
}

#[tokio::test]
async fn a_dry_run_of_remap_shows_each_change_field_by_field_and_writes_nothing() {
    let bank = Bank::new(json!([row("a", "10"), row("b", "20"), row("c", "x")])).await;
    let before = bank.all().await;
    let name = bank.app.name();
    let preview = preview_remap(&bank.app.service, name, None, &bank.file(".amount + \"0\""), Bounds::NONE)
        .await
        .unwrap();
    assert_eq!((preview.total, counts(&preview)), (3, [2, 0, 2, 0]), "{preview:?}");
    let told: Vec<String> = preview
        .examples
        .iter()
        .flat_map(|example| {
            example.fields.iter().map(|field| {
                let shown = |value: &Option<String>| value.clone().unwrap_or_default();
                format!("{} {} {} {}", example.id, field.name, shown(&field.now), shown(&field.then))
            })
        })
        .collect();
    assert_eq!(told, ["a amount 10 100", "b amount 20 200"]);
    assert_eq!(preview.refused.len(), 1, "{preview:?}");
    let same =
        preview_remap(&bank.app.service, name, None, &bank.file(".amount"), Bounds::NONE).await.unwrap();
    assert_eq!((counts(&same), same.examples.len()), ([2, 0, 0, 2], 0), "{same:?}");
    assert_eq!(bank.all().await, before, "nothing was written");
    let wrong = preview_remap(&bank.app.service, name, Some("none"), &bank.file("."), Bounds::NONE).await;
    assert!(wrong.unwrap_err().to_string().contains("there are: payments"));

    let place = Place::new("remap_dry_run");
    std::fs::write(place.0.join("providers/acme.yaml"), bank.text(".amount + \"0\"")).unwrap();
    let output = place.command(&["remap", "acme", "--dry-run"]).env("DATABASE_URL", &bank.app.url).output();
    let output = output.await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains("amount: \"10\" -> \"100\""), "{shown}");
    assert_eq!(bank.all().await, before, "nothing was written");
}

#[tokio::test]
async fn a_dry_run_over_several_batches_counts_as_the_remap_does_and_a_part_of_it_is_the_latest() {
    const MANY: usize = 600;
    let rows = |status: &str| {
        let row = |n| json!({"id": format!("p{n}"), "status": status, "amount": "1"});
        Value::from_iter((0..MANY).map(row))
    };
    let bank = Bank::new(rows("PENDING")).await;
    bank.sync_again(rows("SUCCEEDED")).await;
    let name = bank.app.name();
    let file = bank.file(".amount + \"0\"");
    let preview = preview_remap(&bank.app.service, name, None, &file, Bounds::NONE).await.unwrap();
    let (all, half) = (2 * MANY as u64, MANY as u64);
    assert_eq!((preview.total, preview.tried, preview.superseded), (all, all, half), "{preview:?}");
    assert_eq!(counts(&preview), [all, 0, half, 0], "{preview:?}");
    let part = Bounds { records: half, ..Bounds::NONE };
    let preview = preview_remap(&bank.app.service, name, None, &file, part).await.unwrap();
    assert_eq!((preview.total, preview.tried, counts(&preview)), (all, half, [half, 0, half, 0]));
    // the last state of each, and none before it
    let fields: Vec<&str> = preview
        .examples
        .iter()
        .flat_map(|example| &example.fields)
        .map(|field| field.name.as_str())
        .collect();
    assert!(!fields.is_empty() && fields.iter().all(|field| *field == "amount"), "{preview:?}");

    let other = edited(&bank.text(".amount"), "{ id,", "{ id: (.id + \"x\"),");
    let preview = preview_remap(&bank.app.service, name, None, &FileText::new(&other, None), Bounds::NONE)
        .await
        .unwrap();
    let request = RemapRequest { stream: None, busy: Busy::GiveUp, report: &|_| {} };
    let puller = puller(&bank.app, &other, "by hand");
    let RemapOutcome::Done(done) = puller.remap(&request, &CancellationToken::new()).await.unwrap() else {
        panic!("nobody else is at it");
    };
    let (created, updated) = (done.tally.created, done.tally.updated);
    assert_eq!((created, updated, done.superseded), (half, half, 0), "{done:?}");
    assert_eq!((preview.created, preview.updated, preview.superseded), (half, half, 0), "{preview:?}");
}

#[tokio::test]
async fn a_record_that_is_here_is_loaded_into_the_playground_and_tried_as_it_came() {
    let bank = Bank::new(json!([row("a", "10"), row("b", "ten")])).await;
    let browser = Browser::of(&bank.app, Role::Operator).await;
    let story = browser.page("/console/record?provider=acme&resource=transactions&id=a").await;
    let refused = browser.page("/console/quarantine/1").await;
    for (page, id) in [(&story, "a"), (&refused, "b")] {
        let link = page.split("href=\"").find(|link| link.starts_with("/console/playground?")).unwrap();
        let link = link.split('"').next().unwrap().replace("&amp;", "&");
        let loaded = browser.page(&link).await;
        assert!(loaded.contains(&format!("&quot;id&quot;:&quot;{id}&quot;")), "{loaded}");
        assert!(
            loaded.contains("value=\"payments\"") && loaded.contains("<option value=\"acme\" selected"),
            "{loaded}"
        );
        let now = loaded.split("name=\"now\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(now.starts_with("20"), "the time when it was asked for: {now}");
    }
    for gone in ["quarantine=99", "provider=acme&stream=payments&kept=99"] {
        let answer = browser.get(&format!("/console/playground?{gone}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{gone}");
    }
    let viewer = Browser::of(&bank.app, Role::Viewer).await;
    for path in ["/console/record?provider=acme&resource=transactions&id=a", "/console/quarantine/1"] {
        assert!(!viewer.page(path).await.contains("/console/playground?"), "{path}");
    }
    let loaded = viewer.page("/console/playground?quarantine=1").await;
    assert!(!loaded.contains("<textarea"), "{loaded}");
}

fn sample(text: impl Into<String>) -> Sample {
    let (parent, now) = ("null".to_owned(), "2026-03-01T12:00:00Z".to_owned());
    Sample { text: text.into(), is_answer: true, parent, now }
}

#[tokio::test]
async fn no_filter_and_no_sample_takes_more_than_a_little_time_or_memory() {
    let upstream = Upstream::start().await;
    TestApp::new().await;
    let file = |amount: &str| FileText::new(&file(&upstream, "", &payments(amount)), None);
    let tried = async |amount: &str, text: String| file(amount).map_sample("payments", sample(text)).await;
    let one = || json!([row("a", "1")]).to_string();
    // the process tells by itself, or is ended from without: a slow machine runs out of time before memory is taken
    let is_late = |outcome: &Result<_, WorkshopError>| {
        let said = format!("{outcome:?}");
        said.contains("still runs")
            || said.contains("too long")
            || matches!(outcome, Err(WorkshopError::Late))
    };
    for amount in ["[repeat(1)] | length", "def f: [., .] | f; f"] {
        let taking = tried(amount, one()).await;
        assert!(taking == Err(WorkshopError::Stopped) || is_late(&taking), "{amount}: {taking:?}");
    }
    for (text, why) in [
        ("[".repeat(100_000), "deep"),
        (format!("[\"{}\"]", "x".repeat(2_000_000)), "longer than 1024 KiB"),
        ("{\"a\":".to_owned(), "cannot be read"),
    ] {
        let error = tried(".amount", text).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let endless = tried("last(repeat(1))", one()).await;
    assert!(is_late(&endless), "{endless:?}");
    let long = FileText::new(&"#".repeat(300_000), None).streams().await;
    assert_eq!(long, Err(WorkshopError::LongFile));
    assert_eq!(tried(".amount", one()).await.unwrap().len(), 1, "the next one is tried all the same");
    assert_eq!(upstream.asked("/payments"), 0, "nobody is asked");
}

/// Signs somebody of `role` in; gives the cookie.
async fn signed_in(app: &TestApp, role: Role) -> String {
    let key = new_operator(app, role.as_str(), role).await;
    let (_, cookie, _) = post(app, "/console/sign-in", "", &[("key", &key), ("next", "")]).await;
    cookie.split(';').next().unwrap().to_owned()
}

/// Sends a form as a page of the console does: status, cookie and page.
async fn post(
    app: &TestApp,
    path: &str,
    cookie: &str,
    form: &[(&str, &str)],
) -> (StatusCode, String, String) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post(path)
        .header(header::HOST, "console:8081")
        .header("sec-fetch-site", "same-origin")
        .header(header::COOKIE, cookie)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = app.call_operator(request.body(Body::from(body)).unwrap()).await;
    let cookie = answer.headers().get(header::SET_COOKIE).map(|cookie| cookie.to_str().unwrap().to_owned());
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, cookie.unwrap_or_default(), String::from_utf8(bytes.into()).unwrap())
}

#[tokio::test]
async fn the_playground_shows_rows_mistakes_and_what_formance_would_see() {
    let bank = Bank::new(json!([row("a", "10"), row("b", "x")])).await;
    let before = bank.all().await;
    let cookie = signed_in(&bank.app, Role::Operator).await;
    let answer = json!([row("n/1", "5"), row("n2", "five")]).to_string();
    let path = "/console/playground/sample";
    let pasted = bank.text(".amount");
    let (status, _, page) = post(&bank.app, path, &cookie, &[("file", &pasted), ("sample", &answer)]).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("Row 2") && page.contains("It would be in quarantine: "), "{page}");
    assert!(page.contains("GET /transactions") && page.contains("updatedAt"), "{page}");
    // by the file that runs, of which nothing is shown
    let form = [("provider", "acme"), ("sample", answer.as_str())];
    let (status, _, page) = post(&bank.app, path, &cookie, &form).await;
    assert!(status == StatusCode::OK && page.contains("GET /transactions"), "{page}");
    assert!(!page.contains("token-of-the-test") && !page.contains(&bank.upstream.url), "{page}");
    // a mistake, with its line
    let wrong = pasted.replace("every: 1h", "evry: 1h");
    let (status, _, page) = post(&bank.app, path, &cookie, &[("file", &wrong), ("sample", &answer)]).await;
    assert!(status == StatusCode::OK && page.contains("What is wrong") && page.contains("evry"), "{page}");
    let form = [("provider", "acme"), ("file", &*bank.text(".amount + \"0\""))];
    let (_, _, page) = post(&bank.app, "/console/playground/remap", &cookie, &form).await;
    assert!(page.contains("nothing was written") && page.contains("<td>100</td>"), "{page}");
    assert_eq!(bank.all().await, before, "nothing was written");
    // what was worked on is given back as it is, and what runs is not shown
    let download = "/console/playground/file";
    let sent = pasted.replace('\n', "\r\n");
    let (_, _, file) = post(&bank.app, download, &cookie, &[("file", &sent)]).await;
    assert_eq!(file, pasted);
    let (_, _, page) = post(&bank.app, download, &cookie, &[("provider", "acme")]).await;
    assert!(page.contains("there is no file below"), "{page}");
    let cookie = signed_in(&bank.app, Role::Viewer).await;
    for path in [path, "/console/playground/remap", download] {
        assert_eq!(post(&bank.app, path, &cookie, &form).await.0, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn nothing_of_the_environment_can_be_read_through_a_file_that_is_tried() {
    let bank = Bank::new(json!([row("a", "10"), row("b", "x")])).await;
    let cookie = signed_in(&bank.app, Role::Admin).await;
    let secret = std::env::var("PATH").unwrap();
    let answer = json!([row("n", "5")]).to_string();
    for filter in ["env.PATH", "$ENV.PATH", "\"${PATH}\"", "input", "\"${PATH:-7}\""] {
        let file = bank.text(filter);
        let form = [("file", file.as_str()), ("sample", answer.as_str())];
        let (_, _, page) = post(&bank.app, "/console/playground/sample", &cookie, &form).await;
        assert!(!page.contains(&secret), "{filter}: {page}");
        assert!(
            page.contains("What is wrong") || page.contains("It would be in quarantine"),
            "{filter}: {page}"
        );
    }
    // a field that is filled in where a file runs
    let file = bank.text(".amount").replace("token-of-the-test", "\"${PATH}\"");
    let form = [("file", file.as_str()), ("sample", answer.as_str())];
    let (_, _, page) = post(&bank.app, "/console/playground/sample", &cookie, &form).await;
    assert!(page.contains("GET /transactions") && !page.contains(&secret), "{page}");
}
