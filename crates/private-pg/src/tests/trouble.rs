//! What was killed, left behind, or stands in the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tokio::process::Command;

use super::other::Other;
use super::*;

#[tokio::test]
async fn a_killed_initdb_does_not_spoil_the_directory() {
    let scratch = Scratch::new();
    let under_way = || {
        let entries = fs::read_dir(scratch.data()).into_iter().flatten().flatten();
        let is_new = |name: &str| name.starts_with("postgres.initdb-");
        entries.map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|name| is_new(&name.to_string_lossy()))
                && path.join("PG_VERSION").exists()
        })
    };
    let other = Other::start(&scratch.data());
    eventually("initdb begins", || under_way().is_some()).await;
    other.kill().await;
    assert!(!scratch.data().join("postgres").exists());
    // That initdb lives on without its caller and may write as long as it finds its files. This one
    // is of a machine that lost its power.
    let rubbish = scratch.data().join("postgres.initdb-0");
    fs::create_dir_all(rubbish.join("base")).unwrap();

    let pg = open(&scratch.data()).await;
    assert_eq!(ask(&pg, "select 'sound'").await, "sound");
    assert!(!rubbish.exists());
    pg.close().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_is_started_again_with_all_that_was_committed() {
    let scratch = Scratch::new();
    let pg = PrivatePostgres::open(&scratch.data()).await.unwrap();
    run(&pg, "create table kept as select 'kept'::text as word").await;
    let killed = pid(&pg);
    kill(killed, Signal::SIGKILL).unwrap();

    let again = PrivatePostgres::open(&scratch.data()).await.unwrap();
    assert_ne!(pid(&again), killed);
    // The handle of before is good for the new server.
    assert_eq!(ask(&pg, "select word from kept").await, "kept");
    pg.close().await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_process_number_that_was_used_again_does_not_pass_for_a_server() {
    let scratch = Scratch::new();
    let pg = open(&scratch.data()).await;
    let (place, socket) = (pg.place.clone(), place::socket(&pg.socket_dir));
    pg.close().await.unwrap();

    let mut innocent = Command::new("sleep");
    innocent.arg("1000").current_dir("/").kill_on_drop(true);
    OsAccount::choose(&place.cluster()).unwrap().assume(&mut innocent);
    let mut innocent = innocent.spawn().unwrap();
    let number = innocent.id().unwrap();
    fs::write(place.cluster().join("postmaster.pid"), format!("{number}\n")).unwrap();
    fs::write(socket.with_extension("5432.lock"), format!("{number}\n")).unwrap();

    let pg = open(&scratch.data()).await;
    assert_eq!(ask(&pg, "select 'up'").await, "up");
    pg.close().await.unwrap();
    assert_eq!(innocent.try_wait().unwrap(), None, "it was left alone");
    innocent.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_started_by_hand_is_not_touched() {
    let scratch = Scratch::new();
    let pg = open(&scratch.data()).await;
    let (place, account) = (pg.place.clone(), OsAccount::choose(&pg.place.cluster()).unwrap());
    pg.close().await.unwrap();

    let elsewhere = scratch.path().join("elsewhere");
    place::create_private(&elsewhere).unwrap();
    account.own(&elsewhere).unwrap();
    let found = binaries::find(None, None, &place.cluster()).await.unwrap();
    let mut by_hand = Command::new(found.dir.join("postgres"));
    by_hand.arg("-D").arg(place.cluster()).args(["-c", "listen_addresses=", "-k"]);
    by_hand.arg(&elsewhere).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    account.assume(&mut by_hand);
    let mut by_hand = by_hand.spawn().unwrap();
    let number = by_hand.id().unwrap().cast_signed();
    eventually("it has begun", || server::written_pid(&place) == Some(Pid::from_raw(number))).await;

    let error = PrivatePostgres::open_with(&scratch.data(), &thrown_away()).await.unwrap_err();
    assert!(matches!(error, PrivatePgError::StartedByHand { pid, .. } if pid == number), "{error}");
    assert_eq!(by_hand.try_wait().unwrap(), None);
    kill(Pid::from_raw(number), Signal::SIGINT).unwrap();
    assert!(by_hand.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let scratch = Scratch::new();
    let extra_settings = vec![("work_mem".to_owned(), "much".to_owned())];
    let options = Options { extra_settings, ..thrown_away() };
    let error = PrivatePostgres::open_with(&scratch.data(), &options).await.unwrap_err();
    assert!(error.to_string().contains("invalid value for parameter \"work_mem\""), "{error}");
    open(&scratch.data()).await.close().await.unwrap();
}

#[tokio::test]
async fn as_root_a_directory_that_shuts_the_server_out_is_named() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root runs the server as somebody else");
        return;
    }
    let scratch = Scratch::new();
    let shut = scratch.path().canonicalize().unwrap().join("shut");
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::open(&shut.join("data")).await.unwrap_err();
    assert!(matches!(&error, PrivatePgError::OutOfReach { dir, .. } if *dir == shut), "{error}");
    assert!(error.to_string().contains("chmod o+x"), "{error}");
}

#[tokio::test]
async fn data_of_root_are_refused_with_what_to_do() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root runs the server as somebody else");
        return;
    }
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.data().join("postgres")).unwrap();
    let error = PrivatePostgres::open(&scratch.data()).await.unwrap_err();
    assert!(matches!(&error, PrivatePgError::ForeignData { owner, .. } if owner == "root"), "{error}");
    assert!(error.to_string().contains("chown -R"), "{error}");
}
