//! The language of provider files: from the text to what the engine takes. A file is read as a tree that
//! knows its lines ([`tree`]), held against the forms of the language ([`form`], [`check`]), completed by
//! its defaults ([`merge`]) and lowered ([`lower`]). Everything that is wrong is told at once.

mod check;
mod de;
mod examples;
mod form;
mod lower;
mod merge;
mod mistake;
mod names;
mod schema;
mod tree;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use tributary_domain::{PaymentKind, Resource};

use check::Form;
pub use check::nearest;
pub(crate) use examples::to_json;
pub use examples::try_examples;
use form::file::Api;
pub use form::file::Rate;
use form::pay::Payment;
use form::stream::Stream;
use lower::record::Making;
use lower::{Section, Written};
pub use mistake::{Mistake, Mistakes};
pub use schema::{pay as pay_schema, schema, take_none};
pub use tree::{Kind, LineColumn, Member, Node, Scalar};

use crate::jq::Filter;
use crate::manifest::{Manifest, PaymentManifest, StreamManifest};

/// The streams of a file, in its order.
struct Listed {
    name: String,
    resource: Option<Resource>,
    path: String,
    /// As it is, with its defaults.
    node: Node,
    /// The stream whose answers it shares.
    shares: Option<String>,
}

/// Reads what a file says of its API: all of the file but what is of this service (`provider`, `keys`, …).
/// The error is everything that is wrong with it.
pub fn read(file: &Node) -> Result<Manifest, Mistakes> {
    let mut reading =
        Reading { file, mistakes: Mistakes::default(), written: Vec::new(), functions: String::new() };
    let manifest = reading.manifest();
    let Reading { mut mistakes, written, functions, .. } = reading;
    match manifest {
        Some(manifest) if mistakes.is_empty() => {
            compile(&manifest, file, &written, &mut mistakes);
            mistakes.or(manifest)
        }
        _ => {
            if mistakes.is_empty() {
                mistakes.add(Mistake::at(file.at, "it cannot be read"));
            }
            find_broken(&written, &functions, &mut mistakes);
            mistakes.or(())?;
            unreachable!("there are mistakes")
        }
    }
}

/// `node` as a form, the field `path` of a file; what does not fit is added to `mistakes`.
pub fn form<T: DeserializeOwned + schemars::JsonSchema + 'static>(
    node: &Node,
    path: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let mut found = Mistakes::default();
    Form::of::<T>().check(node, path, &mut found);
    let fits = found.is_empty();
    // what else is wrong can be told without the fields that do not fit
    let mut rest = node.clone();
    for mistake in found.iter() {
        let within = mistake.field.strip_prefix(path).unwrap_or_default().trim_start_matches('.');
        rest.take(within.split(['.', '[']).next().unwrap_or_default());
        mistakes.add(mistake.clone());
    }
    match serde_path_to_error::deserialize::<_, T>(&rest) {
        Ok(form) => Some(form),
        Err(error) => {
            if fits {
                let within = error.path().to_string();
                let within = if within == "." { String::new() } else { within };
                let field: Vec<&str> = [path, &within].into_iter().filter(|part| !part.is_empty()).collect();
                let (at, field) = (node.place(&within), field.join("."));
                mistakes.add(Mistake { at, field, why: error.into_inner().to_string() });
            }
            None
        }
    }
}

/// What the engine says is wrong with a file that can be read, at its place in the file.
pub fn at_its_place(error: &crate::manifest::ManifestError, file: &Node) -> Mistake {
    names::at_its_place(error, file)
}

/// Which field of the file `reason` is about, for which a row of `stream` became no record, and where it
/// stands; `None` where the reason names none that the file has.
pub fn blamed(file: &Node, stream: &str, reason: &str) -> Option<(String, LineColumn)> {
    names::blamed(file, stream, reason)
}

struct Reading<'a> {
    file: &'a Node,
    mistakes: Mistakes,
    written: Vec<Written>,
    /// What all jq of the file can call, as far as it could be read.
    functions: String,
}

impl Reading<'_> {
    fn manifest(&mut self) -> Option<Manifest> {
        let mut file = self.file.clone();
        let (pull, pay) = (file.take("pull"), file.take("pay"));
        let defaults = file.take("defaults");
        let api: Option<Api> = self.form(&file, "");
        let listed = match &pull {
            Some(pull) => self.listed(pull, defaults.as_ref()),
            None => {
                self.mistakes.add(Mistake::at(self.file.at, "`pull` is missing: what is read of the API"));
                Vec::new()
            }
        };
        self.check_defaults(defaults.as_ref());
        let own = api.as_ref().map_or("", |api| api.functions.as_str());
        self.functions = format!("{}\n{own}", lower::helpers::HELPERS);
        let money = api.as_ref().and_then(|api| api.money.clone());
        let namespace = api.as_ref().map(|api| api.namespace.clone()).unwrap_or_default();
        let zone = api.as_ref().and_then(|api| api.zone);
        let making = Making { money: money.as_ref(), namespace: &namespace, zone, functions: own };
        let names: Vec<String> = listed.iter().map(|stream| stream.name.clone()).collect();
        let streams = self.streams(listed, &making);
        let payouts = self.payment(PaymentKind::Payout, pay.as_ref(), defaults.as_ref(), &making);
        let transfers = self.payment(PaymentKind::Transfer, pay.as_ref(), defaults.as_ref(), &making);
        let api = api?;
        let mut section = Section::new(self.file, "", &mut self.mistakes);
        let rate_limit = lower::file::limits(&mut section, &api);
        let errors = api.errors.iter().enumerate();
        let errors =
            errors.map(|(n, rule)| lower::file::rule(&mut section, &format!("errors[{n}]"), rule)).collect();
        let webhook = api.webhook.as_ref().map(|webhook| lower::webhook::webhook(&mut section, webhook));
        if let Some(webhook) = &api.webhook {
            lower::webhook::streams_named(&mut section, webhook, &names);
        }
        section.jq("functions", &format!("{}\n.", api.functions), &[]);
        self.written.append(&mut section.written);
        Some(Manifest {
            base_url: api.api.clone(),
            allow_hosts: api.hosts.clone(),
            auth: api.auth.clone(),
            tls: api.tls.clone(),
            headers: api.headers.clone(),
            rate_limit,
            retry: lower::file::retry(&api),
            answers: api.answers,
            errors,
            every: api.every,
            concurrency: api.parallel.unwrap_or(1),
            traceparent: api.traceparent,
            keep_raw: api.keep_raw,
            webhook: webhook.flatten(),
            currencies: api.currencies.clone(),
            zone: api.zone,
            functions: self.functions.clone(),
            streams,
            payouts,
            transfers,
        })
    }

    fn form<T: DeserializeOwned + schemars::JsonSchema + 'static>(
        &mut self,
        node: &Node,
        path: &str,
    ) -> Option<T> {
        form(node, path, &mut self.mistakes)
    }

    /// The streams under `pull:`, each with its defaults; those that others name before them.
    fn listed(&mut self, pull: &Node, defaults: Option<&Node>) -> Vec<Listed> {
        let mut listed: Vec<Listed> = Vec::new();
        let Kind::Map(members) = &pull.kind else {
            let why = format!(
                "is {}: write what is read, under accounts, balances, transactions, …",
                pull.kind_name()
            );
            self.mistakes.add(Mistake { at: pull.at, field: "pull".to_owned(), why });
            return listed;
        };
        for member in members {
            let path = format!("pull.{}", member.name);
            let resource = match member.name.as_str() {
                "lists" => None,
                name => match name.parse::<Resource>() {
                    Ok(resource) => Some(resource),
                    Err(_) => {
                        let why = "there is no such resource: take accounts, balances, beneficiaries, transactions, or lists";
                        self.mistakes.add(Mistake { at: member.at, field: path, why: why.to_owned() });
                        continue;
                    }
                },
            };
            if is_stream(&member.node) && resource.is_some() {
                Form::of::<Stream>().check_names_of_none(&member.node, &path, &mut self.mistakes);
                let node = merge::stream(&member.node, resource, defaults);
                listed.push(Listed { name: member.name.clone(), resource, path, node, shares: None });
                continue;
            }
            for stream in member.node.members() {
                let path = format!("{path}.{}", stream.name);
                Form::of::<Stream>().check_names_of_none(&stream.node, &path, &mut self.mistakes);
                let node = merge::stream(&stream.node, resource, defaults);
                listed.push(Listed { name: stream.name.clone(), resource, path, node, shares: None });
            }
            if member.node.members().is_empty() {
                let why = "write a stream (`get`, `rows`, …), or several by name";
                self.mistakes.add(Mistake { at: member.at, field: path, why: why.to_owned() });
            }
        }
        self.shared(&mut listed);
        in_order(listed)
    }

    /// Gives streams that share an answer what they take over.
    fn shared(&mut self, listed: &mut [Listed]) {
        for n in 0..listed.len() {
            let Some(name) = listed[n].node.get("shares").and_then(Node::text).map(str::to_owned) else {
                continue;
            };
            let giver = listed.iter().find(|other| other.name == name && other.node.get("shares").is_none());
            match giver.map(|giver| giver.node.clone()) {
                Some(giver) => {
                    for field in merge::not_shared(&listed[n].node) {
                        let (at, path) = (listed[n].node.place(field), &listed[n].path);
                        let why = format!(
                            "is that of `{name}`, whose answers this stream shares: leave it out, or `shares`"
                        );
                        self.mistakes.add(Mistake { at, field: format!("{path}.{field}"), why });
                    }
                    merge::shared(&mut listed[n].node, &giver);
                    listed[n].node.take("shares");
                    listed[n].shares = Some(name);
                }
                None => {
                    let at = listed[n].node.place("shares");
                    let field = format!("{}.shares", listed[n].path);
                    let why = format!("there is no stream {name:?} with a request of its own");
                    self.mistakes.add(Mistake { at, field, why });
                }
            }
        }
    }

    fn streams(&mut self, listed: Vec<Listed>, making: &Making<'_>) -> Vec<StreamManifest> {
        let mut above: BTreeMap<String, Stream> = BTreeMap::new();
        let mut streams = Vec::new();
        for Listed { name, resource, path, node, shares } in listed {
            let Some(form) = self.form::<Stream>(&node, &path) else {
                // what is read for each of its records is not to blame
                above.insert(name, Stream { values: Some(Default::default()), ..Stream::default() });
                continue;
            };
            let mut section = Section::new(&node, &path, &mut self.mistakes).with_functions(making.functions);
            if above.contains_key(&name) {
                section.wrong("", format!("there are two streams {name:?}"));
            }
            for member in node.members() {
                if merge::is_field(&member.name) && !merge::may_have(resource, &member.name) {
                    let of = resource.map_or("lists", Resource::as_str);
                    section.wrong(&member.name, format!("is no field of {of}"));
                }
            }
            if lower::stream::unknown_constant(&form)
                && form.status.as_ref().is_none_or(|status| section.meant_as_jq(status).is_none())
            {
                section.wrong("status", "is none of Formance's statuses: write one, or jq, or `statuses`");
            }
            let lowered = lower::stream::stream(&mut section, &name, &form, resource, making, &above);
            streams.extend(lowered.map(|lowered| StreamManifest { shares, ..lowered }));
            self.written.append(&mut section.written);
            above.insert(name, form);
        }
        streams
    }

    fn payment(
        &mut self,
        kind: PaymentKind,
        pay: Option<&Node>,
        defaults: Option<&Node>,
        making: &Making<'_>,
    ) -> Option<PaymentManifest> {
        let own = pay?.get(kind.section())?;
        let (node, path) = (merge::payment(own, defaults), format!("pay.{}", kind.section()));
        Form::of::<Payment>().check_names_of_none(own, &path, &mut self.mistakes);
        let form = self.form::<Payment>(&node, &path)?;
        let mut section = Section::new(&node, &path, &mut self.mistakes).with_functions(making.functions);
        let lowered = lower::pay::payment(&mut section, kind, &form, making.money);
        self.written.append(&mut section.written);
        lowered
    }

    /// Notes defaults that are no fields of anything.
    fn check_defaults(&mut self, defaults: Option<&Node>) {
        let Some(defaults) = defaults else { return };
        let mut general = defaults.clone();
        for name in ["accounts", "balances", "transactions", "beneficiaries", "lists"] {
            if let Some(node) = general.take(name) {
                Form::of::<Stream>().check(&node, &format!("defaults.{name}"), &mut self.mistakes);
            }
        }
        if let Some(pay) = general.take("pay") {
            Form::of::<Payment>().check(&pay, "defaults.pay", &mut self.mistakes);
        }
        Form::of::<Stream>().check(&general, "defaults", &mut self.mistakes);
    }
}

/// Whether a mapping is a stream, and not several by name: it says what is asked.
fn is_stream(node: &Node) -> bool {
    let reports = node.get("report").is_some_and(|report| report.get("create").is_some());
    let says = ["get", "post", "values", "shares", "rows", "row", "each"];
    let asks =
        |member: &Member| says.contains(&member.name.as_str()) && !matches!(member.node.kind, Kind::Map(_));
    reports || node.members().iter().any(asks)
}

/// Each stream behind the one that it is read for each record of, and behind the one whose answers it shares.
fn in_order(mut listed: Vec<Listed>) -> Vec<Listed> {
    let mut ordered: Vec<Listed> = Vec::with_capacity(listed.len());
    while !listed.is_empty() {
        let ready = listed.iter().position(|stream| {
            let each = stream.node.get("each").and_then(Node::text);
            let before = [each, stream.shares.as_deref()];
            before.into_iter().flatten().all(|name| !listed.iter().any(|other| other.name == name))
        });
        // a circle is refused where it is lowered: there is no stream above
        ordered.push(listed.remove(ready.unwrap_or(0)));
    }
    ordered
}

/// Compiles everything, as it will be, and notes what is wrong with it.
fn compile(manifest: &Manifest, file: &Node, written: &[Written], mistakes: &mut Mistakes) {
    let errors = manifest.check_all();
    if errors.is_empty() {
        return;
    }
    let before = mistakes.iter().count();
    let functions = manifest.definitions().unwrap_or_default();
    find_broken(written, &functions, mistakes);
    if mistakes.iter().count() > before {
        return;
    }
    for error in errors {
        mistakes.add(names::at_its_place(&error, file));
    }
}

/// Notes the pieces of jq that do not compile.
fn find_broken(written: &[Written], functions: &str, mistakes: &mut Mistakes) {
    let broken = |error: &crate::jq::FilterError| error.message.clone();
    let own = written.iter().find(|written| written.field == "functions");
    if let Some(Written { field, at, code, .. }) = own
        && let Err(error) = Filter::compile("", "map", lower::helpers::HELPERS, code)
    {
        // all other jq would be said to be wrong, too
        return mistakes.add(Mistake { at: *at, field: field.clone(), why: broken(&error) });
    }
    for Written { field, at, code, sees } in written.iter().filter(|written| written.field != "functions") {
        let bound: String = sees
            .iter()
            .filter(|name| !["now", "parent", "identity"].contains(&name.as_str()))
            .map(|name| format!("null as ${name} | "))
            .collect();
        if let Err(error) = Filter::compile("", "map", functions, &format!("{bound}{code}")) {
            mistakes.add(Mistake { at: *at, field: field.clone(), why: broken(&error) });
        }
    }
}

#[cfg(test)]
pub mod tests;
