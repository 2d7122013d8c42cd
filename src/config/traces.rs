//! Where traces go, by the names of OpenTelemetry and by those of Formance's services.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::{ConfigError, Lookup};

/// Where spans go and which are exported. Its headers may hold a secret.
#[derive(Clone, PartialEq)]
pub struct TraceExport {
    /// The whole URL that OTLP is posted to.
    pub endpoint: String,
    /// Headers of each request, value by name.
    pub headers: HashMap<String, String>,
    pub service: String,
    /// What else is said of this process, value by name.
    pub attributes: Vec<(String, String)>,
    pub sampling: Sampling,
}

impl std::fmt::Debug for TraceExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceExport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Which traces are exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether a caller decides about its own trace.
    pub by_parent: bool,
    /// How many of the others are, from 0 to 1.
    pub share: f64,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const FORMANCE_ENDPOINT: &str = "OTEL_TRACES_EXPORTER_OTLP_ENDPOINT";

/// What `lookup` says of traces; `None` where none are exported: there is no endpoint, or they are off.
pub fn traces(lookup: Lookup) -> Result<Option<TraceExport>, ConfigError> {
    let names = Names(lookup);
    if names.truth("OTEL_SDK_DISABLED")? == Some(true) || names.truth("OTEL_TRACES")? == Some(false) {
        return Ok(None);
    }
    let exporter = names.set("OTEL_TRACES_EXPORTER");
    match exporter.as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(_) => return Err(wrong("OTEL_TRACES_EXPORTER", "write otlp, or none to export nothing")),
    }
    let Some(endpoint) = names.endpoint()? else {
        return match names.truth("OTEL_TRACES")? {
            Some(true) => Err(wrong(
                "OTEL_TRACES",
                format!("is true, and no endpoint is set: write {ENDPOINT}=http://collector:4318"),
            )),
            _ => Ok(None),
        };
    };
    names.only(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf")?;
    names.only(&["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"], "none")?;
    let mut attributes = names.attributes()?;
    let of_attributes = attributes.iter().position(|(name, _)| name == "service.name");
    let of_attributes = of_attributes.map(|place| attributes.swap_remove(place).1);
    let service = names.set("OTEL_SERVICE_NAME").or(of_attributes).unwrap_or_else(|| "tributary".to_owned());
    let (headers, sampling) = (names.headers()?, names.sampling()?);
    Ok(Some(TraceExport { endpoint, headers, service, attributes, sampling }))
}

fn wrong(name: &'static str, message: impl Into<String>) -> ConfigError {
    ConfigError::Variable { name, message: message.into() }
}

/// The variables, of which empty ones are as good as not set.
struct Names<'a>(Lookup<'a>);

impl Names<'_> {
    fn set(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn truth(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.set(name).map(|value| value.to_lowercase()).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "write true or false")),
        }
    }

    fn only(&self, names: &[&'static str], known: &str) -> Result<(), ConfigError> {
        match names.iter().find_map(|name| Some((*name, self.set(name)?))) {
            Some((name, value)) if value != known => {
                Err(wrong(name, format!("only {known} is spoken here: write that, or leave it out")))
            }
            _ => Ok(()),
        }
    }

    fn endpoint(&self) -> Result<Option<String>, ConfigError> {
        if let Some(whole) = self.set(TRACES_ENDPOINT) {
            return checked(TRACES_ENDPOINT, &whole).map(Some);
        }
        if let Some(base) = self.set(ENDPOINT) {
            let base = checked(ENDPOINT, &base)?;
            return Ok(Some(format!("{}/v1/traces", base.trim_end_matches('/'))));
        }
        let Some(address) = self.set(FORMANCE_ENDPOINT) else { return Ok(None) };
        if self.set("OTEL_TRACES_EXPORTER_OTLP_MODE").as_deref() != Some("http") {
            return Err(wrong(
                "OTEL_TRACES_EXPORTER_OTLP_MODE",
                "OTLP is spoken over HTTP here, not gRPC: write http, and in OTEL_TRACES_EXPORTER_OTLP_ENDPOINT \
                 the collector's port for it, such as collector:4318",
            ));
        }
        let insecure = self.truth("OTEL_TRACES_EXPORTER_OTLP_INSECURE")?.unwrap_or(false);
        let scheme = if insecure { "http" } else { "https" };
        let url = if address.contains("://") { address } else { format!("{scheme}://{address}") };
        let base = checked(FORMANCE_ENDPOINT, &url)?;
        Ok(Some(format!("{}/v1/traces", base.trim_end_matches('/'))))
    }

    fn headers(&self) -> Result<HashMap<String, String>, ConfigError> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let Some((variable, text)) = names.iter().find_map(|name| Some((*name, self.set(name)?))) else {
            return Ok(HashMap::new());
        };
        // nothing of it is repeated: it may be a secret
        let unreadable =
            || wrong(variable, "write NAME=VALUE, several separated by commas, with %20 for a blank");
        let pairs = pairs(&text, |c| c == ',').ok_or_else(unreadable)?;
        let is_header = |(name, value): &(String, String)| {
            name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok()
        };
        if pairs.iter().all(is_header) { Ok(pairs.into_iter().collect()) } else { Err(unreadable()) }
    }

    /// OpenTelemetry separates them by commas, Formance by blanks.
    fn attributes(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let text = self.set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        pairs(&text, |c| c == ',' || c.is_whitespace()).ok_or_else(|| {
            wrong("OTEL_RESOURCE_ATTRIBUTES", "write NAME=VALUE, several separated by commas or blanks")
        })
    }

    fn sampling(&self) -> Result<Sampling, ConfigError> {
        let sampler = self.set("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let (by_parent, kind) = match sampler.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, sampler.as_str()),
        };
        let share = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match self.set("OTEL_TRACES_SAMPLER_ARG") {
                None => 1.0,
                Some(text) => {
                    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
                        wrong("OTEL_TRACES_SAMPLER_ARG", "write a share from 0 to 1, such as 0.1")
                    })?
                }
            },
            _ => {
                return Err(wrong(
                    "OTEL_TRACES_SAMPLER",
                    "write always_on, always_off or traceidratio, or one of them with parentbased_ before it",
                ));
            }
        };
        Ok(Sampling { by_parent, share })
    }
}

/// The URL, if it is one that spans can go to.
fn checked(name: &'static str, text: &str) -> Result<String, ConfigError> {
    let plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    // the text is not repeated: somebody may have put a password into it
    match Url::parse(text) {
        Ok(url) if plain(&url) => Ok(text.to_owned()),
        _ => Err(wrong(
            name,
            "write http:// or https:// with host and port, such as http://collector:4318, without user, \
             password and query; what proves who sends goes into OTEL_EXPORTER_OTLP_HEADERS",
        )),
    }
}

/// `NAME=VALUE` pairs with the escapes of URLs; `None` where one cannot be read.
fn pairs(text: &str, separates: impl Fn(char) -> bool) -> Option<Vec<(String, String)>> {
    let parts = text.split(separates).map(str::trim).filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Option<TraceExport>, String> {
        let set: HashMap<String, String> =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        traces(&|name| set.get(name).cloned()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint_or_where_it_is_off() {
        assert_eq!(read(&[]), Ok(None));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES", "false"), ("OTEL_TRACES_EXPORTER", "none")]
        {
            assert_eq!(read(&[(ENDPOINT, "http://c:4318"), off]), Ok(None), "{off:?}");
        }
    }

    #[test]
    fn the_names_of_opentelemetry_and_those_of_formance_lead_to_the_same() {
        let ours = read(&[
            (ENDPOINT, "http://c:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, b=c"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=t"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let ours = ours.unwrap().unwrap();
        assert_eq!(ours.endpoint, "http://c:4318/v1/traces");
        assert_eq!((ours.headers["authorization"].as_str(), ours.headers["b"].as_str()), ("Bearer x", "c"));
        assert_eq!(ours.service, "t");
        assert_eq!(ours.attributes, [("deployment.environment.name".to_owned(), "test".to_owned())]);
        assert_eq!(ours.sampling, Sampling { by_parent: true, share: 0.25 });
        assert!(!format!("{ours:?}").contains("Bearer"));
        let theirs = read(&[
            ("OTEL_TRACES", "true"),
            ("OTEL_TRACES_BATCH", "true"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_EXPORTER_OTLP_MODE", "http"),
            (FORMANCE_ENDPOINT, "c:4318"),
            ("OTEL_TRACES_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_SERVICE_NAME", "payments-in"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b c=d"),
        ]);
        let theirs = theirs.unwrap().unwrap();
        assert_eq!(
            (theirs.endpoint.as_str(), theirs.service.as_str()),
            ("http://c:4318/v1/traces", "payments-in")
        );
        assert_eq!(theirs.attributes.len(), 2);
        let whole =
            read(&[(TRACES_ENDPOINT, "https://c/otlp/in"), (ENDPOINT, "http://other")]).unwrap().unwrap();
        assert_eq!(whole.endpoint, "https://c/otlp/in");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_name_and_what_to_write_and_no_secret() {
        let endpoint = (ENDPOINT, "http://c:4318");
        for (name, value) in [
            (ENDPOINT, "c:4318"),
            (ENDPOINT, "http://me:hunter2@c:4318"),
            (TRACES_ENDPOINT, "grpc://c:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_RESOURCE_ATTRIBUTES", "hunter2"),
            ("OTEL_SDK_DISABLED", "maybe"),
        ] {
            let error = read(&[endpoint, (name, value)]).unwrap_err();
            assert!(error.starts_with(name) && error.contains("write"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let ratio = [endpoint, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
        assert!(read(&ratio).unwrap_err().starts_with("OTEL_TRACES_SAMPLER_ARG"));
        // the mode of Formance's services is gRPC where nothing is said
        let error = read(&[(FORMANCE_ENDPOINT, "c:4317")]).unwrap_err();
        assert!(error.starts_with("OTEL_TRACES_EXPORTER_OTLP_MODE") && error.contains("http"), "{error}");
        assert!(read(&[("OTEL_TRACES", "true")]).unwrap_err().contains(ENDPOINT));
    }
}
