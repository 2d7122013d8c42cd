//! Bank statements: accounts with what is missing of them, statements, files and what became of each; a statement with
//! the transactions that it tells of; and a form to upload files.

mod shown;
mod upload;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::act::action;
use super::error::PageError;
use super::page::{self, empty, table};
use super::served;
use super::session::Session;
use super::words::{command, encoded};
use crate::http::{ApiError, SharedState};
use crate::statements::Files;
use crate::store::listed_statements::ListedAccount;
use crate::sync::FILES;
use crate::verbs::statements::{self, List, MOVEMENTS, ShownStatement};
use crate::verbs::{self, On};
use tributary_domain::ProviderName;

pub use upload::upload;

const HERE: &str = "/console/statements";

/// How many statements and files a page has.
const PAGE: u32 = 50;

/// What of them is looked at.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    currency: String,
    /// Statements before the one of this number.
    before: Option<i64>,
    /// Files before the one of this number.
    files_before: Option<i64>,
}

impl Wanted {
    /// Where statements are of the same account, or files of the same provider, from another place on.
    fn path(&self, before: Option<i64>, files_before: Option<i64>) -> String {
        let mut path = path_of(&self.provider, &self.account, &self.currency);
        for (name, number) in [("before", before), ("files_before", files_before)] {
            if let Some(number) = number {
                path.push_str(&format!("{name}={number}&"));
            }
        }
        path.trim_end_matches(['?', '&']).to_owned()
    }
}

fn path_of(provider: &str, account: &str, currency: &str) -> String {
    let said = [("provider", provider), ("account", account), ("currency", currency)];
    let said = said.iter().filter(|(_, text)| !text.is_empty());
    format!("{HERE}?{}", said.map(|(name, text)| format!("{name}={}&", encoded(text))).collect::<String>())
}

/// Where the statements of an account are.
fn account_path(account: &ListedAccount) -> String {
    path_of(&account.provider, &account.account, &account.currency).trim_end_matches('&').to_owned()
}

/// Where the statements of a provider are.
pub fn provider_path(provider: &str) -> String {
    path_of(provider, "", "").trim_end_matches('&').to_owned()
}

pub async fn list(
    State(state): State<SharedState>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let provider = served::named(&wanted.provider)?;
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let list = List {
        provider: provider.clone(),
        account: said(&wanted.account),
        currency: said(&wanted.currency),
        before: wanted.before,
        limit: Some(PAGE),
    };
    let files =
        statements::Files { provider: provider.clone(), before: wanted.files_before, limit: Some(PAGE) };
    let (declared, actor) = (verbs::Declared::new(), session.actor());
    let on = On::answering(&state.pool, &declared);
    let listed = verbs::perform(&list, on, &actor).await.map_err(ApiError::from)?;
    let files = verbs::perform(&files, on, &actor).await.map_err(ApiError::from)?;
    let readers: Vec<_> = with_files(&state)
        .into_iter()
        .filter(|(name, _)| provider.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    let content = html! {
        (choices(&state, &wanted))
        @for (name, files) in &readers { (expected(name, files, session.now)) }
        (shown::of_accounts(&listed, &wanted, session.now))
        (shown::of_files(&files, &wanted, session.now))
    };
    let forms = html! {
        h2 { "Upload" }
        @match &readers[..] {
            _ if !upload::may(&session) => p.note { "Your role is " (session.role.as_str()) ": those who operate may upload files." },
            [] => p.note { "No provider of this name reads statement files: " code { "files" } " in its file says how." },
            [(name, _)] => {
                (upload::form(name))
                p {
                    (action(&session, "remap", "Read what was taken again", &[("provider", name.as_str()), ("stream", FILES)], &provider_path(name.as_str())))
                    "with the provider's file as it is now: ids stay, texts are put right, and what closes now is published."
                }
            },
            several => p {
                "Files of which provider? "
                @for (name, _) in several { a.act href=(provider_path(name.as_str())) { (name) } " " }
            },
        }
    };
    Ok(page::live_above(&session, (HERE, "Statements"), content, forms, false))
}

/// The providers whose files say how statements are read.
fn with_files(state: &SharedState) -> Vec<(ProviderName, Arc<Files>)> {
    let of = |name: ProviderName| {
        let files = state.providers.get(&name)?.files.clone()?;
        Some((name, files))
    };
    served::providers(state).into_iter().filter_map(of).collect()
}

fn choices(state: &SharedState, wanted: &Wanted) -> Markup {
    let names: Vec<String> = with_files(state).into_iter().map(|(name, _)| name.to_string()).collect();
    let all = std::iter::once((String::new(), "All".to_owned()));
    let choices = all.chain(names.iter().map(|name| (name.clone(), name.clone())));
    html! {
        @if names.len() > 1 || !wanted.account.is_empty() {
            ul.choices aria-label="Of which provider" {
                @for (name, label) in choices {
                    @let here = wanted.provider == name && wanted.account.is_empty();
                    li { a href=(provider_path(&name)) aria-current=[here.then_some("page")] { (label) } }
                }
            }
        }
        @if !wanted.account.is_empty() {
            p { "Of the account " strong { (wanted.account) " " (wanted.currency) } " alone." }
        }
    }
}

/// Which statement has to be there by now, and how many accounts have none.
fn expected(name: &ProviderName, files: &Files, now: DateTime<Utc>) -> Markup {
    let Some(expected) = &files.expect else { return html! {} };
    html! {
        p {
            (name) ": the statement of a day is expected by " (expected.by.format("%H:%M")) " of the next one ("
            (files.zone.name()) ")"
            @if let Some(day) = expected.day(now, files.zone) { "; by now, that of " (day) }
            "."
        }
    }
}

/// One statement, with the transactions that it tells of.
pub async fn show(
    State(state): State<SharedState>,
    session: Session,
    Path((provider, statement)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let none = || PageError::not_found("There is no statement of this number.");
    let provider: ProviderName = provider.parse().map_err(|_| none())?;
    let statement: i64 = statement.parse().map_err(|_| none())?;
    let declared = verbs::Declared::new();
    let on = On::answering(&state.pool, &declared);
    let verb = statements::Show { provider, statement };
    let ShownStatement { statement: of, movements } =
        verbs::perform(&verb, on, &session.actor()).await.map_err(ApiError::from)?;
    let content = html! {
        p { a href=(path_of(&of.provider, &of.account, &of.currency).trim_end_matches('&')) { "All statements of the account" } }
        (shown::of_statement(&of, session.now))
        h2 { "Transactions" }
        @if movements.is_empty() {
            (empty(html! { "None that it tells of: what is not published moves nothing, and a newer statement may tell of the same movements." }))
        } @else {
            (table("Transactions that it tells of, in its order", &shown::MOVEMENT,
                movements.iter().map(|movement| shown::movement_row(&of, movement, session.now))))
            @if movements.len() == MOVEMENTS as usize { p.note { "These are the first " (MOVEMENTS) "." } }
        }
        p { (command(&format!("tributary statement show {} {}", of.provider, of.statement))) }
    };
    Ok(page::still(&session, HERE, &format!("Statement {statement}"), content))
}
