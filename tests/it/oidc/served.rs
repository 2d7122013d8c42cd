//! A serving process: what it takes to start with a provider, and what it logs of one.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::issuer::{Issuer, SECRET};
use super::{Visit, environment};
use crate::support::process::{FILE_KEY, Place, signal, stop};
use crate::support::server;

#[tokio::test]
async fn half_a_configuration_is_an_error_at_the_start_that_says_what_is_missing() {
    let place = Place::new("half_oidc");
    let url = server::new_database().await;
    for missing in
        ["TRIBUTARY_OIDC_ISSUER", "TRIBUTARY_OIDC_CLIENT_ID", "TRIBUTARY_OIDC_ROLES", "TRIBUTARY_CONSOLE_URL"]
    {
        let mut set = environment("https://login.example");
        set.remove(missing);
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("DATABASE_URL", &url).env("ACME_KEY", FILE_KEY).envs(&set);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("{missing} is not")), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_keeps_no_server_from_starting() {
    let place = Place::new("oidc_down");
    let url = server::new_database().await;
    let (server, address) = place
        .serve_as(|command| {
            command
                .env("DATABASE_URL", &url)
                .env("ACME_KEY", FILE_KEY)
                .envs(environment("http://127.0.0.1:1"));
        })
        .await;
    let origin = format!("http://{}", place.operator(&address));
    let page = crate::browser::client().get(format!("{origin}/console/sign-in")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Sign in with Staff login"));
    stop(server).await;
}

#[tokio::test]
async fn neither_code_nor_token_nor_secret_is_in_any_log() {
    let (place, issuer) = (Place::new("oidc_log"), Issuer::start().await);
    let url = server::new_database().await;
    let owner = async |args: &[&str]| {
        let output = place.command(args).env("DATABASE_URL", &url).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    owner(&["operators", "trust", &issuer.url, "--roles", "viewer,operator"]).await;
    let (mut server, address) = place
        .serve_as(|command| {
            command.env("DATABASE_URL", &url).env("ACME_KEY", FILE_KEY).envs(environment(&issuer.url));
            command.env("TRIBUTARY_LOG", "trace,sqlx=off").stderr(Stdio::piped());
        })
        .await;
    let mut log = server.stderr.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        log.read_to_string(&mut text).await.unwrap();
        text
    });
    let origin = format!("http://{}", place.operator(&address));
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut secrets = vec![SECRET.to_owned()];
    for claims in
        [json!({}), json!({"nonce": "another"}), json!({"groups": ["admin"]}), json!({"groups": []})]
    {
        let sent = http.get(format!("{origin}/console/sso")).send().await.unwrap();
        let cookie = sent.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let to = sent.headers()["location"].to_str().unwrap().parse().unwrap();
        let code = issuer.grant(&to, claims);
        secrets.extend([code.clone(), issuer.token_of(&code), cookie.split_once('=').unwrap().1.to_owned()]);
        let state = Visit::state_of(&to);
        let back = format!("{origin}/console/sso/callback?code={code}&state={state}");
        let answer = http.get(back).header("cookie", cookie).send().await.unwrap();
        let opened =
            answer.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap().to_owned());
        let session = opened.filter(|set| set.starts_with("tributary-session=trs_"));
        secrets.extend(
            session.map(|set| set["tributary-session=".len()..].split(';').next().unwrap().to_owned()),
        );
    }
    assert_eq!(secrets.len(), 14, "one of the four has signed in");
    let list = owner(&["operators", "list"]).await;
    assert!(list.contains("ann~") && list.contains(&format!("{} as ann", issuer.url)), "{list}");
    signal(&server, nix::sys::signal::Signal::SIGTERM);
    server.wait().await.unwrap();
    let log = reading.await.unwrap();
    for said in ["an operator signed in", "made for another attempt", "does not trust", "without a role: ann"]
    {
        assert!(log.contains(said), "{said}: {log}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn whoever_trusts_a_provider_about_approvers_is_told_who_could_count_twice() {
    let (place, url) = (Place::new("oidc_trust"), server::new_database().await);
    let issuer = "https://login.example";
    let owner = async |args: &[&str]| {
        let output = place.command(args).env("DATABASE_URL", &url).output().await.unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.success(), out, err)
    };
    for (name, role) in [("ann", "approver"), ("ben", "approver"), ("root", "admin")] {
        assert!(owner(&["operators", "create", name, "--role", role]).await.0);
    }
    assert!(owner(&["operators", "revoke", "ben"]).await.0);
    let (_, said, _) = owner(&["operators", "trust", issuer, "--roles", "viewer,approver"]).await;
    assert!(said.contains("These approve by keys: ann."), "{said}");
    assert_eq!(owner(&["operators", "trust", issuer, "--roles", "viewer"]).await.1, "");
    // by the owner of the database alone
    for args in [["trust", issuer, "--roles=admin"].as_slice(), &["distrust", issuer], &["restore", "ann"]] {
        let args: Vec<&str> =
            ["operators", "--server", "http://127.0.0.1:1"].iter().chain(args).copied().collect();
        let (done, _, said) = owner(&args).await;
        assert!(!done && said.contains("works on the database alone"), "{said}");
    }
    assert!(owner(&["operators", "distrust", issuer]).await.0);
    let (done, _, said) = owner(&["operators", "distrust", issuer]).await;
    assert!(!done && said.contains("was not trusted; trusted: none"), "{said}");
    let (done, _, said) = owner(&["operators", "restore", "ben"]).await;
    assert!(!done && said.contains("whose key was revoked gets a new one"), "{said}");
}
