//! What the language makes of files, and what it says of wrong ones.

use super::*;

mod meant;

/// The manifest of a whole provider file, as the service reads it.
///
/// # Panics
/// Where the file is wrong.
pub fn manifest_of(text: &str) -> Manifest {
    let mut node = Node::parse(text).unwrap_or_else(|mistake| panic!("{mistake}"));
    node.take_members(&["provider", "push", "formance", "feed", "callers", "keys", "examples"]);
    read(&node).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The files that ship, by name.
const SHIPPED: [(&str, &str); 13] = [
    ("airwallex", include_str!("../../../../providers/airwallex.yaml")),
    ("gocardless", include_str!("../../../../providers/gocardless.yaml")),
    ("mercury", include_str!("../../../../providers/mercury.yaml")),
    ("mollie", include_str!("../../../../providers/mollie.yaml")),
    ("obie", include_str!("../../../../providers/obie.yaml")),
    ("paypal", include_str!("../../../../providers/paypal.yaml")),
    ("paystack", include_str!("../../../../providers/paystack.yaml")),
    ("revolut", include_str!("../../../../providers/revolut.yaml")),
    ("square", include_str!("../../../../providers/square.yaml")),
    ("starling", include_str!("../../../../providers/starling.yaml")),
    ("stripe", include_str!("../../../../providers/stripe.yaml")),
    ("wise", include_str!("../../../../providers/wise.yaml")),
    ("xendit", include_str!("../../../../providers/xendit.yaml")),
];

#[test]
fn the_files_that_ship_are_read_and_their_examples_come_out() {
    let mut tried = Vec::new();
    for (name, text) in SHIPPED {
        let manifest = manifest_of(text);
        assert!(!manifest.streams.is_empty(), "{name}");
        if let Some(examples) = Node::parse(text).unwrap().take("examples") {
            try_examples(&manifest, &examples).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}"));
            tried.push(name);
        }
    }
    assert!(tried.contains(&"wise") && tried.contains(&"xendit"), "{tried:?}");
}

const HEAD: &str =
    "api: https://bank.example\nauth: none\nevery: 1h\nmoney: { decimal: .value, currency: .currency }\n";

/// Reads a file of these lines behind [`HEAD`].
fn file(lines: &str) -> Result<(Manifest, Node), String> {
    let mut node = Node::parse(&format!("{HEAD}{lines}")).map_err(|mistake| mistake.to_string())?;
    let examples = node.take("examples").unwrap_or_else(|| Node::mapping(node.at));
    read(&node).map(|manifest| (manifest, examples)).map_err(|mistakes| mistakes.to_string())
}

/// What the examples of a file of these lines come to.
fn tried(lines: &str) -> Result<usize, String> {
    let (manifest, examples) = file(lines)?;
    try_examples(&manifest, &examples).map_err(|mistakes| mistakes.to_string())
}

const LEDGER: &str = r#"
functions: |
  def is_fee: .kind == "fee";
pull:
  lists:
    books: { values: "main, savings" }
  transactions:
    each: books
    get: /ledger/{.}/lines?kind={$parent}&limit=9
    rows: .lines
    let: { party: .counterparty.name }
    split: .parts
    id: "{$row.id}-{n}"
    created: $row.at
    account: $parent
    out: .side == "debit"
    other: $row.counterparty.id
    type: .kind
    types: { TRANSFER: [internal], OTHER: [fee, charge] }
    status: $row.state
    statuses: { SUCCEEDED: [done, settled], PENDING: open }
    order: { key: $row.reference, where: $out, always: true }
    money: .amount
    keep: [kind, { party: $party, missing: .nothing.at.all, fixed: 7 }]
examples:
"#;

fn ledger(example: &str) -> Result<usize, String> {
    tried(&format!("{LEDGER}{example}"))
}

const ROW: &str = "given: { id: 17, at: 2026-03-01 12:00:00, state: done, counterparty: { id: 5, name: Ann }, parts: [{ n: 1, side: debit, kind: internal, amount: { value: \"10.50\", currency: EUR } }] }";

#[test]
fn fields_make_the_record_that_they_describe() {
    let gives = "{ id: 17-1, createdAt: \"2026-03-01T12:00:00Z\", type: TRANSFER, status: SUCCEEDED, amount: \"1050\", currency: EUR/2, \
                 sourceAccountID: main, destinationAccountID: \"5\", orderReference: \"-\", \
                 metadata: { kind: internal, party: Ann, fixed: \"7\" } }";
    let example = |gives: &str| format!("  - {{ of: transactions, parent: main, {ROW}, gives: {gives} }}\n");
    assert_eq!(ledger(&example(gives)), Ok(1));
    let error = ledger(&example(&gives.replace("1050", "1051"))).unwrap_err();
    assert!(error.contains("line 30") && error.contains("examples[0].gives: amount is \"1050\""), "{error}");
}

#[test]
fn what_cannot_be_read_goes_to_quarantine_with_the_name_of_its_field() {
    for (from, to, reason) in [
        ("kind: internal", "kind: strange", "type: strange is in no list of `types`"),
        ("n: 1, ", "", "id: {n} is missing"),
        ("n: 1, ", "n: \" \", ", "id: {n} is missing"),
        ("at: 2026-03-01 12:00:00, ", "", "created: null is no time"),
        ("10.50", "10.505", "money: 10.505 has more than 2 decimals"),
        ("counterparty: { id: 5, name: Ann }", "counterparty: 5", "let.party: "),
        ("parts: [{", "parts: {a: {", "split: yields object, and not a list"),
    ] {
        let mut row = crate::edited::edited(ROW, from, to);
        if to.starts_with("parts") {
            row = row.replace("}] }", "}} }");
        }
        let example = format!(
            "  - {{ of: transactions, parent: main, {row}, gives: {{ quarantined: \"{reason}\" }} }}\n"
        );
        assert_eq!(ledger(&example), Ok(1), "{row}");
    }
}

#[test]
fn lists_are_records_without_a_request_and_templates_take_jq() {
    let (manifest, _) = file(LEDGER).unwrap();
    let list = manifest.streams.iter().find(|stream| stream.name == "books").unwrap();
    assert_eq!(list.values.as_ref().unwrap().texts(), ["main", "savings"]);
    let streams = crate::plan::streams(&manifest).unwrap();
    let stream = streams.iter().find(|stream| stream.name == "transactions").unwrap();
    let parent = jaq_json::Val::from("a/b".to_owned());
    let scope = crate::jq::Scope::at(chrono::Utc::now(), parent.clone());
    let limits = crate::jq::Limits::one(std::time::Instant::now() + std::time::Duration::from_secs(5));
    let request = stream.request.build(&parent, &scope, limits).unwrap();
    let crate::wire::Target::Relative { path, query } = request.target else { panic!("below the base") };
    assert_eq!(path, "/ledger/a%2Fb/lines");
    assert_eq!(query, [("kind".to_owned(), "a/b".to_owned()), ("limit".to_owned(), "9".to_owned())]);
}

const PAYS: &str = r#"
pull: { accounts: { get: /a, rows: ., id: .id, name: .name } }
pay:
  payouts:
    let: { bank: .destination.metadata.bank }
    refuse:
      - { where: $bank == null, says: "destinationAccountId: {$to.id} names no bank" }
    post: /pay/{$from.id}
    key: { header: Idempotency-Key, form: uuid }
    body: { amount: $decimal, minor: $minor, to: { bank: $bank, nothing: .metadata.none }, note: $text }
    made: { id: .id, status: .state, money: ., to: .payee }
    statuses: { SUCCEEDED: done }
    no_money: { on: 422, where: .moved == false }
    not_looked_at: [401]
    says: .why
examples:
"#;

fn pays(example: &str) -> Result<usize, String> {
    tried(&format!(
        "{PAYS}  - {{ of: payouts, order: {{ destination: {{ id: x, type: beneficiary, metadata: {{ bank: B }} }} }}, {example} }}\n"
    ))
}

#[test]
fn an_order_is_sent_as_its_fields_say_with_the_key_where_the_provider_takes_it() {
    let sends = "sends: { path: /pay/source, headers: { idempotency-key: 00000000-0000-4000-8000-000000000000 }, \
                 body: { amount: 15.00, minor: 1500, to: { bank: B }, note: example } }";
    assert_eq!(pays(sends), Ok(1));
    let error = pays(&sends.replace("minor: 1500", "minor: 15")).unwrap_err();
    assert!(error.contains("examples[0].sends: body.minor is 1500"), "{error}");
    let refused = tried(&format!("{PAYS}  - {{ of: payouts, sends: {{ path: / }} }}\n")).unwrap_err();
    assert!(refused.contains("destinationAccountId: destination names no bank"), "{refused}");
}

#[test]
fn a_row_of_a_stream_called_payouts_is_no_order() {
    let stream = "transactions: { payouts: { get: /p, rows: ., id: .id, created: .at, type: PAYOUT, to: .to, status: SUCCEEDED } }";
    let lines = PAYS.replace("pull: {", &format!("pull: {{ {stream},"));
    let row = "{ of: payouts, given: { id: p1, at: 2026-03-01, value: 15, currency: EUR, to: x }, gives: { id: p1, amount: \"1500\" } }";
    let answer = "{ of: payouts, answered: 200, given: { id: p1, state: done }, gives: { outcome: accepted }, \
                  order: { destination: { id: x, type: beneficiary, metadata: { bank: B } } } }";
    assert_eq!(tried(&format!("{lines}  - {row}\n  - {answer}\n")), Ok(2));
}

#[test]
fn an_order_is_sent_as_a_form_where_the_file_says_so() {
    let lines = PAYS.replace("    body: {", "    form: { lines: [{ n: 1 }],");
    let sends = "sends: { headers: { content-type: application/x-www-form-urlencoded }, body: { amount: '15.00', \
                 minor: '1500', 'to[bank]': B, 'lines[0][n]': '1', note: example } }";
    let example = format!(
        "{lines}  - {{ of: payouts, order: {{ destination: {{ id: x, type: beneficiary, metadata: {{ bank: B }} }} }}, {sends} }}\n"
    );
    assert_eq!(tried(&example), Ok(1));
    let twice = lines.replace("    form:", "    body: { a: 1 }\n    form:");
    let error = file(&twice).unwrap_err();
    assert!(error.contains("pay.payouts.form: give it or `body`"), "{error}");
}

#[test]
fn an_answer_proves_what_the_file_says_that_it_proves_and_nothing_else() {
    for (answered, body, gives) in [
        (
            200,
            "{ id: p1, state: done, value: 15, currency: EUR, payee: 7 }",
            "{ outcome: accepted, id: p1, status: SUCCEEDED, amount: \"1500\", currency: EUR/2, destination: \"7\" }",
        ),
        (200, "{ id: p1, state: odd }", "{ outcome: accepted, status: PENDING, amount: null }"),
        (200, "{ state: done }", "unknown"),
        (422, "{ moved: false, why: no }", "{ outcome: refused, reason: \"no\" }"),
        (422, "{ why: no }", "unknown"),
        (401, "{}", "unsent"),
        (500, "{}", "unknown"),
    ] {
        assert_eq!(pays(&format!("answered: {answered}, given: {body}, gives: {gives}")), Ok(1), "{body}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let wrong = r#"
pull:
  accounts:
    get: /a?x={id
    rows: .list[
    id: .id
    nme: .name
  transactions:
    lines:
      each: acounts
      get: /t
      rows: .list
      page: { number: p, next: .n }
      changes: { by: .at, since: from, back: 9d }
      id: "${ID}"
      created: .at
      type: PAYMENT
      status: paid
      statuses: { SUCCEEDED: [a, b], FAILED: b }
      account: .account
      related: .of
"#;
    let error = file(wrong).unwrap_err();
    for told in [
        "line 8, column 5: pull.accounts.get: has a { that is never closed",
        "line 9, column 5: pull.accounts.rows: expected",
        "line 11, column 5: pull.accounts.nme: there is no such field: `name` is meant?",
        "line 8, column 5: pull.accounts: `name` is missing",
        "pull.transactions.lines.each: there is no stream \"acounts\": `accounts` is meant?",
        "pull.transactions.lines.page.next: belongs to `cursor`",
        "pull.transactions.lines.page: `first` is missing",
        "pull.transactions.lines.changes: `late` is missing",
        "pull.transactions.lines.id: ${NAME} is filled in only in",
        "pull.transactions.lines.type: write PAYIN, PAYOUT",
        "pull.transactions.lines.statuses.FAILED: \"b\" is listed twice",
        "pull.transactions.lines: `out` is missing",
    ] {
        assert!(error.contains(told), "{told}\n{error}");
    }
}

#[test]
fn what_the_engine_refuses_is_said_in_the_words_of_the_file() {
    for (stream, told) in [
        (
            "page: { offset: o, size: 5, ends: short }\n    changes: { by: .at, since: s, late: 1h, back: 9d }",
            "line 10, column 5: pull.accounts.page: ",
        ),
        (
            "creations: { by: .at, since: s, late: 1h, back: 9d }",
            "line 6, column 3: pull.accounts.refresh: is missing",
        ),
        (
            "changes: { by: .at, since: s, late: 0s, back: 9d }",
            "line 10, column 38: pull.accounts.changes.late: and settle",
        ),
    ] {
        let lines = format!(
            "pull:\n  accounts:\n    get: /a\n    rows: .\n    id: .id\n    name: .name\n    {stream}\n"
        );
        let error = file(&lines).unwrap_err();
        let (_, about) = told.split_once(": ").unwrap();
        assert!(error.contains(about), "{told}: {error}");
    }
}

#[test]
fn metadata_stands_in_the_namespace_of_the_file() {
    let gives = "{ metadata: { com.bank.spec/kind: internal, com.bank.spec/fixed: \"7\" } }";
    let example = format!("  - {{ of: transactions, parent: main, {ROW}, gives: {gives} }}\n");
    assert_eq!(tried(&format!("namespace: com.bank.spec/\n{LEDGER}{example}")), Ok(1));
}

#[test]
fn every_way_of_paging_and_of_finding_what_is_new_is_what_the_engine_knows_by_it() {
    use crate::manifest::{Bound, Incremental, Method, Next, Paging, Param, Stop};
    let stream = |more: &str| {
        let lines =
            format!("pull:\n  accounts:\n    get: /a\n    rows: .list\n    id: .id\n    name: .name\n{more}");
        file(&lines).unwrap_or_else(|error| panic!("{more}\n{error}")).0.streams.remove(0)
    };
    let paged = |page: &str| stream(&format!("    page: {page}\n")).paging.unwrap();
    let number = paged("{ number: p, first: 1, size: { n: 5 }, ends: .last }");
    assert!(matches!(number, Paging::Page { first: 1, stop: Stop::When(_), .. }), "{number:?}");
    let offset = paged("{ offset: skip, size: 5, ends: empty, more: .more }");
    assert!(matches!(offset, Paging::Offset { stop: Stop::EmptyPage, more: Some(_), .. }), "{offset:?}");
    let cursor = paged("{ cursor: { header: X-After }, next: { header: X-Next }, includes: true }");
    assert!(
        matches!(
            cursor,
            Paging::Cursor {
                param: Param::Header(_),
                next: Next::Header(_),
                bound: Bound::Inclusive,
                stop: Stop::NoNext,
                ..
            }
        ),
        "{cursor:?}"
    );
    let url = paged("{ url: link, may_end_full: true }");
    assert!(matches!(url, Paging::NextUrl { next: Next::Link, may_end_full: true, .. }), "{url:?}");
    let time = paged("{ after: from, time: .at, size: { n: 5 }, ends: short }");
    assert!(matches!(time, Paging::Keyset { bound: Bound::Exclusive, .. }), "{time:?}");

    let window = "{ by: .at, since: from, late: 1h, back: 9d }";
    let refresh = "    refresh: { open: .open, get: \"/a/{id}\", row: ., every: 1h, give_up: 9d }\n";
    let found = |more: &str| stream(more).incremental.unwrap();
    let changes = found(&format!("    changes: {window}\n"));
    let Incremental::UpdatedWindow(asked) = &changes else { panic!("{changes:?}") };
    assert_eq!(asked.from.bound, Bound::Exclusive, "more is asked for rather than less");
    let creations = found(&format!("    creations: {window}\n{refresh}"));
    assert!(matches!(creations, Incremental::CreatedWindow(_)), "{creations:?}");
    let days = found(&format!("    days: {window}\n"));
    assert!(matches!(days, Incremental::DateWindow(_)), "{days:?}");
    let newest = found("    newest_first: { by: .at, late: 1h, back: 9d }\n");
    assert!(matches!(newest, Incremental::DescendingFeed { .. }), "{newest:?}");
    let events = found(
        "    events: { mark: .id, after: from }\n    detail: { get: \"/a/{id}\", row: .a }\n    every: 1m\n",
    );
    assert!(matches!(events, Incremental::EventFeed { .. }), "{events:?}");

    let posted = file(
        "pull:\n  lists: { all: { values: [x] } }\n  accounts:\n    posted:\n      each: all\n      post: /search\n      body: { of: ., fixed: true }\n      rows: .\n      id: .id\n      name: .name\n",
    );
    let request = posted.unwrap().0.streams.remove(1).request;
    assert_eq!(request.method, Method::Post);
    assert!(request.body.is_some_and(|body| body.contains("\"fixed\"")));
}

#[test]
fn minor_units_are_whole_numbers_however_a_float_writes_them_and_no_major_units() {
    for (amount, gives) in [
        ("\"1050.0\"", "{ amount: \"1050\" }"),
        ("1.05E3", "{ amount: \"1050\" }"),
        ("1050", "{ amount: \"1050\" }"),
        ("\"10.00\"", "{ quarantined: \"money: 10.00 is no number of minor units\" }"),
        ("\"10.5\"", "{ quarantined: \"money: 10.5 is no number of minor units\" }"),
        ("1.05E1", "{ quarantined: \"money: \" }"),
    ] {
        let ledger = crate::edited::edited(LEDGER, "money: .amount", "money: { minor: .n, currency: EUR }");
        let row = crate::edited::edited(ROW, "n: 1,", &format!("n: {amount},"));
        let example = format!("  - {{ of: transactions, parent: main, {row}, gives: {gives} }}\n");
        assert_eq!(tried(&format!("{ledger}{example}")), Ok(1), "{amount}");
    }
}

#[test]
fn what_a_limit_closes_is_said_by_its_scope() {
    use crate::manifest::LimitScope;
    let scope = |limits: &str| {
        let lines = format!("{limits}pull:\n  accounts: {{ get: /a, rows: ., id: .id, name: .name }}\n");
        file(&lines).map(|(manifest, _)| manifest.rate_limit.scope)
    };
    assert_eq!(scope(""), Ok(LimitScope::Partition));
    assert_eq!(scope("limits: { scope: endpoint }\n"), Ok(LimitScope::Endpoint));
    assert_eq!(scope("limits: { scope: provider }\n"), Ok(LimitScope::Provider));
    let error = scope("limits: { scope: account }\n").unwrap_err();
    assert!(
        error.contains(
            "line 5, column 18: limits.scope: `account` is none of these: write partition, or endpoint, or provider"
        ),
        "{error}"
    );
}

#[test]
fn a_list_that_may_be_left_out_is_told_from_an_error() {
    let stream = |rows: &str| {
        let lines = format!("pull:\n  accounts:\n    get: /a\n    {rows}\n    id: .id\n    name: .name\n");
        file(&lines).map(|(mut manifest, _)| manifest.streams.remove(0).list_when)
    };
    let error = stream("rows: .list // []").unwrap_err();
    assert!(error.contains("pull.accounts: `list_when` is missing"), "{error}");
    for rows in ["rows: .list // []", "row: .account"] {
        let when = stream(&format!("{rows}\n    list_when: .ok == true")).unwrap();
        assert_eq!(when.as_deref(), Some(".ok == true"), "{rows}");
    }
    let error = stream("rows: .list\n    list_when: .ok ==").unwrap_err();
    assert!(error.contains("pull.accounts.list_when: expected"), "{error}");
}
