use tributary_manifest::Period;

use super::*;

fn parse(text: &str) -> Result<Provider, String> {
    Provider::parse(text, &|name| (name == "ACME_KEY").then(|| "0123456789abcdef".to_owned()))
}

#[test]
fn the_smallest_file_is_two_lines() {
    let provider = parse("provider: acme\npush: all\n").unwrap();
    assert_eq!(provider.name.as_str(), "acme");
    assert_eq!(provider.formance, FormanceVersion::Current);
    assert_eq!(
        provider.pace,
        FeedPace { per_second: 100, parent_wait: std::time::Duration::from_secs(86_400) }
    );
}

#[test]
fn a_payout_that_cannot_be_found_again_is_warned_of_whether_variables_are_set_or_not() {
    let file = |find: &str| {
        format!(
            "provider: acme\napi: https://bank.example\nauth: {{ bearer: \"${{TOKEN}}\" }}\nevery: 1m\n\
             pull: {{ accounts: {{ get: /a, rows: ., id: .id, name: .name }} }}\npay:\n  payouts:\n    \
             post: /pay\n    key: {{ header: Key }}\n    made: {{ id: .id }}\n    no_money: [400]\n{find}"
        )
    };
    for token in [None, Some("a-token".to_owned())] {
        let parse = |text: &str| Provider::parse(text, &|_| token.clone()).unwrap().warnings;
        let told =
            |warnings: &[String]| warnings.iter().any(|told| told.contains("pay.payouts has no `find`"));
        assert!(told(&parse(&file(""))), "{token:?}");
        let find = "    find: { get: \"/pay/{key}\", row: ., missing: [404], within: 1m }\n";
        assert!(!told(&parse(&file(find))), "{token:?}");
    }
}

#[test]
fn a_variable_in_jq_is_refused_with_what_to_write() {
    let file = "provider: acme\napi: https://bank.example\nauth: none\nevery: 1m\npull:\n  accounts:\n    \
                get: /a\n    rows: .\n    where: .name == \"${NAME}\"\n    id: .id\n    name: .name\n";
    let error = parse(file).unwrap_err();
    for told in ["line 9", "pull.accounts.where", "${NAME} would stay as it is", "Write the text itself"] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn a_file_with_open_questions_may_be_read_but_neither_pulled_nor_paid() {
    let file = "provider: acme\npush: all # QUESTION: what else?\n# QUESTION: and why?\n";
    let provider = parse(file).unwrap();
    assert_eq!(provider.questions, [(2, "what else?".to_owned()), (3, "and why?".to_owned())]);
    assert!(provider.require_answers().unwrap_err().contains("has open questions (2)"));
    assert!(parse("provider: acme\npush: all\n").unwrap().require_answers().is_ok());
}

#[test]
fn versions_are_read_with_and_without_quotes() {
    for text in ["3.1", "\"3.1\""] {
        let provider =
            parse(&format!("provider: acme\npush: all\nformance: {{ version: {text} }}\n")).unwrap();
        assert_eq!(provider.formance, FormanceVersion::V3_1);
    }
}

#[test]
fn keys_come_from_the_environment_only() {
    let file =
        |key: &str| format!("provider: acme\npush: all\nkeys:\n  - {{ scope: connector, key: \"{key}\" }}\n");
    assert_eq!(parse(&file("${ACME_KEY}")).unwrap().keys.len(), 1);
    let unset = parse(&file("${OTHER}")).unwrap();
    assert!(unset.keys.is_empty() && unset.warnings[0].contains("OTHER"));
    assert!(parse(&file("plain text secret")).unwrap_err().contains("keys[0]"));
}

#[test]
fn all_variables_that_are_not_set_are_named_at_once() {
    let file = |auth: &str| {
        format!(
            "provider: acme\napi: ${{ACME_URL}}\nauth: {{ bearer: \"{auth}\" }}\nevery: 1m\nheaders: {{ A: \"${{ACME_A:-x}}\" }}\n\
             pull: {{ accounts: {{ get: /a, rows: ., id: .id, name: .name }} }}\n"
        )
    };
    let told = |auth: &str| parse(&file(auth)).unwrap().warnings.concat();
    assert!(told("${ACME_TOKEN}").contains("the environment variables ACME_URL, ACME_TOKEN must be set"));
    assert!(told("t").contains("the environment variable ACME_URL must be set"));
}

#[test]
fn a_status_that_is_pending_and_not_followed_is_noted() {
    let file = "provider: acme\napi: https://bank.example\nauth: none\nevery: 1m\nmoney: { decimal: .a, currency: .c }\npull:\n  \
                transactions: { get: /t, rows: ., id: .id, created: .at, type: PAYIN, to: a, status: .s, statuses: { PENDING: [held, open] }, \
                refresh: { open: [open], get: \"/t/{id}\", row: ., every: 1h, give_up: 9d } }\n";
    let warnings = parse(file).unwrap().warnings;
    assert!(
        warnings.iter().any(|told| told.contains("pull.transactions.refresh.open has no \"held\"")),
        "{warnings:?}"
    );
}

#[test]
fn a_webhook_whose_secret_is_not_set_keeps_nothing_from_being_pulled() {
    let file = include_str!("../../../providers/stripe.yaml");
    let with = |set: &'static [&'static str]| {
        let lookup = move |name: &str| set.contains(&name).then(|| "http://127.0.0.1:1".to_owned());
        Provider::parse(file, &lookup).unwrap()
    };
    let unset = with(&["STRIPE_URL", "STRIPE_KEY"]);
    let Source::Pull(manifest) = &unset.source else { panic!("{:?}", unset.warnings) };
    assert!(manifest.webhook.is_none());
    assert!(unset.warnings.iter().any(|warning| warning.contains("STRIPE_WEBHOOK_SECRET must be set")));
    let set = with(&["STRIPE_URL", "STRIPE_KEY", "STRIPE_WEBHOOK_SECRET"]);
    let Source::Pull(manifest) = &set.source else { panic!("{:?}", set.warnings) };
    assert!(manifest.webhook.is_some());
}

#[test]
fn a_key_that_a_file_brings_twice_is_refused_with_both_places() {
    let key = |scope: &str, more: &str| format!("  - {{ scope: {scope}, key: \"${{ACME_KEY}}\"{more} }}\n");
    let file = |keys: &[String]| format!("provider: acme\npush: all\nkeys:\n{}", keys.concat());
    let error = parse(&file(&[key("connector", ""), key("ingest", "")])).unwrap_err();
    assert!(error.contains("keys[0] and keys[1]") && !error.contains("0123456789abcdef"), "{error}");
    let named = |name: &str| parse(&file(&[key("pay", &format!(", name: {name}"))]));
    assert_eq!(named("payroll").unwrap().keys[0].name, "payroll");
    assert_eq!(parse(&file(&[key("pay", "")])).unwrap().keys[0].name, "pay");
    assert!(named("'a b'").unwrap_err().contains("keys[0].name"));
}

fn limit(callers: &str) -> Result<(u32, u32), String> {
    let provider = parse(&format!("provider: acme\npush: all\n{callers}\n"))?;
    Ok((provider.limit.per_second.get(), provider.limit.burst.get()))
}

#[test]
fn a_limit_of_requests_has_room_for_a_call_of_the_connector() {
    assert_eq!(limit(""), Ok((1_000, 10_000)));
    assert_eq!(limit("callers: { requests: 200/s }"), Ok((200, 2_000)));
    assert_eq!(limit("callers: { requests: 1/s }"), Ok((1, 22)));
    assert_eq!(limit("callers: { requests: 5/s, burst: 22 }"), Ok((5, 22)));
    assert_eq!(limit("feed: { pace: 1000000/s }\ncallers: { requests: 5/s }"), Ok((5, 10_002)));
}

#[test]
fn few_payments_are_ordered_at_once_unless_the_file_says_more() {
    let limit = |callers: &str| {
        let provider = parse(&format!("provider: acme\npush: all\n{callers}\n")).unwrap();
        let limit = provider.payment_limit.0;
        (limit.per_second.get(), limit.burst.get())
    };
    assert_eq!(limit(""), (5, 10));
    assert_eq!(limit("callers: { payments: 50/s }"), (50, 100));
    assert_eq!(limit("callers: { payments_burst: 1 }"), (5, 1));
}

#[test]
fn a_limit_that_makes_no_sense_is_refused_with_what_does() {
    for (callers, told) in [
        ("{ requests: 0/s }", "callers.requests: take 1/s to 1000000/s"),
        ("{ requests: 1000001/s }", "callers.requests: take 1/s"),
        ("{ requests: 60/m }", "callers.requests: take 1/s"),
        ("{ requests: fast }", "line 3, column 22: callers.requests: `fast` is no rate: write 5/s"),
        ("{ burst: 0 }", "callers.burst: 0 is not from 22 to 10000000"),
        ("{ burst: 21 }", "may need 22 requests in a row"),
        ("{ burst: 10000001 }", "callers.burst: 10000001"),
        ("{ reqests: 5/s }", "`requests` is meant?"),
        ("{ payments: 0/s }", "callers.payments: take 1/s to 1000/s"),
        ("{ payments_burst: 10001 }", "callers.payments_burst: 10001 is not from 1 to 10000"),
    ] {
        let error = limit(&format!("callers: {callers}")).unwrap_err();
        assert!(error.contains(told), "{callers}: {error}");
    }
    let error = limit("feed: { pace: 5000/s }\ncallers: { burst: 51 }").unwrap_err();
    assert!(error.contains("from 52"), "{error}");
}

const PULLED: &str =
    "provider: acme\napi: ${ACME_URL}\nauth: none\nevery: 1m\nmoney: { minor: .a, currency: .c }\n";

#[test]
fn mistakes_are_told_all_at_once_with_their_lines_and_what_to_do() {
    let file = format!(
        "{PULLED}pull:\n  accounts:\n    get: /a\n    rows: .list[\n    id: .id\n  transactions:\n    gte: /t\n    rows: .list\n"
    );
    let error = parse(&file).unwrap_err();
    for told in [
        "line 9, column 5: pull.accounts.rows: expected",
        "line 8, column 5: pull.accounts: `name` is missing",
        "line 12, column 5: pull.transactions.gte: there is no such field: `get` is meant?",
    ] {
        assert!(error.contains(told), "{told}\n{error}");
    }
}

#[test]
fn one_description_serves_many_connections_each_with_its_own_variables() {
    let description = format!("{PULLED}pull:\n  accounts: {{ get: /a, rows: ., id: .id, name: .name }}\n");
    let environment = |name: &str| (name == "BERLIN_URL").then(|| "https://berlin.example".to_owned());
    let used = |more: &str| {
        let text = format!("provider: berlin\nuses: acme\n{more}");
        Provider::parse_beside(&text, &environment, &|name| (name == "acme").then(|| description.clone()))
    };
    let provider = used("set: { ACME_URL: \"${BERLIN_URL}\" }\nevery: 1h\n").unwrap();
    let Source::Pull(manifest) = provider.source else { panic!("it is pulled") };
    assert_eq!((manifest.base_url.as_str(), provider.name.as_str()), ("https://berlin.example", "berlin"));
    assert_eq!(manifest.every, Period::from_seconds(3600));
    for (more, told) in [
        ("", "set: is missing ACME_URL: acme asks for it"),
        ("set: { ACME_URL: x, ACME_KEY: y }\n", "set.ACME_KEY: acme asks for no such variable"),
        ("set: { ACME_URL: x }\nauth: none\n", "auth: is said by the description"),
    ] {
        let error = used(more).unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
    }
    let error = parse("provider: berlin\nuses: molie\n").unwrap_err();
    assert!(error.contains("`mollie` is meant?"), "{error}");
    let unset = used("set: { ACME_URL: \"${PARIS_URL}\" }\n").unwrap();
    assert!(unset.warnings[0].contains("PARIS_URL"), "{:?}", unset.warnings);
}

#[test]
fn what_may_be_paid_is_read_in_minor_units() {
    let pay = |text: &str| parse(&format!("provider: acme\npush: all\npay: {text}\n"));
    let policy = pay(
        r#"{ source_accounts: [a], retry_guard: 15s, expire_after: 2h, limits: [{ asset: GBP/2, per_payment: "1000" }] }"#,
    )
    .unwrap()
    .payments;
    assert_eq!((policy.guard.as_secs(), policy.expire_after.as_secs()), (15, 7_200));
    assert!(!parse("provider: acme\npush: all\n").unwrap().payments.is_on(), "unless a file says so");
    assert_eq!(policy.limits["GBP/2"].per_payment.unwrap().minor_units(), 1000);
    for (text, about) in [
        (r#"{ limits: [{ asset: GBP/2, per_day: "1.50" }] }"#, "pay.limits[0].per_day"),
        ("{ limits: [{ asset: pounds }] }", "pay.limits[0].asset"),
        ("{ limits: [{ asset: JPY }, { asset: JPY }] }", "listed twice"),
        ("{ limits: [{ asset: JPY, approvals: 2 }] }", "pay.limits[0].approvals: say above which amount"),
        (
            "{ limits: [{ asset: JPY, require_approval_above: '5', approvals: 0 }] }",
            "pay.limits[0].approvals: write 1 to 10",
        ),
        ("{ retry_guard: 5s }", "pay.retry_guard: take at least 12s"),
        ("{ expire_after: 59s }", "pay.expire_after: take at least 1m"),
        ("{ limits: [] }", "pay.limits: lists no asset"),
        ("{ source_accounts: [] }", "pay.source_accounts: lists no account"),
        ("{ source_accounts: [], limits: [{ asset: JPY }] }", "pay.source_accounts: lists no account"),
        ("{ limits: [{ asset: JPY, per_year: '1' }] }", "per_year"),
    ] {
        let error = pay(text).unwrap_err();
        assert!(error.contains(about), "{about}: {error}");
    }
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let error = parse("provider: acme\npush: all\nfeed:\n  pase: 5/s\n").unwrap_err();
    assert!(error.contains("pase") && error.contains("line 4"), "{error}");
    assert!(parse("provider: acme\npush: some\n").unwrap_err().contains("write all"));
    assert!(parse("provider: acme\npush: [payees]\n").unwrap_err().contains("push[0]: write accounts"));
    let both = parse("provider: acme\npush: all\nevery: 5m\n").unwrap_err();
    assert!(both.contains("line 3, column 1: every: belongs to a provider that is pulled"), "{both}");
    assert!(parse("provider: acme\n").unwrap_err().contains("`pull` is missing"));
    assert!(parse("provider: Acme\npush: all\n").unwrap_err().contains("Acme"));
}
