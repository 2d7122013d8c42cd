//! Who comes in, as whom, and how they are shut out.

use axum::http::{Method, StatusCode};
use serde_json::json;
use tributary::store::{operator_issuers, operators};
use tributary::verbs::{Access, VERBS};
use tributary_domain::Role;

use super::issuer::{Issuer, Signed};
use super::{House, Visit, assert_refused, of, session};
use crate::console::{Answer, Browser, assert_usable, hold, new_operator};
use crate::support::TestApp;

/// The name that a screen shows of whoever looks.
async fn name(browser: &Browser<'_>) -> String {
    let page = browser.page("/console").await;
    let shown = regex::Regex::new(r">([^<>]+) \(([a-z]+)\)</span>").unwrap();
    let found = shown.captures(&page).unwrap_or_else(|| panic!("{page}"));
    format!("{} {}", &found[1], &found[2])
}

#[tokio::test]
async fn whoever_signs_in_has_the_role_of_their_first_mapped_group_at_every_instance() {
    let house = House::new().await;
    let page = Browser::new(&house.app).page("/console/sign-in?next=%2Fconsole%2Fkeys").await;
    assert!(
        page.contains("href=\"/console/sso?next=%2Fconsole%2Fkeys\">Sign in with Staff login</a>"),
        "{page}"
    );
    assert_usable(&page, "the page to sign in at");
    for role in Role::ALL {
        let group = if role == Role::Viewer { "staff" } else { role.as_str() };
        let claims = json!({"sub": role.as_str(), "groups": ["staff", "others", group]});
        // the way there at one instance, and back at another
        let (one, other) = (house.instance(), house.instance());
        let mut visit = Visit::begin(&one, "%2Fconsole%2Fkeys").await;
        let code = house.issuer.grant(&visit.to, claims);
        visit.browser.app = &other;
        let answer = visit.back(&code).await;
        assert_eq!((answer.status, answer.header("refresh")), (StatusCode::OK, "0; url=/console/keys"));
        assert_usable(&answer.text, "the page after signing in");
        assert!(answer.text.contains("href=\"/console/keys\">Go on"), "{}", answer.text);
        let cookies: Vec<&str> =
            answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
        assert!(
            cookies.iter().any(|cookie| cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict")),
            "{cookies:?}"
        );
        assert!(cookies.iter().any(|cookie| cookie.starts_with("tributary-sign-in=;")), "{cookies:?}");
        for app in [&one, &other, &house.app] {
            let shown = name(&Browser { app, cookie: session(&answer) }).await;
            assert!(shown.starts_with("ann~") && shown.ends_with(role.as_str()), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_person_is_their_subject_however_they_are_called_and_nobody_passes_for_another() {
    let house = House::new().await;
    new_operator(&house.app, "ann", Role::Admin).await;
    let ann = name(&house.sign_in(json!({"sub": "1", "preferred_username": "Ann"})).await).await;
    let renamed = name(&house.sign_in(json!({"sub": "1", "preferred_username": "boss"})).await).await;
    let other = name(&house.sign_in(json!({"sub": "2", "preferred_username": "ann"})).await).await;
    let copied = json!({"sub": "3", "preferred_username": ann.split(' ').next().unwrap()});
    let copied = name(&house.sign_in(copied).await).await;
    assert_eq!(ann, renamed);
    assert!(ann.starts_with("ann~") && other.starts_with("ann~") && ann != other, "{ann} {other}");
    assert!(copied.starts_with("ann-") && copied != ann, "{copied}");
    // the same subject of another provider is somebody else
    let elsewhere = Issuer::start().await;
    let app = super::instance(&house.app, &elsewhere.url);
    let mut owner = house.app.pool.acquire().await.unwrap();
    operator_issuers::trust(&mut owner, &elsewhere.url, &[Role::Viewer]).await.unwrap();
    let visit = Visit::begin(&app, "").await;
    let answer = visit.back(&elsewhere.grant(&visit.to, json!({"sub": "1"}))).await;
    let theirs = name(&Browser { app: &app, cookie: session(&answer) }).await;
    assert!(theirs.starts_with("ann~") && theirs != ann, "{theirs}");
    // and the list says who is who
    let admin = house.sign_in(of("root", "admin")).await;
    let list = admin.page("/console/keys").await;
    for said in
        [format!("{} as 1<", house.issuer.url), format!("{} as 2<", house.issuer.url), "<td>key</td>".into()]
    {
        assert!(list.contains(&said), "{said}: {list}");
    }
}

#[tokio::test]
async fn a_role_that_changed_at_the_provider_holds_from_the_next_sign_in_for_all_sessions_and_is_audited() {
    let house = House::new().await;
    let first = house.sign_in(of("ann", "admin")).await;
    let second = house.sign_in(of("ann", "operator")).await;
    for browser in [&first, &second] {
        assert!(name(browser).await.ends_with(" operator"));
    }
    house.sign_in(of("ann", "operator")).await;
    let answer = house.come(of("ann", "nobody's")).await;
    assert_refused(&answer, StatusCode::FORBIDDEN, "ann, Staff login knows you, but none of your groups");
    for browser in [&first, &second] {
        assert_eq!(
            browser.get("/console").await.status,
            StatusCode::SEE_OTHER,
            "who has no role has no session"
        );
    }
    let audited = house.texts("select concat_ws(' ', verb, subject, details->>'role', details->>'before') from operator_audit order by id").await;
    let name = house.texts("select name from operators").await.remove(0);
    assert_eq!(audited, [format!("sign in {name} admin"), format!("sign in {name} operator admin")]);
}

#[tokio::test]
async fn whoever_is_revoked_is_out_at_once_at_every_instance_and_stays_out() {
    let house = House::new().await;
    let (one, two) = (house.sign_in(of("ann", "staff")).await, house.sign_in(of("ann", "staff")).await);
    let elsewhere = house.instance();
    let two = Browser { app: &elsewhere, cookie: two.cookie };
    let ben = house.sign_in(of("ben", "staff")).await;
    let shown = name(&one).await;
    let ann = shown.split(' ').next().unwrap();
    let admin = house.sign_in(of("root", "admin")).await;
    let revoked = admin.send("/admin/v1/operators/revoke", String::new());
    assert!(revoked.await.status.is_client_error(), "it says whom");
    let body = json!({"name": ann}).to_string();
    let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
    let answer = admin.ask(Method::POST, "/admin/v1/operators/revoke", &headers, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    for browser in [&one, &two] {
        assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
    }
    ben.page("/console").await;
    // a better group does not help, nor another name
    let back = json!({"sub": "ann", "preferred_username": "eve", "groups": ["admin"]});
    assert_refused(&house.come(back).await, StatusCode::FORBIDDEN, "eve, you were revoked here");
    assert!(operators::restore(&house.app.pool, &ann.parse().unwrap()).await.unwrap());
    assert_eq!(name(&house.sign_in(of("ann", "staff")).await).await, format!("{ann} viewer"));
}

#[tokio::test]
async fn each_role_may_by_such_a_session_what_the_table_of_verbs_says_and_nothing_else() {
    let house = House::new().await;
    for role in Role::ALL {
        let group = if role == Role::Viewer { "staff" } else { role.as_str() };
        let browser = house.sign_in(of(role.as_str(), group)).await;
        for entry in VERBS.iter().filter(|entry| matches!(entry.access, Access::Changes { .. })) {
            let may = if entry.roles().contains(&role) { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(browser.get(&entry.form_path()).await.status, may, "{role:?} {}", entry.name);
        }
    }
}

/// Approves the order by a session.
async fn approve(browser: &Browser<'_>, order: uuid::Uuid) -> Answer {
    let headers = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
    let body = json!({"order": order.to_string()}).to_string();
    browser.ask(Method::POST, "/admin/v1/payouts/approve", &headers, body).await
}

#[tokio::test]
async fn two_sessions_of_one_subject_are_one_person_to_an_order_that_takes_two() {
    let house = House::new().await;
    let order = hold(&house.app).await;
    let ann = house.sign_in(json!({"sub": "1", "preferred_username": "ann", "groups": ["approver"]})).await;
    let again = house.sign_in(json!({"sub": "1", "preferred_username": "zoe", "groups": ["approver"]})).await;
    let ben = house.sign_in(json!({"sub": "2", "preferred_username": "ann", "groups": ["approver"]})).await;
    let state = async || {
        house.texts("select state || ' ' || persons_agreed(o, 'release') from payment_orders o").await
    };
    assert_eq!(approve(&ann, order).await.status, StatusCode::OK);
    let second = approve(&again, order).await;
    assert_ne!(second.status, StatusCode::OK, "{}", second.text);
    assert_eq!(state().await, ["held 1"]);
    assert_eq!(approve(&ben, order).await.status, StatusCode::OK);
    assert_eq!(state().await, ["recorded 2"]);
}

#[tokio::test]
async fn a_provider_gives_the_roles_that_the_owner_trusts_it_with_and_no_other() {
    let house = House::without_trust().await;
    let answer = house.come(of("ann", "staff")).await;
    assert_refused(
        &answer,
        StatusCode::FORBIDDEN,
        &format!("tributary operators trust {} --roles viewer", house.issuer.url),
    );
    house.trust(&[Role::Viewer, Role::Operator]).await;
    let ann = house.sign_in(of("ann", "operator")).await;
    let ben = house.sign_in(of("ben", "staff")).await;
    for group in ["approver", "admin"] {
        let answer = house.come(of("eve", group)).await;
        assert_refused(&answer, StatusCode::FORBIDDEN, "unless the owner of the database says so");
    }
    // who has a role that it may not give any more is out
    house.trust(&[Role::Viewer]).await;
    assert_eq!(ann.get("/console").await.status, StatusCode::SEE_OTHER);
    ben.page("/console").await;
    let mut owner = house.app.pool.acquire().await.unwrap();
    assert!(operator_issuers::distrust(&mut owner, &house.issuer.url).await.unwrap());
    assert_eq!(ben.get("/console").await.status, StatusCode::SEE_OTHER);
    let listed = operators::list(&house.app.pool).await.unwrap();
    assert!(!listed.is_empty() && listed.iter().all(|operator| operator.state() == "not trusted"));
    assert_refused(&house.come(of("ben", "staff")).await, StatusCode::FORBIDDEN, "unless the owner");
}

#[tokio::test]
async fn what_the_token_leaves_out_is_asked_for_and_believed_of_the_same_person_alone() {
    let house = House::new().await;
    let bare = json!({"sub": "ann", "preferred_username": null, "groups": null});
    for (userinfo, gets_in) in [
        (json!({"sub": "ann", "email": "ann@example.com", "groups": ["operator"]}), true),
        (json!({"sub": "eve", "email": "ann@example.com", "groups": ["operator"]}), false),
        (json!({"email": "ann@example.com", "groups": ["operator"]}), false),
    ] {
        let app = house.instance();
        let visit = Visit::begin(&app, "").await;
        let code = house.issuer.grant_as(&visit.to, bare.clone(), Signed::Well, userinfo.clone());
        let answer = visit.back(&code).await;
        if gets_in {
            let shown = name(&Browser { app: &app, cookie: session(&answer) }).await;
            assert!(shown.starts_with("ann@example.com~") && shown.ends_with(" operator"), "{shown}");
        } else {
            assert_refused(&answer, StatusCode::FORBIDDEN, "the userinfo beside it is another one");
        }
    }
}

#[tokio::test]
async fn a_link_is_for_whoever_has_a_key() {
    let house = House::new().await;
    let ann = name(&house.sign_in(of("ann", "staff")).await).await;
    let app: &TestApp = &house.app;
    let made = "insert into operator_links (digest, operator_id, expires_at)
                select sha256(sha256('trl_x')), id, clock_timestamp() + interval '1 minute' from operators";
    assert_eq!(app.sql(made).await, 1);
    let answer = Browser::new(app).send("/console/link", "token=trl_x".to_owned()).await;
    assert_eq!(
        (answer.status, session(&answer)),
        (StatusCode::FORBIDDEN, None),
        "{ann} has no key that it stands for"
    );
}
