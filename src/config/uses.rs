//! `uses:`: one description for many connections.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Lookup;
use tributary_manifest::language::{Mistake, Mistakes, Node, nearest};
use tributary_manifest::{InterpolateError, interpolate};

/// Gives the text of the file that declares a provider of this name, if there is one.
pub type Descriptions<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The descriptions that ship.
const SHIPPED: [(&str, &str); 13] = [
    ("airwallex", include_str!("../../providers/airwallex.yaml")),
    ("gocardless", include_str!("../../providers/gocardless.yaml")),
    ("mercury", include_str!("../../providers/mercury.yaml")),
    ("mollie", include_str!("../../providers/mollie.yaml")),
    ("obie", include_str!("../../providers/obie.yaml")),
    ("paypal", include_str!("../../providers/paypal.yaml")),
    ("paystack", include_str!("../../providers/paystack.yaml")),
    ("revolut", include_str!("../../providers/revolut.yaml")),
    ("square", include_str!("../../providers/square.yaml")),
    ("starling", include_str!("../../providers/starling.yaml")),
    ("stripe", include_str!("../../providers/stripe.yaml")),
    ("wise", include_str!("../../providers/wise.yaml")),
    ("xendit", include_str!("../../providers/xendit.yaml")),
];
/// What a description says that is of its own connection alone.
const OF_CONNECTION: [&str; 8] =
    ["provider", "push", "formance", "files", "feed", "callers", "keys", "examples"];
/// What a file that uses a description may say of the API itself.
const OWN: [&str; 6] = ["every", "limits", "namespace", "keep_raw", "parallel", "traceparent"];
/// What of `pay` is who may pay what, not how.
const OF_POLICY: [&str; 4] = ["limits", "source_accounts", "retry_guard", "expire_after"];

/// The variables of a description, as a file that uses it sets them.
pub struct Set {
    description: String,
    variables: BTreeMap<String, String>,
}

impl Set {
    /// The variables, with the `${NAME}` in them filled in from the environment.
    pub fn filled(&self, lookup: Lookup) -> Result<BTreeMap<String, String>, InterpolateError> {
        self.variables.iter().map(|(name, text)| Ok((name.clone(), interpolate(text, lookup)?))).collect()
    }
}

/// The file in `folder` that declares the provider `name`.
pub fn beside(folder: &Path, name: &str) -> Option<String> {
    ["yaml", "yml"].iter().find_map(|end| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).ok())
}

/// What `file` says of the API by what it `uses`, with what it says itself; and the variables.
pub fn described(mut file: Node, descriptions: Descriptions) -> Result<(Node, Set), Mistakes> {
    let mut mistakes = Mistakes::default();
    let whole = file.clone();
    let mut wrong = |field: &str, why: String| {
        mistakes.add(Mistake { at: whole.place(field), field: field.to_owned(), why });
    };
    let name = file.take("uses").and_then(|node| node.text().map(str::to_owned)).unwrap_or_default();
    let variables = file.take("set").unwrap_or_else(|| Node::mapping(file.at));
    let own = file.take_members(&OWN);
    for member in file.members() {
        let why = format!(
            "is said by the description {name:?}; here can be {}, and what may be paid",
            OWN.join(", ")
        );
        wrong(&member.name, why);
    }
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let shipped =
        |name: &str| SHIPPED.iter().find(|(other, _)| *other == name).map(|(_, text)| (*text).to_owned());
    let text = if plain { descriptions(&name).or_else(|| shipped(&name)) } else { None };
    let Some(text) = text else {
        let near = nearest(&name, SHIPPED.iter().map(|(name, _)| *name));
        let near = near.map(|near| format!(": `{near}` is meant?")).unwrap_or_default();
        wrong("uses", format!("no file in this folder, and none that ships, is called {name}.yaml{near}"));
        return Err(mistakes);
    };
    let asked = variables_of(&text);
    let mut set = BTreeMap::new();
    for member in variables.members() {
        let field = format!("set.{}", member.name);
        match (asked.contains_key(&member.name), member.node.text()) {
            (true, Some(value)) => drop(set.insert(member.name.clone(), value.to_owned())),
            (true, None) => wrong(&field, "write a text".to_owned()),
            (false, _) => wrong(
                &field,
                format!("{name} asks for no such variable; it asks for {}", names(asked.keys())),
            ),
        }
    }
    let missing: Vec<&String> = asked
        .iter()
        .filter(|(name, optional)| !**optional && !set.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        wrong("set", format!("is missing {}: {name} asks for it", names(missing.iter().copied())));
    }
    let set = Set { description: name.clone(), variables: set };
    let mut node = Node::parse(&text).map_err(|mistake| in_description(mistake.into(), Some(&set)))?;
    if node.get("uses").is_some() {
        wrong("uses", format!("{name} uses another description itself: use that one"));
    }
    node.take_members(&OF_CONNECTION);
    if let Some(pay) = node.get_mut("pay") {
        pay.take_members(&OF_POLICY);
    }
    for member in own.members() {
        node.set(&member.name, member.node.clone());
    }
    mistakes.or((node, set))
}

/// The mistakes, with the name of the description that they are in, if it is one.
pub fn in_description(mistakes: Mistakes, set: Option<&Set>) -> Mistakes {
    let Some(Set { description, .. }) = set else { return mistakes };
    let mut named = Mistakes::default();
    for mistake in mistakes.iter() {
        named.add(Mistake {
            why: format!("{} (in the description {description})", mistake.why),
            ..mistake.clone()
        });
    }
    named
}

/// The variables that `text` asks for, and whether it has something else where they are not set.
fn variables_of(text: &str) -> BTreeMap<String, bool> {
    let mut asked = BTreeMap::new();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    for inside in lines.flat_map(|line| line.split("${").skip(1)).filter_map(|rest| rest.split_once('}')) {
        let (name, optional) = inside.0.split_once(":-").map_or((inside.0, false), |(name, _)| (name, true));
        *asked.entry(name.to_owned()).or_insert(true) &= optional;
    }
    asked
}

fn names<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The properties `uses` and `set`, described.
pub fn schema() -> Map<String, Value> {
    let uses = json!({
        "type": "string",
        "description": "The provider whose description of the API this one takes: of a file in the same folder, or of one that ships.",
    });
    let set = json!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "description": "The variables of that description, value by name; `${NAME}` in a value is one of the environment. The description sees no others.",
    });
    Map::from_iter([("uses".to_owned(), uses), ("set".to_owned(), set)])
}
