//! The Statements screen: what it says of files, statements and accounts, and what comes of files that are uploaded there.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;
use tributary::store::statement_files;
use tributary::store::statements::note_late;
use tributary_domain::Role;

use super::{FILE, booked, camt, day, mt940, post, statements, transactions};
use crate::console::{Answer, Browser, assert_usable};
use crate::support::TestApp;
use crate::support::jobs::count;

/// The text of each row of a table, with its cells apart.
fn rows(page: &str, caption: &str) -> Vec<Vec<String>> {
    let Some((_, rest)) = page.split_once(&format!("<caption>{caption}")) else { return Vec::new() };
    let body = rest.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    let tags = regex::Regex::new("<[^>]*>").unwrap();
    let cells = regex::Regex::new("(?s)<t[hd][^>]*>(.*?)</t[hd]>").unwrap();
    let text = |cell: &str| tags.replace_all(cell, "").trim().to_owned();
    let row = |row: &str| cells.captures_iter(row).map(|cell| text(&cell[1])).collect();
    body.split("<tr>").skip(1).map(row).collect()
}

/// The row of a statement, by the bank's number: which of several, the latest first.
fn of_number(page: &str, number: u32, nth: usize) -> Vec<String> {
    let wanted = format!("number {number}");
    let found = rows(page, "Statements,").into_iter().filter(|row| row[0].contains(&wanted));
    found.collect::<Vec<_>>()[nth].clone()
}

const CLOSES: usize = 7;
const CHAINS: usize = 8;
const STATE: usize = 9;

fn without_a_line(text: &str) -> String {
    let at = text.rfind("<Ntry>").unwrap();
    let end = text.rfind("</Ntry>").unwrap() + "</Ntry>".len();
    format!("{}{}", &text[..at], &text[end..])
}

fn expecting() -> String {
    FILE.replace("files:\n", "files:\n  expect: { by: \"08:00\" }\n")
}

#[tokio::test]
async fn it_says_what_closes_what_follows_what_is_missing_and_what_is_late() {
    let app = TestApp::with_file(&expecting()).await;
    post(&app, &camt(&day(1, 0, &[100]))).await;
    let second = camt(&day(2, 100, &[5]));
    post(&app, &second).await;
    post(&app, &camt(&day(4, 305, &[1]))).await;
    post(&app, &without_a_line(&camt(&day(5, 306, &[10, 777])))).await;
    let page_1 =
        ":20:A\n:25:DE1\n:28C:6/1\n:60F:C260307EUR0,\n:61:2603070307CR1,NTRFNONREF\n:62M:C260307EUR1,\n-\n";
    post(&app, page_1).await;
    // the bank corrects what it said, and sends the same bytes once more
    post(&app, &camt(&day(2, 100, &[3, 2]))).await;
    post(&app, &second).await;
    let mut connection = app.pool.acquire().await.unwrap();
    note_late(&mut connection, app.name(), "2026-03-06".parse().unwrap()).await.unwrap();
    let viewer = Browser::of(&app, Role::Viewer).await;
    let page = viewer.page("/console/statements?provider=acme").await;
    assert_usable(&page, "statements");

    let first = of_number(&page, 1, 0);
    assert_eq!((first[4].as_str(), first[5].as_str(), first[6].as_str()), ("0", "100", "1"), "{first:?}");
    assert_eq!((first[CLOSES].as_str(), first[CHAINS].as_str()), ("yes", ""), "nothing goes before it");
    assert_eq!(of_number(&page, 2, 0)[CHAINS], "yes");
    assert_eq!(of_number(&page, 2, 0)[STATE], "published");
    assert!(of_number(&page, 2, 1)[STATE].contains("restated by a newer one"), "{page}");
    let fourth = of_number(&page, 4, 0);
    assert_eq!((fourth[CLOSES].as_str(), fourth[CHAINS].as_str()), ("yes", "no"), "{fourth:?}");
    let fifth = of_number(&page, 5, 0);
    assert_eq!(fifth[CLOSES], "no missing 777", "{fifth:?}");
    assert!(fifth[STATE].contains("put aside") && fifth[STATE].contains("7.77"), "{fifth:?}");

    let account = &rows(&page, "Accounts,")[0];
    assert_eq!(
        (account[3].as_str(), account[4].as_str(), account[5].as_str()),
        ("2026-03-05", "306", "2"),
        "{account:?}"
    );
    assert!(account[7].starts_with("late"), "{account:?}");
    assert!(page.contains("does not open where") && page.contains("statement 3 is missing"), "{page}");
    assert!(page.contains("expected by 08:00 of the next one (Europe/Berlin); by now, that of "), "{page}");

    let open = rows(&page, "Put aside, or without their other pages");
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(
        open[0][0].contains("number 6, page 1") && open[0][4].contains("waiting for its other pages"),
        "{open:?}"
    );
    assert!(open[1][4].contains("missing 777 minor units"), "{open:?}");

    let files = rows(&page, "Files,");
    assert_eq!(files.len(), 6, "the same bytes are one file: {files:?}");
    assert!(files[1][7].contains("1 waiting for other pages"), "{files:?}");
    assert!(files[2][7].contains("1 put aside") && files[2][7].contains("missing 777"), "{files:?}");
    assert!(files[4][6].contains("the same bytes came again 1 times"), "{files:?}");
    assert_eq!((files[5][3].as_str(), files[5][7].as_str()), ("push", "1 published"), "{files:?}");

    let path = regex::Regex::new("href=\"(/console/statements/acme/[0-9]+)\">[^<]*number 1<").unwrap();
    let shown = viewer.page(&path.captures(&page).unwrap()[1]).await;
    let id = &transactions(&app).await.into_iter().find(|(.., units)| *units == 100).unwrap().0;
    assert!(rows(&shown, "Transactions that it tells of").iter().any(|row| &row[0] == id), "{shown}");
    assert!(shown.contains(&format!("resource=transactions&amp;id={id}").replace('-', "%2D")), "{shown}");

    let overview = viewer.page("/console").await;
    assert!(overview.contains("2</data> gaps") && overview.contains("1</data> accounts late"), "{overview}");
    let quarantine = viewer.page("/console/quarantine").await;
    assert!(quarantine.contains("1 bank statements"), "{quarantine}");
    assert!(viewer.page("/console/providers/acme").await.contains("Bank statements of acme"));
    // it comes whole
    post(&app, &camt(&day(5, 306, &[10, 777]))).await;
    let page = viewer.page("/console/statements").await;
    assert!(of_number(&page, 5, 1)[STATE].contains("came whole since"), "{page}");
    assert!(!viewer.page("/console/quarantine").await.contains("bank statements"));
}

#[tokio::test]
async fn a_file_that_was_seen_and_not_taken_is_listed_until_it_is() {
    let app = TestApp::with_file(FILE).await;
    let viewer = Browser::of(&app, Role::Viewer).await;
    let mut connection = app.pool.acquire().await.unwrap();
    let seen = [("/srv/in/a.xml".to_owned(), "one")];
    statement_files::see(&mut connection, app.name(), &seen, Duration::ZERO).await.unwrap();
    let page = viewer.page("/console/statements").await;
    assert_eq!(rows(&page, "Seen where the bank puts them")[0][0], "/srv/in/a.xml");
    statement_files::note(&mut connection, app.name(), ("/srv/in/a.xml", "one"), &[7; 32]).await.unwrap();
    assert!(rows(&viewer.page("/console/statements").await, "Seen where").is_empty());
}

#[tokio::test]
async fn ten_years_are_shown_page_by_page_without_one_left_out_or_twice() {
    let app = TestApp::with_file(FILE).await;
    for (_, text) in statements(28) {
        post(&app, &text).await;
    }
    // the statements of other accounts, as many as one needs for two more pages
    app.sql(
        "insert into statement_files (provider, sha256, name, source, size, bytes)
         select 'acme', sha256(n::text::bytea), 'n' || n, 'import', 1, 'x' from generate_series(1, 100) n;
         insert into statement_accounts (provider, account, currency, account_id, rules)
         select 'acme', 'A' || n, 'EUR', 'A' || n, '' from generate_series(1, 20) n;
         insert into statements (provider, sha256, place, account, currency, format, kind, entries, state)
         select 'acme', sha256(n::text::bytea), 0, 'A' || (n % 20 + 1), 'EUR', 'MT940', 'final', 0, 'test'
         from generate_series(1, 100) n",
    )
    .await;
    let viewer = Browser::of(&app, Role::Viewer).await;
    for (label, caption, link) in [("Older statements", "Statements,", 0), ("Older files", "Files,", 0)] {
        let (mut path, mut seen) = ("/console/statements?provider=acme".to_owned(), Vec::new());
        let next = regex::Regex::new(&format!("href=\"([^\"]*)\">{label}<")).unwrap();
        loop {
            let page = viewer.page(&path).await;
            seen.extend(rows(&page, caption).into_iter().map(|row| row[link].clone() + &row[2]));
            let Some(found) = next.captures(&page) else { break };
            path = found[1].replace("&amp;", "&");
        }
        assert_eq!(seen.len(), 128, "{label}");
        if label == "Older files" {
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 128, "{label}: none is there twice");
        }
    }
    let of_account = viewer.page("/console/statements?provider=acme&account=A3&currency=EUR").await;
    assert_eq!(rows(&of_account, "Statements,").len(), 5);
    for none in ["account=A%00", "account=A3&currency=%00", "account=nobody", "before=-9223372036854775808"] {
        let page = viewer.page(&format!("/console/statements?provider=acme&{none}")).await;
        assert_eq!(rows(&page, "Statements,").len(), 0, "{none}");
    }
}

/// A form with these files.
fn form(files: &[(&str, &str)]) -> String {
    let part = |(name, text): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
    };
    format!("{}--b--\r\n", files.iter().map(part).collect::<String>())
}

async fn upload(browser: &Browser<'_>, files: &[(&str, &str)]) -> Answer {
    let headers = [("sec-fetch-site", "same-origin"), ("content-type", "multipart/form-data; boundary=b")];
    browser.ask(Method::POST, "/console/statements/acme", &headers, form(files)).await
}

async fn kept(app: &TestApp) -> (i64, i64, i64) {
    let files = count(&app.pool, "select count(*) from statement_files").await;
    let audited =
        count(&app.pool, "select count(*) from operator_audit where verb = 'statement upload'").await;
    (files, transactions(app).await.len() as i64, audited)
}

#[tokio::test]
async fn what_is_uploaded_is_taken_and_the_page_says_what_became_of_each_file() {
    let app = TestApp::with_file(FILE).await;
    let operator = Browser::of(&app, Role::Operator).await;
    let screen = operator.page("/console/statements?provider=acme").await;
    assert!(
        screen.contains("type=\"file\" name=\"file\" multiple")
            && screen.contains("action=\"/console/statements/acme\"")
    );
    let good = mt940(&day(1, 5_000, &[100, -250]));
    let short = without_a_line(&camt(&day(2, 4_850, &[5, 777])));
    let answer = upload(&operator, &[("good.sta", &good), ("<b>short</b>.xml", &short)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_usable(&answer.text, "uploaded");
    assert!(answer.text.contains("4 records created"), "{}", answer.text);
    let aside = &rows(&answer.text, "Statements of &lt;b&gt;short")[0];
    assert!(aside[4].contains("put aside") && aside[4].contains("missing 777 minor units"), "{aside:?}");
    assert!(!answer.text.contains("<b>"), "a name is text: {}", answer.text);
    assert_eq!(booked(&transactions(&app).await), [-250, 100]);
    let source = "select count(*) from statement_files where source = 'console'";
    assert_eq!(count(&app.pool, source).await, 2);
    let (person, subject, details): (String, String, serde_json::Value) =
        sqlx::query_as("select person, subject, details from operator_audit")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!((person.as_str(), subject.as_str()), ("operator:operator", "acme"));
    assert_eq!(details["sha256"].as_array().unwrap().len(), 2, "{details}");
    assert!(!details.to_string().contains("short"), "names may tell of persons: {details}");

    let again = upload(&operator, &[("other.sta", &good)]).await;
    assert!(
        again.text.contains("The same bytes were taken before") && again.text.contains("0 records created")
    );
    assert_eq!(kept(&app).await, (2, 2, 2));
}

#[tokio::test]
async fn nobody_uploads_who_may_not_and_no_other_site_does() {
    let app = TestApp::with_file(FILE).await;
    let text = mt940(&day(1, 0, &[1]));
    let viewer = Browser::of(&app, Role::Viewer).await;
    assert!(!viewer.page("/console/statements?provider=acme").await.contains("type=\"file\""));
    assert_eq!(upload(&viewer, &[("a", &text)]).await.status, StatusCode::FORBIDDEN);
    let stranger = Browser::new(&app);
    assert_eq!(upload(&stranger, &[("a", &text)]).await.status, StatusCode::SEE_OTHER);
    let operator = Browser::of(&app, Role::Operator).await;
    for site in [&[("sec-fetch-site", "cross-site")][..], &[("origin", "https://evil.example")], &[]] {
        let mut headers = vec![("content-type", "multipart/form-data; boundary=b")];
        headers.extend(site);
        let answer =
            operator.ask(Method::POST, "/console/statements/acme", &headers, form(&[("a", &text)])).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site:?}");
    }
    assert_eq!(kept(&app).await, (0, 0, 0));
    assert_eq!(upload(&operator, &[("a", &text)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_upload_that_cannot_be_read_or_is_too_large_takes_nothing_and_says_why() {
    let app = TestApp::with_file(FILE).await;
    let operator = Browser::of(&app, Role::Operator).await;
    let good = mt940(&day(1, 0, &[1]));
    let cut = camt(&day(2, 1, &[2]));
    let large = " ".repeat(64 * 1024 * 1024);
    for (files, status, said) in [
        (
            &[("good.sta", good.as_str()), ("cut.xml", &cut[..cut.len() / 2])][..],
            StatusCode::BAD_REQUEST,
            "cut.xml",
        ),
        (&[("", "")], StatusCode::BAD_REQUEST, "the form has no file"),
        (
            &[("large.xml", &large)],
            StatusCode::PAYLOAD_TOO_LARGE,
            "larger than 64 MiB together, and none of them was taken",
        ),
    ] {
        let answer = upload(&operator, files).await;
        assert_eq!(answer.status, status, "{said}");
        assert!(answer.text.contains(said) && answer.text.contains("role=\"alert\""), "{}", answer.text);
        assert!(answer.text.contains("type=\"file\""), "they can be sent again from here");
    }
    assert_eq!(kept(&app).await, (0, 0, 0));
    let (files, of) = ([("a", good.as_str())], "/console/statements/nobody");
    let headers = [("sec-fetch-site", "same-origin"), ("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(operator.ask(Method::POST, of, &headers, form(&files)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_is_called_what_can_be_shown() {
    let app = TestApp::with_file(FILE).await;
    let name = format!("/ingest/files?name=a%00b%1B[31m{}", "x".repeat(300));
    let (status, answer) = app.post(&name, "text/plain", mt940(&day(1, 0, &[1]))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let kept: String =
        sqlx::query_scalar("select name from statement_files").fetch_one(&app.pool).await.unwrap();
    assert!(kept.starts_with("ab[31mxxx") && kept.len() == 200, "{kept}");
    assert_eq!(answer["files"][0]["name"], json!(kept));
}
