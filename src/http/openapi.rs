//! The description of the API, made from the code.

use std::collections::BTreeMap;

use utoipa::OpenApi;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Header, OpenApi as Document, Ref, Response, ResponseBuilder};

/// Flat text by text.
pub type Metadata = BTreeMap<String, String>;

/// What every feed can be asked.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
pub struct ListParams {
    /// From 1 on.
    #[param(required = false, minimum = 1, default = 1)]
    page: i64,
    /// Entries of a page; a shorter page is the last.
    #[param(required = false, rename = "pageSize", minimum = 1, maximum = 1000, default = 100)]
    page_size: i64,
    /// The only order there is: `createdAt:asc`, of transactions `updatedAt:asc`.
    #[param(required = false)]
    sort: String,
    /// Goes on where the page before ended, as its `Link` header says; replaces `page` and the time.
    #[param(required = false)]
    cursor: String,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
pub struct CreatedAtFrom {
    /// RFC 3339, inclusive.
    #[param(required = false, rename = "createdAtFrom")]
    created_at_from: chrono::DateTime<chrono::Utc>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
pub struct UpdatedAtFrom {
    /// RFC 3339, inclusive.
    #[param(required = false, rename = "updatedAtFrom")]
    updated_at_from: chrono::DateTime<chrono::Utc>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Tributary",
    description = "The API of Formance's Generic Connector, and the push API behind it."
))]
struct Info;

/// The answer of every operation to whoever asks too often.
fn too_many_requests() -> Response {
    let seconds = Header::builder()
        .schema(Some(Object::with_type(Type::Integer)))
        .description(Some("Seconds after which to ask again"))
        .build();
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    ResponseBuilder::new()
        .description("More requests than this key may send; ask again later")
        .header("Retry-After", seconds)
        .content("application/json", error)
        .build()
}

/// The OpenAPI document of everything that is served.
pub fn openapi() -> Document {
    let (_, paths) = super::described().split_for_parts();
    let mut document = Info::openapi().merge_from(paths);
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("key".into(), bearer.into());
    for path in document.paths.paths.values_mut() {
        for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
            operation.responses.responses.insert("429".into(), too_many_requests().into());
        }
    }
    document.security = Some(vec![utoipa::openapi::SecurityRequirement::new("key", Vec::<String>::new())]);
    document
}
