//! The admin API: every verb of operators, at the path that its command is typed as. What is looked up is GET with its
//! fields in the query; what changes something is POST with a JSON object.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::Uri;
use axum::routing::{get, post};
use serde_json::{Map, Value};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ContentBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::operator::Operator;
use super::{ApiError, SharedState};
use crate::verbs::{self, Access, Entry, On, Verb, entry};

/// The largest body, in bytes: it names an order, a key, up to 500 records.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// And where it carries a provider file, with every byte of it escaped.
const FILE_MAX_BYTES: usize = 2 * 1024 * 1024;

async fn look_up<V: Verb>(
    State(state): State<SharedState>,
    Operator(actor): Operator,
    uri: Uri,
) -> Result<Json<V::Answer>, ApiError> {
    let Query(verb) = Query::<V>::try_from_uri(&without_nul(&uri))
        .map_err(|error| ApiError::Invalid(format!("the query does not say what to look up: {error}")))?;
    let declared = state.declared();
    let on = On::answering(&state.pool, &declared);
    Ok(Json(verbs::perform(&verb, on, &actor).await?))
}

async fn change<V: Verb>(
    State(state): State<SharedState>,
    Operator(actor): Operator,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<V::Answer>, ApiError> {
    let verb: V = parse(&body?)
        .map_err(|error| ApiError::Invalid(format!("the body has to be a JSON object: {error}")))?;
    let declared = state.declared();
    let on = On::answering(&state.pool, &declared);
    Ok(Json(verbs::perform(&verb, on, &actor).await?))
}

fn parse<V: Verb>(body: &[u8]) -> serde_json::Result<V> {
    // an object, as serde takes an array for one, too
    let mut fields: Map<String, Value> = serde_json::from_slice(body)?;
    for value in fields.values_mut() {
        if let Value::String(text) = value {
            *text = text.replace('\0', NO_NUL);
        }
    }
    V::deserialize(Value::Object(fields))
}

/// What stands for NUL, which PostgreSQL refuses: whatever is called so is not there.
pub const NO_NUL: &str = "\u{fffd}";

/// The address of a request, without NUL in its query.
fn without_nul(uri: &Uri) -> Uri {
    let Some(query) = uri.query().filter(|query| query.contains("%00")) else { return uri.clone() };
    let query = query.replace("%00", "%EF%BF%BD");
    Uri::try_from(format!("{}?{query}", uri.path())).unwrap_or_else(|_| uri.clone())
}

/// The route of a verb, and its description.
fn route<V: Verb>() -> UtoipaMethodRouter<SharedState> {
    let entry = entry(V::NAME);
    let schema = V::schema();
    let (method, router) = match entry.access {
        Access::Reads { .. } => (HttpMethod::Get, get(look_up::<V>)),
        _ => (HttpMethod::Post, post(change::<V>)),
    };
    let item = PathItem::new(method, operation(entry, schema));
    (Vec::new(), PathsBuilder::new().path(entry.api_path(), item).build(), router)
}

fn operation(entry: &Entry, schema: RefOr<Schema>) -> OperationBuilder {
    let roles: Vec<&str> = entry.roles().iter().map(|role| role.as_str()).collect();
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    let answer = ContentBuilder::new().build();
    let operation = OperationBuilder::new()
        .tag("admin")
        .operation_id(Some(entry.name.replace(" --", "_").replace([' ', '-'], "_")))
        .summary(Some(entry.does))
        .description(Some(format!(
            "As `tributary {}` does. For operators of the role {}, by their key or session; at the operators' address.",
            entry.name,
            roles.join(", ")
        )))
        .response("200", ResponseBuilder::new().description("As `--output json` prints it").content("application/json", answer))
        .response("default", ResponseBuilder::new().description("Why not").content("application/json", error));
    match (entry.access, schema) {
        (Access::Reads { .. }, RefOr::T(Schema::Object(fields))) => {
            let parameters = fields.properties.into_iter().map(|(name, schema)| {
                let required = fields.required.contains(&name);
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Query)
                    .required(if required { Required::True } else { Required::False })
                    .schema(Some(schema))
                    .build()
            });
            operation.parameters(Some(parameters))
        }
        (_, schema) => {
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let body = RequestBodyBuilder::new().content("application/json", content);
            operation.request_body(Some(body.required(Some(Required::True)).build()))
        }
    }
}

/// All verbs that the API has.
pub fn router() -> OpenApiRouter<SharedState> {
    use verbs::{
        audit, consumers, doctor, keys, limits, notifications, operators, pauses, payouts, quarantine,
        records, remap, runs, statements, sync,
    };
    OpenApiRouter::new()
        .routes(route::<sync::Sync>())
        .routes(route::<doctor::Doctor>())
        .routes(route::<runs::List>())
        .routes(route::<consumers::List>())
        .routes(route::<consumers::Forget>())
        .routes(route::<notifications::List>())
        .routes(route::<pauses::Pause>())
        .routes(route::<pauses::Resume>())
        .routes(route::<limits::List>())
        .routes(route::<limits::Lift>())
        .routes(route::<remap::Remap>())
        .routes(route::<quarantine::List>())
        .routes(route::<quarantine::Groups>())
        .routes(route::<quarantine::Actions>())
        .routes(route::<quarantine::Show>())
        .routes(route::<quarantine::Replay>())
        .routes(route::<quarantine::Discard>())
        .routes(route::<payouts::List>())
        .routes(route::<payouts::Show>())
        .routes(route::<payouts::Approve>())
        .routes(route::<payouts::Reject>())
        .routes(route::<payouts::Resolve>())
        .routes(route::<keys::List>())
        .routes(route::<keys::Create>())
        .routes(route::<keys::Rotate>())
        .routes(route::<keys::Revoke>())
        .routes(route::<operators::List>())
        .routes(route::<operators::Create>())
        .routes(route::<operators::Link>())
        .routes(route::<operators::Revoke>())
        .routes(route::<statements::List>())
        .routes(route::<statements::Files>())
        .routes(route::<statements::Show>())
        .routes(route::<records::Find>())
        .routes(route::<records::Show>())
        .routes(route::<audit::List>())
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .merge(
            OpenApiRouter::new()
                .routes(route::<quarantine::Preview>())
                .routes(route::<remap::DryRun>())
                .layer(DefaultBodyLimit::max(FILE_MAX_BYTES)),
        )
}
