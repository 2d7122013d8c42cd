//! One server for several handles and processes.

use nix::unistd::getpgid;

use super::other::Other;
use super::*;

#[tokio::test]
async fn the_first_to_close_leaves_the_server_to_the_second() {
    let scratch = Scratch::new();
    let first = open(&scratch.data()).await;
    let second = open(&scratch.data()).await;
    let number = pid(&first);
    assert_eq!(pid(&second), number);

    first.close().await.unwrap();
    assert_eq!(ask(&second, "select 'still here'").await, "still here");
    // A silent connection, such as one that only asked whether the server lives, would hold it a minute.
    let closed = tokio::time::timeout(Duration::from_secs(30), second.close()).await;
    closed.expect("prompt").unwrap();
    assert_gone(&scratch.data(), number).await;
}

#[tokio::test]
async fn all_who_come_at_once_get_one_server() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let opening = (0..5).map(|_| {
        let data = data.clone();
        tokio::spawn(async move { open(&data).await })
    });
    let all: Vec<_> = futures::future::try_join_all(opening).await.unwrap();
    let number = pid(&all[0]);
    for pg in &all {
        assert_eq!(pid(pg), number);
        assert_eq!(ask(pg, "select 'yes'").await, "yes");
    }
    futures::future::join_all(all.into_iter().map(|pg| async { pg.close().await.unwrap() })).await;
    assert_gone(&data, number).await;
}

#[tokio::test]
async fn a_dropped_handle_leaves_the_server_to_the_next_who_stops_it() {
    let scratch = Scratch::new();
    let pg = open(&scratch.data()).await;
    let number = pid(&pg);
    drop(pg);
    let next = open(&scratch.data()).await;
    assert_eq!(pid(&next), number);
    next.close().await.unwrap();
    assert_gone(&scratch.data(), number).await;
}

#[tokio::test]
async fn the_process_that_started_the_server_may_leave_before_the_others() {
    let scratch = Scratch::new();
    let mut other = Other::start(&scratch.data());
    other.has_opened().await;
    let pg = open(&scratch.data()).await;

    other.leave().await;
    assert_eq!(ask(&pg, "select 'still here'").await, "still here");
    let number = pid(&pg);
    pg.close().await.unwrap();
    assert_gone(&scratch.data(), number).await;
}

#[tokio::test]
async fn a_server_whose_users_were_killed_goes_on_and_is_adopted() {
    let scratch = Scratch::new();
    let mut other = Other::start(&scratch.data());
    other.has_opened().await;
    let place = Place::prepare(&scratch.data()).unwrap();
    let number = server::written_pid(&place).unwrap();
    assert_eq!(getpgid(Some(number)).unwrap(), number);

    other.kill().await;
    let pg = open(&scratch.data()).await;
    assert_eq!(pid(&pg), number);
    pg.close().await.unwrap();
    assert_gone(&scratch.data(), number).await;
}
