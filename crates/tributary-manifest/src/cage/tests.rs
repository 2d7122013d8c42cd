use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::mpsc;
use std::task::Poll;

use futures::FutureExt;

use super::*;

const SOON: Duration = Duration::from_millis(10);
const LATE: Duration = Duration::from_secs(3_600);

fn cage(size: usize, deadline: Duration) -> Cage {
    Cage::new(size, deadline, Arc::default())
}

/// Work that ends when the sender is dropped.
fn endless() -> (mpsc::Sender<()>, impl FnOnce(Instant) -> Result<(), FilterError> + Send + 'static) {
    let (release, wait) = mpsc::channel::<()>();
    (release, move |_| {
        wait.recv().ok();
        Ok(())
    })
}

#[tokio::test]
async fn a_filter_that_never_ends_fails_alone_and_only_so_many_are_left_behind() {
    let mut cage = cage(1, SOON);
    let mut releases = Vec::new();
    for _ in 0..2 {
        assert_eq!(cage.run(|_| Ok(1)).await, Ok(1), "the others go on");
        let (release, work) = endless();
        releases.push(release);
        assert_eq!(cage.run(work).await, Err(CageError::Stuck(0)));
    }
    cage.deadline = LATE;
    let at_once = cage.run(|_| Ok(())).now_or_never();
    assert_eq!(at_once, Some(Err(CageError::Stuck(3_600))), "nobody waits for them an hour");
    drop(releases.pop());
    while cage.run(|_| Ok(())).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(releases);
    while !locked(&cage.stuck).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(cage.places.available_permits(), 1, "each place is there once again");
}

#[tokio::test]
async fn a_filter_of_a_run_that_was_dropped_keeps_no_place_for_ever() {
    let mut cage = cage(1, SOON);
    let (_release, work) = endless();
    {
        let mut dropped = std::pin::pin!(cage.run(work));
        assert!(matches!(futures::poll!(&mut dropped), Poll::Pending));
    }
    cage.deadline = LATE;
    assert_eq!(cage.run(|_| Ok(1)).await, Ok(1));
    assert_eq!(locked(&cage.stuck).len(), 1);
}

#[tokio::test]
async fn a_stream_whose_filter_never_ends_is_not_started_again_and_the_others_are() {
    let mut cage = cage(2, SOON);
    let (release, work) = endless();
    assert_eq!(cage.run_of(Some("feed"), work).await, Err(CageError::Stuck(0)));
    cage.deadline = LATE;
    let at_once = cage.run_of(Some("feed"), |_| Ok(())).now_or_never();
    assert_eq!(at_once, Some(Err(CageError::Stuck(3_600))), "nobody waits for it an hour");
    assert_eq!(cage.run_of(Some("accounts"), |_| Ok(1)).await, Ok(1));
    drop(release);
    while cage.run_of(Some("feed"), |_| Ok(())).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn as_many_filters_as_there_are_places_run_at_once() {
    let cage = cage(3, LATE);
    let all = Arc::new(Barrier::new(3));
    let meet = || {
        let all = Arc::clone(&all);
        cage.run(move |_| {
            all.wait();
            Ok(())
        })
    };
    assert_eq!(tokio::join!(meet(), meet(), meet()), (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn one_thread_does_what_comes_one_after_the_other() {
    let cage = cage(2, LATE);
    let mut threads = HashSet::new();
    for _ in 0..100 {
        threads.insert(cage.run(|_| Ok(std::thread::current().id())).await.unwrap());
    }
    assert_eq!(threads.len(), 1);
}

#[tokio::test]
async fn a_filter_that_crashes_does_not_take_the_next_one_with_it() {
    let cage = cage(1, LATE);
    let crashed = cage.run::<()>(|_| panic!("a defect in a filter")).await;
    assert_eq!(crashed, Err(CageError::Crashed));
    assert_eq!(cage.run(|_| Ok(1)).await, Ok(1));
    assert_eq!((locked(&cage.stuck).len(), cage.places.available_permits()), (0, 1));
}
