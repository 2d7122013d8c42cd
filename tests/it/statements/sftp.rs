//! Files of a server, by SFTP.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use tributary::config::Provider;
use tributary::sync::FileFetcher;

use super::{FILE, booked, fetch, statements, transactions, warnings};
use crate::support::TestApp;
use crate::support::jobs::{count, instance};
use crate::support::proxy::{Fault, Proxy};
use crate::support::sshd::{PASSPHRASE, Sshd};

const PASSWORD: &str = "the-password-of-the-bank";

/// What fetches what `sftp` says, a member of a file, into the database of `app`; `more` is what its file says besides.
fn fetcher(app: &TestApp, sftp: &str, more: &str) -> FileFetcher {
    let settle = if more.contains("settle:") { "" } else { "    settle: 0s\n" };
    let file =
        format!("{FILE}  from:\n    sftp: {{ host: 127.0.0.1, {sftp} }}\n    every: 1s\n{settle}{more}");
    let lookup = |name: &str| match name {
        "BANK_PASSWORD" => Some(PASSWORD.to_owned()),
        "BANK_PASSPHRASE" => Some(PASSPHRASE.to_owned()),
        _ => None,
    };
    let provider = Provider::parse(&file, &lookup).unwrap();
    let instance = instance("test", Duration::from_secs(3600));
    FileFetcher::new(
        app.service.clone(),
        provider.name,
        provider.files.unwrap(),
        provider.file_source.unwrap(),
        instance,
    )
}

/// As whoever may log in, with a key, by `port`.
async fn with_key(server: &Sshd, port: u16) -> String {
    format!(
        "port: {port}, user: {}, host_key: \"{}\", key: {}, folder: in",
        Sshd::user(),
        server.fingerprint("ed25519").await,
        server.client_key("ed25519").display()
    )
}

#[tokio::test]
async fn files_of_a_server_are_taken_once_and_moved_once_they_are_committed() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("moved").await;
    for (name, text) in statements(3) {
        server.put(&name, text);
    }
    for unfinished in [".hidden.xml", "4.xml.filepart", "notes.txt"] {
        server.put(unfinished, "<");
    }
    std::fs::create_dir(server.path("old.xml")).unwrap();
    std::os::unix::fs::symlink(server.path("03.xml"), server.path("linked.xml")).unwrap();
    let sftp = with_key(&server, server.port).await;
    let fetcher = fetcher(&app, &sftp, "    names: [\"*.xml\"]\n    after: { move: done }\n");
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.warnings(), &run.error), (3, 0, &None), "{run:?}");
    assert_eq!(booked(&transactions(&app).await), [101, 102, 103]);
    assert!(server.path("done/01.xml").exists() && !server.path("01.xml").exists());
    // the bank puts it there again
    server.put("01.xml", &statements(1)[0].1);
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, run.tally.created, run.warnings()), (0, 0, 0));
    assert!(server.path("done/01.xml.1").exists(), "and what is there is not overwritten");
    assert!(server.path("notes.txt").exists());
}

#[tokio::test]
async fn files_that_are_left_are_not_read_again_and_those_that_are_deleted_are_gone() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("left").await;
    for (name, text) in statements(2) {
        server.put(&name, text);
    }
    let absolute = server.folder().join("in").display().to_string();
    let sftp = with_key(&server, server.port).await.replace("folder: in", &format!("folder: {absolute}"));
    let leaving = fetcher(&app, &sftp, "");
    assert_eq!(fetch(&leaving).await.files, 2);
    let known = "select count(*) from statement_sightings where sha256 is not null";
    assert_eq!(count(&app.pool, known).await, 2);
    // unreadable now: whoever read it again would say so
    for name in ["01.xml", "02.xml"] {
        let unreadable = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(server.path(name), unreadable).unwrap();
    }
    let run = fetch(&leaving).await;
    assert_eq!((run.files, run.warnings(), &run.error), (0, 0, &None));
    let run = fetch(&fetcher(&app, &sftp, "    after: delete\n")).await;
    assert_eq!((run.files, run.warnings()), (0, 0));
    assert!(!server.path("01.xml").exists() && !server.path("02.xml").exists());
}

#[tokio::test]
async fn every_way_to_log_in_opens_the_folder() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("keys").await;
    server.put("01.xml", &statements(1)[0].1);
    let (user, rsa) = (Sshd::user(), server.client_key("rsa"));
    let key = std::fs::read_to_string(server.client_key("ed25519")).unwrap().replace('\n', "\\n");
    for (host_key, login) in [
        // the text of a key, on one line, as variables often have it
        (server.fingerprint("ed25519").await, "key: \"${BANK_KEY}\"".to_owned()),
        // a server of several kinds of keys, of which the bank names one
        (
            server.fingerprint("rsa").await,
            format!("key: {}, passphrase: \"${{BANK_PASSPHRASE}}\"", rsa.display()),
        ),
    ] {
        let file = format!(
            "{FILE}  from:\n    sftp: {{ host: 127.0.0.1, port: {}, user: {user}, host_key: \"{host_key}\", {login}, folder: in }}\n",
            server.port
        );
        let lookup = |name: &str| match name {
            "BANK_KEY" => Some(key.clone()),
            "BANK_PASSPHRASE" => Some(PASSPHRASE.to_owned()),
            _ => None,
        };
        let provider = Provider::parse(&file, &lookup).unwrap();
        let (files, source) = (provider.files.unwrap(), provider.file_source.unwrap());
        let instance = instance("test", Duration::from_secs(3600));
        let fetcher = FileFetcher::new(app.service.clone(), provider.name, files, source, instance);
        let run = fetch(&fetcher).await;
        assert_eq!(run.error, None, "{login}\n{}", server.said());
    }
}

/// A server that knows one password, before OpenSSH's program that serves files.
#[derive(Clone)]
struct WithPassword {
    folder: std::path::PathBuf,
    channel: Arc<std::sync::Mutex<Option<Channel<Msg>>>>,
}

impl server::Handler for WithPassword {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if password == PASSWORD { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        *self.channel.lock().unwrap() = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        assert_eq!(name, "sftp");
        session.channel_success(id)?;
        let channel = self.channel.lock().unwrap().take().unwrap();
        let mut command = tokio::process::Command::new("/usr/lib/openssh/sftp-server");
        command.current_dir(&self.folder).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let program = command.spawn().expect("OpenSSH's sftp-server is there");
        tokio::spawn(async move {
            // as a whole: it ends with this task
            let mut program = program;
            let mut stream = channel.into_stream();
            let (input, output) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
            let mut both = tokio::io::join(output, input);
            tokio::io::copy_bidirectional(&mut stream, &mut both).await.ok();
        });
        Ok(())
    }
}

#[tokio::test]
async fn a_password_is_believed_where_it_is_the_right_one_and_never_told() {
    let app = TestApp::with_file(FILE).await;
    let keys = Sshd::start("password").await;
    keys.put("01.xml", &statements(1)[0].1);
    let host = std::fs::read_to_string(keys.folder().join("host_ed25519")).unwrap();
    let host = russh::keys::decode_secret_key(&host, None).unwrap();
    let config = Arc::new(server::Config { keys: vec![host], ..server::Config::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let handler = WithPassword { folder: keys.folder().to_owned(), channel: Arc::default() };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let serving = server::run_stream(Arc::clone(&config), socket, handler.clone());
            tokio::spawn(async move {
                if let Ok(session) = serving.await {
                    session.await.ok();
                }
            });
        }
    });
    let fingerprint = keys.fingerprint("ed25519").await;
    let login = |port: u16| {
        format!(
            "port: {port}, user: acme, host_key: \"{fingerprint}\", password: \"${{BANK_PASSWORD}}\", folder: in"
        )
    };
    let run = fetch(&fetcher(&app, &login(port), "")).await;
    assert_eq!((run.files, &run.error), (1, &None), "{run:?}");
    // OpenSSH's own refuses everybody's here
    let error = fetch(&fetcher(&app, &login(keys.port), "")).await.error.unwrap();
    assert!(error.contains("refuses the login: look at user and password"), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
}

#[tokio::test]
async fn a_server_that_shows_another_key_is_told_nothing() {
    let app = TestApp::with_file(FILE).await;
    let (server, other) = (Sshd::start("wrong-key").await, Sshd::start("other-key").await);
    let of_other = other.fingerprint("ed25519").await;
    let of_server = server.fingerprint("ed25519").await;
    let sftp = with_key(&server, server.port).await.replace(&of_server, &of_other);
    let error = fetch(&fetcher(&app, &sftp, "")).await.error.unwrap();
    for told in
        [&of_server, &of_other, &server.fingerprint("rsa").await, "is not the server that it should be"]
    {
        assert!(error.contains(told), "{told}: {error}");
    }
    let said = server.said();
    assert!(!said.contains("Accepted") && !said.contains("Failed") && !said.contains("user "), "{said}");
    let both = format!("[\"{of_other}\", \"{of_server}\"]");
    let sftp = with_key(&server, server.port).await.replace(&format!("\"{of_server}\""), &both);
    assert_eq!(
        fetch(&fetcher(&app, &sftp, "")).await.error,
        None,
        "while the bank changes its key, both are written"
    );
}

#[tokio::test]
async fn a_key_that_is_not_known_is_refused() {
    let app = TestApp::with_file(FILE).await;
    let (server, other) = (Sshd::start("refused").await, Sshd::start("refused-other").await);
    let (known, unknown) = (server.client_key("ed25519"), other.client_key("ed25519"));
    let sftp = with_key(&server, server.port).await;
    let sftp = sftp.replace(&known.display().to_string(), &unknown.display().to_string());
    let error = fetch(&fetcher(&app, &sftp, "")).await.error.unwrap();
    assert!(error.contains("refuses the login: look at user and key"), "{error}");
    let error =
        fetch(&fetcher(&app, &sftp.replace("client_ed25519", "client_nobody"), "")).await.error.unwrap();
    assert!(error.contains("`key` is no key, and no file that can be read"), "{error}");
    let locked = sftp.replace("client_ed25519", "client_rsa");
    let error = fetch(&fetcher(&app, &locked, "")).await.error.unwrap();
    assert!(error.contains("`key` cannot be read") && error.contains("passphrase"), "{error}");
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_taken_once_it_has_its_end() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("grows").await;
    // long enough that something is written while it is read
    server.put("01.xml", format!("{}{}", statements(1)[0].1, "\n".repeat(3_000_000)));
    let fetcher = fetcher(&app, &with_key(&server, server.port).await, "    after: delete\n");
    let growing = Arc::new(AtomicBool::new(true));
    let (begins, begun) = std::sync::mpsc::sync_channel(1);
    let writer = std::thread::spawn({
        let (path, growing) = (server.path("01.xml"), Arc::clone(&growing));
        move || {
            let mut file = std::fs::File::options().append(true).open(path).unwrap();
            while growing.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut file, b"\n").unwrap();
                begins.try_send(()).ok();
            }
        }
    });
    begun.recv().unwrap();
    for _ in 0..3 {
        let run = fetch(&fetcher).await;
        assert_eq!((run.files, run.warnings(), &run.error), (0, 0, &None), "{run:?}");
    }
    growing.store(false, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(fetch(&fetcher).await.files, 1);
    assert_eq!(booked(&transactions(&app).await), [101]);
    assert!(!server.path("01.xml").exists());
}

#[tokio::test]
async fn what_a_connection_that_breaks_off_did_not_bring_is_fetched_by_the_next_run() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("broken").await;
    for (name, text) in statements(3) {
        // the second one is long: it is in the middle of that
        let padding = if name == "02.xml" { "\n".repeat(3_000_000) } else { String::new() };
        server.put(&name, text + &padding);
    }
    let proxy = Proxy::to(&format!("127.0.0.1:{}", server.port)).await;
    let port = proxy.address().rsplit(':').next().unwrap().parse().unwrap();
    proxy.choose(|_| Some(Fault::Reset { after: 100_000 }));
    let fetcher = fetcher(&app, &with_key(&server, port).await, "    after: delete\n");
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, proxy.fired("reset")), (1, 1), "{run:?}");
    let error = run.error.unwrap();
    assert!(error.contains("broke off the connection: the rest is fetched by the next run"), "{error}");
    proxy.heal();
    let run = fetch(&fetcher).await;
    assert_eq!((run.files, &run.error), (2, &None), "{run:?}");
    assert_eq!(booked(&transactions(&app).await), [101, 102, 103]);
    assert_eq!(count(&app.pool, "select count(*) from statement_files").await, 3);
    assert!(!server.path("02.xml").exists());
}

#[tokio::test]
async fn a_file_that_may_not_be_deleted_is_a_warning_and_tried_again() {
    for more in ["    after: delete\n", "    after: { move: done }\n"] {
        let app = TestApp::with_file(FILE).await;
        let server = Sshd::read_only("read-only").await;
        server.put("01.xml", &statements(1)[0].1);
        let forbidding = fetcher(&app, &with_key(&server, server.port).await, more);
        for files in [1, 0] {
            let run = fetch(&forbidding).await;
            assert_eq!((run.files, run.warnings(), &run.error), (files, 1, &None), "{run:?}");
        }
        let told = warnings(&app).await;
        assert!(told[0].contains("can be neither moved nor deleted (Permission denied)"), "{told:?}");
        assert_eq!(booked(&transactions(&app).await), [101]);
    }
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("unwritable").await;
    server.put("01.xml", &statements(1)[0].1);
    server.set_writable(false);
    let fetcher = fetcher(&app, &with_key(&server, server.port).await, "    after: delete\n");
    assert_eq!(fetch(&fetcher).await.warnings(), 1);
    server.set_writable(true);
    assert_eq!(fetch(&fetcher).await.warnings(), 0);
    assert!(!server.path("01.xml").exists());
}

#[tokio::test]
async fn one_file_that_may_not_be_read_is_a_warning_and_the_others_are_taken() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("unread").await;
    for (name, text) in statements(2) {
        server.put(&name, text);
    }
    server.put("03.xml", "Dear customer");
    let unreadable = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(server.path("02.xml"), unreadable).unwrap();
    let run = fetch(&fetcher(&app, &with_key(&server, server.port).await, "")).await;
    assert_eq!((run.files, run.warnings(), &run.error), (1, 2, &None), "{run:?}");
    let told: Vec<String> =
        sqlx::query_scalar("select text from sync_run_warnings").fetch_all(&app.pool).await.unwrap();
    assert!(told.iter().any(|text| text.contains("02.xml: Permission denied")), "{told:?}");
}

#[tokio::test]
async fn a_folder_or_server_that_is_not_there_fails_the_run_and_says_so() {
    let app = TestApp::with_file(FILE).await;
    let server = Sshd::start("nowhere").await;
    let sftp = with_key(&server, server.port).await;
    let error = fetch(&fetcher(&app, &sftp.replace("folder: in", "folder: out"), "")).await.error.unwrap();
    assert!(error.contains("/out cannot be listed (No such file)"), "{error}");
    let error = fetch(&fetcher(&app, &with_key(&server, 1).await, "")).await.error.unwrap();
    assert!(error.contains("cannot be reached") && error.contains("Connection refused"), "{error}");
    // one that takes the connection and says nothing
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = fetch(&fetcher(&app, &with_key(&server, port).await, "")).await.error.unwrap();
    assert!(error.contains("cannot be reached (no answer in time)"), "{error}");
}
