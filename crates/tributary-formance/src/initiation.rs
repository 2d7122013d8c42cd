//! One call that creates a payout or a transfer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decode;
use super::error::CallError;
use super::integer::Integer;
use super::message::{Answer, Method, Request};
use super::row::{PaymentType, Row};

/// The two ways in which Formance moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// To somebody else's account: `POST /payouts`.
    Payout,
    /// Between own accounts: `POST /transfers`.
    Transfer,
}

/// What a person ordered in Formance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initiation {
    /// Formance's reference, which becomes the idempotency key.
    pub reference: String,
    /// In minor units of the asset.
    pub amount: Integer,
    /// As in `USD/2`.
    pub asset: String,
    /// The account that pays.
    pub source: String,
    /// The account or beneficiary that is paid.
    pub destination: String,
    /// Sent even if empty.
    pub description: String,
    /// Sent unless empty.
    pub metadata: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    idempotency_key: &'a str,
    amount: &'a Integer,
    currency: &'a str,
    source_account_id: &'a str,
    destination_account_id: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

impl Initiation {
    /// The request, or the reason for which Formance does not ask it: an amount
    /// that is not above zero, no reference, or an asset that it cannot read.
    pub fn request(&self, movement: Movement) -> Result<Request, CallError> {
        if !self.amount.is_positive() {
            return Err(CallError::Initiation("the amount is not above zero"));
        }
        if self.reference.is_empty() {
            return Err(CallError::Initiation("the reference is missing"));
        }
        if !is_payable_asset(&self.asset) {
            return Err(CallError::Initiation("the asset cannot be read"));
        }
        let body = serde_json::to_value(Body {
            idempotency_key: &self.reference,
            amount: &self.amount,
            currency: &self.asset,
            source_account_id: &self.source,
            destination_account_id: &self.destination,
            description: &self.description,
            metadata: &self.metadata,
        });
        Ok(Request {
            method: Method::Post,
            path: movement.path().to_owned(),
            query: None,
            body: Some(body.expect("strings make JSON")),
        })
    }
}

impl Movement {
    /// The path of its requests.
    pub fn path(self) -> &'static str {
        match self {
            Self::Payout => "/payouts",
            Self::Transfer => "/transfers",
        }
    }

    /// Takes the answer to a request: the payment under its idempotency key.
    pub fn answer(self, answer: &Answer) -> Result<Row, CallError> {
        let kind = match self {
            Self::Payout => PaymentType::Payout,
            Self::Transfer => PaymentType::Transfer,
        };
        answer.decode(decode::reply)?.into_row(kind)
    }
}

/// The asset check before a request, looser than the one of storage: a code
/// without small letters and, after a slash, a whole number.
fn is_payable_asset(asset: &str) -> bool {
    let (code, precision) = asset.split_once('/').unwrap_or((asset, "0"));
    let digits = precision.strip_prefix('+').unwrap_or(precision);
    let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<i64>().is_ok();
    // A letter whose capital is more than one character has none in Go.
    let is_small = |c: char| {
        let mut upper = c.to_uppercase();
        upper.next() != Some(c) && upper.next().is_none()
    };
    !code.is_empty() && is_number && !code.chars().any(is_small)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rent() -> Initiation {
        Initiation {
            reference: "ref-1".into(),
            amount: Integer::parse("1500").unwrap(),
            asset: "USD/2".into(),
            source: "acc_1".into(),
            destination: "ben_1".into(),
            description: String::new(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn an_empty_description_is_sent_and_empty_metadata_is_not() {
        let request = rent().request(Movement::Payout).unwrap();
        assert_eq!(request.path, "/payouts");
        assert_eq!(
            request.body.unwrap(),
            serde_json::json!({
                "idempotencyKey": "ref-1", "amount": "1500", "currency": "USD/2",
                "sourceAccountId": "acc_1", "destinationAccountId": "ben_1", "description": "",
            })
        );
    }

    #[test]
    fn what_is_not_payable_is_not_asked_for() {
        let with_amount = |text: &str| Initiation { amount: Integer::parse(text).unwrap(), ..rent() };
        let unnamed = Initiation { reference: String::new(), ..rent() };
        for initiation in [with_amount("0"), with_amount("-1"), unnamed] {
            let refused = initiation.request(Movement::Transfer);
            assert!(matches!(refused, Err(CallError::Initiation(_))), "{initiation:?}");
        }
    }

    #[test]
    fn assets_are_payable_that_storage_would_refuse() {
        for asset in ["USD", "USD/2", "CUSTOM_COIN/6", "US D/2", "1", "USD/+2", "USD/0000000002"] {
            assert!(is_payable_asset(asset), "{asset}");
        }
        for asset in ["", "/2", "usd", "Usd/2", "USD/", "USD/-1", "USD/a", "USD/2/3", "USD/++2"] {
            assert!(!is_payable_asset(asset), "{asset}");
        }
    }

    #[test]
    fn a_reply_with_an_unknown_status_is_taken_as_other() {
        let body = r#"{"id":"po_1","idempotencyKey":"ref-1","amount":"1500","currency":"USD/2",
            "status":"weird","createdAt":"2026-03-01T12:00:00Z"}"#;
        let answer = Answer { status: 202, body: body.into() };
        let row = Movement::Payout.answer(&answer).unwrap();
        assert_eq!(row.payment_reference(), "ref-1");
        assert_eq!(row.payment().status.to_string(), "OTHER");
        assert_eq!(row.payment().source.as_deref(), Some(""));
    }
}
