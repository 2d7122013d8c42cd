//! From what a manifest says of a request to the request itself.

use std::sync::Arc;

use jaq_json::Val;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::asks::Asks;
use super::body;
use super::template::{PathTemplate, TextTemplate};
use crate::jq::{self, Filter, FilterError, Limits, Scope};
use crate::manifest::{BodyForm, Method, Param, RequestManifest};
use crate::wire::{self, Lane, Request, Target};

/// A request, but for the record that it asks for.
#[derive(Debug)]
pub struct RequestTemplate {
    method: Method,
    path: PathTemplate,
    /// The path as it is written.
    template: Arc<str>,
    query: Vec<(String, TextTemplate)>,
    headers: Vec<(String, TextTemplate)>,
    body: Option<Filter>,
    body_form: BodyForm,
    /// What has the fields in braces, where that is not the record itself.
    fields: Option<Filter>,
}

/// Why there is no request for a record.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RequestError {
    #[error("{0}")]
    Field(String),
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl RequestTemplate {
    /// Compiles what the manifest says. The error names the member that is wrong.
    pub fn compile(
        stream: &str,
        functions: &str,
        described: &RequestManifest,
    ) -> Result<Self, RequestTemplateError> {
        let wrong = |member: &str, why| {
            RequestTemplateError::Member(format!("request.{member}"), format!("the text {why}"))
        };
        let texts = |member: &str, texts: &std::collections::BTreeMap<String, String>| {
            let parsed = texts.iter().map(|(name, text)| match TextTemplate::parse(text) {
                Ok(template) => Ok((name.clone(), template)),
                Err(why) => Err(wrong(&format!("{member}.{name}"), why)),
            });
            parsed.collect::<Result<Vec<_>, _>>()
        };
        if described.body.is_some() && described.method == Method::Get {
            return Err(RequestTemplateError::Member(
                "request.body".to_owned(),
                "belongs to method POST or PUT".to_owned(),
            ));
        }
        let path = PathTemplate::parse(&described.path).map_err(|why| {
            RequestTemplateError::Member("request.path".to_owned(), format!("the path {why}"))
        })?;
        let filter = |field: &'static str, code: Option<&str>| {
            code.map(|code| Filter::compile(stream, field, functions, code)).transpose()
        };
        let body = filter("request.body", described.body.as_deref())?;
        Ok(Self {
            method: described.method,
            path,
            template: described.path.as_str().into(),
            query: texts("query", &described.query)?,
            headers: texts("headers", &described.headers)?,
            body,
            body_form: described.body_form,
            fields: filter("request.fields", described.fields.as_deref())?,
        })
    }

    /// Whether it needs a record to take fields from; where jq makes them, they may be of no record.
    pub fn has_fields(&self) -> bool {
        self.fields.is_none() && self.has_braces()
    }

    fn has_braces(&self) -> bool {
        self.path.has_fields()
            || self.query.iter().chain(&self.headers).any(|(_, template)| template.has_fields())
    }

    /// The request for `record`.
    pub fn build(&self, record: &Val, scope: &Scope, limits: Limits) -> Result<Request, RequestError> {
        self.build_asking(record, scope, limits, &Asks::default())
    }

    /// The request for `record` that asks for what `asks` says.
    pub fn build_asking(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
        asks: &Asks,
    ) -> Result<Request, RequestError> {
        let scope = &Scope { asked: asks.seen.clone(), ..scope.clone() };
        let fields = match &self.fields {
            Some(filter) => filter.run_one(record.clone(), scope, limits)?,
            None => record.clone(),
        };
        let texts = |templates: &[(String, TextTemplate)]| {
            let expanded =
                templates.iter().map(|(name, template)| Ok((name.clone(), template.expand(&fields)?)));
            expanded.collect::<Result<Vec<_>, String>>()
        };
        let path = self.path.expand(&fields).map_err(RequestError::Field)?;
        let mut query = texts(&self.query).map_err(RequestError::Field)?;
        let mut headers = texts(&self.headers).and_then(header_map).map_err(RequestError::Field)?;
        let mut body = match &self.body {
            Some(filter) => Some(filter.run_one(record.clone(), scope, limits)?),
            None => None,
        };
        for (param, value) in asks.params() {
            put(param, value, &mut query, &mut headers, &mut body).map_err(RequestError::Field)?;
        }
        let written = body.map(|body| body::write(&body, self.body_form)).transpose();
        let body = written.map_err(RequestError::Field)?;
        if body.is_some() && self.body_form == BodyForm::Fields {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.entry(CONTENT_TYPE).or_insert(form);
        }
        let method = match self.method {
            Method::Get => wire::Method::Get,
            Method::Post => wire::Method::Post,
            Method::Put => wire::Method::Put,
        };
        let target = match &asks.url {
            Some(url) => Target::Absolute(url.clone()),
            None => Target::Relative { path, query },
        };
        Ok(Request {
            method,
            target,
            headers,
            body,
            lane: Lane::default(),
            empty: Arc::default(),
            once: false,
            read_as: None,
            template: Some(Arc::clone(&self.template)),
        })
    }
}

/// Puts `value` to where `param` says.
fn put(
    param: &Param,
    value: &Val,
    query: &mut Vec<(String, String)>,
    headers: &mut HeaderMap,
    body: &mut Option<Val>,
) -> Result<(), String> {
    let text = || jq::scalar(value).ok_or_else(|| format!("{} takes no such value", param.shown()));
    match param {
        Param::Query(name) => {
            query.retain(|(other, _)| other != name);
            query.push((name.clone(), text()?));
        }
        Param::Header(name) => {
            let wrong = || format!("{} takes no such value", param.shown());
            let value = HeaderValue::try_from(text()?).map_err(|_| wrong())?;
            headers.insert(HeaderName::try_from(name.as_str()).map_err(|_| wrong())?, value);
        }
        Param::Body(path) => {
            let body = body.as_mut().ok_or_else(|| format!("there is no body for {}", param.shown()))?;
            body::set_member(body, path, value)?;
        }
        Param::Variable(_) => {}
    }
    Ok(())
}

fn header_map(headers: Vec<(String, String)>) -> Result<HeaderMap, String> {
    let headers = headers.into_iter().map(|(name, value)| {
        let wrong = || format!("request.headers.{name}: is no header");
        let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        Ok((HeaderName::try_from(name.as_str()).map_err(|_| wrong())?, value))
    });
    headers.collect()
}

/// Why a manifest describes no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestTemplateError {
    #[error("{0}: {1}")]
    Member(String, String),
    #[error(transparent)]
    Filter(#[from] FilterError),
}
