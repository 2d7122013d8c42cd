//! The description of the API, made from the code.

use std::collections::BTreeMap;

use super::probes;
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
    /// Goes on where the page before ended, as its `Link` header says; replaces `page` and the time.
    #[param(required = false, pattern = "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$")]
    cursor: String,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
pub struct CreatedAtFrom {
    /// RFC 3339, inclusive.
    #[param(required = false, rename = "createdAtFrom")]
    created_at_from: chrono::DateTime<chrono::Utc>,
    /// The only order there is.
    #[param(required = false, inline)]
    sort: CreatedAtOrder,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
pub struct UpdatedAtFrom {
    /// RFC 3339, inclusive.
    #[param(required = false, rename = "updatedAtFrom")]
    updated_at_from: chrono::DateTime<chrono::Utc>,
    /// The only order there is.
    #[param(required = false, inline)]
    sort: UpdatedAtOrder,
}

#[derive(serde::Serialize, utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
enum CreatedAtOrder {
    #[serde(rename = "createdAt:asc")]
    Ascending,
}

#[derive(serde::Serialize, utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the query, which is parsed by hand for exact errors")]
enum UpdatedAtOrder {
    #[serde(rename = "updatedAt:asc")]
    Ascending,
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
        .description(Some("Seconds after which to send the request again"))
        .build();
    let error = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    ResponseBuilder::new()
        .description("More requests than this API key may send; send it again later")
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
    // whether the process is up is told however much is asked
    let limited = |path: &str| ![probes::HEALTHCHECK, probes::INFO].contains(&path);
    for (_, path) in document.paths.paths.iter_mut().filter(|(path, _)| limited(path)) {
        for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
            operation.responses.responses.insert("429".into(), too_many_requests().into());
        }
    }
    document.security = Some(vec![utoipa::openapi::SecurityRequirement::new("key", Vec::<String>::new())]);
    document
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use regex::Regex;

    #[test]
    fn the_pattern_of_cursors_is_that_of_all_that_we_give_and_take() {
        let document = serde_json::to_value(super::openapi()).unwrap();
        let parameters = document["paths"]["/transactions"]["get"]["parameters"].as_array().unwrap();
        let parameter = |name: &str| &parameters.iter().find(|one| one["name"] == name).unwrap()["schema"];
        let pattern = Regex::new(parameter("cursor")["pattern"].as_str().unwrap()).unwrap();
        for position in [0, 1, 255, 256, 123_456_789, i64::MAX] {
            let cursor = URL_SAFE_NO_PAD.encode(position.to_be_bytes());
            assert!(pattern.is_match(&cursor), "{cursor}");
        }
        for wrong in ["", "x", "AAAAAAAAAAB", "gAAAAAAAAAA", "AAAAAAAAAAAA", "AAAAAAAAA=A"] {
            assert!(!pattern.is_match(wrong), "{wrong}");
        }
        assert_eq!(parameter("sort")["enum"], serde_json::json!(["updatedAt:asc"]));
    }
}
