//! Against a Formance as it was recorded: where nothing differs nothing is found, each kind of difference is found
//! and named, and what cannot be read to its end is never called equal.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

use super::command;
use super::twin::{Books, TOKEN, Twin, reference_of};

/// Compares; gives the exit code and the report.
async fn verify(twin: &Twin) -> (i32, Value, String) {
    let mut command = command(&["verify", "--url", &twin.url, "--output", "json"]);
    let output = command.output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report, errors)
}

#[tokio::test]
async fn nothing_differs_where_nothing_does() {
    let Some(twin) = Twin::start().await else { return };
    let (code, report, errors) = verify(&twin).await;
    assert_eq!((code, &report["differences"]), (0, &json!([])), "{errors}{report:#}");
    assert_eq!(report["compared"], json!({"accounts": 46, "balances": 6, "initiations": 4, "payments": 320}));
    let table = command(&["verify", "--url", &format!("{}/v3/", twin.url), "--provider", "trib"])
        .output()
        .await
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("compared 320 payments, 46 accounts, 6 balances and 4 initiations: nothing differs"),
        "{table}"
    );
}

/// The order of the recording that went through.
const ORDER: &str = "order-1";
/// An account with a balance, and its asset.
const ACCOUNT: (&str, &str) = ("081a5c13-7785-4b73-9ec1-469c8d51e97b", "EUR/2");

/// What is wrong, what is said of it (subject, what, field, within the reason), and how it is made wrong.
type Planted =
    (&'static str, &'static [(&'static str, &'static str, &'static str, &'static str)], fn(&mut Books));

const PLANTED: &[Planted] = &[
    ("an amount off by one", &[("payment", "different", "amount", "")], |books| {
        let id = books.single(3);
        let amount = &mut books.payment(&id)["amount"];
        *amount = json!(amount.as_i64().unwrap() + 1);
    }),
    (
        "an amount above 2^53, rounded",
        &[
            ("payment", "different", "amount", "rounded"),
            ("payment", "different", "initial_amount", "rounded"),
        ],
        |books| {
            let id = books.single(3);
            books.entries(&id)[0]["amount"] = json!("9007199254740993");
            let payment = books.payment(&id);
            payment["amount"] = json!(9_007_199_254_740_992_u64);
            payment["initialAmount"] = json!(9_007_199_254_740_992_u64);
        },
    ),
    (
        "a status that was never told",
        &[("payment", "different", "status", "DISPUTE was never told of it")],
        |books| {
            let id = books.single(3);
            books.payment(&id)["status"] = json!("DISPUTE");
        },
    ),
    (
        "a status that was told before",
        &[(
            "payment",
            "different",
            "status",
            "told under another status since: PENDING was told with the date",
        )],
        |books| books.payment("order-2")["status"] = json!("PENDING"),
    ),
    ("a payment that was passed over", &[("payment", "missing", "", "passed over")], |books| {
        let id = books.single(3);
        books.payments.retain(|payment| payment["reference"] != *id);
    }),
    ("a payment from before its window", &[("payment", "missing", "", "before its window")], |books| {
        let id = books.feed["transactions"][0]["id"].clone();
        books.payments.retain(|payment| payment["reference"] != id);
    }),
    ("a payment that was never told", &[("payment", "extra", "", "never told")], |books| {
        let mut payment = books.payments[0].clone();
        payment["id"] = books.id("stranger", Some("PAYOUT")).into();
        books.payments.push(payment);
    }),
    (
        "one movement as two payments",
        &[("payment", "extra", "", "belongs to the payment order-1")],
        |books| {
            let row = books.feed["transactions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|row| row["relatedTransactionID"] == ORDER);
            let row = row.unwrap()["id"].as_str().unwrap().to_owned();
            let mut payment = books.payment(ORDER).clone();
            payment["id"] = books.id(&row, Some("PAYOUT")).into();
            books.payments.push(payment);
        },
    ),
    ("a payment under two types", &[("payment", "extra", "", "under two types")], |books| {
        let mut payment = books.payment(ORDER).clone();
        payment["id"] = books.id(ORDER, Some("TRANSFER")).into();
        payment["type"] = json!("TRANSFER");
        books.payments.push(payment);
    }),
    ("a payment twice", &[("payment", "duplicate", "", "")], |books| {
        let first = books.payments[0].clone();
        books.payments.insert(0, first);
    }),
    (
        "entries that are merged into one payment",
        &[("payment", "different", "initial_amount", "merged in it")],
        |books| {
            let (id, mut child) = (books.single(3), books.feed["transactions"][0].clone());
            child["relatedTransactionID"] = json!(id);
            (child["id"], child["amount"]) = (json!("child"), json!("77"));
            child["type"] = books.entries(&id)[0]["type"].clone();
            child["createdAt"] = books.entries(&id)[0]["createdAt"].clone();
            child["status"] = books.entries(&id)[0]["status"].clone();
            child["updatedAt"] = json!("2026-11-28T08:50:52.700000Z");
            let entries = books.feed["transactions"].as_array_mut().unwrap();
            let place = entries
                .iter()
                .position(|row| row["updatedAt"].as_str() > child["updatedAt"].as_str())
                .unwrap();
            entries.insert(place, child);
            books.payment(&id)["initialAmount"] = json!(77);
        },
    ),
    ("another account", &[("payment", "different", "source", "")], |books| {
        let other = books.id(ACCOUNT.0, None);
        books.payment(ORDER)["sourceAccountID"] = json!(other);
    }),
    ("another asset", &[("payment", "different", "asset", "")], |books| {
        let id = books.single(3);
        books.payment(&id)["asset"] = json!("JPY");
    }),
    ("another balance", &[("balance", "different", "amount", "no poll will mend it")], |books| {
        books.balances.get_mut(ACCOUNT.0).unwrap()[0]["balance"] = json!(400_018);
    }),
    ("a balance that Formance lacks", &[("balance", "missing", "", "not polled since")], |books| {
        books.balances.get_mut(ACCOUNT.0).unwrap().clear();
    }),
    ("a balance that Formance has alone", &[("balance", "extra", "", "does not list this asset")], |books| {
        let balances = books.balances.get_mut(ACCOUNT.0).unwrap();
        let mut other = balances[0].clone();
        other["asset"] = json!("SEK/2");
        balances.push(other);
    }),
    ("an account that was passed over", &[("account", "missing", "", "passed over")], |books| {
        let id = books.feed["accounts"][1]["id"].clone();
        books.accounts.retain(|account| account["reference"] != id);
    }),
    ("an account that was never told", &[("account", "extra", "", "")], |books| {
        let of = |account: &&Value| account["type"] == "INTERNAL";
        let mut account = books.accounts.iter().find(of).unwrap().clone();
        (account["id"], account["reference"]) = (json!(books.id("stranger", None)), json!("stranger"));
        books.accounts.push(account);
    }),
    ("a beneficiary taken for an account", &[("beneficiary", "different", "type", "")], |books| {
        let of = |account: &&mut Value| account["type"] == "EXTERNAL";
        books.accounts.iter_mut().find(of).unwrap()["type"] = json!("INTERNAL");
    }),
    (
        "an initiation that is missing",
        &[("initiation", "missing", "", "ordered by somebody else")],
        |books| {
            books.initiations.retain(|initiation| initiation["reference"] != ORDER);
        },
    ),
    (
        "an initiation that failed, though money moved",
        &[("initiation", "different", "status", "do not press Retry")],
        |books| {
            let of = |initiation: &&mut Value| initiation["reference"] == ORDER;
            books.initiations.iter_mut().find(of).unwrap()["status"] = json!("FAILED");
        },
    ),
    (
        "an initiation that stays at PROCESSING",
        &[("initiation", "different", "status", "at a later date")],
        |books| {
            let of = |initiation: &&mut Value| initiation["reference"] == ORDER;
            books.initiations.iter_mut().find(of).unwrap()["status"] = json!("PROCESSING");
        },
    ),
    ("an initiation that we do not know", &[("initiation", "extra", "", "we know no such order")], |books| {
        let of = |initiation: &&Value| initiation["reference"] == ORDER;
        let mut other = books.initiations.iter().find(of).unwrap().clone();
        other["reference"] = json!("order-of-another-life");
        books.initiations.push(other);
    }),
    ("a schedule that is paused", &[("schedule", "paused", "", "401 unauthorized")], |books| {
        let of = |schedule: &&mut Value| schedule["id"].as_str().unwrap().ends_with("-FETCH_PAYMENTS");
        let schedule = books.schedules.iter_mut().find(of).unwrap();
        schedule["pausedAt"] = json!("2026-11-28T10:00:00Z");
        schedule["pausedReason"] = json!("401 unauthorized");
    }),
];

#[tokio::test]
async fn every_kind_of_difference_is_found_and_named_and_nothing_else() {
    for (what, expected, plant) in PLANTED {
        let Some(twin) = Twin::start().await else { return };
        plant(&mut twin.books());
        let (code, report, errors) = verify(&twin).await;
        assert_eq!(code, 1, "{what}: {errors}{report:#}");
        let found = report["differences"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{what}: {report:#}");
        for (found, (of, kind, field, reason)) in found.iter().zip(*expected) {
            let says = |name: &str| found[name].as_str().unwrap_or_default();
            assert_eq!((says("of"), says("what"), says("field")), (*of, *kind, *field), "{what}: {found:#}");
            assert!(says("reason").contains(reason), "{what}: {found:#}");
            assert!(!says("id").is_empty() && found["waiting"] == false, "{what}: {found:#}");
        }
    }
}

/// A payment that Formance has not polled yet, and a balance that was confirmed anew; the last poll began at
/// `polled`.
fn not_polled(books: &mut Books, polled: &str) {
    let id = books.single(3);
    let mut entry = books.entries(&id)[0].clone();
    entry["id"] = json!("news");
    books.tell(entry);
    let mut status = books.entries(&id)[0].clone();
    status["status"] = json!("DISPUTE");
    status["createdAt"] = json!("2026-11-28T08:55:00Z");
    books.tell(status);
    books.feed["balances"][ACCOUNT.0]["at"] = json!("2099-01-01T00:00:00Z");
    books.feed["balances"][ACCOUNT.0]["balances"][0]["amount"] = json!("1");
    books.instances = vec![json!({"createdAt": polled, "terminated": true})];
}

fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[tokio::test]
async fn what_formance_has_not_polled_yet_waits_and_is_no_difference() {
    let Some(twin) = Twin::start().await else { return };
    not_polled(&mut twin.books(), &now());
    // what is told lies ahead of the last poll, by far
    for entry in twin.books().feed["transactions"].as_array_mut().unwrap().iter_mut().rev().take(2) {
        let at = entry["updatedAt"].as_str().unwrap().replace("2026-", "2099-");
        entry["updatedAt"] = json!(at);
    }
    let (code, report, errors) = verify(&twin).await;
    assert_eq!(code, 0, "{errors}{report:#}");
    let found = report["differences"].as_array().unwrap();
    assert_eq!(
        (found.len(), &report["waiting"], &report["different"]),
        (3, &json!(3), &json!(0)),
        "{report:#}"
    );
    for found in found {
        assert!(
            found["reason"].as_str().unwrap().contains("not polled yet: the last poll began at"),
            "{found:#}"
        );
    }
}

#[tokio::test]
async fn what_formance_does_not_poll_any_more_is_a_difference() {
    let Some(twin) = Twin::start().await else { return };
    not_polled(&mut twin.books(), "2026-11-28T08:51:30Z");
    let (code, report, errors) = verify(&twin).await;
    assert_eq!((code, report["differences"].as_array().unwrap().len()), (1, 3), "{errors}{report:#}");
    for found in report["differences"].as_array().unwrap() {
        assert!(
            found["reason"].as_str().unwrap().contains("not polled since 2026-11-28T08:51:30Z"),
            "{found:#}"
        );
    }
    // and if it says itself that it does not
    for schedule in &mut twin.books().schedules {
        schedule["pausedAt"] = json!("2026-11-28T09:00:00Z");
    }
    let (code, report, _) = verify(&twin).await;
    assert_eq!(code, 1);
    let of_payments =
        report["differences"].as_array().unwrap().iter().filter(|found| found["of"] == "payment");
    for found in of_payments {
        let reason = found["reason"].as_str().unwrap();
        assert!(reason.contains("FETCH_PAYMENTS is paused since 2026-11-28T09:00:00Z"), "{found:#}");
    }
}

#[tokio::test]
async fn what_a_poll_passed_by_without_taking_it_is_a_difference() {
    let Some(twin) = Twin::start().await else { return };
    not_polled(&mut twin.books(), &now());
    let (code, report, errors) = verify(&twin).await;
    assert_eq!(code, 1, "{errors}{report:#}");
    let of_payments: Vec<&Value> =
        report["differences"].as_array().unwrap().iter().filter(|found| found["of"] == "payment").collect();
    assert_eq!(of_payments.len(), 2, "{report:#}");
    for found in of_payments {
        assert!(found["reason"].as_str().unwrap().contains("did not take it"), "{found:#}");
    }
}

#[tokio::test]
async fn what_changes_while_it_is_compared_is_no_difference() {
    let Some(twin) = Twin::start().await else { return };
    // before the second page, Formance polls what was told after our feed was read: one payment goes in front of
    // those that are listed already, and moves all others; one comes on a page that is still to be read
    twin.books().before = Some(("/v3/payments", 2, |books| {
        let id = books.single(3);
        for (news, place) in [("front", 0), ("behind", books.payments.len())] {
            let mut entry = books.entries(&id)[0].clone();
            entry["id"] = json!(news);
            books.tell(entry);
            let mut payment = books.payment(&id).clone();
            payment["id"] = json!(books.id(news, payment["type"].as_str()));
            books.payments.insert(place, payment);
        }
    }));
    let (code, report, errors) = verify(&twin).await;
    assert_eq!((code, &report["differences"]), (0, &json!([])), "{errors}{report:#}");
    assert_eq!(report["compared"]["payments"], 322, "it did change");
}

#[tokio::test]
async fn a_page_that_fails_in_the_middle_is_never_called_equal() {
    for (path, from) in [
        ("/v3/connectors", 1),
        ("/v3/accounts", 1),
        ("/v3/payments", 3),
        ("/v3/payment-initiations", 1),
        ("/feed/accounts", 1),
        ("/feed/transactions", 1),
        ("/feed/accounts/081a5c13-7785-4b73-9ec1-469c8d51e97b/balances", 1),
    ] {
        let Some(twin) = Twin::start().await else { return };
        twin.books().fails = Some((path, from));
        let (code, report, errors) = verify(&twin).await;
        assert_eq!((code, report), (2, Value::Null), "{path}: {errors}");
        assert!(errors.contains("500"), "{path}: {errors}");
    }
    // nor is a list that ends in an amount which no whole number is
    let Some(twin) = Twin::start().await else { return };
    twin.books().payments.last_mut().unwrap()["amount"] = json!(1.5);
    let (code, _, errors) = verify(&twin).await;
    assert!(code == 2 && errors.contains("no whole number"), "{errors}");
}

#[tokio::test]
async fn formance_is_entered_with_a_token_or_with_credentials() {
    let Some(twin) = Twin::start().await else { return };
    twin.books().token = Some(TOKEN);
    let url = format!("{}/api/payments", twin.url);
    let run = async |variables: &[(&str, &str)]| {
        let output =
            command(&["verify", "--url", &url]).envs(variables.iter().copied()).output().await.unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains(TOKEN) && !text.contains("a-secret"), "{text}");
        (output.status.code().unwrap(), text)
    };
    let (code, text) = run(&[]).await;
    assert!(code == 2 && text.contains("is the token valid"), "{text}");
    assert_eq!(run(&[("FORMANCE_TOKEN", TOKEN)]).await.0, 0);
    let credentials = [("FORMANCE_CLIENT_ID", "me"), ("FORMANCE_CLIENT_SECRET", "a-secret")];
    assert_eq!(run(&credentials).await.0, 0);
    let (code, text) = run(&credentials[..1]).await;
    assert!(code == 2 && text.contains("set both"), "{text}");
}

#[tokio::test]
async fn the_connector_is_the_one_that_is_named_and_ours_is_where_it_says() {
    let Some(twin) = Twin::start().await else { return };
    let run = async |args: &[&str], key: Option<&str>| {
        let mut command = command(&["verify", "--url", &twin.url]);
        command.args(args).envs(key.map(|key| ("TRIBUTARY_CONNECTOR_KEY", key)));
        let output = command.output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let mut other = twin.books().connectors[0].clone();
    (other["id"], other["name"]) = (json!("other"), json!("beta"));
    twin.books().connectors.push(other);
    let (code, error) = run(&[], None).await;
    assert!(code == 2 && error.contains("--provider: trib, beta"), "{error}");
    assert_eq!(run(&["--provider", "trib"], None).await, (0, String::new()));
    let (code, error) = run(&["--provider", "gamma"], None).await;
    assert!(code == 2 && error.contains("no connector gamma"), "{error}");
    // a Formance that keeps the key to itself
    twin.books().connectors[0]["config"] = json!({"pollingPeriod": "30m"});
    let (code, error) = run(&["--provider", "trib"], None).await;
    assert!(code == 2 && error.contains("--endpoint"), "{error}");
    let endpoint = format!("{}/feed/", twin.url);
    let (code, error) = run(&["--provider", "trib", "--endpoint", &endpoint], None).await;
    assert!(code == 2 && error.contains("TRIBUTARY_CONNECTOR_KEY"), "{error}");
    let named = ["--provider", "trib", "--endpoint", &endpoint];
    assert_eq!(run(&named, Some(super::twin::KEY)).await, (0, String::new()));
    let (code, error) = run(&named, Some("trb_wrong")).await;
    assert!(code == 2 && error.contains("401") && !error.contains("trb_wrong"), "{error}");
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line =
        tokio::time::timeout(Duration::from_secs(120), lines.next_line()).await.expect("a look in time");
    serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap()
}

#[tokio::test]
async fn watching_tells_what_came_and_what_went() {
    let Some(twin) = Twin::start().await else { return };
    let mut command = command(&["verify", "--url", &twin.url, "--watch", "1s", "--output", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = next(&mut lines).await;
    assert_eq!((&first["new"], &first["different"]), (&json!([]), &json!(0)), "{first:#}");
    let order = twin.books().payment(ORDER)["amount"].clone();
    twin.books().payment(ORDER)["amount"] = json!(5);
    let mut seen = next(&mut lines).await;
    if seen["new"] == json!([]) {
        seen = next(&mut lines).await;
    }
    assert_eq!((&seen["new"][0]["field"], &seen["gone"]), (&json!("amount"), &json!([])), "{seen:#}");
    twin.books().payment(ORDER)["amount"] = order;
    while seen["different"] != 0 {
        seen = next(&mut lines).await;
    }
    assert_eq!((&seen["new"], &seen["gone"][0]["field"]), (&json!([]), &json!("amount")), "{seen:#}");
    let id = child.id().unwrap();
    std::process::Command::new("kill").arg(id.to_string()).status().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0), "as of the last look");
}

#[test]
fn references_are_read_out_of_ids() {
    assert_eq!(reference_of("eyJSZWZlcmVuY2UiOiJhIn0"), "a");
}
