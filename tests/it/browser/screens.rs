//! Every screen in light and dark, on a phone, and without a script.

use tributary::console::SCREENS;
use tributary_domain::Role;

use super::window::{DARK, Driver, LIGHT, Look, PHONE, WITHOUT_SCRIPT, Window};
use crate::console::{Shown, new_operator};
use crate::statements::{day, mt940};
use crate::support::TestApp;

/// Serves the console on a port of its own until the test ends; gives its origin.
async fn serve(app: &TestApp) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = app.operator.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// What a picture of a screen is called.
fn name(screen: &str) -> String {
    let name = screen.trim_start_matches("/console").trim_start_matches('/');
    match name {
        "" => "overview".to_owned(),
        name => name.replace(['{', '}'], "").replace('/', "-"),
    }
}

/// The path of a bank statement on this machine.
fn statement_file() -> String {
    let path = std::env::temp_dir().join(format!("tributary-{}.sta", std::process::id()));
    std::fs::write(&path, mt940(&day(9, 781, &[19, 20]))).unwrap();
    path.display().to_string()
}

async fn signed_in(driver: &Driver, origin: &str, look: Look, key: &str) -> Window {
    let window = driver.window(origin, look).await;
    window.sign_in(key).await;
    window
}

#[tokio::test]
#[ignore = "needs Chromium: make browser"]
async fn everybody_can_use_every_screen_and_nothing_leaves_its_origin() {
    let shown = Shown::new().await;
    let origin = serve(&shown.app).await;
    let key = new_operator(&shown.app, "ann", Role::Admin).await;
    let driver = Driver::start().await;
    let mut barriers = Vec::new();
    for look in [LIGHT, DARK, PHONE] {
        let window = driver.window(&origin, look).await;
        window.go("/console/sign-in").await;
        window.photograph("sign-in").await;
        barriers.extend(
            window.barriers().await.into_iter().map(|found| format!("sign-in, {}: {found}", look.name)),
        );
        window.sign_in(&key).await;
        for screen in SCREENS {
            window.go(&shown.path(screen)).await;
            window.photograph(&name(screen)).await;
            let found = window.barriers().await;
            barriers.extend(found.into_iter().map(|found| format!("{screen}, {}: {found}", look.name)));
            let overflow = window.overflow().await;
            if overflow > 0 {
                barriers.push(format!("{screen}, {}: {overflow} pixels wider than the window", look.name));
            }
        }
        window.assert_kept_to_itself().await;
        window.close().await;
    }
    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
}

#[tokio::test]
#[ignore = "needs Chromium: make browser"]
async fn without_a_script_the_pages_are_whole_and_their_forms_work() {
    let shown = Shown::new().await;
    let origin = serve(&shown.app).await;
    let key = new_operator(&shown.app, "ann", Role::Operator).await;
    let driver = Driver::start().await;
    let with = signed_in(&driver, &origin, LIGHT, &key).await;
    let without = signed_in(&driver, &origin, WITHOUT_SCRIPT, &key).await;
    // times go on from page to page
    let digits = regex::Regex::new(r"\d+").unwrap();
    for screen in SCREENS {
        let path = shown.path(screen);
        with.go(&path).await;
        without.go(&path).await;
        let lines = |text: String| -> Vec<String> {
            text.lines().map(|line| digits.replace_all(line.trim(), "#").into_owned()).collect()
        };
        let (more, plain) = (lines(with.text().await), lines(without.text().await));
        let of_the_script = |line: &str| line.contains("Copy") || line == "Pause refreshing";
        assert!(!plain.iter().any(|line| of_the_script(line)), "{screen}: it has no script");
        for line in more.iter().filter(|line| !of_the_script(line)) {
            assert!(plain.contains(line), "{screen}: only a script shows {line:?}");
        }
    }
    without.go("/console/quarantine/1").await;
    without.press("Try again").await;
    without.press("Try again").await;
    without.until("tried again").await;
    without.go("/console/statements?provider=acme").await;
    let file = statement_file();
    without.write("file", &file).await;
    without.press("Upload").await;
    let said = without.until("What became of the files").await;
    std::fs::remove_file(file).unwrap();
    assert!(said.contains("2 records created") && said.contains("published"), "{said}");
    without.assert_kept_to_itself().await;
    for window in [with, without] {
        window.close().await;
    }
}
