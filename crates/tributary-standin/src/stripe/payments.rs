//! Orders for payouts, as forms. A repeated `Idempotency-Key` is answered with what the first request
//! made.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::render;
use crate::kit::payments::{Order, Paid, To, bad};
use crate::kit::{OnDuplicate, Refusal, Standin};

/// A form of an order.
#[derive(Default)]
struct Payout {
    amount: String,
    currency: String,
    destination: String,
    description: Option<String>,
    key: Option<String>,
}

impl Payout {
    /// Parameters that the API does not know are refused.
    fn read(form: &[u8]) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(form) {
            let value = value.into_owned();
            match &*name {
                "amount" => read.amount = value,
                "currency" => read.currency = value,
                "destination" => read.destination = value,
                "description" => read.description = Some(value),
                "metadata[tributary_key]" => read.key = Some(value),
                "method" if value == "standard" || value == "instant" => {}
                other => return Err(bad("body", format!("Received unknown parameter: {other}"))),
            }
        }
        Ok(read)
    }
}

pub async fn create(
    State(shared): State<Arc<Standin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let order = move |shared: &Standin| {
        let asked = Payout::read(&body)?;
        let key = key.clone().ok_or_else(|| bad("idempotency-key", "is needed here"))?;
        if key.len() > 255 || asked.key.is_some_and(|told| told != key) {
            return Err(bad("metadata", "is not that of the key"));
        }
        let view = shared.view();
        let destination = view.beneficiaries.iter().position(|one| one.id == asked.destination);
        let amount_minor = asked.amount.parse().ok().filter(|&amount: &i64| amount > 0);
        let is_lower = asked.currency == asked.currency.to_lowercase();
        let account = view.find_account(&asked.currency.to_uppercase()).filter(|_| is_lower);
        Ok(Order {
            kind: "payout",
            account: account.ok_or_else(|| bad("currency", "has no balance"))?,
            to: To::Beneficiary(destination.ok_or_else(|| bad("destination", "No such external account"))?),
            amount_minor: amount_minor.ok_or_else(|| bad("amount", "Invalid positive integer"))?,
            key,
            text: asked.description,
        })
    };
    let answer = |shared: &Standin, paid: &Paid| {
        let view = shared.view();
        let visible = view.ordered(paid.record);
        Ok(render::payout(&view, &visible, visible.upto))
    };
    shared.pay(order, OnDuplicate::Replay, answer).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, header};
    use serde_json::json;

    use super::super::Stripe;
    use crate::kit::testing::*;
    use tributary_domain::Status;

    #[tokio::test]
    async fn a_repeated_key_moves_no_money_again_and_is_answered_as_at_first() {
        let bank = open(&Stripe);
        let destination = bank.truth().beneficiaries.into_keys().next().unwrap();
        let order = async |key: &str, form: String| {
            let request = Request::post("/v1/payouts").header("Idempotency-Key", key);
            let request = request.header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
            send(&bank, request.body(Body::from(form)).unwrap()).await.unwrap()
        };
        let form = |amount: &str, currency: &str, destination: &str| {
            format!("amount={amount}&currency={currency}&destination={destination}&metadata[tributary_key]=k")
        };
        for wrong in [
            form("0", "eur", &destination),
            form("1.5", "eur", &destination),
            form("1500", "EUR", &destination),
            form("1500", "gbp", &destination),
            form("1500", "eur", "ba_nobody"),
            format!("{}&tip=1", form("1500", "eur", &destination)),
        ] {
            let refused = order("k", wrong.clone()).await;
            let kind = &refused.json()["error"]["type"];
            assert_eq!((refused.status.as_u16(), kind), (400, &json!("invalid_request_error")), "{wrong}");
        }
        let first = order("k", form("1500", "eur", &destination)).await.ok();
        assert_eq!((&first["amount"], &first["status"]), (&json!(1500), &json!("pending")));
        assert_eq!(
            (&first["destination"], &first["metadata"]["tributary_key"]),
            (&json!(destination), &json!("k"))
        );
        assert_eq!(order("k", form("1500", "eur", &destination)).await.ok(), first);
        assert_eq!(bank.movements().len(), 1);
        bank.move_payment("k", Status::Succeeded);
        bank.return_payment("k");
        let path = format!("/v1/payouts/{}", first["id"].as_str().unwrap());
        let now = get(&bank, &path).await.ok();
        assert!(now["status"] == "paid" && now["reversed_by"].is_string(), "{now}");
    }
}
