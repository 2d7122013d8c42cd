//! What a private PostgreSQL is, from its first start to the next.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::geteuid;
use sqlx::{Connection, PgConnection};

use super::*;

#[tokio::test]
async fn a_fresh_directory_becomes_a_durable_server_that_close_stops() {
    let scratch = Scratch::new();
    let pg = PrivatePostgres::open(&scratch.data()).await.unwrap();
    assert_eq!(ask(&pg, "select current_database() || ' ' || current_user").await, "tributary tributary");
    for (setting, value) in [
        ("fsync", "on"),
        ("listen_addresses", ""),
        ("max_connections", "100"),
        ("shared_buffers", "128MB"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
    ] {
        let mut connection = PgConnection::connect(&pg.url()).await.unwrap();
        let shown: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(shown, value, "{setting}");
    }
    let collation = "select datcollate from pg_database where datname = current_database()";
    assert_eq!(ask(&pg, collation).await, "C");
    let log = fs::read_to_string(scratch.data().join("postgres.log")).unwrap();
    assert!(log.contains("ready to accept connections"), "{log}");

    let number = pid(&pg);
    pg.close().await.unwrap();
    assert_gone(&scratch.data(), number).await;
}

#[tokio::test]
async fn the_settings_of_the_caller_win() {
    let scratch = Scratch::new();
    let extra_settings = vec![("max_connections".to_owned(), "17".to_owned())];
    let options = Options { extra_settings, ..thrown_away() };
    let pg = PrivatePostgres::open_with(&scratch.data(), &options).await.unwrap();
    assert_eq!(ask(&pg, "select current_setting('max_connections')").await, "17");
    assert_eq!(ask(&pg, "select current_setting('fsync')").await, "off");
    pg.close().await.unwrap();
}

#[tokio::test]
async fn only_the_server_s_user_and_root_can_reach_it() {
    let scratch = Scratch::new();
    let pg = open(&scratch.data()).await;
    let written_by_the_server = pg.place.cluster().join("postmaster.pid");
    let runs_as = fs::metadata(written_by_the_server).unwrap().uid();
    assert_ne!(runs_as, 0);
    for private in [&pg.socket_dir, &pg.place.cluster()] {
        let metadata = fs::metadata(private).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (runs_as, 0o700), "{private:?}");
    }
    pg.close().await.unwrap();
}

#[test]
fn directories_it_creates_are_as_open_as_the_server_needs_and_no_more() {
    let scratch = Scratch::new();
    let needed = if geteuid().is_root() { 0o711 } else { 0o700 };
    Place::prepare(&scratch.path().join("a/b")).unwrap();
    for (dir, mode) in [("", 0o755), ("a", needed), ("a/b", needed)] {
        let metadata = fs::metadata(scratch.path().join(dir)).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{dir}");
    }
}

#[tokio::test]
async fn data_stay_from_one_server_to_the_next() {
    let scratch = Scratch::new();
    let pg = open(&scratch.data()).await;
    run(&pg, "create table kept as select 'kept'::text as word").await;
    pg.close().await.unwrap();
    let pg = open(&scratch.data()).await;
    assert_eq!(ask(&pg, "select word from kept").await, "kept");
    pg.close().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_or_odd_for_a_socket_gets_a_short_one() {
    let scratch = Scratch::new();
    let long = scratch.path().join("x".repeat(110)).join("data");
    let odd = scratch.path().join("my 'own', data");
    // A copied directory brings the record of the original's socket along, which is not its own.
    let original = open(&long).await;
    Place::prepare(&odd).unwrap();
    fs::copy(long.join("postgres.socket-at"), odd.join("postgres.socket-at")).unwrap();
    let copy = open(&odd).await;
    assert_ne!(original.url(), copy.url());

    for (pg, data) in [(original, &long), (copy, &odd)] {
        let (number, socket_dir) = (pid(&pg), pg.socket_dir.clone());
        assert!(!socket_dir.starts_with(scratch.path()));
        assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
        let second = open(data).await;
        assert_eq!((second.url(), pid(&second)), (pg.url(), number));
        assert_eq!(ask(&second, "select 'reached'").await, "reached");
        second.close().await.unwrap();
        pg.close().await.unwrap();
        assert!(!socket_dir.exists(), "nothing stays behind");
    }
}
