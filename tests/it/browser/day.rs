//! A day at a bank, as its people live it at the page: a refused group, a payment of two persons, a key, one record.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::process::Child;
use tributary::store;
use tributary_domain::Status;
use tributary_standin::kit::{Running, Standin};

use super::window::{Driver, LIGHT, Window};
use crate::support::process::{FILE_KEY, Place, stop};
use crate::support::till::{Formance, MANIFEST, SECRET, TOKEN, impatient, now, number, order_of, small_bank};
use crate::support::{edited, server, with_fast_feed};

/// The bank's file as its engineer has it in the end: who approves, and what is kept.
fn right_file() -> String {
    let quick = with_fast_feed(&impatient(MANIFEST));
    let limits = "limits: [{ asset: GBP/2, require_approval_above: \"1000\", approvals: 2 }]";
    let careful = edited(&quick, "limits: [{ asset: GBP/2 }]", limits);
    let keeping = edited(&careful, "provider: starling\n", "provider: starling\nkeep_raw: 30d\n");
    format!("{keeping}\nkeys:\n  - {{ scope: connector, key: \"${{ACME_KEY}}\" }}\n")
}

/// And as it was in the morning.
fn wrong_file() -> String {
    edited(&right_file(), "id: .feedItemUid\n    created", "id: .feedItemId\n    created")
}

/// The program before the bank, and what the test knows besides.
struct House {
    place: Place,
    url: String,
    pool: PgPool,
    bank: Arc<Standin>,
    at_the_bank: Running,
}

impl House {
    async fn new() -> Self {
        let (bank, at_the_bank) = small_bank().await;
        let place = Place::new("day");
        std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
        let url = server::new_database().await;
        let pool = store::connect(&url, 2).await.unwrap();
        Self { place, url, pool, bank, at_the_bank }
    }

    fn write(&self, file: &str) {
        std::fs::write(self.place.0.join("providers/starling.yaml"), file).unwrap();
    }

    /// Starts the program; gives the addresses of its two listeners.
    async fn serve(&self) -> (Child, String, String) {
        let (server, address) = self
            .place
            .serve_as(|command| {
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &self.url);
                command.env("STARLING_URL", &self.at_the_bank.url).env("STARLING_TOKEN", TOKEN);
                command.env("TRIBUTARY_PAYMENT_SECRET", SECRET);
            })
            .await;
        let operator = format!("http://{}", self.place.operator(&address));
        (server, format!("http://{address}"), operator)
    }

    /// What a command of the owner of the database prints.
    async fn owner(&self, args: &[&str]) -> String {
        let output = self.place.command(args).env("DATABASE_URL", &self.url).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A window in which a new operator has signed in.
    async fn operator(&self, driver: &Driver, origin: &str, name: &str, role: &str) -> Window {
        let key = self.owner(&["operators", "create", name, "--role", role]).await;
        let window = driver.window(origin, LIGHT).await;
        window.sign_in(&key).await;
        window
    }
}

/// Previews the group with the mended file at the page; nothing is written by that.
async fn preview(window: &Window, house: &House) {
    window.go("/console/quarantine").await;
    window.click("//main//tbody//a").await;
    window.until("Latest reason").await;
    window.write("file", &right_file()).await;
    window.press("Preview").await;
    window.until("would be taken").await;
    assert_eq!(number(&house.pool, "select count(*) from transactions").await, 0);
    window.photograph("a-preview").await;
}

/// Has the whole group replayed at the page.
async fn replay(window: &Window) {
    window.go("/console/quarantine").await;
    window.click("//main//tbody//a").await;
    window.press("Try all again").await;
    window.press("Try again").await;
    window.until("No record of this group is left in quarantine.").await;
    window.photograph("a-replayed-group").await;
}

#[tokio::test]
#[ignore = "needs Chromium: make browser"]
async fn a_refused_group_a_payment_of_two_a_key_and_one_record() {
    let house = House::new().await;
    house.write(&wrong_file());
    let (morning, _, origin) = house.serve().await;
    let driver = Driver::start().await;
    let olga = house.operator(&driver, &origin, "olga", "operator").await;
    olga.until("in quarantine").await;
    preview(&olga, &house).await;
    olga.close().await;

    // the engineer puts the file in its place
    stop(morning).await;
    house.write(&right_file());
    let (server, address, origin) = house.serve().await;
    let olga = house.operator(&driver, &origin, "oleg", "operator").await;
    replay(&olga).await;
    assert!(number(&house.pool, "select count(*) from transactions").await > 0);

    // Formance orders a payment, and two persons approve it
    let mut formance = Formance::over(&address, FILE_KEY);
    let account: String =
        sqlx::query_scalar("select id from accounts limit 1").fetch_one(&house.pool).await.unwrap();
    let payee: String =
        sqlx::query_scalar("select id from beneficiaries limit 1").fetch_one(&house.pool).await.unwrap();
    let initiation = order_of("invoice-17", 1500, &account, &payee);
    assert!(formance.kept.initiate("invoice-17", now()));
    assert_eq!(formance.send(&initiation).await.unwrap().payment().status.to_string(), "PENDING");
    let ann = house.operator(&driver, &origin, "ann", "approver").await;
    let ben = house.operator(&driver, &origin, "ben", "approver").await;
    super::approve(&ann).await;
    assert!(house.bank.movements().is_empty(), "one person is not enough");
    super::approve(&ben).await;
    ben.reload_until("attempt 1 was sent").await;
    house.bank.move_payment(&house.bank.movements()[0].key, Status::Succeeded);
    ben.reload_until("succeeded").await;
    ben.photograph("a-settled-order").await;
    assert_eq!(house.bank.movements().len(), 1);

    // a key is rotated, and its successor is shown once
    house
        .owner(&["keys", "create", "--provider", "starling", "--name", "formance", "--scope", "connector"])
        .await;
    let adam = house.operator(&driver, &origin, "adam", "admin").await;
    adam.go("/console/keys").await;
    adam.press("Rotate").await;
    adam.press("Make a successor").await;
    let shown = adam.until("once").await;
    let key = regex::Regex::new(r"trb_\S+").unwrap().find(&shown).map(|key| key.as_str().to_owned());
    let key = key.unwrap_or_else(|| panic!("no key is shown:\n{shown}"));
    let answer = super::client().get(format!("{address}/accounts")).bearer_auth(&key).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    adam.go("/console/keys").await;
    assert!(!adam.text().await.contains(&key), "it is shown once");

    // and one record is followed from the bank to Formance's poll
    formance.take().await;
    let id: String = sqlx::query_scalar(
        "select id from transactions where related_transaction_id is null order by id limit 1",
    )
    .fetch_one(&house.pool)
    .await
    .unwrap();
    olga.go("/console/records").await;
    olga.write("name", &id).await;
    olga.press("Show").await;
    let story = olga.reload_until("has it, by").await;
    for said in ["It came from", "asked for at", "feedItemUid", "It was published", "Position"] {
        assert!(story.contains(said), "{said}:\n{story}");
    }
    olga.photograph("a-story").await;
    for window in [olga, ann, ben, adam] {
        window.assert_kept_to_itself().await;
        window.close().await;
    }
    stop(server).await;
}
