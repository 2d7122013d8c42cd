//! A provider file: who the provider is, who may call for it, and where its records come from.

use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::Lookup;
use super::api::ApiSection;
use super::keys::{self, FileKey, KeyEntry};
use super::payments::PaymentsSection;
use super::places::{LineColumn, Places};
use super::source::Source;
use crate::payments::Policy;
use crate::store::feeds::FeedPace;
use tributary_domain::{FormanceVersion, PaymentLimit, ProviderName, RequestLimit};
use tributary_manifest::{CompiledProvider, Manifest, ManifestError, Period};

/// A provider as its file declares it.
#[derive(Debug, Clone)]
pub struct Provider {
    pub name: ProviderName,
    pub source: Source,
    pub formance: FormanceVersion,
    pub pace: FeedPace,
    /// What each of its API keys may ask of the API.
    pub limit: RequestLimit,
    /// And how many payments.
    pub payment_limit: PaymentLimit,
    /// What may be paid.
    pub payments: Policy,
    /// Keys that the file brings.
    pub keys: Vec<FileKey>,
    /// What the operator has to know: declared, but not in force.
    pub warnings: Vec<String>,
    compiled: Option<Arc<CompiledProvider>>,
}

/// A file that says how one provider is connected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    /// The provider's name: lower-case letters, digits, `-` and `_`.
    #[schemars(with = "String")]
    provider: ProviderName,
    /// Where the records come from: the word `push`, where they are pushed in or written with SQL,
    /// or how the provider's API is pulled.
    source: Source,
    /// The Formance that polls, and what it understands.
    #[serde(default)]
    formance: FormanceSection,
    /// How changes are published.
    #[serde(default)]
    feed: FeedSection,
    /// How many requests each API key of the provider may send.
    #[serde(default)]
    api: ApiSection,
    /// What may be paid through this service, and from which accounts.
    #[serde(default)]
    payments: PaymentsSection,
    /// Keys with which the API of this service is called, beside those that
    /// `tributary keys create` made.
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

/// The Formance that polls.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FormanceSection {
    /// `3.0`, `3.1`, or `current` (the default) for 3.2 and later.
    #[serde(default)]
    version: FormanceVersion,
}

/// How changes are published.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct FeedSection {
    /// How many changes share one second of the feed at most, 1 to 1000000; 100 if not given.
    max_per_second: i32,
    /// How long a child waits for its parent before it is published without it; 24h if
    /// not given.
    parent_wait: Period,
}

impl Default for FeedSection {
    fn default() -> Self {
        Self { max_per_second: 100, parent_wait: Period::from_seconds(24 * 3600) }
    }
}

impl FeedSection {
    fn pace(&self) -> Result<FeedPace, String> {
        if !(1..=1_000_000).contains(&self.max_per_second) {
            return Err(format!("feed.max_per_second: {} is not from 1 to 1000000", self.max_per_second));
        }
        Ok(FeedPace { per_second: self.max_per_second, parent_wait: self.parent_wait.as_duration() })
    }
}

impl Provider {
    /// Reads the text of a provider file; `lookup` resolves the `${NAME}` of its keys. A key
    /// whose variable is not set opens nothing, and the provider's warnings say so.
    pub fn parse(text: &str, lookup: Lookup) -> Result<Self, String> {
        let file: ProviderFile = parse_yaml(text)?;
        let (keys, mut warnings) = keys::keys(&file.keys, lookup)?;
        let (source, compiled) = match file.source {
            Source::Pull(manifest) => match Manifest::clone(&manifest).interpolated(lookup) {
                Ok(manifest) => {
                    let compiled = CompiledProvider::new(&file.provider, &manifest);
                    let compiled = compiled.map_err(|error| at_its_line(text, &error))?;
                    (Source::Pull(Box::new(manifest)), Some(Arc::new(compiled)))
                }
                Err(error) => {
                    manifest.check_without_variables().map_err(|error| at_its_line(text, &error))?;
                    warnings.push(format!("nothing is pulled: {error}"));
                    (Source::Unset, None)
                }
            },
            other => (other, None),
        };
        let pace = file.feed.pace()?;
        Ok(Self {
            name: file.provider,
            source,
            formance: file.formance.version,
            limit: file.api.limit(pace)?,
            payment_limit: file.api.payment_limit()?,
            payments: file.payments.policy()?,
            pace,
            keys,
            warnings,
            compiled,
        })
    }

    /// What its manifest was compiled to, once for all who need it; `None` of one that is not
    /// pulled.
    pub fn compiled(&self) -> Option<&Arc<CompiledProvider>> {
        self.compiled.as_ref()
    }

    /// Changes the manifest of one that is pulled, and compiles it anew.
    pub fn change_manifest(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<(), ManifestError> {
        if let Source::Pull(manifest) = &mut self.source {
            change(manifest);
            self.compiled = Some(Arc::new(CompiledProvider::new(&self.name, manifest)?));
        }
        Ok(())
    }
}

/// The manifest of a provider file, checked as far as it goes without variables, which are not
/// filled in.
pub fn manifest_of(text: &str) -> Result<Manifest, String> {
    match parse_yaml(text)?.source {
        Source::Pull(manifest) => {
            manifest.check_without_variables().map_err(|error| at_its_line(text, &error))?;
            Ok(*manifest)
        }
        Source::Push | Source::Unset => Err("it is not pulled: `source: push`".to_owned()),
    }
}

/// The JSON Schema of a provider file, by which editors complete and check it.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::default().with_transform(RecursiveTransform(describe_variants));
    let mut schema = settings.into_generator().into_root_schema_for::<ProviderFile>();
    schema.insert("title".to_owned(), "A provider of Tributary".into());
    schema.to_value()
}

/// Gives the property that says which of several forms is written (`kind: page`, or the only one
/// there is) the description of that form: editors show those of properties alone.
fn describe_variants(schema: &mut Schema) {
    let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { return };
    for variant in variants {
        let Some(description) = variant.get("description").cloned() else { continue };
        let Some(properties) = variant.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        let alone = properties.len() == 1;
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            if alone || property.contains_key("const") {
                property.entry("description").or_insert_with(|| description.clone());
            }
        }
    }
}

/// What is wrong, with the line of the field that it is about.
fn at_its_line(text: &str, error: &ManifestError) -> String {
    let (stream, field) = error.place();
    match Places::of(text).and_then(|places| places.of_source(stream, field)) {
        Some(LineColumn { line, column }) => format!("line {line}, column {column}: {error}"),
        None => error.to_string(),
    }
}

/// Without the lines around a mistake: they may hold a token that somebody wrote into the file.
fn parse_yaml(text: &str) -> Result<ProviderFile, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Provider, String> {
        Provider::parse(text, &|name| (name == "ACME_KEY").then(|| "0123456789abcdef".to_owned()))
    }

    #[test]
    fn the_smallest_file_is_two_lines() {
        let provider = parse("provider: acme\nsource: push\n").unwrap();
        assert_eq!(provider.name.as_str(), "acme");
        assert_eq!(provider.formance, FormanceVersion::Current);
        assert_eq!(
            provider.pace,
            FeedPace { per_second: 100, parent_wait: std::time::Duration::from_secs(86_400) }
        );
    }

    #[test]
    fn versions_are_read_with_and_without_quotes() {
        for text in ["3.1", "\"3.1\"", "v3.1"] {
            let provider =
                parse(&format!("provider: acme\nsource: push\nformance: {{ version: {text} }}\n")).unwrap();
            assert_eq!(provider.formance, FormanceVersion::V3_1);
        }
    }

    #[test]
    fn keys_come_from_the_environment_only() {
        let file = |key: &str| {
            format!("provider: acme\nsource: push\nkeys:\n  - {{ scope: connector, key: \"{key}\" }}\n")
        };
        assert_eq!(parse(&file("${ACME_KEY}")).unwrap().keys.len(), 1);
        let unset = parse(&file("${OTHER}")).unwrap();
        assert!(unset.keys.is_empty() && unset.warnings[0].contains("OTHER"));
        assert!(parse(&file("plain text secret")).unwrap_err().contains("keys[0]"));
    }

    #[test]
    fn a_key_that_a_file_brings_twice_is_refused_with_both_places() {
        let key =
            |scope: &str, more: &str| format!("  - {{ scope: {scope}, key: \"${{ACME_KEY}}\"{more} }}\n");
        let file = |keys: &[String]| format!("provider: acme\nsource: push\nkeys:\n{}", keys.concat());
        let error = parse(&file(&[key("connector", ""), key("ingest", "")])).unwrap_err();
        assert!(error.contains("keys[0] and keys[1]") && !error.contains("0123456789abcdef"), "{error}");
        let named = |name: &str| parse(&file(&[key("pay", &format!(", name: {name}"))]));
        assert_eq!(named("payroll").unwrap().keys[0].name, "payroll");
        assert_eq!(parse(&file(&[key("pay", "")])).unwrap().keys[0].name, "pay");
        assert!(named("'a b'").unwrap_err().contains("keys[0].name"));
    }

    fn limit(api: &str) -> Result<(u32, u32), String> {
        let provider = parse(&format!("provider: acme\nsource: push\n{api}\n"))?;
        Ok((provider.limit.per_second.get(), provider.limit.burst.get()))
    }

    #[test]
    fn a_limit_of_requests_has_room_for_a_call_of_the_connector() {
        assert_eq!(limit(""), Ok((1_000, 10_000)));
        assert_eq!(limit("api: { max_requests_per_second: 200 }"), Ok((200, 2_000)));
        assert_eq!(limit("api: { max_requests_per_second: 1 }"), Ok((1, 22)));
        assert_eq!(limit("api: { max_requests_per_second: 5, burst: 22 }"), Ok((5, 22)));
        assert_eq!(
            limit("feed: { max_per_second: 1000000 }\napi: { max_requests_per_second: 5 }"),
            Ok((5, 10_002))
        );
    }

    #[test]
    fn few_payments_are_ordered_at_once_unless_the_file_says_more() {
        let limit = |api: &str| {
            let limit = parse(&format!("provider: acme\nsource: push\n{api}\n")).unwrap().payment_limit.0;
            (limit.per_second.get(), limit.burst.get())
        };
        assert_eq!(limit(""), (5, 10));
        assert_eq!(limit("api: { max_payments_per_second: 50 }"), (50, 100));
        assert_eq!(limit("api: { payments_burst: 1 }"), (5, 1));
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_what_does() {
        for (api, told) in [
            ("{ max_requests_per_second: 0 }", "api.max_requests_per_second: 0 is not from 1 to 1000000"),
            ("{ max_requests_per_second: 1000001 }", "1000001 is not from 1"),
            ("{ max_requests_per_second: -1 }", "line 3"),
            ("{ max_requests_per_second: fast }", "line 3"),
            ("{ burst: 0 }", "api.burst: 0 is not from 22 to 10000000"),
            ("{ burst: 21 }", "may need 22 requests in a row"),
            ("{ burst: 10000001 }", "api.burst: 10000001"),
            ("{ max_per_second: 5 }", "max_per_second"),
            ("{ max_payments_per_second: 0 }", "api.max_payments_per_second: 0 is not from 1 to 1000"),
            ("{ payments_burst: 10001 }", "api.payments_burst: 10001 is not from 1 to 10000"),
        ] {
            let error = limit(&format!("api: {api}")).unwrap_err();
            assert!(error.contains(told), "{api}: {error}");
        }
        let error = limit("feed: { max_per_second: 5000 }\napi: { burst: 51 }").unwrap_err();
        assert!(error.contains("from 52"), "{error}");
    }

    #[test]
    fn a_mistake_in_a_manifest_is_named_with_its_line_and_what_to_do() {
        let file = |streams: &str| {
            format!(
                "provider: acme\nsource:\n  base_url: ${{ACME_URL}}\n  auth: none\n  every: 1m\n  streams:\n{streams}"
            )
        };
        for (streams, about) in [
            (
                "    - name: a\n      resource: accounts\n      request: { path: /a }\n      records: .[]\n      map: '{'\n",
                ["line 11, column 7", "map of stream a"],
            ),
            (
                "    - name: a\n      resource: accounts\n      request: { path: /a }\n      records: .[]\n",
                ["line 7, column 7", "give both or none"],
            ),
            (
                "    - name: a\n      resource: accounts\n      request: { path: /a }\n      recods: .[]\n",
                ["line 10", "recods"],
            ),
        ] {
            let error = parse(&file(streams)).unwrap_err();
            assert!(about.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn what_may_be_paid_is_read_in_minor_units() {
        let payments = |text: &str| parse(&format!("provider: acme\nsource: push\npayments: {text}\n"));
        let policy = payments(
            r#"{ source_accounts: [a], retry_guard: 15s, expire_after: 2h, limits: [{ asset: GBP/2, per_payment: "1000" }] }"#,
        )
        .unwrap()
        .payments;
        assert_eq!((policy.guard.as_secs(), policy.expire_after.as_secs()), (15, 7_200));
        assert!(!parse("provider: acme\nsource: push\n").unwrap().payments.is_on(), "unless a file says so");
        assert_eq!(policy.limits["GBP/2"].per_payment.unwrap().minor_units(), 1000);
        for (text, about) in [
            (r#"{ limits: [{ asset: GBP/2, per_day: "1.50" }] }"#, "payments.limits[0].per_day"),
            ("{ limits: [{ asset: pounds }] }", "payments.limits[0].asset"),
            ("{ limits: [{ asset: JPY }, { asset: JPY }] }", "listed twice"),
            (
                "{ limits: [{ asset: JPY, approvals: 2 }] }",
                "payments.limits[0].approvals: say above which amount",
            ),
            (
                "{ limits: [{ asset: JPY, require_approval_above: '5', approvals: 0 }] }",
                "payments.limits[0].approvals: take 1 to 10",
            ),
            ("{ retry_guard: 5s }", "payments.retry_guard: take at least 12s"),
            ("{ expire_after: 59s }", "payments.expire_after: take at least 1m"),
            ("{ limits: [] }", "payments.limits: lists no asset"),
            ("{ source_accounts: [] }", "payments.source_accounts: lists no account"),
            (
                "{ source_accounts: [], limits: [{ asset: JPY }] }",
                "payments.source_accounts: lists no account",
            ),
            ("{ limits: [{ asset: JPY, per_year: '1' }] }", "per_year"),
        ] {
            let error = payments(text).unwrap_err();
            assert!(error.contains(about), "{about}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = parse("provider: acme\nsource: push\nfeed:\n  max_per_secnd: 5\n").unwrap_err();
        assert!(error.contains("max_per_secnd") && error.contains("line 4"), "{error}");
        assert!(parse("provider: acme\nsource: pull\n").unwrap_err().contains("push"));
        assert!(parse("provider: Acme\nsource: push\n").unwrap_err().contains("Acme"));
    }
}
