//! A file in its parts: what is said of this service, of what may be paid, and of the provider's API.

use super::service::{OF_SERVICE, ServiceFile};
use crate::config::Lookup;
use crate::config::payments::PaymentsSection;
use crate::config::uses::{self, Descriptions};
use tributary_manifest::language::{self, Kind, Mistake, Mistakes, Node};
use tributary_manifest::{InterpolateError, Manifest, ManifestError};

/// Those of a [`PaymentsSection`] in `pay`.
const OF_POLICY: [&str; 4] = ["limits", "source_accounts", "retry_guard", "expire_after"];

/// A file in its parts.
pub(super) struct Parts {
    pub service: ServiceFile,
    pub policy: PaymentsSection,
    /// What is said of the API, as the file that describes it says it; `None` of a provider that is
    /// not pulled.
    pub api: Option<Described>,
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
    pub fn of(text: &str, descriptions: Descriptions) -> Result<Self, Mistakes> {
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
