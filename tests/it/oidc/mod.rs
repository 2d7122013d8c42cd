//! Signing in through an OpenID provider: who gets in, as whom and for how long, and who does not.

mod issuer;
mod people;
mod refused;
mod served;

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tributary::config::SingleSignOn;
use tributary::store::operator_issuers;
use tributary_domain::Role;
use url::Url;

use crate::console::{Answer, Browser};
use crate::support::TestApp;
use issuer::{CLIENT, Issuer, SECRET};

/// How the provider of `issuer` is configured: each role has a group of its name, and the staff looks.
fn environment(issuer: &str) -> HashMap<&'static str, String> {
    HashMap::from([
        ("TRIBUTARY_OIDC_ISSUER", issuer.to_owned()),
        ("TRIBUTARY_OIDC_CLIENT_ID", CLIENT.to_owned()),
        ("TRIBUTARY_OIDC_CLIENT_SECRET", SECRET.to_owned()),
        ("TRIBUTARY_OIDC_NAME", "Staff login".to_owned()),
        ("TRIBUTARY_OIDC_ROLES", "approver=approver,admin=admin,operator=operator,staff=viewer".to_owned()),
        ("TRIBUTARY_CONSOLE_URL", "http://localhost:8081".to_owned()),
    ])
}

/// A database, a provider that its owner trusts, and an instance at which people sign in through it.
struct House {
    issuer: Issuer,
    app: TestApp,
}

impl House {
    async fn new() -> Self {
        let house = Self::without_trust().await;
        house.trust(&Role::ALL).await;
        house
    }

    async fn without_trust() -> Self {
        let issuer = Issuer::start().await;
        let app = instance(&TestApp::new().await, &issuer.url);
        Self { issuer, app }
    }

    async fn trust(&self, roles: &[Role]) {
        let mut owner = self.app.pool.acquire().await.unwrap();
        operator_issuers::trust(&mut owner, &self.issuer.url, roles).await.unwrap();
    }

    /// Another instance on the same database.
    fn instance(&self) -> TestApp {
        instance(&self.app, &self.issuer.url)
    }

    /// Signs somebody in of whom the token says this; gives what the console answers.
    async fn come(&self, claims: Value) -> Answer {
        // at an instance of its own: each may be asked for so many in a second
        let app = self.instance();
        let visit = Visit::begin(&app, "").await;
        let code = self.issuer.grant(&visit.to, claims);
        visit.back(&code).await
    }

    /// A browser in which somebody of whom the token says this has signed in.
    async fn sign_in(&self, claims: Value) -> Browser<'_> {
        let answer = self.come(claims).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        Browser { app: &self.app, cookie: session(&answer) }
    }

    /// What one column of a query has.
    async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.app.pool).await.unwrap()
    }
}

fn instance(of: &TestApp, issuer: &str) -> TestApp {
    let set = environment(issuer);
    let config = SingleSignOn::of(&|name| set.get(name).cloned()).unwrap().unwrap();
    TestApp::signing_on(of, config)
}

/// Somebody who was sent to the provider, and the cookie that their browser got with that.
struct Visit<'a> {
    browser: Browser<'a>,
    to: Url,
}

impl<'a> Visit<'a> {
    /// Follows the link of the page to sign in at.
    async fn begin(app: &'a TestApp, next: &str) -> Self {
        let mut browser = Browser::new(app);
        let path = format!("/console/sso?next={next}");
        let answer =
            browser.ask(Method::GET, &path, &[("sec-fetch-site", "same-origin")], String::new()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        browser.cookie = Some(answer.header("set-cookie").split(';').next().unwrap().to_owned());
        Self { to: answer.header("location").parse().unwrap(), browser }
    }

    fn state(&self) -> String {
        Self::state_of(&self.to)
    }

    /// The state that whoever was sent there comes back with.
    fn state_of(to: &Url) -> String {
        to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
    }

    /// Comes back with a code, as a browser does: from another site, with the cookie.
    async fn back(&self, code: &str) -> Answer {
        self.back_with(&format!("code={code}&state={}", self.state())).await
    }

    async fn back_with(&self, query: &str) -> Answer {
        let path = format!("/console/sso/callback?{query}");
        self.browser.ask(Method::GET, &path, &[("sec-fetch-site", "cross-site")], String::new()).await
    }
}

/// The cookie of the session that an answer opens.
fn session(answer: &Answer) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let mut pairs = set.map(|cookie| cookie.split(';').next().unwrap());
    pairs.find(|pair| pair.starts_with("tributary-session=")).map(str::to_owned)
}

/// That an answer lets nobody in, and says this to whoever tried.
fn assert_refused(answer: &Answer, status: StatusCode, said: &str) {
    assert_eq!((answer.status, session(answer)), (status, None), "{}", answer.text);
    assert!(answer.text.contains(said), "{said}: {}", answer.text);
}

/// Of somebody in this group.
fn of(subject: &str, group: &str) -> Value {
    json!({"sub": subject, "preferred_username": subject, "groups": [group]})
}
