//! Signing in through a provider that is not ours, npm's oidc-provider, which the foundation of OpenID has certified: by
//! its own pages, in Chromium with and without JavaScript, and by hand.

use std::collections::HashMap;
use std::process::Stdio;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::window::{Driver, LIGHT, WITHOUT_SCRIPT, Window, node_modules};
use crate::support::process::{FILE_KEY, Place, free_addresses, stop};
use crate::support::server;

/// The program, and the provider through which people sign in.
struct House {
    place: Place,
    url: String,
    origin: String,
    issuer: String,
    server: Child,
    _provider: Child,
}

impl House {
    async fn new(name: &str) -> Self {
        let (place, url) = (Place::new(name), server::new_database().await);
        let [address] = free_addresses();
        let port = address.rsplit_once(':').unwrap().1;
        let issuer = format!("http://localhost:{port}");
        let (server, address) = place
            .serve_as(|command| {
                let operator = command.as_std().get_args().last().unwrap().to_str().unwrap().to_owned();
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &url);
                command.env("TRIBUTARY_CONSOLE_URL", format!("http://{operator}"));
                command.env("TRIBUTARY_OIDC_ISSUER", &issuer).env("TRIBUTARY_OIDC_NAME", "Staff login");
                command
                    .env("TRIBUTARY_OIDC_CLIENT_ID", "tributary")
                    .env("TRIBUTARY_OIDC_SCOPES", "profile groups");
                command.env("TRIBUTARY_OIDC_CLIENT_SECRET", "a-secret-of-the-client");
                command.env("TRIBUTARY_OIDC_ROLES", "approvers=approver,staff=viewer");
            })
            .await;
        let origin = format!("http://{}", place.operator(&address));
        let provider = provider(port, &origin).await;
        let house = Self { place, url, origin, issuer, server, _provider: provider };
        house.owner(&["operators", "trust", &house.issuer, "--roles", "viewer,approver"]).await;
        house
    }

    /// What a command of the owner of the database prints.
    async fn owner(&self, args: &[&str]) -> String {
        let output = self.place.command(args).env("DATABASE_URL", &self.url).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Starts oidc-provider, which ends with this process.
async fn provider(port: &str, origin: &str) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser/provider.mjs");
    let mut running = Command::new("node")
        .arg(script)
        .arg(node_modules())
        .args([port, origin])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("Node.js is installed: `make browser` sees to that");
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap();
        if line.expect("oidc-provider starts: `make browser` installs it") == "serving" {
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    running
}

/// Follows the console's link, and signs in at the provider's own pages.
async fn sign_in(window: &Window, name: &str) {
    window.go("/console/sign-in?next=%2Fconsole%2Fconsumers").await;
    window.photograph("single-sign-on").await;
    window.follow("Sign in with Staff login").await;
    window.until("Sign-in").await;
    window.write("login", name).await;
    window.write("password", "any").await;
    window.click("//button[@type='submit']").await;
    window.until("Authorize").await;
    window.click("//button[@type='submit']").await;
}

#[tokio::test]
#[ignore = "needs Chromium and Node.js: make browser"]
async fn a_person_signs_in_at_the_pages_of_a_real_provider_with_and_without_javascript() {
    let house = House::new("sign_on").await;
    let driver = Driver::start().await;
    for look in [LIGHT, WITHOUT_SCRIPT] {
        let ann = driver.window(&house.origin, look).await;
        ann.go("/console/sign-in").await;
        if look.with_script {
            assert_eq!(ann.barriers().await, Vec::<String>::new());
        }
        sign_in(&ann, "ann").await;
        let page = ann.until("(approver)").await;
        assert!(page.contains("Nobody has polled"), "one goes on where one wanted to:\n{page}");
        assert!(page.contains("ann~"), "{page}");
        ann.photograph("signed-in-by-a-provider").await;
        ann.press_in_head("Sign out").await;
        ann.until("Sign in with Staff login").await;
        ann.go("/console/payments").await;
        ann.until("Your key").await;
        ann.close().await;
    }
    let eve = driver.window(&house.origin, LIGHT).await;
    sign_in(&eve, "eve").await;
    eve.until("eve, Staff login knows you, but none of your groups").await;
    eve.close().await;
    let list = house.owner(&["operators", "list"]).await;
    assert!(list.contains(&format!("{} as ann", house.issuer)), "{list}");
    assert!(!list.contains("eve"), "{list}");
    stop(house.server).await;
}

/// A browser of its own, without a window: cookies by origin, and a page at a time.
#[derive(Default)]
struct Jar(HashMap<String, HashMap<String, String>>);

impl Jar {
    /// Asks, and follows what the answer says until there is a page; gives where it is, and what it says.
    async fn walk(&mut self, mut url: Url, mut form: Option<&[(&str, &str)]>) -> (Url, u16, String) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        loop {
            let cookies = self.0.entry(url.origin().ascii_serialization()).or_default();
            let shown: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = match form.take() {
                Some(form) => {
                    let body =
                        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
                    client
                        .post(url.clone())
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(body)
                }
                None => client.get(url.clone()),
            };
            let answer = request.header(COOKIE, shown.join("; ")).send().await.unwrap();
            for set in answer.headers().get_all(SET_COOKIE) {
                let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            match answer.headers().get(LOCATION) {
                Some(to) => url = url.join(to.to_str().unwrap()).unwrap(),
                None => return (url, answer.status().as_u16(), answer.text().await.unwrap()),
            }
        }
    }

    /// Goes from the console to the provider and back; gives the status and what the console says.
    async fn sign_in(&mut self, origin: &str, name: &str) -> (u16, String) {
        let (login, _, page) = self.walk(format!("{origin}/console/sso").parse().unwrap(), None).await;
        assert!(page.contains("name=\"login\""), "{page}");
        let form = [("prompt", "login"), ("login", name), ("password", "any")];
        let (consent, _, page) = self.walk(login, Some(&form)).await;
        assert!(page.contains("value=\"consent\""), "{page}");
        let (at, status, page) = self.walk(consent, Some(&[("prompt", "consent")])).await;
        assert!(at.as_str().starts_with(&format!("{origin}/console/sso/callback?")), "{at}");
        (status, page)
    }
}

#[tokio::test]
#[ignore = "needs Node.js: make browser"]
async fn a_real_provider_is_understood_step_by_step_and_what_it_said_is_taken_once() {
    let house = House::new("sign_on_by_hand").await;
    let console: Url = format!("{}/console", house.origin).parse().unwrap();
    for (name, role) in [("ann", "approver"), ("ben", "viewer")] {
        let mut jar = Jar::default();
        let (status, page) = jar.sign_in(&house.origin, name).await;
        assert_eq!((status, page.contains("You are signed in.")), (200, true), "{page}");
        let (_, _, page) = jar.walk(console.clone(), None).await;
        assert!(page.contains(&format!("{name}~")) && page.contains(&format!("({role})")), "{page}");
    }
    let (status, page) = Jar::default().sign_in(&house.origin, "eve").await;
    assert_eq!((status, page.contains("none of your groups")), (403, true), "{page}");
    stop(house.server).await;
}
