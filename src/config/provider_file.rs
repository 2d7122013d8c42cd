//! A provider file: who the provider is, who may call for it, and where its records come from.

use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Lookup;
use super::callers::{CallersSection, per_second};
use super::files::FilesSection;
use super::keys::{self, FileKey, KeyEntry};
use super::payments::PaymentsSection;
use super::source::{FileText, Source};
use super::uses::{self, Descriptions};
use crate::payments::Policy;
use crate::statements::Files;
use crate::store::feeds::FeedPace;
use crate::sync::FileSource;
use tributary_domain::{FormanceVersion, PaymentLimit, ProviderName, RequestLimit, Resource};
use tributary_manifest::language::{self, Kind, Mistake, Mistakes, Node, Rate};
use tributary_manifest::{CompiledProvider, InterpolateError, Manifest, ManifestError, Period};

/// A provider as its file declares it.
#[derive(Debug, Clone)]
pub struct Provider {
    pub name: ProviderName,
    pub source: Source,
    pub formance: FormanceVersion,
    pub pace: FeedPace,
    /// What may be pushed.
    pub pushed: Vec<Resource>,
    /// What each of its API keys may ask of the API.
    pub limit: RequestLimit,
    /// And how many payments.
    pub payment_limit: PaymentLimit,
    /// What may be paid.
    pub payments: Policy,
    /// How its statement files are read; `None` of one that has none.
    pub files: Option<Arc<Files>>,
    /// Where those are fetched from.
    pub file_source: Option<FileSource>,
    /// Keys that the file brings.
    pub keys: Vec<FileKey>,
    /// What a draft asks, and in which line: until it is answered, nothing is pulled by a guess.
    pub questions: Vec<(usize, String)>,
    /// What the operator has to know: declared, but not in force.
    pub warnings: Vec<String>,
    /// The file itself.
    pub file: FileText,
    compiled: Option<Arc<CompiledProvider>>,
}

/// What a file says of this service: who the provider is to it, and who calls it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    /// The provider's name: lower-case letters, digits, `-` and `_`.
    #[schemars(with = "String")]
    provider: ProviderName,
    /// `all`: records are pushed in or written with SQL, and nothing is pulled. Or a list of the resources
    /// that may be pushed beside what is pulled; any, if not given.
    #[serde(default)]
    push: Option<Push>,
    /// The Formance that polls, and what it understands.
    #[serde(default)]
    formance: FormanceSection,
    /// Statement files of a bank, alone or beside what is pulled.
    #[serde(default)]
    files: Option<FilesSection>,
    /// How changes are published.
    #[serde(default)]
    feed: FeedSection,
    /// How many requests each API key of the provider may send.
    #[serde(default)]
    callers: CallersSection,
    /// Keys with which the API of this service is called, beside those that
    /// `tributary keys create` made.
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

/// The fields of a [`ServiceFile`]: the rest of a file is of the provider's API.
const OF_SERVICE: [&str; 7] = ["provider", "push", "formance", "files", "feed", "callers", "keys"];
/// Those of a [`PaymentsSection`] in `pay`.
const OF_POLICY: [&str; 4] = ["limits", "source_accounts", "retry_guard", "expire_after"];

/// What may be pushed.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write all, or a list such as [beneficiaries]")]
enum Push {
    All(All),
    Beside(Vec<Resource>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum All {
    All,
}

impl Push {
    /// The resources that may be pushed to a provider that is pulled, by what its file says of them.
    fn beside(given: Option<Self>) -> Vec<Resource> {
        match given {
            Some(Self::Beside(resources)) => resources,
            None | Some(Self::All(_)) => Resource::ALL.to_vec(),
        }
    }
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
    /// How many changes share one second of the feed at most, 1/s to 1000000/s; 100/s if not given.
    pace: Rate,
    /// How long a child waits for its parent before it is published without it; 24h if
    /// not given.
    parent_wait: Period,
}

impl Default for FeedSection {
    fn default() -> Self {
        Self {
            pace: Rate { count: 100, per: Period::from_seconds(1) },
            parent_wait: Period::from_seconds(24 * 3600),
        }
    }
}

impl FeedSection {
    fn pace(&self) -> Result<FeedPace, String> {
        let pace = per_second("feed.pace", self.pace, 1_000_000)?;
        let per_second = i32::try_from(pace.get()).map_err(|error| error.to_string())?;
        Ok(FeedPace { per_second, parent_wait: self.parent_wait.as_duration() })
    }
}

/// A file in its parts.
struct Parts {
    service: ServiceFile,
    policy: PaymentsSection,
    /// What is said of the API, as the file that describes it says it; `None` of a provider that is
    /// not pulled.
    api: Option<Described>,
}

/// What is said of an API.
pub struct Described {
    /// As it is written, in the file or in the description that it uses.
    pub node: Node,
    /// Checked as far as it goes without variables, which are not filled in.
    pub manifest: Manifest,
    /// The variables of a description that another file uses, and its name.
    set: Option<uses::Set>,
    /// What rows, answers and orders become, as the file says.
    pub examples: Option<Node>,
    /// The first asset of its `pay.limits`, such as `GBP/2`; `None` where it lists none.
    pub asset: Option<String>,
    /// The name of the provider.
    pub provider: Option<String>,
}

impl Described {
    /// What `error` of its manifest says, with the line of the file.
    pub fn at(&self, error: &ManifestError) -> String {
        language::at_its_place(error, &self.node).to_string()
    }

    /// The variables that the description sees: those that the file sets, or else those of `lookup`.
    pub fn variables(&self, lookup: Lookup) -> Result<impl Fn(&str) -> Option<String>, InterpolateError> {
        let set = self.set.as_ref().map(|set| set.filled(lookup)).transpose()?;
        Ok(move |name: &str| match &set {
            Some(set) => set.get(name).cloned(),
            None => lookup(name),
        })
    }
}

/// What the text of a provider file, which can use the `descriptions` beside it, says of the API.
pub fn described(text: &str, descriptions: Descriptions) -> Result<Described, String> {
    let api = Parts::of(text, descriptions).map_err(|mistakes| mistakes.to_string())?.api;
    api.ok_or_else(|| "it is not pulled: `push: all`".to_owned())
}

impl Parts {
    /// Reads the text of a file. The error is everything that is wrong with it.
    fn of(text: &str, descriptions: Descriptions) -> Result<Self, Mistakes> {
        let mut node = Node::parse(text)?;
        let mut mistakes = Mistakes::default();
        let own = node.take_members(&OF_SERVICE);
        let examples = node.take("examples");
        let policy = match node.get_mut("pay") {
            Some(pay) => {
                let policy = pay.take_members(&OF_POLICY);
                if pay.members().is_empty() {
                    node.take("pay");
                }
                policy
            }
            None => Node::mapping(node.at),
        };
        let asset = policy.get("limits").and_then(|limits| match &limits.kind {
            Kind::List(items) => Some(items.first()?.get("asset")?.text()?.to_owned()),
            _ => None,
        });
        let provider = own.get("provider").and_then(Node::text).map(str::to_owned);
        let service: Option<ServiceFile> = language::form(&own, "", &mut mistakes);
        let policy: Option<PaymentsSection> = language::form(&policy, "pay", &mut mistakes);
        // by what is written, and not by what could be read of it: a mistake elsewhere makes no API of it
        let pushed = own.get("push").and_then(Node::text) == Some("all");
        if let Some(member) = node.members().first().filter(|_| pushed) {
            let why = "belongs to a provider that is pulled, and `push: all` says that this one is not";
            mistakes.add(Mistake { at: member.at, field: member.name.clone(), why: why.to_owned() });
            return Err(mistakes.or(()).err().unwrap_or_default());
        }
        let files = service.as_ref().and_then(|service| service.files.as_ref());
        let checked =
            files.map_or(Ok(()), |files| files.check_source().and_then(|()| files.files().map(drop)));
        if let Err((field, why)) = checked {
            mistakes.add(Mistake { at: own.place(&field), field, why });
        }
        let pushed = pushed || own.get("files").is_some() && node.members().is_empty();
        let api = match (node.get("uses").is_some(), pushed) {
            (true, _) => uses::described(node, descriptions).map(|(node, set)| (node, Some(set))).map(Some),
            (false, true) => Ok(None),
            (false, false) => Ok(Some((node, None))),
        };
        let api = api.and_then(|api| {
            let described = |(node, set): (Node, Option<uses::Set>)| {
                let manifest =
                    language::read(&node).map_err(|mistakes| uses::in_description(mistakes, set.as_ref()))?;
                Ok(Described {
                    node,
                    manifest,
                    set,
                    examples: examples.clone(),
                    asset: asset.clone(),
                    provider: provider.clone(),
                })
            };
            api.map(described).transpose()
        });
        match (api, service, policy) {
            (Ok(api), Some(service), Some(policy)) => mistakes.or(Self { service, policy, api }),
            (api, ..) => {
                for mistake in api.err().iter().flat_map(Mistakes::iter) {
                    mistakes.add(mistake.clone());
                }
                Err(mistakes.or(()).err().unwrap_or_else(|| Mistake::at(own.at, "it cannot be read").into()))
            }
        }
    }
}

impl Provider {
    /// Reads the text of a provider file; `lookup` resolves the `${NAME}` of its keys. A key
    /// whose variable is not set opens nothing, and the provider's warnings say so. Of other descriptions it
    /// can use those that ship.
    pub fn parse(text: &str, lookup: Lookup) -> Result<Self, String> {
        Self::parse_beside(text, lookup, &|_| None)
    }

    /// As [`Provider::parse`], of a file that can use the `descriptions` beside it.
    pub fn parse_beside(text: &str, lookup: Lookup, descriptions: Descriptions) -> Result<Self, String> {
        let Parts { service, policy, api } =
            Parts::of(text, descriptions).map_err(|mistakes| mistakes.to_string())?;
        let (keys, mut warnings) = keys::keys(&service.keys, lookup)?;
        let (source, compiled) = match api {
            None => (Source::Push, None),
            Some(api) => {
                warnings.extend(blind_payments(&api.manifest));
                warnings.extend(api.manifest.streams.iter().flat_map(|stream| stream.notes.iter().cloned()));
                let filled = api.variables(lookup).and_then(|lookup| {
                    let mut manifest = api.manifest.clone();
                    if let Some(error @ InterpolateError::Missing(_)) = manifest.unset_webhook(&lookup) {
                        // what is pulled does not wait for what may only come sooner by a call
                        manifest.webhook = None;
                        warnings.push(format!("webhooks are refused: {error}"));
                    }
                    manifest.interpolated(lookup)
                });
                match filled {
                    Ok(manifest) => {
                        let compiled = CompiledProvider::new(&service.provider, &manifest)
                            .map_err(|error| language::at_its_place(&error, &api.node).to_string())?;
                        (Source::Pull(Box::new(manifest)), Some(Arc::new(compiled)))
                    }
                    Err(error) => {
                        let unset = unset(&api, lookup);
                        let why = if unset.len() > 1 { all_unset(&unset) } else { error.to_string() };
                        warnings.push(format!("nothing is pulled: {why}"));
                        (Source::Unset, None)
                    }
                }
            }
        };
        let pace = service.feed.pace()?;
        let files = service.files.as_ref().map(FilesSection::files).transpose();
        let files = files.map_err(|(field, why)| format!("{field}: {why}"))?.map(Arc::new);
        let file_source = service.files.as_ref().map(|files| files.source(lookup)).transpose();
        let file_source = file_source.unwrap_or_else(|error| {
            warnings.push(format!("files are taken only as they are posted: {error}"));
            None
        });
        Ok(Self {
            files,
            file_source: file_source.flatten(),
            name: service.provider,
            source,
            formance: service.formance.version,
            limit: service.callers.limit(pace)?,
            payment_limit: service.callers.payment_limit()?,
            payments: policy.policy()?,
            pace,
            pushed: Push::beside(service.push),
            keys,
            questions: questions(text),
            warnings,
            file: FileText::new(text, None),
            compiled,
        })
    }

    /// That nothing is to be pulled or paid yet, where the file has questions: what is read by a wrong guess
    /// stays so for Formance.
    pub fn require_answers(&self) -> Result<(), String> {
        match self.questions.len() {
            0 => Ok(()),
            open => Err(format!(
                "the file of {} has open questions ({open}): answer each `{}` and delete it; \
                 `tributary manifest validate` names them, `tributary manifest read` shows what the API says",
                self.name,
                QUESTION.trim()
            )),
        }
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

/// What begins a comment that asks what only a person can know.
pub const QUESTION: &str = "# QUESTION: ";

fn questions(text: &str) -> Vec<(usize, String)> {
    let asked = |(n, line): (usize, &str)| Some((n + 1, line.split_once(QUESTION)?.1.trim().to_owned()));
    text.lines().enumerate().filter_map(asked).collect()
}

/// The variables that the description asks for and that are not set, besides those of its webhook alone.
fn unset(api: &Described, lookup: Lookup) -> Vec<String> {
    let Ok(known) = api.variables(lookup) else { return Vec::new() };
    let mut manifest = api.manifest.clone();
    if manifest.unset_webhook(&known).is_some() {
        manifest.webhook = None;
    }
    let mut unset: Vec<String> = Vec::new();
    loop {
        let filled = |name: &str| {
            known(name).or_else(|| unset.iter().any(|other| other == name).then(|| name.to_owned()))
        };
        match manifest.clone().interpolated(filled) {
            Err(InterpolateError::Missing(name)) if !unset.contains(&name) => unset.push(name),
            _ => return unset,
        }
    }
}

fn all_unset(names: &[String]) -> String {
    format!("the environment variables {} must be set: the file asks for each as ${{NAME}}", names.join(", "))
}

/// What is missing for a payment whose outcome is unknown to be found out about without a person.
fn blind_payments(manifest: &Manifest) -> Vec<String> {
    let sections = [("payouts", &manifest.payouts), ("transfers", &manifest.transfers)];
    let blind =
        sections.into_iter().filter(|(_, section)| section.as_ref().is_some_and(|pay| pay.lookup.is_none()));
    let told = blind.map(|(name, _)| {
        format!("pay.{name} has no `find`: an order of which the answer is lost waits for a person to ask the provider")
    });
    told.collect()
}

/// The manifest of a provider file, checked as far as it goes without variables, which are not
/// filled in.
pub fn manifest_of(text: &str) -> Result<Manifest, String> {
    Ok(described(text, &|_| None)?.manifest)
}

/// Tries the examples of a provider file that can use the `descriptions` beside it, without a network;
/// gives how many there are.
pub fn try_examples(text: &str, descriptions: Descriptions) -> Result<usize, String> {
    let described = Parts::of(text, descriptions).map_err(|mistakes| mistakes.to_string())?.api;
    match described.as_ref().and_then(|described| Some((described, described.examples.as_ref()?))) {
        Some((described, examples)) => {
            language::try_examples(&described.manifest, examples).map_err(|mistakes| mistakes.to_string())
        }
        None => Ok(0),
    }
}

/// The JSON Schema of a provider file, by which editors complete and check it.
pub fn schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let service = ServiceFile::json_schema(&mut generator).to_value();
    let mut properties = members(&service, "properties");
    properties.extend(language::schema(&mut generator));
    properties.extend(uses::schema());
    let mut pay = PaymentsSection::json_schema(&mut generator).to_value();
    if let Some(of_pay) = pay["properties"].as_object_mut() {
        of_pay.extend(language::pay_schema(&mut generator).map(|(name, form)| (name.to_owned(), form)));
    }
    pay["description"] =
        "What may be paid through this service, and how it is ordered at the provider.".into();
    properties.insert("pay".to_owned(), pay);
    let mut definitions: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    language::take_none(&mut definitions);
    let mut schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A provider of Tributary",
        "description": "A file that says how one provider is connected.",
        "type": "object",
        "additionalProperties": false,
        "required": ["provider"],
        "properties": properties,
        "$defs": definitions,
    });
    describe_variants(&mut schema);
    schema
}

fn members(schema: &Value, name: &str) -> Map<String, Value> {
    schema[name].as_object().cloned().unwrap_or_default()
}

/// Gives the property that says which of several forms is written (`kind: page`, or the only one
/// there is) the description of that form: editors show those of properties alone.
fn describe_variants(schema: &mut Value) {
    if let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        for variant in variants {
            let Some(description) = variant.get("description").cloned() else { continue };
            let Some(properties) = variant.get_mut("properties").and_then(Value::as_object_mut) else {
                continue;
            };
            let alone = properties.len() == 1;
            for property in properties.values_mut().filter_map(Value::as_object_mut) {
                if alone || property.contains_key("const") {
                    property.entry("description").or_insert_with(|| description.clone());
                }
            }
        }
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(describe_variants),
        Value::Array(items) => items.iter_mut().for_each(describe_variants),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Provider, String> {
        Provider::parse(text, &|name| (name == "ACME_KEY").then(|| "0123456789abcdef".to_owned()))
    }

    #[test]
    fn the_smallest_file_is_two_lines() {
        let provider = parse("provider: acme\npush: all\n").unwrap();
        assert_eq!(provider.name.as_str(), "acme");
        assert_eq!(provider.formance, FormanceVersion::Current);
        assert_eq!(
            provider.pace,
            FeedPace { per_second: 100, parent_wait: std::time::Duration::from_secs(86_400) }
        );
    }

    #[test]
    fn a_payout_that_cannot_be_found_again_is_warned_of_whether_variables_are_set_or_not() {
        let file = |find: &str| {
            format!(
                "provider: acme\napi: https://bank.example\nauth: {{ bearer: \"${{TOKEN}}\" }}\nevery: 1m\n\
                 pull: {{ accounts: {{ get: /a, rows: ., id: .id, name: .name }} }}\npay:\n  payouts:\n    \
                 post: /pay\n    key: {{ header: Key }}\n    made: {{ id: .id }}\n    no_money: [400]\n{find}"
            )
        };
        for token in [None, Some("a-token".to_owned())] {
            let parse = |text: &str| Provider::parse(text, &|_| token.clone()).unwrap().warnings;
            let told =
                |warnings: &[String]| warnings.iter().any(|told| told.contains("pay.payouts has no `find`"));
            assert!(told(&parse(&file(""))), "{token:?}");
            let find = "    find: { get: \"/pay/{key}\", row: ., missing: [404], within: 1m }\n";
            assert!(!told(&parse(&file(find))), "{token:?}");
        }
    }

    #[test]
    fn a_variable_in_jq_is_refused_with_what_to_write() {
        let file = "provider: acme\napi: https://bank.example\nauth: none\nevery: 1m\npull:\n  accounts:\n    \
                    get: /a\n    rows: .\n    where: .name == \"${NAME}\"\n    id: .id\n    name: .name\n";
        let error = parse(file).unwrap_err();
        for told in ["line 9", "pull.accounts.where", "${NAME} would stay as it is", "Write the text itself"]
        {
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn a_file_with_open_questions_may_be_read_but_neither_pulled_nor_paid() {
        let file = "provider: acme\npush: all # QUESTION: what else?\n# QUESTION: and why?\n";
        let provider = parse(file).unwrap();
        assert_eq!(provider.questions, [(2, "what else?".to_owned()), (3, "and why?".to_owned())]);
        assert!(provider.require_answers().unwrap_err().contains("has open questions (2)"));
        assert!(parse("provider: acme\npush: all\n").unwrap().require_answers().is_ok());
    }

    #[test]
    fn versions_are_read_with_and_without_quotes() {
        for text in ["3.1", "\"3.1\""] {
            let provider =
                parse(&format!("provider: acme\npush: all\nformance: {{ version: {text} }}\n")).unwrap();
            assert_eq!(provider.formance, FormanceVersion::V3_1);
        }
    }

    #[test]
    fn keys_come_from_the_environment_only() {
        let file = |key: &str| {
            format!("provider: acme\npush: all\nkeys:\n  - {{ scope: connector, key: \"{key}\" }}\n")
        };
        assert_eq!(parse(&file("${ACME_KEY}")).unwrap().keys.len(), 1);
        let unset = parse(&file("${OTHER}")).unwrap();
        assert!(unset.keys.is_empty() && unset.warnings[0].contains("OTHER"));
        assert!(parse(&file("plain text secret")).unwrap_err().contains("keys[0]"));
    }

    #[test]
    fn all_variables_that_are_not_set_are_named_at_once() {
        let file = |auth: &str| {
            format!(
                "provider: acme\napi: ${{ACME_URL}}\nauth: {{ bearer: \"{auth}\" }}\nevery: 1m\nheaders: {{ A: \"${{ACME_A:-x}}\" }}\n\
                 pull: {{ accounts: {{ get: /a, rows: ., id: .id, name: .name }} }}\n"
            )
        };
        let told = |auth: &str| parse(&file(auth)).unwrap().warnings.concat();
        assert!(told("${ACME_TOKEN}").contains("the environment variables ACME_URL, ACME_TOKEN must be set"));
        assert!(told("t").contains("the environment variable ACME_URL must be set"));
    }

    #[test]
    fn a_status_that_is_pending_and_not_followed_is_noted() {
        let file = "provider: acme\napi: https://bank.example\nauth: none\nevery: 1m\nmoney: { decimal: .a, currency: .c }\npull:\n  \
                    transactions: { get: /t, rows: ., id: .id, created: .at, type: PAYIN, to: a, status: .s, statuses: { PENDING: [held, open] }, \
                    refresh: { open: [open], get: \"/t/{id}\", row: ., every: 1h, give_up: 9d } }\n";
        let warnings = parse(file).unwrap().warnings;
        assert!(
            warnings.iter().any(|told| told.contains("pull.transactions.refresh.open has no \"held\"")),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_webhook_whose_secret_is_not_set_keeps_nothing_from_being_pulled() {
        let file = include_str!("../../providers/stripe.yaml");
        let with = |set: &'static [&'static str]| {
            let lookup = move |name: &str| set.contains(&name).then(|| "http://127.0.0.1:1".to_owned());
            Provider::parse(file, &lookup).unwrap()
        };
        let unset = with(&["STRIPE_URL", "STRIPE_KEY"]);
        let Source::Pull(manifest) = &unset.source else { panic!("{:?}", unset.warnings) };
        assert!(manifest.webhook.is_none());
        assert!(unset.warnings.iter().any(|warning| warning.contains("STRIPE_WEBHOOK_SECRET must be set")));
        let set = with(&["STRIPE_URL", "STRIPE_KEY", "STRIPE_WEBHOOK_SECRET"]);
        let Source::Pull(manifest) = &set.source else { panic!("{:?}", set.warnings) };
        assert!(manifest.webhook.is_some());
    }

    #[test]
    fn a_key_that_a_file_brings_twice_is_refused_with_both_places() {
        let key =
            |scope: &str, more: &str| format!("  - {{ scope: {scope}, key: \"${{ACME_KEY}}\"{more} }}\n");
        let file = |keys: &[String]| format!("provider: acme\npush: all\nkeys:\n{}", keys.concat());
        let error = parse(&file(&[key("connector", ""), key("ingest", "")])).unwrap_err();
        assert!(error.contains("keys[0] and keys[1]") && !error.contains("0123456789abcdef"), "{error}");
        let named = |name: &str| parse(&file(&[key("pay", &format!(", name: {name}"))]));
        assert_eq!(named("payroll").unwrap().keys[0].name, "payroll");
        assert_eq!(parse(&file(&[key("pay", "")])).unwrap().keys[0].name, "pay");
        assert!(named("'a b'").unwrap_err().contains("keys[0].name"));
    }

    fn limit(callers: &str) -> Result<(u32, u32), String> {
        let provider = parse(&format!("provider: acme\npush: all\n{callers}\n"))?;
        Ok((provider.limit.per_second.get(), provider.limit.burst.get()))
    }

    #[test]
    fn a_limit_of_requests_has_room_for_a_call_of_the_connector() {
        assert_eq!(limit(""), Ok((1_000, 10_000)));
        assert_eq!(limit("callers: { requests: 200/s }"), Ok((200, 2_000)));
        assert_eq!(limit("callers: { requests: 1/s }"), Ok((1, 22)));
        assert_eq!(limit("callers: { requests: 5/s, burst: 22 }"), Ok((5, 22)));
        assert_eq!(limit("feed: { pace: 1000000/s }\ncallers: { requests: 5/s }"), Ok((5, 10_002)));
    }

    #[test]
    fn few_payments_are_ordered_at_once_unless_the_file_says_more() {
        let limit = |callers: &str| {
            let provider = parse(&format!("provider: acme\npush: all\n{callers}\n")).unwrap();
            let limit = provider.payment_limit.0;
            (limit.per_second.get(), limit.burst.get())
        };
        assert_eq!(limit(""), (5, 10));
        assert_eq!(limit("callers: { payments: 50/s }"), (50, 100));
        assert_eq!(limit("callers: { payments_burst: 1 }"), (5, 1));
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_what_does() {
        for (callers, told) in [
            ("{ requests: 0/s }", "callers.requests: take 1/s to 1000000/s"),
            ("{ requests: 1000001/s }", "callers.requests: take 1/s"),
            ("{ requests: 60/m }", "callers.requests: take 1/s"),
            ("{ requests: fast }", "line 3, column 22: callers.requests: `fast` is no rate: write 5/s"),
            ("{ burst: 0 }", "callers.burst: 0 is not from 22 to 10000000"),
            ("{ burst: 21 }", "may need 22 requests in a row"),
            ("{ burst: 10000001 }", "callers.burst: 10000001"),
            ("{ reqests: 5/s }", "`requests` is meant?"),
            ("{ payments: 0/s }", "callers.payments: take 1/s to 1000/s"),
            ("{ payments_burst: 10001 }", "callers.payments_burst: 10001 is not from 1 to 10000"),
        ] {
            let error = limit(&format!("callers: {callers}")).unwrap_err();
            assert!(error.contains(told), "{callers}: {error}");
        }
        let error = limit("feed: { pace: 5000/s }\ncallers: { burst: 51 }").unwrap_err();
        assert!(error.contains("from 52"), "{error}");
    }

    const PULLED: &str =
        "provider: acme\napi: ${ACME_URL}\nauth: none\nevery: 1m\nmoney: { minor: .a, currency: .c }\n";

    #[test]
    fn mistakes_are_told_all_at_once_with_their_lines_and_what_to_do() {
        let file = format!(
            "{PULLED}pull:\n  accounts:\n    get: /a\n    rows: .list[\n    id: .id\n  transactions:\n    gte: /t\n    rows: .list\n"
        );
        let error = parse(&file).unwrap_err();
        for told in [
            "line 9, column 5: pull.accounts.rows: expected",
            "line 8, column 5: pull.accounts: `name` is missing",
            "line 12, column 5: pull.transactions.gte: there is no such field: `get` is meant?",
        ] {
            assert!(error.contains(told), "{told}\n{error}");
        }
    }

    #[test]
    fn one_description_serves_many_connections_each_with_its_own_variables() {
        let description =
            format!("{PULLED}pull:\n  accounts: {{ get: /a, rows: ., id: .id, name: .name }}\n");
        let environment = |name: &str| (name == "BERLIN_URL").then(|| "https://berlin.example".to_owned());
        let used = |more: &str| {
            let text = format!("provider: berlin\nuses: acme\n{more}");
            Provider::parse_beside(&text, &environment, &|name| (name == "acme").then(|| description.clone()))
        };
        let provider = used("set: { ACME_URL: \"${BERLIN_URL}\" }\nevery: 1h\n").unwrap();
        let Source::Pull(manifest) = provider.source else { panic!("it is pulled") };
        assert_eq!(
            (manifest.base_url.as_str(), provider.name.as_str()),
            ("https://berlin.example", "berlin")
        );
        assert_eq!(manifest.every, Period::from_seconds(3600));
        for (more, told) in [
            ("", "set: is missing ACME_URL: acme asks for it"),
            ("set: { ACME_URL: x, ACME_KEY: y }\n", "set.ACME_KEY: acme asks for no such variable"),
            ("set: { ACME_URL: x }\nauth: none\n", "auth: is said by the description"),
        ] {
            let error = used(more).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
        let error = parse("provider: berlin\nuses: molie\n").unwrap_err();
        assert!(error.contains("`mollie` is meant?"), "{error}");
        let unset = used("set: { ACME_URL: \"${PARIS_URL}\" }\n").unwrap();
        assert!(unset.warnings[0].contains("PARIS_URL"), "{:?}", unset.warnings);
    }

    #[test]
    fn what_may_be_paid_is_read_in_minor_units() {
        let pay = |text: &str| parse(&format!("provider: acme\npush: all\npay: {text}\n"));
        let policy = pay(
            r#"{ source_accounts: [a], retry_guard: 15s, expire_after: 2h, limits: [{ asset: GBP/2, per_payment: "1000" }] }"#,
        )
        .unwrap()
        .payments;
        assert_eq!((policy.guard.as_secs(), policy.expire_after.as_secs()), (15, 7_200));
        assert!(!parse("provider: acme\npush: all\n").unwrap().payments.is_on(), "unless a file says so");
        assert_eq!(policy.limits["GBP/2"].per_payment.unwrap().minor_units(), 1000);
        for (text, about) in [
            (r#"{ limits: [{ asset: GBP/2, per_day: "1.50" }] }"#, "pay.limits[0].per_day"),
            ("{ limits: [{ asset: pounds }] }", "pay.limits[0].asset"),
            ("{ limits: [{ asset: JPY }, { asset: JPY }] }", "listed twice"),
            ("{ limits: [{ asset: JPY, approvals: 2 }] }", "pay.limits[0].approvals: say above which amount"),
            (
                "{ limits: [{ asset: JPY, require_approval_above: '5', approvals: 0 }] }",
                "pay.limits[0].approvals: write 1 to 10",
            ),
            ("{ retry_guard: 5s }", "pay.retry_guard: take at least 12s"),
            ("{ expire_after: 59s }", "pay.expire_after: take at least 1m"),
            ("{ limits: [] }", "pay.limits: lists no asset"),
            ("{ source_accounts: [] }", "pay.source_accounts: lists no account"),
            ("{ source_accounts: [], limits: [{ asset: JPY }] }", "pay.source_accounts: lists no account"),
            ("{ limits: [{ asset: JPY, per_year: '1' }] }", "per_year"),
        ] {
            let error = pay(text).unwrap_err();
            assert!(error.contains(about), "{about}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = parse("provider: acme\npush: all\nfeed:\n  pase: 5/s\n").unwrap_err();
        assert!(error.contains("pase") && error.contains("line 4"), "{error}");
        assert!(parse("provider: acme\npush: some\n").unwrap_err().contains("write all"));
        assert!(parse("provider: acme\npush: [payees]\n").unwrap_err().contains("push[0]: write accounts"));
        let both = parse("provider: acme\npush: all\nevery: 5m\n").unwrap_err();
        assert!(both.contains("line 3, column 1: every: belongs to a provider that is pulled"), "{both}");
        assert!(parse("provider: acme\n").unwrap_err().contains("`pull` is missing"));
        assert!(parse("provider: Acme\npush: all\n").unwrap_err().contains("Acme"));
    }
}
