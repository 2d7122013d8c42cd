//! Who may ask.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn with_oauth(rotates: bool) -> (Arc<Standin>, ManualClock) {
    let clock = ManualClock::new(noon());
    let oauth = OAuth {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned(),
        refresh_token: "refresh".to_owned(),
        lifetime_seconds: 2_400,
        rotates,
    };
    let config = StandinConfig { oauth: Some(oauth), clock: Clock::Manual(clock.clone()), ..config() };
    (Arc::new(Standin::new(&Mercury, config).unwrap()), clock)
}

async fn grant(standin: &Arc<Standin>, form: &str) -> Answer {
    let request =
        Request::post("/oauth2/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(standin, request.body(Body::from(form.to_owned())).unwrap()).await.unwrap()
}

async fn refresh(standin: &Arc<Standin>, refresh_token: &str) -> Answer {
    let client = "client_id=client&client_secret=secret";
    grant(standin, &format!("grant_type=refresh_token&{client}&refresh_token={refresh_token}")).await
}

fn text(answer: &Answer, field: &str) -> String {
    answer.ok()[field].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let standin = open(&Mercury);
    for token in ["", "other", "secret-token:of-the-tes"] {
        let answer = get_with(&standin, ALL, token).await;
        assert_eq!(answer.status, 401, "{token}");
        assert_eq!(answer.json()["errors"]["errorCode"], "unauthorized");
    }
    let request = Request::get(ALL).body(Body::empty()).unwrap();
    assert_eq!(send(&standin, request).await.unwrap().status, 401);
    get(&standin, ALL).await.ok();
    assert_eq!(get(&standin, "/api/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn a_fetched_token_ends_after_its_time_and_another_one_follows() {
    let (standin, clock) = with_oauth(false);
    assert_eq!(get(&standin, ALL).await.status, 401, "the first token has to be fetched, too");
    let first = text(&refresh(&standin, "refresh").await, "access_token");
    get_with(&standin, ALL, &first).await.ok();
    clock.advance(Duration::from_secs(2_400));
    assert_eq!(get_with(&standin, ALL, &first).await.status, 401);
    let second = text(&refresh(&standin, "refresh").await, "access_token");
    get_with(&standin, ALL, &second).await.ok();
    assert_eq!(get_with(&standin, ALL, &first).await.status, 401);
    assert_eq!(standin.token_tally(), TokenTally { given: 2, refused: 0 });
}

#[tokio::test]
async fn a_refresh_token_that_rotates_is_dead_after_its_use() {
    let (standin, _) = with_oauth(true);
    let next = text(&refresh(&standin, "refresh").await, "refresh_token");
    assert_eq!(refresh(&standin, "refresh").await.status, 400);
    refresh(&standin, &next).await.ok();
    assert_eq!(refresh(&standin, &next).await.status, 400);
    assert_eq!(standin.token_tally(), TokenTally { given: 2, refused: 2 });
}

#[tokio::test]
async fn a_token_may_die_between_two_pages() {
    let (standin, _) = with_oauth(false);
    let token = text(&refresh(&standin, "refresh").await, "access_token");
    standin.set_faults(Faults { expired_token: Some(When::every(2).at_most(1)), ..Faults::default() });
    get_with(&standin, ALL, &token).await.ok();
    for _ in 0..2 {
        let answer = get_with(&standin, ALL, &token).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["errors"]["errorCode"].as_str()),
            (401, Some("tokenExpired"))
        );
    }
    assert_eq!(standin.fired().expired_tokens, 2);
    let token = text(&refresh(&standin, "refresh").await, "access_token");
    get_with(&standin, ALL, &token).await.ok();
}

#[tokio::test]
async fn a_client_may_show_who_it_is_by_a_signed_assertion() {
    let (standin, _) = with_oauth(false);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let assertion = |alg: &str, subject: &str| {
        let head = part(&format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
        let claims = part(&format!(
            r#"{{"iss":"example.com","sub":"{subject}","aud":"https://bank","exp":4102444800}}"#
        ));
        format!("{head}.{claims}.{}", part("signature"))
    };
    let form = |assertion: &str| {
        format!("grant_type=refresh_token&refresh_token=refresh&client_assertion={assertion}")
    };
    grant(&standin, &form(&assertion("RS256", "client"))).await.ok();
    for bad in
        [assertion("none", "client"), assertion("RS256", "other"), "a.b".to_owned(), "a.b.c".to_owned()]
    {
        assert_eq!(grant(&standin, &form(&bad)).await.status, 400, "{bad}");
    }
}
