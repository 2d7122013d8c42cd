//! `tributary manifest try`: pieces of a file, tried by hand and without a server, a database or variables.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::support::edited;
use crate::support::process::Place;

const FILE: &str = r#"provider: acme
api: "${ACME_URL:-https://api.acme.example}"
auth: { bearer: "${ACME_TOKEN}" }
every: 10m
money: { decimal: .amount, currency: .currency }
functions: |
  def shout: ascii_upcase;
pull:
  accounts: { get: /accounts, rows: ., id: .id, name: .name }
  transactions:
    get: /transactions
    rows: .
    id: .id
    created: .created_at
    account: $parent.id // .account
    out: .direction == "out"
    status: .status
    statuses: { SUCCEEDED: done, PENDING: open }
pay:
  payouts:
    post: /payouts
    key: { header: Idempotency-Key, form: uuid, kept: 1d }
    body: { amount: $decimal, currency: $code, reference: $key }
    made: { id: .id, status: .status, money: . }
    statuses: { PENDING: open, SUCCEEDED: done }
    no_money: [400]
    find: { get: "/payouts?reference={key}", rows: .items, full_at: 20, within: 5m }
webhook:
  hmac:
    algorithm: sha256
    secret: "${ACME_WEBHOOK_SECRET}"
    header: Acme-Signature
    field: v1
    signed: "{timestamp}.{body}"
    timestamp: { header: Acme-Signature, field: t }
  reads:
    - { where: '.body.type == "payment"', stream: transactions }
examples:
  - of: payouts
    given: { id: p1, status: open, amount: "15.00", currency: EUR }
    gives: { id: p1, status: PENDING }
"#;

struct Setup(Place);

impl Setup {
    fn new(name: &str, file: &str) -> Self {
        let place = Place::new(name);
        std::fs::write(place.0.join("providers/acme.yaml"), file).unwrap();
        Self(place)
    }

    /// Exit code and what was printed, with `input` on standard input.
    async fn run(&self, args: &[&str], input: &str) -> (i32, String) {
        let mut command = self.0.command(&[&["manifest", "try"], args].concat());
        command.env_remove("ACME_TOKEN").env("ACME_WEBHOOK_SECRET", "a-secret-of-the-test");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    }
}

#[tokio::test]
async fn a_row_becomes_a_record_or_the_reason_names_the_field_what_it_holds_and_the_line() {
    let setup = Setup::new("try_row", FILE);
    let row = r#"{"id":"t1","created_at":"2026-01-01T00:00:00Z","amount":"10.50","currency":"EUR","account":"a","direction":"out","status":"done"}"#;
    let (code, text) = setup.run(&["row", "acme", "transactions"], row).await;
    assert!(
        code == 0 && text.contains(r#""amount": "1050""#) && text.contains(r#""type": "PAYOUT""#),
        "{text}"
    );
    for (from, to, why, field) in [
        (r#""id":"t1""#, r#""id":null"#, "id: is null, and not a text", "id"),
        ("2026-01-01T00:00:00Z", "yesterday", "created: \"yesterday\" is no time", "created"),
        ("10.50", "1O.50", "money: 1O.50 is no amount", "money"),
    ] {
        let (code, text) = setup.run(&["row", "acme", "transactions"], &edited(row, from, to)).await;
        let line =
            FILE.lines().position(|line| line.trim_start().starts_with(&format!("{field}: "))).unwrap();
        // the first `id` of the file is in a mapping on one line
        let line = format!("line {} of the file", line + 1);
        assert!(code == 1 && text.contains(&format!("QUARANTINE: {why}")), "{why}: {text}");
        assert!(text.contains(&line), "{line}: {text}");
    }
    let (code, text) = setup.run(&["row", "acme", "transactions"], &format!("[{row},{row}]")).await;
    assert!(code == 0 && text.matches("\"t1\"").count() == 2, "{text}");
    let (code, text) = setup.run(&["row", "acme", "payments"], row).await;
    assert!(
        code == 2 && text.contains("there is no stream \"payments\"; there are accounts, transactions"),
        "{text}"
    );
}

#[tokio::test]
async fn a_filter_sees_the_functions_of_the_file() {
    let setup = Setup::new("try_filter", FILE);
    let (code, text) = setup.run(&["filter", "acme", ".a[] | shout"], r#"{"a":["x","y"]}"#).await;
    assert_eq!((code, text.as_str()), (0, "\"X\"\n\"Y\"\n"));
    let (code, text) = setup.run(&["filter", "acme", "whisper"], "1").await;
    assert!(code == 1 && text.contains("FAILS: undefined filter whisper"), "{text}");
    let (code, text) = setup.run(&["filter", "acme", "\"${HOME}\""], "1").await;
    assert!(code == 1 && text.contains("${HOME}"), "{text}");
}

/// What came of each mishap: its last line.
fn ends(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("; requests ")).map(str::trim).collect()
}

#[tokio::test]
async fn a_payout_is_tried_through_lost_answers_and_moves_money_once() {
    let setup = Setup::new("try_payout", FILE);
    let found = r#"{"items":[{"id":"p1","status":"done","amount":"15.00","currency":"EUR"}]}"#;
    std::fs::write(setup.0.0.join("found.json"), found).unwrap();
    std::fs::write(setup.0.0.join("missing.json"), r#"{"items":[]}"#).unwrap();
    let args = ["payout", "acme", "--found", "found.json", "--missing", "missing.json"];
    let (code, text) = setup.run(&args, "").await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("POST /payouts\nidempotency-key: "), "{text}");
    assert!(text.contains(r#""amount":15"#) && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(
        ends(&text),
        [
            "pending; requests 1, MONEY MOVED 1",
            "pending; requests 1, MONEY MOVED 1",
            "succeeded; requests 1, MONEY MOVED 1",
            "succeeded; requests 1, MONEY MOVED 1",
            "succeeded; requests 1, MONEY MOVED 1",
            // not found, so that it is sent again under its key
            "pending; requests 2, MONEY MOVED 1",
            "pending; requests 2, MONEY MOVED 1",
        ],
        "{text}"
    );
    // a provider that knows no keys is never asked twice
    std::fs::write(setup.0.0.join("providers/acme.yaml"), edited(FILE, ", kept: 1d", "")).unwrap();
    let (code, text) = setup.run(&args, "").await;
    assert_eq!(
        (code, ends(&text)[5], ends(&text)[6]),
        (0, "parked; requests 1, MONEY MOVED 0", "parked; requests 1, MONEY MOVED 0")
    );
    // the answer is of another payment
    let answer = setup.0.0.join("answer.json");
    std::fs::write(&answer, r#"{"id":"p1","status":"open","amount":"15.01","currency":"EUR"}"#).unwrap();
    let (_, text) = setup.run(&[&args[..], &["--answer", "answer.json"]].concat(), "").await;
    assert!(text.contains("it is another payment: it says 1501, and 1500 was ordered"), "{text}");
    assert_eq!(ends(&text)[0], "parked; requests 1, MONEY MOVED 1");
}

#[tokio::test]
async fn a_payout_is_tried_by_the_example_of_the_file_and_says_where_that_proves_nothing() {
    // the answer of the example is listed where `find` looks
    let setup = Setup::new("try_payout_listed", FILE);
    let (code, text) = setup.run(&["payout", "acme"], "").await;
    assert!(code == 0 && text.contains("At most, MONEY MOVED 1") && !text.contains("NOT TRIED"), "{text}");
    assert_eq!(ends(&text)[2], "pending; requests 1, MONEY MOVED 1", "a lookup found it: {text}");
    // the order is that of the example, or else in the first asset of the limits
    let order =
        edited(FILE, "  - of: payouts\n", "  - of: payouts\n    order: { amount: \"150\", currency: JPY }\n");
    let order = edited(&order, "amount: \"15.00\", currency: EUR", "amount: \"150\", currency: JPY");
    let setup = Setup::new("try_payout_example", &order);
    let (code, text) = setup.run(&["payout", "acme"], "").await;
    assert!(code == 0 && text.contains(r#""currency":"JPY""#), "{text}");
    let limits = edited(
        FILE,
        "pay:\n",
        "pay:\n  limits: [{ asset: USD/2, per_payment: \"100000\", per_day: \"100000\" }]\n",
    );
    let setup = Setup::new("try_payout_limits", &limits);
    let answer = r#"{"id":"p1","status":"open","amount":"15.00","currency":"USD"}"#;
    std::fs::write(setup.0.0.join("answer.json"), answer).unwrap();
    let (code, text) = setup.run(&["payout", "acme", "--answer", "answer.json"], "").await;
    assert!(code == 0 && text.contains(r#""currency":"USD/2""#), "{text}");
    // a list that is made by more than a path cannot be guessed
    let odd = edited(FILE, "rows: .items,", "rows: .items | map(.payout),");
    let setup = Setup::new("try_payout_odd", &odd);
    let (code, text) = setup.run(&["payout", "acme"], "").await;
    assert!(code == 2 && text.contains("NOT TRIED further: give what `find` is answered with once the payment is there, with --found FILE"), "{text}");
    // one that does not hold the payment by its `where` would have it sent again
    let other = edited(FILE, "rows: .items,", "rows: .items, where: .reference == $key,");
    let setup = Setup::new("try_payout_where", &other);
    let (code, text) = setup.run(&["payout", "acme"], "").await;
    assert!(
        code == 2 && text.contains("does not hold the payment by its `where`: give it with --found FILE"),
        "{text}"
    );
}

#[tokio::test]
async fn a_provider_that_forgets_a_key_that_the_file_says_it_keeps_is_not_blamed_on_the_order() {
    let setup = Setup::new("try_refused", FILE);
    std::fs::write(setup.0.0.join("order.json"), r#"{"currency":"EUR/4"}"#).unwrap();
    let (code, text) = setup.run(&["payout", "acme", "--order", "order.json"], "").await;
    assert!(code == 1 && text.contains("is REFUSED with 400: ") && text.contains("EUR/4"), "{text}");
    let (code, text) = setup.run(&["transfer", "acme"], "").await;
    assert!(code == 2 && text.contains("the file has no `pay.transfers`"), "{text}");
}

#[tokio::test]
async fn a_call_is_signed_here_and_proves_itself_or_is_refused_with_the_reason_and_no_secret() {
    let setup = Setup::new("try_webhook", FILE);
    std::fs::write(setup.0.0.join("body.json"), r#"{"type":"payment"}"#).unwrap();
    let at = ["--at", "2026-03-01T12:00:00Z"];
    let signed = [&["webhook", "acme", "--body", "body.json"][..], &at].concat();
    let (code, text) = setup.run(&signed, "").await;
    assert!(code == 0 && text.contains("202, without a body\nreads transactions"), "{text}");
    assert!(text.contains("This shows that the file fits the body, and nothing of the secret"), "{text}");
    let header = text.lines().find(|line| line.starts_with("Acme-Signature: t=1772366400,v1=")).unwrap();
    let call = |body: &str| format!("POST /webhooks/acme HTTP/1.1\r\n{header}\r\n\r\n{body}");
    let given = [&["webhook", "acme"][..], &at].concat();
    for (body, expected, told) in [
        (r#"{"type":"payment"}"#, 0, "reads transactions"),
        (r#"{"type":"refund"}"#, 1, "401: no code matches"),
        ("{\"type\":\"payment\"}\n", 1, "without the line break at the end of the body it proves itself"),
    ] {
        let (code, text) = setup.run(&given, &call(body)).await;
        assert!(code == expected && text.contains(told), "{body}: {text}");
        assert!(!text.contains("a-secret-of-the-test"), "{text}");
    }
    let late = ["webhook", "acme", "--at", "2026-03-01T12:05:01Z"];
    let (code, text) = setup.run(&late, &call(r#"{"type":"payment"}"#)).await;
    assert!(code == 1 && text.contains("it was sent at 2026-03-01T12:00:00Z, 301 s from now"), "{text}");
}
