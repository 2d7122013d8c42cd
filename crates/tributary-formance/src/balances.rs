//! One call that fetches the balances of an account.

use super::decode;
use super::error::CallError;
use super::gourl;
use super::message::{Answer, Method, Request};
use super::row::Balance;

/// The request for the balances of `account_id`. The id goes into the path as it
/// is: one with `/`, `?` or `#` asks for something else, and one that makes no
/// URL fails without a request.
pub fn request(account_id: &str) -> Result<Request, CallError> {
    let target = format!("/accounts/{account_id}/balances");
    let (path, query) = gourl::request_target(&target).ok_or(CallError::Url(target))?;
    Ok(Request { method: Method::Get, path, query, body: None })
}

/// Takes the answer to [`request`].
pub fn answer(answer: &Answer) -> Result<Vec<Balance>, CallError> {
    answer.decode(decode::balances)?.into_balances()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_not_escaped() {
        let asked = |id| request(id).unwrap().to_string();
        assert_eq!(asked("acc_1"), "GET /accounts/acc_1/balances");
        assert_eq!(asked("a/b"), "GET /accounts/a/b/balances");
        assert_eq!(asked("a%2Fb"), "GET /accounts/a%2Fb/balances");
        assert_eq!(asked("a?b"), "GET /accounts/a?b/balances");
        assert_eq!(asked("a#b"), "GET /accounts/a");
        assert_eq!(request("50%"), Err(CallError::Url("/accounts/50%/balances".into())));
    }

    #[test]
    fn all_balances_of_an_answer_share_its_account_and_time() {
        let body = r#"{"accountID":"other","at":"2026-03-01T12:00:00Z","balances":[
            {"amount":"+100","currency":"USD/2"},{"amount":"-7","currency":"EUR/2"}]}"#;
        let answer = super::answer(&Answer { status: 200, body: body.into() });
        let found: Vec<_> = answer
            .unwrap()
            .into_iter()
            .map(|b| (b.account_reference, b.amount.to_string(), b.asset, b.at.to_string()))
            .collect();
        let at = || "2026-03-01T12:00:00Z".to_owned();
        let expected = |amount: &str, asset: &str| ("other".into(), amount.into(), asset.into(), at());
        assert_eq!(found, [expected("100", "USD/2"), expected("-7", "EUR/2")]);
    }
}
