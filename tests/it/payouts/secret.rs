//! The secret that keys at FSPs are made with: nobody pays without it, and another one is noticed.

use std::os::unix::fs::PermissionsExt;

use tokio::process::Command;

use crate::support::process::Place;
use crate::support::server;
use crate::support::till::{MANIFEST, SECRET, TOKEN, impatient, number};

/// Of 32 bytes, as `openssl rand -base64 32` writes them.
const ANOTHER: &str = "6Jb7Nf6mS8r0rQ2mQ0oJYw5m2m0Yw8v3a8n2mYQv0hE=";

fn place(name: &str, file: &str) -> Place {
    let place = Place::new(name);
    std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
    std::fs::write(place.0.join("providers/starling.yaml"), file).unwrap();
    place
}

/// Runs a command that fails, or `serve`, which is stopped once it is up; gives what it says.
async fn told(place: &Place, args: &[&str], set: impl Fn(&mut Command)) -> Result<String, String> {
    let environment = |command: &mut Command| {
        command.env("STARLING_TOKEN", TOKEN).env("STARLING_URL", "http://127.0.0.1:9");
        command.env_remove("TRIBUTARY_PAYMENT_SECRET").env("USER", "ann");
        set(command);
    };
    if args == ["serve"] {
        // one that does not start says why
        let mut refused = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        environment(&mut refused);
        let output = tokio::time::timeout(std::time::Duration::from_secs(15), refused.output()).await;
        return match output {
            Ok(output) => Err(String::from_utf8(output.unwrap().stderr).unwrap()),
            Err(_) => Ok(String::new()),
        };
    }
    let mut command = place.command(args);
    environment(&mut command);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Starts a server, which has to come up, and stops it.
async fn serves(place: &Place, set: impl Fn(&mut Command)) {
    let (server, _) = place
        .serve_as(|command| {
            command.env("STARLING_TOKEN", TOKEN).env("STARLING_URL", "http://127.0.0.1:9");
            command.env_remove("TRIBUTARY_PAYMENT_SECRET");
            set(command);
        })
        .await;
    crate::support::process::stop(server).await;
}

#[tokio::test]
async fn a_server_that_may_pay_does_not_start_without_the_secret_that_was_used_so_far() {
    let place = place("secret_variable", &impatient(MANIFEST));
    let url = server::new_database().await;
    let with = |secret: Option<&'static str>| {
        let url = url.clone();
        move |command: &mut Command| {
            command.env("DATABASE_URL", &url);
            command.envs(secret.map(|secret| ("TRIBUTARY_PAYMENT_SECRET", secret)));
        }
    };
    for (secret, about) in [
        (None, "TRIBUTARY_PAYMENT_SECRET is not set"),
        (Some("too short"), "holds no payment secret"),
        (Some("c2hvcnQ="), "needs 32 at least"),
    ] {
        let error = told(&place, &["serve"], with(secret)).await.unwrap_err();
        assert!(error.contains(about) && error.contains("openssl rand -base64 32"), "{secret:?}: {error}");
    }
    serves(&place, with(Some(SECRET))).await;
    serves(&place, with(Some(SECRET))).await;
    let error = told(&place, &["serve"], with(Some(ANOTHER))).await.unwrap_err();
    assert!(error.contains("has another payment secret") && error.contains("accept-secret"), "{error}");
    assert!(!error.contains(ANOTHER) && !error.contains(SECRET), "{error}");
    // a person who knows what that means takes it, and the earlier one is refused from then on
    let said = told(&place, &["payouts", "accept-secret"], with(Some(ANOTHER))).await.unwrap();
    assert!(said.contains("is in use from now on") && !said.contains(ANOTHER), "{said}");
    let again = told(&place, &["payouts", "accept-secret"], with(Some(ANOTHER))).await.unwrap();
    assert!(again.contains("was in use already"), "{again}");
    serves(&place, with(Some(ANOTHER))).await;
    assert!(told(&place, &["serve"], with(Some(SECRET))).await.is_err());
    let pool = tributary::store::connect(&url, 2).await.unwrap();
    let kept = "select count(*) from payment_secrets where number = 2 and accepted_by = current_user";
    assert_eq!(number(&pool, kept).await, 1);
    assert_eq!(number(&pool, "select count(*) from payment_secrets").await, 2);
}

#[tokio::test]
async fn a_server_that_may_not_pay_needs_no_secret() {
    let place = place("secret_off", MANIFEST);
    let url = server::new_database().await;
    serves(&place, |command| {
        command.env("DATABASE_URL", &url);
    })
    .await;
}

#[tokio::test]
async fn beside_a_private_database_the_secret_is_a_file_that_is_made_once_and_nobody_else_reads() {
    let place = place("secret_file", &impatient(MANIFEST));
    serves(&place, |_| {}).await;
    let file = place.0.join("data/payment.secret");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let first = std::fs::read_to_string(&file).unwrap();
    assert_eq!(mode(), 0o600);
    serves(&place, |_| {}).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first, "it is never written again");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = told(&place, &["serve"], |_| {}).await.unwrap_err();
    assert!(error.contains("chmod 600") && error.contains("mode 640"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = told(&place, &["serve"], |_| {}).await.unwrap_err();
    assert!(error.contains("the payment secret is gone") && error.contains("accept-secret"), "{error}");
    assert!(!file.exists(), "no other takes its place unasked");
    told(&place, &["payouts", "accept-secret"], |_| {}).await.unwrap();
    assert_eq!((mode(), std::fs::read_to_string(&file).unwrap() == first), (0o600, false));
    serves(&place, |_| {}).await;
}
