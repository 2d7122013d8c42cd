//! Records by whatever they are called, and by amount and day.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::page::{self, empty, table};
use super::served;
use super::session::Session;
use super::words::{badge, command, id, story_path, time};
use crate::http::SharedState;
use crate::records::story;
use crate::store::named_records::{Found, RecordName};
use crate::verbs::records::{Find, MOST};
use crate::verbs::{self, Declared, Failure, On};
use tributary_domain::ProviderName;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    name: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

impl Wanted {
    /// What is looked for by amount and day; `None` where neither is said. The error is for whoever said it.
    fn find(&self, provider: Option<&ProviderName>) -> Result<Option<Find>, String> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let day = |text: &str| {
            let day = said(text).map(|day| day.parse::<NaiveDate>()).transpose();
            day.map_err(|_| format!("{text:?} is no day: write 2026-03-01"))
        };
        let (amount, from, to) = (said(&self.amount), day(&self.from)?, day(&self.to)?);
        let is_said = amount.is_some() || from.is_some() || to.is_some();
        Ok(is_said.then(|| Find { amount, from, to, provider: provider.cloned() }))
    }
}

pub async fn search(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let name = wanted.name.trim();
    let provider = served::named(&wanted.provider)?;
    let found = match name.is_empty() || name.contains('\0') {
        true => Vec::new(),
        false => story::find(&state.pool, name, provider.as_ref()).await?,
    };
    if let [only] = &found[..] {
        return Ok(Redirect::to(&story_path(&only.provider, &only.resource, &only.id)).into_response());
    }
    let by_amount = match wanted.find(provider.as_ref()) {
        Ok(None) => None,
        Ok(Some(find)) => {
            let declared = Declared::new();
            let on = On::answering(&state.pool, &declared);
            match verbs::perform(&find, on, &session.actor()).await {
                Ok(found) => Some(Ok(found)),
                Err(Failure::Store(error)) => return Err(error.into()),
                Err(refused) => Some(Err(refused.to_string())),
            }
        }
        Err(why) => Some(Err(why)),
    };
    let content = html! {
        form method="get" action="/console/records" role="search" aria-label="By a name" {
            label for="name" { "Id, reference, or idempotency key" }
            input #name type="search" name="name" value=(wanted.name) required autocomplete="off" spellcheck="false";
            label for="provider" { "Provider" }
            select #provider name="provider" {
                option value="" { "All" }
                @for one in served::providers(&state) {
                    option value=(one) selected[provider.as_ref() == Some(&one)] { (one) }
                }
            }
            button { "Show" }
        }
        form method="get" action="/console/records" role="search" aria-label="By amount and day" {
            label for="amount" { "Amount, minor units" }
            input #amount name="amount" value=(wanted.amount) inputmode="numeric" autocomplete="off" spellcheck="false";
            label for="from" { "From" }
            input #from type="date" name="from" value=(wanted.from);
            label for="to" { "To" }
            input #to type="date" name="to" value=(wanted.to);
            button { "Find" }
        }
        @match &by_amount {
            None => (answer(name, &found)),
            Some(Err(why)) => p.bad role="alert" { (why) },
            Some(Ok(transactions)) => (list(transactions, session.now)),
        }
    };
    Ok(page::still(&session, "/console/records", "Records", content))
}

const FOUND: [&str; 6] = ["Id", "Provider", "Type", "Status", "#Amount, minor units", "Created"];

fn list(found: &[Found], now: DateTime<Utc>) -> Markup {
    html! {
        @if found.is_empty() {
            (empty(html! { "No transaction is like that. Where no first day is said, the last 31 days are looked through." }))
        } @else {
            (table("Transactions, the latest first", &FOUND, found.iter().map(|found| html! {
                th scope="row" { a href=(story_path(&found.provider, "transactions", &found.id)) { (id(&found.id)) } }
                td { (found.provider) }
                td { (found.kind) }
                td { (badge("", &found.status)) }
                td.number { (found.amount) " " (found.asset) }
                td { (time(found.created_at, now)) }
            })))
            @if found.len() >= MOST as usize { p.note { "These are the latest " (MOST) "; a narrower time shows others." } }
        }
    }
}

fn answer(name: &str, found: &[RecordName]) -> Markup {
    html! {
        @if name.is_empty() {
            (empty(html! {
                "A record has an id, as its provider and as Formance shows it; an order also has its idempotency key "
                "(Formance's reference) and what its provider calls the payment."
            }))
        } @else if found.is_empty() {
            (empty(html! {
                "There is no record " code { (name) } ". One that was refused is in "
                a href="/console/quarantine" { "quarantine" } "; a request to pay that was refused is among the "
                a href="/console/payments" { "payments" } ". Was it ever read? "
                (command("tributary runs")) " says when."
            }))
        } @else {
            (table("Records of this name", &["Id", "Provider", "Resource"], found.iter().map(row)))
        }
    }
}

fn row(name: &RecordName) -> Markup {
    html! {
        th scope="row" { a href=(story_path(&name.provider, &name.resource, &name.id)) { (id(&name.id)) } }
        td { (name.provider) }
        td { (name.resource) }
    }
}
