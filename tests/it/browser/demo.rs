//! `tributary demo`, as somebody opens it who has never seen it: its links, its first sync, its payment.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use super::window::{Driver, LIGHT};
use crate::support::process::{PROGRAM, Place, free_addresses, stop};

/// What `pattern` finds first of what the demo goes on to print.
async fn printed(lines: &mut Lines<BufReader<ChildStdout>>, pattern: &str) -> String {
    let pattern = regex::Regex::new(pattern).unwrap();
    loop {
        let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it prints {pattern}"));
        if let Some(found) = pattern.captures(&line) {
            return found[1].to_owned();
        }
    }
}

#[tokio::test]
#[ignore = "needs Chromium: make browser"]
async fn the_demo_shows_its_first_sync_and_has_two_persons_approve_its_payment() {
    let place = Place::new("demo-in-a-browser");
    let [public, operator] = free_addresses();
    // so that it is there before the first sync has ended
    let driver = Driver::start().await;
    let mut demo = Command::new(PROGRAM)
        .args(["demo", "--items", "4000", "--listen", &public, "--operator-listen", &operator])
        .current_dir(&place.0)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut links = Vec::new();
    for _ in ["demo", "ann", "ben"] {
        links.push(printed(&mut lines, r"http://[^/]+(/console/link\S+)").await);
    }
    let origin = format!("http://{operator}");
    let sign_in = async |link: &str, said: &str| {
        let window = driver.window(&origin, LIGHT).await;
        window.go(link).await;
        window.press("Sign in").await;
        window.until(said).await;
        window
    };
    let window = sign_in(&links[0], "is being read").await;
    window.photograph("a-first-sync").await;
    sign_in(&links[0], "This link was used already").await.close().await;
    window.until("nobody has polled yet").await;

    let key = printed(&mut lines, r"^Key:\s+(\S+)").await;
    let order = printed(&mut lines, r"-d '([^']+)'").await;
    let answer = super::client()
        .post(format!("http://{public}/payouts"))
        .bearer_auth(key)
        .header("content-type", "application/json")
        .body(order)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    for link in &links[1..] {
        let approver = sign_in(link, "Overview").await;
        super::approve(&approver).await;
        approver.close().await;
    }
    window.go("/console/payments").await;
    window.follow("invoice-17").await;
    window.until("attempt 1 was sent").await;
    window.close().await;
    stop(demo).await;
}
