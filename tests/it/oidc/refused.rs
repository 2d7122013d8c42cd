//! What comes back and is not believed: answers to other attempts, tokens that prove nothing, providers that are down.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tributary::store::operator_issuers;
use tributary_domain::Role;

use super::issuer::{Issuer, Signed};
use super::{House, Visit, assert_refused, instance, session};
use crate::console::{Browser, new_operator};
use crate::support::TestApp;

#[tokio::test]
async fn what_comes_back_is_taken_once_in_time_and_from_the_browser_that_was_sent() {
    let house = House::new().await;
    let app = house.instance();
    let visit = Visit::begin(&app, "").await;
    let code = house.issuer.grant(&visit.to, json!({}));
    let query = format!("code={code}&state={}", visit.state());
    // neither without the cookie, nor with that of another attempt, nor with another state
    let other = Visit::begin(&app, "").await;
    let stranger = Visit { browser: Browser::new(&app), to: visit.to.clone() };
    for browser in [&stranger, &other] {
        assert_refused(&browser.back_with(&query).await, StatusCode::FORBIDDEN, "not begun in this browser");
    }
    for wrong in [
        "code=x",
        "code=x&state=",
        "",
        "code=x&state=a&state=b",
        &format!("code={code}&state={}", other.state()),
    ] {
        assert_refused(&visit.back_with(wrong).await, StatusCode::FORBIDDEN, "You are not signed in.");
    }
    // none of that has used it up: nobody can end another one's attempt
    let app = house.instance();
    let visit = Visit { browser: Browser { app: &app, ..visit.browser }, to: visit.to };
    let (one, two) = tokio::join!(visit.back_with(&query), visit.back_with(&query));
    let opened = [&one, &two].iter().filter(|answer| session(answer).is_some()).count();
    assert_eq!(opened, 1, "{} {}", one.text, two.text);
    assert_refused(
        &visit.back_with(&query).await,
        StatusCode::FORBIDDEN,
        "used already, or its ten minutes are over",
    );
    let late = Visit::begin(&app, "").await;
    let ends =
        "select extract(epoch from max(expires_at) - clock_timestamp())::int::text from operator_sign_ins";
    let seconds: i32 = house.texts(ends).await[0].parse().unwrap();
    assert!((590..=600).contains(&seconds), "{seconds}");
    app.sql("update operator_sign_ins set expires_at = clock_timestamp()").await;
    let code = house.issuer.grant(&late.to, json!({}));
    assert_refused(&late.back(&code).await, StatusCode::FORBIDDEN, "its ten minutes are over");
}

#[tokio::test]
async fn a_provider_that_refuses_or_is_another_one_signs_nobody_in() {
    let house = House::new().await;
    for (more, said) in [
        ("error=access_denied", "Staff login signs you in with nothing (access_denied)."),
        ("code=CODE&error=access_denied", "(access_denied)"),
        ("code=CODE&iss=https%3A%2F%2Fevil.example", "Another provider answered than was asked."),
        ("code=made-up", "it did not take the code (invalid_grant)"),
    ] {
        let app = house.instance();
        let visit = Visit::begin(&app, "").await;
        let code = house.issuer.grant(&visit.to, json!({}));
        let query = format!("{}&state={}", more.replace("CODE", &code), visit.state());
        assert_refused(&visit.back_with(&query).await, StatusCode::FORBIDDEN, said);
    }
    let app = house.instance();
    let visit = Visit::begin(&app, "").await;
    let code = house.issuer.grant(&visit.to, json!({}));
    let iss = url::form_urlencoded::byte_serialize(house.issuer.url.as_bytes()).collect::<String>();
    let answer = visit.back_with(&format!("code={code}&iss={iss}&state={}", visit.state())).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_provider_that_is_not_what_it_is_called_or_would_be_told_secrets_in_the_open_is_not_asked() {
    let app = TestApp::new().await;
    let slash = Issuer::start().await;
    let open = Issuer::describing(json!({"token_endpoint": "http://login.example/token"})).await;
    for (issuer, said) in [
        (format!("{}/", slash.url), "TRIBUTARY_OIDC_ISSUER is not what it calls itself"),
        (open.url.clone(), "http://login.example/token of it is not https"),
    ] {
        let answer = Browser::new(&instance(&app, &issuer)).get("/console/sso").await;
        assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, said);
    }
}

#[tokio::test]
async fn the_client_proves_itself_as_the_provider_wants() {
    let app = TestApp::new().await;
    for ways in [json!(["client_secret_post"]), json!(["client_secret_post", "client_secret_basic"])] {
        let issuer = Issuer::describing(json!({"token_endpoint_auth_methods_supported": ways})).await;
        let mut owner = app.pool.acquire().await.unwrap();
        operator_issuers::trust(&mut owner, &issuer.url, &[Role::Viewer]).await.unwrap();
        let app = instance(&app, &issuer.url);
        let visit = Visit::begin(&app, "").await;
        let answer = visit.back(&issuer.grant(&visit.to, json!({}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{ways}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_code_of_another_browser_is_of_no_use() {
    let house = House::new().await;
    let (theirs, mine) = (house.instance(), house.instance());
    let (theirs, mine) = (Visit::begin(&theirs, "").await, Visit::begin(&mine, "").await);
    let stolen = house.issuer.grant(&theirs.to, json!({"groups": ["admin"]}));
    assert_refused(&mine.back(&stolen).await, StatusCode::FORBIDDEN, "invalid_grant");
}

#[tokio::test]
async fn a_token_that_does_not_prove_itself_is_refused_with_what_is_wrong_and_not_repeated() {
    let house = House::new().await;
    let now = chrono::Utc::now().timestamp();
    let cases: [(Value, Signed, &str); 12] = [
        (json!({"nonce": "another"}), Signed::Well, "made for another attempt"),
        (json!({"nonce": null}), Signed::Well, "made for another attempt"),
        (json!({"aud": "another"}), Signed::Well, "it is for another client"),
        (json!({"aud": ["tributary", "another"]}), Signed::Well, "it is for another client"),
        (json!({"iss": "https://evil.example"}), Signed::Well, "it is of another issuer"),
        (json!({"exp": now - 1}), Signed::Well, "it has expired"),
        (json!({"sub": ""}), Signed::Well, "its subject is no text"),
        (json!({"sub": "ann\u{0}"}), Signed::Well, "its subject is no text"),
        (json!({}), Signed::ByAnother, "its signature is not the provider"),
        (json!({}), Signed::Unpublished, "signed by a key that the provider does not publish"),
        (json!({}), Signed::BySecret, "signed in a way that is not taken"),
        (json!({}), Signed::Not, "signed in a way that is not taken"),
    ];
    for (claims, signed, said) in cases {
        let app = house.instance();
        let visit = Visit::begin(&app, "").await;
        let code = house.issuer.grant_as(&visit.to, claims, signed, Value::Null);
        let token = house.issuer.token_of(&code);
        let answer = visit.back(&code).await;
        assert_refused(&answer, StatusCode::FORBIDDEN, said);
        assert!(token.split('.').filter(|part| !part.is_empty()).all(|part| !answer.text.contains(part)));
    }
    assert!(house.texts("select name from operators").await.is_empty());
}

#[tokio::test]
async fn a_provider_that_changes_its_keys_is_asked_for_them_once_more() {
    let house = House::new().await;
    let app = house.instance();
    let come = async |signed| {
        let visit = Visit::begin(&app, "").await;
        let code = house.issuer.grant_as(&visit.to, json!({}), signed, Value::Null);
        visit.back(&code).await.status
    };
    assert_eq!(come(Signed::Well).await, StatusCode::OK);
    assert_eq!((come(Signed::Well).await, house.issuer.keys_asked()), (StatusCode::OK, 1));
    house.issuer.rotate();
    assert_eq!((come(Signed::Well).await, house.issuer.keys_asked()), (StatusCode::OK, 2));
    assert_eq!((come(Signed::Unpublished).await, house.issuer.keys_asked()), (StatusCode::FORBIDDEN, 3));
}

#[tokio::test]
async fn a_provider_that_is_down_says_so_at_its_link_and_keys_go_on_opening_sessions() {
    let house = House::new().await;
    house.issuer.stop();
    let browser = Browser::new(&house.app);
    assert!(browser.page("/console/sign-in").await.contains("Sign in with Staff login"));
    let answer = browser.get("/console/sso").await;
    assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, "Staff login does not answer (");
    assert!(answer.text.contains("sign in with the key of an operator"), "{}", answer.text);
    let key = new_operator(&house.app, "ann", Role::Viewer).await;
    assert_eq!(Browser::new(&house.app).sign_in(&key).await.status, StatusCode::SEE_OTHER);
    // one that is no provider
    let page = instance(&house.app, &house.app.listen().await);
    let answer = Browser::new(&page).get("/console/sso").await;
    assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, "is TRIBUTARY_OIDC_ISSUER right?");
}

#[tokio::test]
async fn a_provider_that_goes_down_between_signs_nobody_in_and_says_so() {
    let house = House::new().await;
    let app = house.instance();
    let visit = Visit::begin(&app, "").await;
    house.issuer.stop();
    let code = house.issuer.grant(&visit.to, json!({}));
    assert_refused(&visit.back(&code).await, StatusCode::SERVICE_UNAVAILABLE, "does not answer");
}

#[tokio::test]
async fn whoever_signs_in_goes_on_to_a_page_of_the_console_and_no_other_site_begins_it_for_them() {
    let house = House::new().await;
    for next in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2Fconsole%5C..%2F%2Fevil",
        "%2Fconsole%2F%0D%0Ax",
    ] {
        let app = house.instance();
        let visit = Visit::begin(&app, next).await;
        let answer = visit.back(&house.issuer.grant(&visit.to, json!({}))).await;
        assert_eq!(answer.header("refresh"), "0; url=/console", "{next}");
        assert!(!answer.text.contains("evil"), "{}", answer.text);
    }
    for from in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("sec-purpose", "prefetch")]
    {
        let answer = Browser::new(&house.app).ask(Method::GET, "/console/sso", &[from], String::new()).await;
        assert_refused(&answer, StatusCode::FORBIDDEN, "begins at the console");
    }
}

#[tokio::test]
async fn whoever_begins_again_and_again_is_slowed_down_and_what_is_over_is_forgotten() {
    let house = House::new().await;
    let browser = Browser::new(&house.app);
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(browser.get("/console/sso").await.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0);
    let waiting = "select count(*)::text from operator_sign_ins";
    assert!(house.texts(waiting).await[0].parse::<u32>().unwrap() >= 20);
    house.app.sql("update operator_sign_ins set expires_at = clock_timestamp()").await;
    Visit::begin(&house.instance(), "").await;
    assert_eq!(house.texts(waiting).await, ["1"]);
}

#[tokio::test]
async fn without_a_provider_there_is_no_link_and_no_way() {
    let app = TestApp::new().await;
    let browser = Browser::new(&app);
    assert!(!browser.page("/console/sign-in").await.contains("/console/sso"));
    for path in ["/console/sso", "/console/sso/callback?code=a&state=b"] {
        assert_refused(&browser.get(path).await, StatusCode::NOT_FOUND, "Single sign-on is not set up here");
    }
}

#[tokio::test]
async fn the_database_has_nothing_that_an_attempt_goes_on_with() {
    let house = House::new().await;
    let visit = Visit::begin(&house.app, "").await;
    let row = house.texts("select s::text from operator_sign_ins s").await.remove(0);
    let cookie = visit.browser.cookie.as_ref().unwrap().split_once('=').unwrap().1;
    let secret = crate::support::app::secret_of(cookie);
    let sent =
        visit.to.query_pairs().filter(|(name, _)| ["state", "nonce", "code_challenge"].contains(&&**name));
    for known in sent.map(|(_, value)| value.into_owned()).chain([secret.to_owned()]) {
        let hex: String = known.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!row.contains(&known) && !row.contains(&hex), "{row}");
        assert!(known == secret || !cookie.contains(&known), "nor what the provider is told");
    }
}
