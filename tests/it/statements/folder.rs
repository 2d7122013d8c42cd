//! Files in a folder.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tributary::config::Provider;
use tributary::sync::FileFetcher;

use super::{FILE, booked, camt, day, fetch, mt940, transactions};
use crate::support::TestApp;
use crate::support::jobs::{count, instance, until};

/// A folder of its own for the test `name`, empty.
fn folder(name: &str) -> PathBuf {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What fetches from `folder` into the database of `app`; `more` is what its file says besides.
fn fetcher(app: &TestApp, folder: &std::path::Path, more: &str) -> FileFetcher {
    let from = format!("{FILE}  from: {{ folder: {}, every: 1s{more} }}\n", folder.display());
    let provider = Provider::parse(&from, &|_| None).unwrap();
    let instance = instance("test", Duration::from_secs(3600));
    FileFetcher::new(
        app.service.clone(),
        provider.name,
        provider.files.unwrap(),
        provider.file_source.unwrap(),
        instance,
    )
}

#[tokio::test]
async fn files_of_a_folder_are_taken_once_and_moved_once_they_are_committed() {
    let app = TestApp::with_file(FILE).await;
    let folder = folder("moved");
    for (number, opening, units) in [(1, 0, 100), (2, 100, 200)] {
        let text = camt(&day(number, opening, &[units]));
        std::fs::write(folder.join(format!("{number}.xml")), text).unwrap();
    }
    for unfinished in [".hidden.xml", "3.xml.filepart", "3.tmp"] {
        std::fs::write(folder.join(unfinished), "<").unwrap();
    }
    let fetcher = fetcher(&app, &folder, ", settle: 0s, after: { move: done }");
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.warnings(), &run.error), (2, 0, &None), "{run:?}");
    assert_eq!(booked(&transactions(&app).await), [100, 200]);
    assert!(folder.join("done/1.xml").exists() && !folder.join("1.xml").exists());
    // the bank puts it there again
    std::fs::copy(folder.join("done/1.xml"), folder.join("1.xml")).unwrap();
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.tally.created), (0, 0));
    assert!(folder.join("done/1.xml.1").exists(), "and what is there is not overwritten");
    let runs =
        "select count(*) from sync_runs where stream_group = 'statement files' and status = 'succeeded'";
    assert_eq!(count(&app.pool, runs).await, 2);
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_not_read_and_one_that_breaks_off_waits_for_its_rest() {
    let app = TestApp::with_file(FILE).await;
    let folder = folder("partial");
    let text = camt(&day(1, 0, &[100]));
    let path = folder.join("a.xml");
    std::fs::write(&path, &text).unwrap();
    let run = fetch(&fetcher(&app, &folder, ", settle: 1h")).await;
    assert_eq!((run.files, run.warnings()), (0, 0), "it has not been the same for an hour");
    app.sql("update statement_sightings set first_seen = first_seen - interval '1 hour'").await;
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    let settling = fetcher(&app, &folder, ", settle: 1h");
    assert_eq!(fetch(&settling).await.files, 0, "it changed since");
    app.sql("update statement_sightings set first_seen = first_seen - interval '1 hour'").await;
    let run = fetch(&settling).await;
    assert_eq!((run.files, run.warnings()), (0, 1));
    let told: String =
        sqlx::query_scalar("select text from sync_run_warnings").fetch_one(&app.pool).await.unwrap();
    assert!(told.contains("a.xml") && told.contains("not complete"), "{told}");
    assert_eq!(count(&app.pool, "select count(*) from statement_files").await, 0);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(fetch(&settling).await.files, 0);
    app.sql("update statement_sightings set first_seen = first_seen - interval '1 hour'").await;
    assert_eq!(fetch(&settling).await.files, 1);
    assert_eq!(fetch(&settling).await.files, 0, "and it is read once");
}

#[tokio::test]
async fn one_file_that_cannot_be_read_stays_and_the_others_are_taken() {
    let app = TestApp::with_file(FILE).await;
    let folder = folder("unread");
    std::fs::write(folder.join("a.txt"), "Dear customer").unwrap();
    std::fs::write(folder.join("b.xml"), camt(&day(1, 0, &[100]))).unwrap();
    let fetcher = fetcher(&app, &folder, ", settle: 0s, after: delete");
    for taken in [1, 0] {
        let run = fetch(&fetcher).await;
        assert_eq!((run.files, run.warnings()), (taken, 1), "and it is told in each run");
    }
    assert!(folder.join("a.txt").exists() && !folder.join("b.xml").exists());
}

#[tokio::test]
async fn a_folder_that_is_not_there_fails_the_run_and_says_so() {
    let app = TestApp::with_file(FILE).await;
    let run = fetch(&fetcher(&app, &folder("gone").join("nowhere"), "")).await;
    assert!(run.error.as_ref().unwrap().contains("cannot be listed"), "{run:?}");
    assert_eq!(count(&app.pool, "select count(*) from sync_runs where status = 'failed'").await, 1);
}

#[tokio::test]
async fn instances_that_are_stopped_anywhere_lose_no_file_and_take_none_twice() {
    let app = TestApp::with_file(FILE).await;
    let folder = folder("stopped");
    let mut opening = 0;
    for number in 1..=12_u32 {
        let cut = day(number, opening, &[i128::from(number), 100]);
        opening = cut.closing();
        std::fs::write(folder.join(format!("{number:02}.sta")), mt940(&cut)).unwrap();
    }
    let more = ", settle: 0s, after: delete";
    for turns in (0..400).step_by(40) {
        // dropped where it stands, as a process that is killed
        let fetcher = fetcher(&app, &folder, more);
        let stopped = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let stop = CancellationToken::new();
        tokio::select! {
            biased;
            _ = fetcher.fetch_now(&stop) => {}
            () = stopped => {}
        }
        until(&app.pool, "select count(*) from sync_leases where holder is not null", 0).await;
    }
    let fetcher = fetcher(&app, &folder, more);
    fetch(&fetcher).await;
    let mut wanted: Vec<i64> = (1..=12).flat_map(|number| [number, 100]).collect();
    wanted.sort_unstable();
    assert_eq!(booked(&transactions(&app).await), wanted);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        0,
        "and all were deleted once they were committed"
    );
    assert_eq!(count(&app.pool, "select count(*) from statement_files").await, 12);
}

#[tokio::test]
async fn a_statement_that_does_not_come_by_its_time_is_late() {
    let app = TestApp::with_file(FILE).await;
    let folder = folder("late");
    std::fs::write(folder.join("a.xml"), camt(&day(1, 0, &[100]))).unwrap();
    let mut file = format!("{FILE}  from: {{ folder: {}, settle: 0s }}\n", folder.display());
    file.push_str("  expect: { by: \"08:00\", days: [mon, tue, wed, thu, fri, sat, sun] }\n");
    let provider = Provider::parse(&file, &|_| None).unwrap();
    let instance = instance("test", Duration::from_secs(3600));
    let (files, source) = (provider.files.unwrap(), provider.file_source.unwrap());
    let fetcher = FileFetcher::new(app.service.clone(), provider.name, files, source, instance);
    assert_eq!(fetch(&fetcher).await.warnings(), 1, "the statement of March is the last one");
    let late = "select count(*) from statement_accounts where late_since is not null";
    assert_eq!(count(&app.pool, late).await, 1);
    app.sql("update statement_accounts set closing_day = current_date").await;
    assert_eq!(fetch(&fetcher).await.warnings(), 0);
    assert_eq!(count(&app.pool, late).await, 0);
}
