//! Who polls is known: how far they came, how far behind they are, and when they fall silent. It costs a page no
//! statement, survives a restart, is the same on all instances, and never says more than was served.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::PgPool;
use tributary::store::consumers::{self, Consumer, Polled};
use tributary::store::{self};
use tributary::sync::{Housekeeper, Retention};
use tributary_domain::FeedName;

use crate::support::process::{FILE_KEY, Place, signal, stop};
use crate::support::{TestApp, records, server};

/// The only consumer there is.
async fn only(pool: &PgPool) -> Consumer {
    let mut all = consumers::list(pool, None).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test]
async fn a_consumer_is_where_it_was_served_last_and_what_came_since_is_its_lag() {
    let app = TestApp::fast().await;
    app.push("transactions", &records::transactions("t", 250)).await;
    app.publish_all().await;
    assert!(consumers::list(&app.pool, None).await.unwrap().is_empty());

    app.get_ok("/transactions?page=1&pageSize=100").await;
    app.polls.write(&app.service).await.unwrap();
    let paging = only(&app.pool).await;
    assert_eq!((paging.provider.as_str(), paging.feed.as_str()), ("acme", "transactions"));
    assert!(paging.key.starts_with("key:test-"), "{}", paging.key);
    assert_eq!((paging.position, paging.head_position, paging.lag_entries), (100, 250, 150));
    assert_eq!((paging.pages, paging.polls, paging.caught_up_at, paging.asked_from), (1, 1, None, None));

    app.get_ok("/transactions?page=2&pageSize=100").await;
    let page = app.get_ok("/transactions?page=3&pageSize=100").await;
    app.polls.write(&app.service).await.unwrap();
    let there = only(&app.pool).await;
    assert_eq!((there.position, there.lag_entries, there.pages, there.polls), (250, 0, 3, 1));
    assert_eq!(there.caught_up_at, Some(there.polled_at));
    let last = page.as_array().unwrap().last().unwrap()["updatedAt"].as_str().unwrap().to_owned();
    assert_eq!(there.position_at, Some(last.parse::<DateTime<Utc>>().unwrap()));
    assert!(there.lag_seconds.abs() < f64::EPSILON, "{}", there.lag_seconds);

    app.push("transactions", &records::transactions("later", 5)).await;
    app.publish_all().await;
    let behind = only(&app.pool).await;
    assert_eq!((behind.position, behind.lag_entries), (250, 5));
    // these were stamped now, so that they have not waited since the last poll
    let since_poll = (Utc::now() - behind.polled_at).num_milliseconds() as f64 / 1000.0;
    assert!(behind.lag_seconds <= since_poll + 1.0, "{} of {since_poll}", behind.lag_seconds);

    app.polls.write(&app.service).await.unwrap();
    assert_eq!(only(&app.pool).await.pages, 3, "nothing is written twice");
    app.get_ok(&format!("/transactions?page=1&pageSize=100&updatedAtFrom={last}")).await;
    app.polls.write(&app.service).await.unwrap();
    let anew = only(&app.pool).await;
    assert_eq!((anew.position, anew.polls, anew.pages), (255, 2, 4));
    assert_eq!(anew.asked_from, Some(last.parse::<DateTime<Utc>>().unwrap()));
}

/// What an instance would write of a poll so many seconds ago.
fn polled(seconds_ago: u64, position: i64, head: i64, first_page: bool) -> Polled {
    let ago = Duration::from_secs(seconds_ago);
    Polled {
        provider: "acme".parse().unwrap(),
        feed: FeedName::Transactions,
        key: "key:formance".to_owned(),
        asked_from: None,
        position,
        head_position: head,
        head_at: None,
        ago,
        first_page_ago: first_page.then_some(ago),
        pages: 1,
    }
}

#[tokio::test]
async fn of_two_instances_the_later_position_wins_in_whichever_order_they_write() {
    let app = TestApp::new().await;
    let mut told = Vec::new();
    for writes in [
        [polled(20, 100, 300, true), polled(10, 200, 300, false), polled(5, 300, 300, false)],
        [polled(5, 300, 300, false), polled(20, 100, 300, true), polled(10, 200, 300, false)],
    ] {
        app.sql("delete from consumers").await;
        for write in writes {
            consumers::write(&app.service, &[write]).await.unwrap();
        }
        let consumer = only(&app.pool).await;
        let age = |at: DateTime<Utc>| (Utc::now() - at).num_seconds();
        assert!((5..10).contains(&age(consumer.polled_at)), "{consumer:?}");
        assert_eq!(consumer.caught_up_at, Some(consumer.polled_at), "{consumer:?}");
        told.push((consumer.position, consumer.head_position, consumer.pages));
    }
    assert_eq!(told, [(300, 300, 3), (300, 300, 3)]);
}

#[tokio::test]
async fn the_period_is_learnt_from_polls_that_begin_anew_and_two_of_them_without_one_are_silence() {
    let app = TestApp::new().await;
    let minutes = |m: u64| m * 60;
    // every 30 minutes; each time it pages for a while, which tells nothing of its period
    let mut look = Vec::new();
    for (at, (begun, position)) in [(130, 100), (100, 400), (70, 700), (40, 1000)].into_iter().enumerate() {
        let head = position + 200;
        for (after, reached) in [(0, position), (1, position + 100), (2, head)] {
            let first_page = after != 1;
            let poll = polled(minutes(begun) - after, reached, head, first_page);
            consumers::write(&app.service, &[poll]).await.unwrap();
        }
        let consumer = only(&app.pool).await;
        look.push((at, consumer.polls, consumer.period_seconds.map(|s| s.round() as i64)));
    }
    assert_eq!(look, [(0, 1, None), (1, 2, None), (2, 3, Some(1800)), (3, 4, Some(1800))]);
    assert!(!only(&app.pool).await.silent, "40 minutes are not two periods");
    app.sql("update consumers set polled_at = polled_at - interval '21 minutes', caught_up_at = caught_up_at - interval '21 minutes', begun_at = begun_at - interval '21 minutes'").await;
    assert!(only(&app.pool).await.silent, "61 minutes are");
    // it comes back: no longer silent, and one long gap does not move the period
    consumers::write(&app.service, &[polled(0, 1300, 1300, true)]).await.unwrap();
    let back = only(&app.pool).await;
    assert!(!back.silent && back.period_seconds.unwrap() < 1900.0, "{back:?}");
}

#[tokio::test]
async fn a_walk_that_was_broken_off_begins_anew_after_a_minute_and_what_is_typed_teaches_no_period() {
    let app = TestApp::new().await;
    for (ago, reached) in [(300, 100), (299, 200), (200, 100), (100, 100)] {
        let first_page = reached == 100;
        consumers::write(&app.service, &[polled(ago, reached, 1000, first_page)]).await.unwrap();
    }
    let consumer = only(&app.pool).await;
    assert_eq!((consumer.polls, consumer.position), (3, 200), "{consumer:?}");
    assert_eq!(consumer.period_seconds.map(|s| s.round() as i64), Some(100));

    app.sql("delete from consumers").await;
    for ago in [50, 48, 46, 44] {
        consumers::write(&app.service, &[polled(ago, 10, 10, true)]).await.unwrap();
    }
    let typed = only(&app.pool).await;
    assert_eq!((typed.polls, typed.period_seconds, typed.silent), (4, None, false));
}

#[tokio::test]
async fn pages_by_cursor_begin_nothing_and_a_time_of_the_future_heals_with_the_next_poll() {
    let app = TestApp::new().await;
    for ago in [50, 40, 30] {
        consumers::write(&app.service, &[polled(ago, 10, 20, false)]).await.unwrap();
    }
    let by_cursor = only(&app.pool).await;
    assert_eq!((by_cursor.polls, by_cursor.pages, by_cursor.begun_at), (0, 3, None));
    // the database's clock was wrong, and was mended
    let future = "now() + interval '1 year'";
    app.sql(&format!(
        "update consumers set first_polled_at = {future}, polled_at = {future}, caught_up_at = {future}, begun_at = {future}"
    ))
    .await;
    for ago in [20, 0] {
        consumers::write(&app.service, &[polled(ago, 20, 20, true)]).await.unwrap();
    }
    let healed = only(&app.pool).await;
    let newest =
        [healed.first_polled_at, healed.polled_at, healed.caught_up_at.unwrap(), healed.begun_at.unwrap()];
    assert!(newest.iter().all(|at| *at <= Utc::now() + TimeDelta::seconds(1)), "{healed:?}");
}

#[tokio::test]
async fn consumers_go_with_their_key_or_after_90_days_of_silence() {
    let app = TestApp::new().await;
    for (key, ago_days) in
        [("file:acme/old", 91), ("file:acme/young", 89), ("key:revoked", 0), ("key:replaced", 0)]
    {
        let polled = Polled { key: key.to_owned(), ..polled(ago_days * 86_400, 1, 1, true) };
        consumers::write(&app.service, &[polled]).await.unwrap();
    }
    app.sql(
        "insert into api_keys (id, provider, name, scope, digest, revoked_at)
         select gen_random_uuid(), 'acme', name, 'read', sha256(digest::bytea), case when revoked then now() end
         from (values ('revoked', '1', true), ('replaced', '2', true), ('replaced', '3', false)) k (name, digest, revoked)",
    )
    .await;
    Housekeeper::new(app.service.clone(), vec![], Retention::default()).forget(Utc::now()).await.unwrap();
    let keys = |all: Vec<Consumer>| all.into_iter().map(|consumer| consumer.key).collect::<Vec<_>>();
    assert_eq!(keys(consumers::list(&app.pool, None).await.unwrap()), ["file:acme/young", "key:replaced"]);
    let later = Utc::now() + TimeDelta::days(2);
    Housekeeper::new(app.service.clone(), vec![], Retention::default()).forget(later).await.unwrap();
    assert_eq!(keys(consumers::list(&app.pool, None).await.unwrap()), ["key:replaced"]);
}

async fn get(url: String) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).bearer_auth(FILE_KEY).send().await.unwrap().text().await.unwrap()
}

/// The lines of `/metrics` that are about consumers, but those that move with the time.
async fn told(place: &Place, address: &str) -> Vec<String> {
    let metrics = get(format!("http://{}/metrics", place.operator(address))).await;
    let lines = metrics.lines().filter(|line| line.starts_with("tributary_consumer_"));
    lines.filter(|line| !line.starts_with("tributary_consumer_lag_seconds")).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_known_survives_a_restart_and_all_instances_tell_the_same() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let app = TestApp::fast().await;
    app.push("transactions", &records::transactions("t", 250)).await;
    app.publish_all().await;
    let place = Place::new("consumers");
    let (one, address) = place.serve(Some(&app.url)).await;
    get(format!("http://{address}/transactions?page=1&pageSize=100")).await;
    get(format!("http://{address}/transactions?page=2&pageSize=100")).await;
    // a stop writes what was not written yet
    stop(one).await;
    let (two, at_two) = place.serve(Some(&app.url)).await;
    let (three, at_three) = place.serve(Some(&app.url)).await;
    let lines = told(&place, &at_two).await;
    let labels = "{provider=\"acme\",feed=\"transactions\",key=\"file:acme/connector\"}";
    assert!(lines.contains(&format!("tributary_consumer_lag_entries{labels} 50")), "{lines:?}");
    assert!(lines.contains(&format!("tributary_consumer_silent{labels} 0")), "{lines:?}");
    assert_eq!(lines, told(&place, &at_three).await);

    let command = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("DATABASE_URL", &app.url);
        command
    };
    let listed = command(&["consumers", "--output", "json"]).output().await.unwrap().stdout;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!((&listed[0]["position"], &listed[0]["lag_entries"]), (&200.into(), &50.into()), "{listed}");
    let table = String::from_utf8(command(&["consumers"]).output().await.unwrap().stdout).unwrap();
    assert!(table.contains("file:acme/connector") && table.contains("pages"), "{table}");
    let forgotten = command(&["consumers", "forget", "acme", "file:acme/connector"]).output().await.unwrap();
    assert!(forgotten.status.success(), "{}", String::from_utf8_lossy(&forgotten.stderr));
    assert!(consumers::list(&app.pool, None).await.unwrap().is_empty());
    let unknown = command(&["consumers", "forget", "acme", "file:acme/connector"]).output().await.unwrap();
    assert!(
        !unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("tributary consumers")
    );
    stop(two).await;
    stop(three).await;
}

#[tokio::test]
async fn a_kill_loses_a_second_of_it_and_no_consumer_is_shown_further_than_it_was() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("consumers_killed");
    let url = server::new_database().await;
    let app = TestApp::on(&url).await;
    app.push("transactions", &records::transactions("t", 4_000)).await;
    app.publish_all().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let pool = store::connect(&url, 2).await.unwrap();
    let mut received = 0_i64;
    for round in 0..4_u64 {
        let (mut server, address) = place.serve(Some(&url)).await;
        // when each page had come whole, since the server was up
        let mut came = Vec::new();
        let polling = async {
            loop {
                let page = received / 10 + 1;
                let asked = client
                    .get(format!("http://{address}/transactions?page={page}&pageSize=10"))
                    .bearer_auth(FILE_KEY);
                let Ok(answer) = asked.send().await else { return };
                let Ok(body) = answer.bytes().await else { return };
                assert_eq!(serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(), 10);
                received += 10;
                came.push((tokio::time::Instant::now(), received));
                if received >= 500 * (round as i64 + 1) {
                    // slower now: what comes is what may be lost
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(2_300 + 170 * round)).await;
            let killed = tokio::time::Instant::now();
            signal(&server, Signal::SIGKILL);
            server.wait().await.unwrap();
            killed
        };
        let ((), killed) = tokio::join!(polling, killing);
        let consumer = only(&pool).await;
        // one page may have been on its way when the process was killed
        assert!(consumer.position <= received + 10, "{} of {received}", consumer.position);
        // a second, and what one statement takes on a busy machine
        let second_before = killed - Duration::from_millis(2_000);
        let had = came.iter().take_while(|(at, _)| *at <= second_before).last().map_or(0, |(_, had)| *had);
        assert!(consumer.position >= had, "{} of {had}, a second before the kill", consumer.position);
        received = received.max(consumer.position);
    }
}
