//! The bodies of the API: field names, types and optional fields as in the bank's own sample
//! answers.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::lives::{Direction, Status};
use super::money::Currency;

/// A time in milliseconds since 1970, written like `2019-10-25T22:37:51.094Z`.
#[derive(Clone, Copy)]
pub(super) struct Millis(pub i64);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// An amount in minor units of its currency.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Money {
    pub currency: &'static str,
    pub minor_units: i64,
}

impl Money {
    pub fn new(currency: &Currency, minor_units: i64) -> Self {
        Self { currency: currency.code, minor_units }
    }
}

#[derive(Serialize)]
pub(super) struct Accounts {
    pub accounts: Vec<Account>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub account_uid: Uuid,
    pub default_category: Uuid,
    pub currency: &'static str,
    pub created_at: Millis,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Balance {
    pub cleared_balance: Money,
    pub effective_balance: Money,
    pub pending_transactions: Money,
    pub accepted_overdraft: Money,
    pub amount: Money,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavingsGoals {
    pub savings_goal_list: Vec<SavingsGoal>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavingsGoal {
    pub savings_goal_uid: Uuid,
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Money>,
    pub total_saved: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_percentage: Option<i64>,
}

/// Borrows the payees, which never change: they can be many.
#[derive(Serialize)]
pub(super) struct Payees<'a> {
    pub payees: &'a [Payee],
}

/// Absent values are written as `null` here, and left out everywhere else: so does the bank.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payee {
    pub payee_uid: Uuid,
    pub payee_name: String,
    pub phone_number: Option<String>,
    pub payee_type: &'static str,
    pub first_name: &'static str,
    pub middle_name: Option<&'static str>,
    pub last_name: &'static str,
    pub business_name: Option<String>,
    pub date_of_birth: Option<NaiveDate>,
    pub accounts: Vec<PayeeAccount>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayeeAccount {
    pub payee_account_uid: Uuid,
    pub description: String,
    pub default_account: bool,
    pub country_code: &'static str,
    pub account_identifier: String,
    pub bank_identifier: String,
    pub bank_identifier_type: &'static str,
}

/// One feed item; text that the directory holds is borrowed, since one answer may hold a million.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeedItem<'a> {
    pub feed_item_uid: Uuid,
    pub category_uid: Uuid,
    pub amount: Money,
    pub source_amount: Money,
    pub direction: Direction,
    pub updated_at: Millis,
    pub transaction_time: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_time: Option<Millis>,
    pub source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_sub_type: Option<&'static str>,
    pub status: Status,
    #[serde(flatten)]
    pub counter_party: CounterParty<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub country: &'static str,
    pub spending_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_note: Option<&'static str>,
}

/// The other side of a feed item.
#[derive(Serialize)]
pub(super) struct CounterParty<'a> {
    #[serde(rename = "counterPartyType")]
    pub kind: &'static str,
    #[serde(rename = "counterPartyUid")]
    pub uid: Uuid,
    #[serde(rename = "counterPartyName")]
    pub name: &'a str,
    #[serde(rename = "counterPartySubEntityUid", skip_serializing_if = "Option::is_none")]
    pub sub_uid: Option<Uuid>,
    #[serde(rename = "counterPartySubEntityName", skip_serializing_if = "Option::is_none")]
    pub sub_name: Option<&'a str>,
    #[serde(rename = "counterPartySubEntityIdentifier", skip_serializing_if = "Option::is_none")]
    pub sub_identifier: Option<&'a str>,
    #[serde(rename = "counterPartySubEntitySubIdentifier", skip_serializing_if = "Option::is_none")]
    pub sub_sub_identifier: Option<&'a str>,
}

/// The error body of everything but a bad token.
#[derive(Serialize)]
pub(super) struct Errors {
    pub errors: [ErrorMessage; 1],
    pub success: bool,
}

#[derive(Serialize)]
pub(super) struct ErrorMessage {
    pub message: String,
}

/// The error body of a bad token.
#[derive(Serialize)]
pub(super) struct TokenError {
    pub error: &'static str,
    pub error_description: &'static str,
}
