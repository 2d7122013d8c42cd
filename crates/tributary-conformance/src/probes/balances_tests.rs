use super::*;
use crate::finding::Verdict;

fn reply(body: &str) -> Reply {
    let date = GoTime::parse(b"2026-03-01T12:00:00Z").unwrap().unix_seconds();
    Reply { target: "/".into(), status: 200, body: body.into(), date: Some(date), arrived: date }
}

fn body(account: &str, at: &str, balances: &[(&str, &str)]) -> String {
    let balances: Vec<_> = balances
        .iter()
        .map(|(asset, amount)| serde_json::json!({"currency": asset, "amount": amount}))
        .collect();
    serde_json::json!({"accountID": account, "at": at, "balances": balances}).to_string()
}

fn account(body: &str) -> Balances {
    let account = ProbedAccount { id: "a".into(), read: read(&reply(body), "a"), target: "/a".into() };
    Balances { accounts: vec![account], of: 1 }
}

#[test]
fn what_formance_would_drop_is_a_fault() {
    let at = "2026-03-01T11:00:00Z";
    let verdict = |body: &str| answered(&account(body)).verdict;
    assert_eq!(verdict(&body("a", at, &[("EUR/2", "5")])), Verdict::Ok);
    assert_eq!(verdict(&body("a", at, &[])), Verdict::Ok);
    for bad in [
        body("b", at, &[("EUR/2", "5")]),
        body("a", at, &[("EUR/2", "5"), ("EUR/2", "6")]),
        body("a", at, &[("eur", "5")]),
        body("a", at, &[("EUR/2", "5.5")]),
        body("a", "0001-01-01T00:00:00Z", &[("EUR/2", "5")]),
        "<html>".into(),
    ] {
        assert_eq!(verdict(&bad), Verdict::Fail, "{bad}");
    }
}

#[test]
fn at_grows_with_every_change_and_is_never_ahead() {
    let [early, late, future] = ["2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z", "2026-03-01T12:01:00Z"];
    let judge = |before: (&str, &str), now: (&str, &str)| {
        let [before, now] = [before, now].map(|(at, amount)| account(&body("a", at, &[("EUR/2", amount)])));
        super::at(&before, &now, &Options::default()).verdict
    };
    assert_eq!(judge((early, "5"), (early, "5")), Verdict::Ok);
    assert_eq!(judge((early, "5"), (late, "6")), Verdict::Ok);
    assert_eq!(judge((early, "5"), (early, "6")), Verdict::Fail);
    assert_eq!(judge((late, "5"), (early, "5")), Verdict::Fail);
    assert_eq!(judge((early, "5"), (future, "6")), Verdict::Fail);
}

#[test]
fn an_account_without_balances_still_has_a_time() {
    let judge = |body: &str| super::at(&account(body), &account(body), &Options::default()).verdict;
    assert_eq!(judge(&body("a", "2026-03-01T11:00:00Z", &[])), Verdict::Ok);
    assert_eq!(judge(r#"{"accountID":"a","balances":[]}"#), Verdict::Warning);
}

#[test]
fn an_id_that_breaks_a_path_is_named() {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(account_ids(&ids(&["acc_1", "a:b@c", "a~2Fb"])).verdict, Verdict::Ok);
    for bad in ["a/b", "a?b", "a#b", "50%", "a%2Fb", "..", "a\nb"] {
        let finding = account_ids(&ids(&["acc_1", bad]));
        assert!(finding.verdict == Verdict::Fail && finding.seen.contains("1 of 2 accounts"), "{bad}");
    }
}
