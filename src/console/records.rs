//! Records by whatever they are called.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::page::{self, empty, table};
use super::served;
use super::session::Session;
use super::words::{command, id, story_path};
use crate::http::SharedState;
use crate::records::story;
use crate::store::named_records::RecordName;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    name: String,
    #[serde(default)]
    provider: String,
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
    let content = html! {
        form method="get" action="/console/records" role="search" {
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
        (answer(name, &found))
    };
    Ok(page::still(&session, "/console/records", "Records", content))
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
