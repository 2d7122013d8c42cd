//! What is written otherwise than it is meant, and was taken for something else.

use super::*;

/// A file with one stream of transactions that has these fields besides the usual ones, which they replace.
fn stream(own: &str) -> String {
    let usual = [
        ("id", ".id"),
        ("created", ".at"),
        ("type", "PAYIN"),
        ("status", ".state"),
        ("to", "main"),
        ("statuses", "{ PENDING: [pending, held], SUCCEEDED: done }"),
    ];
    let says = |name: &str| own.lines().any(|line| line.starts_with(&format!("{name}:")));
    let usual = usual.iter().filter(|(name, _)| !says(name)).map(|(name, value)| format!("{name}: {value}"));
    let fields: Vec<String> = usual.chain(own.lines().map(str::to_owned)).collect();
    format!("pull:\n  transactions:\n    get: /t\n    rows: .\n    {}\n", fields.join("\n    "))
}

fn refused(own: &str) -> String {
    file(&stream(own)).expect_err(own)
}

#[test]
fn a_name_that_is_no_field_is_told_even_where_its_value_is_none() {
    let error = refused("creation: none");
    assert!(
        error.contains(
            "line 15, column 5: pull.transactions.creation: there is no such field: `creations` is meant?"
        ),
        "{error}"
    );
    assert!(
        refused("frobnicate: none")
            .contains("pull.transactions.frobnicate: there is no such field; there are")
    );
    assert!(
        refused("changes: { by: .at, lat: none }")
            .contains("changes.lat: there is no such field: `late` is meant?")
    );
    assert!(file(&stream("creations: none")).is_ok());
    let pays = PAYS.replace("    says: .why", "    say: none");
    assert!(
        tried(&format!("{pays}  []\n"))
            .unwrap_err()
            .contains("pay.payouts.say: there is no such field: `says`")
    );
}

const REFRESH: &str = "get: \"/t/{id}\", row: ., every: 1h, give_up: 9d }";

#[test]
fn what_may_still_change_is_said_by_statuses_that_there_are() {
    let error = refused(&format!("refresh: {{ open: [pendng, held], {REFRESH}"));
    assert!(error.contains("refresh.open: \"pendng\" is none of `statuses`: `pending` is meant?"), "{error}");
    let always = format!("statuses: none\nstatus: SUCCEEDED\nrefresh: {{ open: [pending], {REFRESH}");
    assert!(refused(&always).contains("\"pending\" is none of what `status` can be"));
    // one that becomes no record, but is followed until it does
    let left_out =
        format!("where: .state != \"queued\"\nrefresh: {{ open: [queued, pending, held], {REFRESH}");
    assert!(file(&stream(&left_out)).is_ok());
    let notes = |open: &str| {
        let (manifest, _) = file(&stream(&format!("refresh: {{ open: {open}, {REFRESH}"))).unwrap();
        manifest.streams[0].notes.clone()
    };
    assert_eq!(notes("[pending, held, done]"), [""; 0]);
    assert_eq!(notes(".state == \"held\""), [""; 0]);
    let told = notes("[pending]");
    assert!(
        matches!(told.as_slice(), [one] if one.contains("has no \"held\", which is PENDING")),
        "{told:?}"
    );
}

#[test]
fn a_text_that_is_meant_as_jq_is_no_constant() {
    let functions = |own: &str| {
        let lines = format!("functions: |\n  def changed: .at;\n  def kind_of: \"PAYIN\";\n{}", stream(own));
        file(&lines).expect_err(own)
    };
    for own in ["updated: changed", "type: kind_of", "id: changed", "let: { x: changed }", "status: kind_of"]
    {
        let name = if own.contains("kind_of") { "kind_of" } else { "changed" };
        let error = functions(own);
        let told = format!("`{name}` is a text here; write `. | {name}` for the function of `functions`");
        assert!(error.contains(&told) && error.lines().count() == 1, "{own}: {error}");
    }
    let error = refused("updated: changed_at");
    assert!(
        error
            .contains("updated: \"changed_at\" is always this, and no time; write jq, such as `.changed_at`"),
        "{error}"
    );
    assert!(refused("updated: 17").contains("is always this, and no time"));
    assert!(file(&stream("updated: 2026-03-01")).is_ok());
    let error = refused("type: if .in then \"PAYIN\" else \"PAYOUT\" end");
    assert!(error.contains("type: this is a text; write `. | if .in then"), "{error}");
    for negated in [".internal", "of_transfer"] {
        let error = refused(&format!("where: not {negated}"));
        let told = format!("where: `not` stands behind what it is about: write `{negated} | not`");
        assert!(error.contains(&told) && error.lines().count() == 1, "{error}");
    }
    let pays = PAYS.replace("money: ., to: .payee", "at: paid_at, money: ., to: .payee");
    assert!(
        tried(&format!("{pays}  []\n"))
            .unwrap_err()
            .contains("pay.payouts.made.at: \"paid_at\" is always this")
    );
}

#[test]
fn a_lookup_that_lists_says_how_long_a_list_may_go_on_elsewhere() {
    let with = |find: &str| {
        tried(&format!(
            "{}  []\n",
            PAYS.replace(
                "    says: .why",
                &format!("    says: .why\n    find: {{ get: \"/p?k={{key}}\", within: 1m, {find} }}")
            )
        ))
    };
    let error = with("rows: .items").unwrap_err();
    assert!(error.contains("pay.payouts.find: `full_at` is missing") && error.contains("`never`"), "{error}");
    assert_eq!(with("rows: .items, full_at: 20"), Ok(0));
    assert_eq!(with("rows: .items, full_at: never"), Ok(0));
    assert_eq!(with("row: ."), Ok(0));
    assert!(with("row: ., full_at: 20").unwrap_err().contains("find.full_at: belongs to `rows`"));
    assert!(with("rows: .items, full_at: 0").unwrap_err().contains("find.full_at"));
}

#[test]
fn an_order_that_the_file_refuses_can_be_an_example() {
    let order = |gives: &str| tried(&format!("{PAYS}  - {{ of: payouts, {gives} }}\n"));
    assert_eq!(order("gives: { refused: names no bank }"), Ok(1));
    let error = order("gives: { refused: names no person }").unwrap_err();
    assert!(error.contains("is refused otherwise: pay.payouts.refuse: destinationAccountId: "), "{error}");
    assert!(
        order("answered: 422, gives: { refused: x }")
            .unwrap_err()
            .contains("{ outcome: refused, reason: … }")
    );
    let error = pays("gives: { refused: names no bank }").unwrap_err();
    assert!(error.contains("it is not refused: {"), "{error}");
}

#[test]
fn an_example_that_is_written_wrong_says_what_is_meant() {
    let row = |gives: &str| {
        ledger(&format!("  - {{ of: transactions, parent: main, {ROW}, gives: {gives} }}\n")).unwrap_err()
    };
    assert!(row("{ amount: 1050 }").contains("amount is \"1050\", and not the number 1050"));
    assert!(row("{ typ: TRANSFER }").contains("a record has no `typ`: `type` is meant?"));
    assert!(row("{ frobnicate: 1 }").contains("a record has no `frobnicate`; it has "));
    let of = |example: &str| ledger(&format!("  - {example}\n")).unwrap_err();
    assert!(
        of("{ of: transaction, given: {}, gives: [] }")
            .contains("no stream \"transaction\": `transactions` is meant?")
    );
    assert!(
        of("{ of: line, given: {}, gives: [] }")
            .contains("no stream \"line\"; there are books, transactions")
    );
    assert!(of("{ of: books, given: {}, gives: [] }").contains("only feeds other streams"));
    assert!(
        of("{ of: transactions, givn: {} }")
            .contains("examples[0].givn: there is no such field: `given` is meant?")
    );
    let error = pays("sends: { pth: / }").unwrap_err();
    assert!(error.contains("a request has no `pth`: `path` is meant?"), "{error}");
    assert_eq!(pays("sends: { headers: { Idempotency-Key: 00000000-0000-4000-8000-000000000000 } }"), Ok(1));
    let error = pays("answered: 200, given: { id: 1 }, gives: { state: PENDING }").unwrap_err();
    assert!(error.contains("what is known of an order has no `state`: `status` is meant?"), "{error}");
}

#[test]
fn the_examples_of_the_documents_come_out() {
    let page = include_str!("../../../../../docs/manifest.md");
    let (_, examples) = page.split_once("```yaml\nexamples:\n").unwrap();
    let (examples, _) = examples.split_once("```").unwrap();
    let lines = r#"
pull:
  transactions:
    get: /t
    rows: .
    where: .state != "draft"
    id: .id
    created: .created_at
    money: { decimal: .amount, currency: .currency }
    account: main
    out: .direction == "out"
    status: .state
    statuses: { SUCCEEDED: done }
pay:
  payouts:
    let: { iban: .destination.metadata.iban }
    refuse: [{ where: $iban == null, says: "destinationAccountId: {$to.id} names no iban" }]
    post: /payouts
    key: { header: Idempotency-Key }
    body: { amount: $decimal, currency: $code, iban: $iban }
    made: { id: .id, status: .state, money: { decimal: .amount, currency: .currency } }
    statuses: { PENDING: open }
    no_money: [422]
    says: .message
examples:
"#;
    assert_eq!(tried(&format!("{lines}{examples}")), Ok(7));
}

#[test]
fn a_length_of_time_says_its_units_and_a_word_what_it_can_be() {
    let kept = |kept: &str| {
        tried(&format!("{}  []\n", PAYS.replace("form: uuid }", &format!("form: uuid, kept: {kept} }}"))))
    };
    for wrong in ["forever", "90 days", "3mo"] {
        let error = kept(wrong).unwrap_err();
        let told = format!("pay.payouts.key.kept: `{wrong}` is no length of time");
        assert!(
            error.contains(&told) && error.contains("s, m, h or d") && error.contains("`always`"),
            "{error}"
        );
    }
    assert_eq!((kept("90d"), kept("always")), (Ok(0), Ok(0)));
    let lines = PAYS.replace("form: uuid }", "form: uuid, kept: always }").replace("examples:\n", "");
    let (manifest, _) = file(&lines).unwrap();
    assert_eq!(manifest.payouts.unwrap().key.lifetime, Some(crate::period::Period::LONGEST));
    let error = refused("changes: { by: .at, since: { param: s, format: iso }, late: 1h, back: 9d }");
    assert!(error.contains("changes.since.format: `iso` is none of these"), "{error}");
    let error = refused("every: often");
    assert!(
        error.contains("every: `often` is no length of time: write 30s, 5m, 1h or 180d, in s, m, h or d"),
        "{error}"
    );
}

#[test]
fn what_a_webhook_has_read_is_a_stream_of_the_file() {
    let webhook = |reads: &str| {
        format!(
            "webhook:\n  header: {{ name: A, value: b }}\n  reads:\n    - {{ stream: transactions }}\n    - {reads}\n{}",
            stream("")
        )
    };
    let error = file(&webhook("{ stream: transaction }")).unwrap_err();
    assert!(error.contains("line 9, column 9: webhook.reads[1].stream: there is no stream \"transaction\": `transactions` is meant?"), "{error}");
    let error = file(&webhook("{ stream: pendings }")).unwrap_err();
    assert!(
        error.contains("there is no stream \"pendings\"; there are transactions")
            && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn what_is_wrong_with_a_default_is_told_once() {
    let lines = "defaults: { id: .id, name: .name, refresh: { row: \".[\" }, page: { sze: 1 } }\npull:\n  accounts:\n";
    let streams = ["a", "b", "c"].map(|name| {
        format!("    {name}: {{ get: /{name}, rows: ., page: {{ number: p, first: 1, size: 5, ends: empty }}, refresh: {{ open: .o, get: \"/{{id}}\", every: 1h, give_up: 9d }} }}\n")
    });
    let error = file(&format!("{lines}{}", streams.concat())).unwrap_err();
    assert_eq!(error.matches("sze").count(), 1, "{error}");
    assert!(error.contains("defaults.page.sze: there is no such field"), "{error}");
    let lines = lines.replace(", page: { sze: 1 }", "");
    let error = file(&format!("{lines}{}", streams.concat())).unwrap_err();
    assert!(error.lines().count() == 1 && error.contains("refresh.row: "), "{error}");
}
