//! From an answer's JSON to rows: the fields that the client knows, their types,
//! and what it does with each on the way to Formance.

use super::error::CallError;
use super::gojson::assign::{self, TextMap};
use super::gojson::{JsonError, Raw};
use super::gotime::GoTime;
use super::integer::Integer;
use super::message::Kind;
use super::row::{Balance, Payment, PaymentStatus, PaymentType, Row};

/// A row of a list as decoded, before it is known whether it will be used. An
/// absent field has Go's zero value.
#[derive(Clone, Debug, Default)]
pub struct WireRow {
    id: String,
    name: String,
    created_at: GoTime,
    updated_at: GoTime,
    related: Option<String>,
    scheme: Option<String>,
    currency: String,
    kind: PaymentType,
    status: PaymentStatus,
    amount: String,
    source: Option<String>,
    destination: Option<String>,
    metadata: TextMap,
}

/// Decodes one page of a list. One bad row fails the page; `null` is a page
/// without rows, and a `null` in the list is a row of zero values.
pub fn page(kind: Kind, raw: Raw<'_>) -> Result<Vec<WireRow>, JsonError> {
    let mut rows = Vec::new();
    assign::list(raw, "list", &mut rows, |row, target| match kind {
        Kind::Accounts => party(row, "ACCOUNTNAME", target),
        Kind::Beneficiaries => party(row, "OWNERNAME", target),
        Kind::Transactions => transaction(row, target),
    })?;
    Ok(rows)
}

fn party(raw: Raw<'_>, name_key: &str, row: &mut WireRow) -> Result<(), JsonError> {
    assign::object(raw, "row", |key, value| match key {
        "ID" => assign::string(value, "id", &mut row.id),
        "CREATEDAT" => assign::time(value, "createdAt", &mut row.created_at),
        "METADATA" => assign::text_map(value, "metadata", &mut row.metadata),
        key if key == name_key => assign::string(value, "name", &mut row.name),
        _ => Ok(()),
    })
}

fn transaction(raw: Raw<'_>, row: &mut WireRow) -> Result<(), JsonError> {
    assign::object(raw, "row", |key, value| match key {
        "ID" => assign::string(value, "id", &mut row.id),
        "RELATEDTRANSACTIONID" => assign::optional(value, "relatedTransactionID", &mut row.related),
        "CREATEDAT" => assign::time(value, "createdAt", &mut row.created_at),
        "UPDATEDAT" => assign::time(value, "updatedAt", &mut row.updated_at),
        "CURRENCY" => assign::string(value, "currency", &mut row.currency),
        "SCHEME" => assign::optional(value, "scheme", &mut row.scheme),
        "TYPE" => assign::enumeration(value, "type", &mut row.kind, PaymentType::from_wire),
        "STATUS" => assign::enumeration(value, "status", &mut row.status, PaymentStatus::from_wire),
        "AMOUNT" => assign::string(value, "amount", &mut row.amount),
        "SOURCEACCOUNTID" => assign::optional(value, "sourceAccountID", &mut row.source),
        "DESTINATIONACCOUNTID" => assign::optional(value, "destinationAccountID", &mut row.destination),
        "METADATA" => assign::text_map(value, "metadata", &mut row.metadata),
        _ => Ok(()),
    })
}

impl WireRow {
    /// The row's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The time by which a list of `kind` is walked.
    pub fn watermark(&self, kind: Kind) -> GoTime {
        match kind {
            Kind::Accounts | Kind::Beneficiaries => self.created_at,
            Kind::Transactions => self.updated_at,
        }
    }

    /// The row as the client hands it on. Fails for an amount that is no integer
    /// and for a time that cannot be written, since the client keeps each row as
    /// JSON too.
    pub fn into_row(self, kind: Kind) -> Result<Row, CallError> {
        self.created_at.to_json_text()?;
        self.updated_at.to_json_text()?;
        let watermark = self.watermark(kind);
        let (name, payment) = match kind {
            Kind::Accounts | Kind::Beneficiaries => (Some(self.name), None),
            Kind::Transactions => {
                let payment = Payment {
                    parent: self.related.filter(|id| !id.is_empty()),
                    kind: self.kind,
                    status: self.status,
                    amount: amount(self.amount)?,
                    asset: self.currency,
                    source: self.source,
                    destination: self.destination,
                };
                (None, Some(payment))
            }
        };
        Ok(Row {
            reference: self.id,
            name,
            created_at: self.created_at,
            watermark,
            metadata: self.metadata,
            payment,
        })
    }
}

/// An account's balances as decoded.
#[derive(Clone, Debug, Default)]
pub struct WireBalances {
    id: String,
    account_id: String,
    at: GoTime,
    balances: Vec<WireBalance>,
}

#[derive(Clone, Debug, Default)]
struct WireBalance {
    amount: String,
    currency: String,
}

/// Decodes the answer to a request for balances.
pub fn balances(raw: Raw<'_>) -> Result<WireBalances, JsonError> {
    let mut found = WireBalances::default();
    assign::object(raw, "balances", |key, value| match key {
        "ID" => assign::string(value, "id", &mut found.id),
        "ACCOUNTID" => assign::string(value, "accountID", &mut found.account_id),
        "AT" => assign::time(value, "at", &mut found.at),
        "BALANCES" => assign::list(value, "balances", &mut found.balances, balance),
        _ => Ok(()),
    })?;
    Ok(found)
}

fn balance(raw: Raw<'_>, balance: &mut WireBalance) -> Result<(), JsonError> {
    assign::object(raw, "balance", |key, value| match key {
        "AMOUNT" => assign::string(value, "amount", &mut balance.amount),
        "CURRENCY" => assign::string(value, "currency", &mut balance.currency),
        _ => Ok(()),
    })
}

impl WireBalances {
    /// The balances as the client hands them on. Fails for an amount that is no
    /// integer.
    pub fn into_balances(self) -> Result<Vec<Balance>, CallError> {
        let (account, at) = (self.account_id, self.at);
        let rows = self.balances.into_iter().map(|balance| {
            Ok(Balance {
                account_reference: account.clone(),
                amount: amount(balance.amount)?,
                asset: balance.currency,
                at,
            })
        });
        rows.collect()
    }
}

/// The reply to a payout or transfer as decoded. Unlike in lists, status and
/// times are plain strings here.
#[derive(Clone, Debug, Default)]
pub struct WireReply {
    id: String,
    idempotency_key: String,
    amount: String,
    currency: String,
    source: String,
    destination: String,
    description: Option<String>,
    status: String,
    created_at: String,
    updated_at: Option<String>,
    metadata: TextMap,
}

/// Decodes the reply to a payout or transfer.
pub fn reply(raw: Raw<'_>) -> Result<WireReply, JsonError> {
    let mut reply = WireReply::default();
    assign::object(raw, "reply", |key, value| match key {
        "ID" => assign::string(value, "id", &mut reply.id),
        "IDEMPOTENCYKEY" => assign::string(value, "idempotencyKey", &mut reply.idempotency_key),
        "AMOUNT" => assign::string(value, "amount", &mut reply.amount),
        "CURRENCY" => assign::string(value, "currency", &mut reply.currency),
        "SOURCEACCOUNTID" => assign::string(value, "sourceAccountId", &mut reply.source),
        "DESTINATIONACCOUNTID" => assign::string(value, "destinationAccountId", &mut reply.destination),
        "DESCRIPTION" => assign::optional(value, "description", &mut reply.description),
        "STATUS" => assign::string(value, "status", &mut reply.status),
        "CREATEDAT" => assign::string(value, "createdAt", &mut reply.created_at),
        "UPDATEDAT" => assign::optional(value, "updatedAt", &mut reply.updated_at),
        "METADATA" => assign::text_map(value, "metadata", &mut reply.metadata),
        _ => Ok(()),
    })?;
    Ok(reply)
}

impl WireReply {
    /// The reply as the client hands it on: a payment of type `kind` under the
    /// idempotency key. An unknown status becomes `Other`; an amount that is no
    /// integer, or a bad `createdAt`, fails.
    pub fn into_row(self, kind: PaymentType) -> Result<Row, CallError> {
        let amount = amount(self.amount)?;
        let created_at = GoTime::parse(self.created_at.as_bytes())?;
        Ok(Row {
            reference: self.id,
            name: None,
            created_at,
            watermark: created_at,
            metadata: self.metadata,
            payment: Some(Payment {
                parent: Some(self.idempotency_key).filter(|key| !key.is_empty()),
                kind,
                status: PaymentStatus::from_wire(&self.status).unwrap_or_default(),
                amount,
                asset: self.currency,
                source: Some(self.source),
                destination: Some(self.destination),
            }),
        })
    }
}

fn amount(text: String) -> Result<Integer, CallError> {
    Integer::parse(&text).ok_or(CallError::Amount(text))
}
