//! Forms that do something: a page for each verb, which says what will be done and to what, and whether that can be undone;
//! its button does it. Whatever follows is a page that may be loaded again (a redirect), but for secrets, which are shown
//! this once.

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use uuid::Uuid;

use super::error::PageError;
use super::page::{self, field};
use super::session::Session;
use super::sign_in::own_path;
use super::words::{command, encoded, id};
use crate::http::{ApiError, NO_NUL, SharedState};
use crate::store::{payment_orders, quarantine};
use crate::verbs::{self, Access, Entry, Field, Kind, On, Verb, entry};

type Pairs = Vec<(String, String)>;

/// A form of every verb that changes something.
pub fn router() -> Router<SharedState> {
    use verbs::{consumers, keys, limits, operators, pauses, payouts, quarantine, remap, sync};
    Router::new()
        .merge(form::<sync::Sync>())
        .merge(form::<pauses::Pause>())
        .merge(form::<pauses::Resume>())
        .merge(form::<limits::Lift>())
        .merge(form::<consumers::Forget>())
        .merge(form::<remap::Remap>())
        .merge(form::<quarantine::Replay>())
        .merge(form::<quarantine::Discard>())
        .merge(form::<payouts::Approve>())
        .merge(form::<payouts::Reject>())
        .merge(form::<payouts::Resolve>())
        .merge(form::<keys::Create>())
        .merge(form::<keys::Rotate>())
        .merge(form::<keys::Revoke>())
        .merge(form::<operators::Create>())
        .merge(form::<operators::Link>())
        .merge(form::<operators::Revoke>())
}

fn form<V: Verb>() -> Router<SharedState> {
    Router::new().route(&entry(V::NAME).form_path(), get(ask::<V>).post(send::<V>))
}

/// A link to the form of a verb, with some of its fields filled in; nothing for whose role may not.
pub fn action(session: &Session, verb: &str, label: &str, fields: &[(&str, &str)], back: &str) -> Markup {
    let entry = entry(verb);
    let fields = fields.iter().map(|(name, value)| format!("{name}={}&", encoded(value)));
    let path = format!("{}?{}back={}", entry.form_path(), fields.collect::<String>(), encoded(back));
    html! {
        @if session.may(entry) { a.act href=(path) { (label) } " " }
    }
}

async fn ask<V: Verb>(
    State(state): State<SharedState>,
    session: Session,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageError> {
    let entry = entry(V::NAME);
    session.require(entry)?;
    let pairs = without_nul(pairs);
    shown(&state, &session, entry, &pairs, None).await
}

async fn send<V: Verb>(
    State(state): State<SharedState>,
    session: Session,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageError> {
    let (entry, pairs) = (entry(V::NAME), without_nul(pairs));
    let verb = match parse::<V>(&pairs) {
        Ok(verb) => verb,
        Err(why) => {
            let page = shown(&state, &session, entry, &pairs, Some(&why)).await?;
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
    };
    let declared = state.declared();
    let on = On::answering(&state.pool, &declared);
    match verbs::perform(&verb, on, &session.actor()).await {
        Ok(answer) => match V::secret(&answer) {
            Some(secret) => Ok(kept(&session, entry, secret, back(entry, &pairs))),
            None => Ok(Redirect::to(&after(entry, back(entry, &pairs))).into_response()),
        },
        Err(failure) => {
            let error = ApiError::from(failure);
            let (status, _, why) = error.parts();
            if status == StatusCode::FORBIDDEN || status.is_server_error() {
                return Err(
                    ApiError::Refused { status: status.as_u16(), title: "Not done", detail: why }.into()
                );
            }
            let page = shown(&state, &session, entry, &pairs, Some(&why)).await?;
            Ok((status, page).into_response())
        }
    }
}

/// What was said, with what stands for NUL, which PostgreSQL refuses: whatever is called so is not there.
fn without_nul(pairs: Pairs) -> Pairs {
    pairs.into_iter().map(|(name, value)| (name, value.replace('\0', NO_NUL))).collect()
}

/// The verb that a form says. Fields that were left empty are not set.
fn parse<V: Verb>(pairs: &Pairs) -> Result<V, String> {
    let fields = form_of(entry(V::NAME));
    let set = pairs
        .iter()
        .filter(|(name, value)| !value.trim().is_empty() && fields.iter().any(|field| field.name == name));
    let query: Vec<String> = set.map(|(name, value)| format!("{name}={}", encoded(value.trim()))).collect();
    let uri: Uri = format!("/?{}", query.join("&")).parse().map_err(|_| "it is too long".to_owned())?;
    match Query::<V>::try_from_uri(&uri) {
        Ok(Query(verb)) => Ok(verb),
        Err(error) => {
            Err(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        }
    }
}

fn form_of(entry: &Entry) -> &'static [Field] {
    match entry.access {
        Access::Changes { form, .. } => form,
        _ => &[],
    }
}

/// The value of a field, as the query or the form before has it.
fn value<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value.as_str())
}

/// Where one goes on then.
fn back<'a>(entry: &'a Entry, pairs: &'a Pairs) -> &'a str {
    let wanted = value(pairs, "back");
    match entry.access {
        Access::Changes { screen, .. } if wanted.is_empty() && !screen.contains('{') => screen,
        _ => own_path(wanted),
    }
}

/// The page to go on with, which says what was done.
fn after(entry: &Entry, back: &str) -> String {
    let and = if back.contains('?') { '&' } else { '?' };
    format!("{back}{and}done={}", entry.name.replace(' ', "-"))
}

async fn shown(
    state: &SharedState,
    session: &Session,
    entry: &Entry,
    pairs: &Pairs,
    refused: Option<&str>,
) -> Result<Response, PageError> {
    let about = about(state, pairs).await?;
    let for_good = matches!(entry.access, Access::Changes { for_good: true, .. });
    let back = back(entry, pairs);
    let content = html! {
        @if let Some(why) = refused { p.bad role="alert" { (why) } }
        p { (entry.does) ". As " (command(&format!("tributary {}", entry.name))) " does." }
        (about)
        @if for_good { p.warn { "This cannot be undone." } }
        form.fields method="post" action=(entry.form_path()) {
            input type="hidden" name="back" value=(back);
            @for field in form_of(entry) { (asked(field, value(pairs, field.name))) }
            button { (label(entry)) }
        }
        p { a href=(back) { "Back, without doing it" } }
    };
    Ok(page::still(session, back, label(entry), content))
}

/// What a button says: the last word of what is typed, and what that is of.
fn label(entry: &Entry) -> &'static str {
    match entry.name {
        "sync" => "Read now",
        "pause" => "Read nothing for now",
        "resume" => "Read again",
        "limits lift" => "Send the requests again",
        "consumers forget" => "Forget the consumer",
        "remap" => "Map what was kept again",
        "quarantine replay" => "Try again",
        "quarantine discard" => "Delete for good",
        "payouts approve" => "Approve",
        "payouts reject" => "Reject",
        "payouts resolve" => "Resolve",
        "keys create" => "Make an API key",
        "keys rotate" => "Make a successor",
        "keys revoke" => "Revoke the key",
        "operators create" => "Make an operator",
        "operators link" => "Make a link",
        "operators revoke" => "Revoke the operator",
        _ => entry.does,
    }
}

fn asked(field: &Field, given: &str) -> Markup {
    let id = format!("field-{}", field.name);
    html! {
        div {
            label for=(id) { (field.label) }
            @match field.kind {
                Kind::Text => input id=(id) name=(field.name) value=(given) required[field.required]
                    autocomplete="off" spellcheck="false";,
                Kind::Check => input id=(id) type="checkbox" name=(field.name) value="true" checked[given == "true"];,
                Kind::Choice(of) => select id=(id) name=(field.name) required[field.required] {
                    @for choice in of { option value=(choice) selected[*choice == given] { (choice) } }
                },
            }
        }
    }
}

/// The order or the group that it is about: nobody decides about an id alone.
async fn about(state: &SharedState, pairs: &Pairs) -> Result<Markup, PageError> {
    if let Some(group) = quarantine::group(&state.pool, value(pairs, "group")).await? {
        return Ok(html! {
            dl {
                (field("Fault", html! { (group.fault) }))
                (field("Records", html! { strong { (group.count) } }))
                (field("Provider", html! { (group.provider) }))
                (field("Resource", html! { (group.resource) }))
            }
        });
    }
    let Ok(wanted) = Uuid::try_parse(value(pairs, "order")) else { return Ok(html! {}) };
    let Some(order) = payment_orders::get(&state.pool, wanted).await? else { return Ok(html! {}) };
    Ok(html! {
        dl {
            (field("Idempotency key", id(&order.idempotency_key)))
            (field("Provider", html! { (order.provider) }))
            (field("Amount, minor units", html! { strong { (order.amount.to_string()) " " (order.asset) } }))
            (field("From", id(&order.source_account_id)))
            (field("To", id(&order.destination_account_id)))
            @if let Some(description) = &order.description { (field("Description", html! { (description) })) }
            (field("State", html! { (order.state.as_str()) }))
            (field("Ordered by", html! { (order.placed_by) }))
            @if let Some(by) = &order.approved_by { (field("Approved by", html! { (by) })) }
        }
    })
}

/// A secret that no page shows again.
fn kept(session: &Session, entry: &Entry, secret: &str, back: &str) -> Response {
    let done = match entry.access {
        Access::Changes { done, .. } => done,
        _ => "",
    };
    let content = html! {
        p.good role="status" { (done) }
        p { "It is shown this once: the database keeps its digest alone. Do not load this page again, which would make another one." }
        pre data-copy { (secret) }
        p { a href=(back) { "Go on" } }
    };
    page::still(session, back, label(entry), content)
}
