//! A provider file drafted from what an OpenAPI description tells. What it does not tell is a question in a
//! comment, which `validate` names until it is answered.

use tributary_domain::{ProviderName, Resource};

use super::fields::{self, Money};
use super::openapi::{Description, Endpoint, letters};
use crate::config::QUESTION;

/// The most streams of transactions that are drafted.
const MOST_STREAMS: usize = 6;

/// A file in the making.
pub struct Draft<'a> {
    description: &'a Description,
    variable: String,
    text: String,
    /// The list of accounts, whose records others are read for.
    accounts: Option<Endpoint>,
}

/// The text of a file of `provider`, of whose variables `variable` begins the names. The error says why
/// nothing can be drafted.
pub fn draft(description: &Description, provider: &ProviderName, variable: &str) -> Result<String, String> {
    let endpoints = description.endpoints();
    let (drafted, left): (Vec<&Endpoint>, Vec<&Endpoint>) = chosen(&endpoints);
    if drafted.is_empty() {
        return Err(
            "it describes no endpoint that lists accounts, balances, transactions or beneficiaries: \
                    begin with `tributary manifest new` without --from"
                .to_owned(),
        );
    }
    let accounts = drafted.iter().find(|endpoint| endpoint.resource == Resource::Accounts);
    let mut draft = Draft {
        description,
        variable: variable.to_owned(),
        text: String::new(),
        accounts: accounts.map(|endpoint| (*endpoint).clone()),
    };
    draft.head(provider, description);
    draft.line(0, "");
    draft.line(0, "pull:");
    for resource in [Resource::Accounts, Resource::Balances, Resource::Beneficiaries, Resource::Transactions]
    {
        draft.resource(resource, &drafted);
    }
    if !left.is_empty() {
        draft.line(0, "");
        let paths: Vec<&str> = left.iter().map(|endpoint| endpoint.path.as_str()).collect();
        draft.line(0, &format!("{QUESTION}is any of these needed, too? {}", paths.join(", ")));
    }
    Ok(draft.text)
}

/// The endpoints that are drafted, and those that are only named.
fn chosen(endpoints: &[Endpoint]) -> (Vec<&Endpoint>, Vec<&Endpoint>) {
    let accounts =
        endpoints.iter().any(|endpoint| endpoint.resource == Resource::Accounts && endpoint.holes.is_empty());
    let mut count = std::collections::BTreeMap::new();
    endpoints.iter().partition(|endpoint| {
        let readable = match endpoint.holes.as_slice() {
            [] => true,
            // a record of a list of accounts fills it
            [hole] => {
                accounts && endpoint.resource != Resource::Accounts && letters(hole).contains("account")
            }
            _ => false,
        };
        let most = if endpoint.resource == Resource::Transactions { MOST_STREAMS } else { 1 };
        let taken: &mut usize = count.entry(endpoint.resource.as_str()).or_default();
        let fits = readable && *taken < most;
        *taken += usize::from(fits);
        fits
    })
}

/// A text of YAML, whatever is in it.
pub fn quoted(text: &str) -> String {
    serde_json::json!(text).to_string()
}

impl Draft<'_> {
    pub fn line(&mut self, depth: usize, text: &str) {
        if !text.is_empty() {
            self.text += &"  ".repeat(depth);
        }
        self.text += text;
        self.text.push('\n');
    }

    pub fn ask(&mut self, depth: usize, question: &str) {
        self.line(depth, &format!("{QUESTION}{question}"));
    }

    fn head(&mut self, provider: &ProviderName, description: &Description) {
        self.line(0, "# yaml-language-server: $schema=provider.schema.json");
        self.line(
            0,
            "# Drafted from the description of the API. Answer each QUESTION, and delete it: until then",
        );
        self.line(0, "# `tributary manifest validate` names it. Every wrong guess loses records.");
        self.line(0, &format!("provider: {provider}"));
        let address = description.address();
        if address.is_none() {
            self.ask(0, "where is the API?");
        }
        let address = address.unwrap_or(format!("https://api.{provider}.example"));
        self.line(0, &format!("api: {}", quoted(&format!("${{{}_URL:-{address}}}", self.variable))));
        self.auth();
        self.ask(0, "how many requests does the API allow, and for how long (budgets: [1000/d])?");
        self.line(0, "limits: { pace: 5/s }");
        self.line(0, "every: 10m");
    }

    fn auth(&mut self) {
        let schemes = self.description.schemes();
        let variable = self.variable.clone();
        let secret = |name: &str| quoted(&format!("${{{variable}_{name}}}"));
        let known = schemes.iter().find_map(|(_, scheme)| {
            let name = quoted(scheme["name"].as_str().unwrap_or_default());
            let kind = scheme["type"].as_str()?;
            let how = scheme["scheme"].as_str().unwrap_or_default().to_lowercase();
            let flow = [&scheme["flows"]["clientCredentials"]["tokenUrl"], &scheme["tokenUrl"]];
            let token = flow.iter().find_map(|url| url.as_str()).filter(|url| url.starts_with("http"));
            match (kind, how.as_str(), scheme["in"].as_str(), token) {
                ("http", "bearer", ..) => Some(format!("{{ bearer: {} }}", secret("TOKEN"))),
                ("http", "basic", ..) | ("basic", ..) => {
                    Some(format!("{{ basic: {{ user: {}, password: {} }} }}", secret("USER"), secret("PASSWORD")))
                }
                ("apiKey", _, Some("header"), _) if letters(&name) == "authorization" => {
                    Some(format!("{{ header: {{ name: Authorization, value: {} }} }}", secret("TOKEN")))
                }
                ("apiKey", _, Some(place @ ("header" | "query")), _) => {
                    Some(format!("{{ {place}: {{ name: {name}, value: {} }} }}", secret("TOKEN")))
                }
                ("oauth2", _, _, Some(url)) => Some(format!(
                    "{{ oauth2: {{ grant: client_credentials, token_url: {}, client_id: {}, client_secret: {} }} }}",
                    quoted(url),
                    secret("CLIENT_ID"),
                    secret("CLIENT_SECRET")
                )),
                _ => None,
            }
        });
        if schemes.len() != 1 || known.is_none() {
            let names: Vec<&str> = schemes.iter().map(|(name, _)| *name).collect();
            let told = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            self.ask(0, &format!("how does a request prove itself? The description tells of {told}"));
        }
        let auth = known.unwrap_or_else(|| format!("{{ bearer: {} }}", secret("TOKEN")));
        self.line(0, &format!("auth: {auth}"));
    }

    fn resource(&mut self, resource: Resource, drafted: &[&Endpoint]) {
        let of: Vec<&Endpoint> =
            drafted.iter().copied().filter(|endpoint| endpoint.resource == resource).collect();
        match of.as_slice() {
            [] => {}
            [one] => {
                self.line(1, &format!("{}:", resource.as_str()));
                self.stream(2, one);
            }
            several => {
                self.line(1, &format!("{}:", resource.as_str()));
                for (n, endpoint) in several.iter().enumerate() {
                    let last = endpoint.path.rsplit('/').next().unwrap_or_default();
                    let name: String =
                        last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                    let twice = several[..n].iter().any(|other| other.path.ends_with(&format!("/{last}")));
                    let name = if twice { format!("{name}_{n}") } else { name };
                    self.line(2, &format!("{}:", name.to_lowercase()));
                    self.stream(3, endpoint);
                }
            }
        }
    }

    fn stream(&mut self, depth: usize, endpoint: &Endpoint) {
        let mut path = endpoint.path.clone();
        if let (Some(hole), Some(accounts)) = (endpoint.holes.first(), &self.accounts) {
            let id = accounts.record.keys().find(|key| letters(key) == letters(hole)).cloned();
            let id = id.or_else(|| fields::of(&accounts.record, &fields::ID).map(|id| id[1..].to_owned()));
            path = path.replace(&format!("{{{hole}}}"), &format!("{{{}}}", id.unwrap_or("id".to_owned())));
            self.line(depth, "each: accounts");
        }
        self.line(depth, &format!("get: {}", quoted(&path)));
        for needed in endpoint.query.iter().filter(|parameter| parameter.required) {
            self.ask(depth, &format!("the API needs the parameter {:?}: add it to `query`", needed.name));
        }
        match &endpoint.rows {
            Some(rows) => self.line(depth, &format!("rows: {rows}")),
            None => self.line(depth, "row: ."),
        }
        if endpoint.rows.is_some() {
            self.pages(depth, endpoint);
        }
        if endpoint.resource == Resource::Transactions {
            self.news(depth, endpoint);
        }
        self.fields(depth, endpoint);
    }

    fn fields(&mut self, depth: usize, endpoint: &Endpoint) {
        let record = &endpoint.record;
        let each = !endpoint.holes.is_empty();
        let id = fields::of(record, &fields::ID).or_else(|| {
            // `payeeUid` of payees
            record
                .keys()
                .find(|key| letters(key).ends_with("uid") || letters(key).ends_with("id"))
                .map(|key| format!(".{key}"))
        });
        match endpoint.resource {
            Resource::Balances => {
                let account = if each {
                    "$parent.id".to_owned()
                } else {
                    self.guess(depth, "account", fields::of(record, &fields::ACCOUNT), ".account_id")
                };
                self.line(depth, &format!("account: {account}"));
                self.money(depth, record);
            }
            Resource::Accounts | Resource::Beneficiaries => {
                let id = self.guess(depth, "id", id, ".id");
                self.line(depth, &format!("id: {id}"));
                let name = self.guess(depth, "name", fields::of(record, &fields::NAME), &id);
                self.line(depth, &format!("name: {name}"));
                if let Some(created) = fields::of(record, &fields::CREATED) {
                    self.line(depth, &format!("created: {created}"));
                }
            }
            Resource::Transactions => {
                let id = self.guess(depth, "id", id, ".id");
                self.line(depth, &format!("id: {id}"));
                let created =
                    self.guess(depth, "created", fields::of(record, &fields::CREATED), ".created_at");
                self.line(depth, &format!("created: {created}"));
                if let Some(updated) = fields::of(record, &fields::UPDATED) {
                    self.line(depth, &format!("updated: {updated}"));
                }
                self.money(depth, record);
                self.ends(depth, record, each);
                self.status(depth, record);
            }
        }
    }

    /// What was found for a field, or else a guess with its question.
    fn guess(&mut self, depth: usize, field: &str, found: Option<String>, otherwise: &str) -> String {
        found.unwrap_or_else(|| {
            self.ask(depth, &format!("`{field}`: the description shows no such property"));
            otherwise.to_owned()
        })
    }

    fn money(&mut self, depth: usize, record: &serde_json::Map<String, serde_json::Value>) {
        let Money { form, amount, currency, told } = fields::money(self.description, record);
        if told {
            self.ask(
                depth,
                &format!(
                    "is {amount} {}?",
                    if form == "minor" {
                        "in the smallest unit (minor), as its type suggests"
                    } else {
                        "a decimal number, or in the smallest unit (minor)"
                    }
                ),
            );
        } else {
            self.ask(depth, "`money`: where are the amount and its currency?");
        }
        self.line(depth, &format!("money: {{ {form}: {amount}, currency: {currency} }}"));
    }

    fn ends(&mut self, depth: usize, record: &serde_json::Map<String, serde_json::Value>, each: bool) {
        let account = if each { Some("$parent.id".to_owned()) } else { fields::of(record, &fields::ACCOUNT) };
        let account = self.guess(depth, "account", account, ".account_id");
        self.line(depth, &format!("account: {account}"));
        let words = fields::words(self.description, record, &fields::DIRECTION);
        match (fields::of(record, &fields::DIRECTION), fields::outward(&words)) {
            (Some(direction), Some(word)) => {
                self.line(depth, &format!("out: {}", quoted(&format!("{direction} == {}", quoted(word)))))
            }
            (direction, _) => {
                let words = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
                let told =
                    direction.map(|direction| format!(" {direction} may tell{words}")).unwrap_or_default();
                self.ask(depth, &format!("`out`: by what does one see that money leaves the account?{told}"));
                self.line(depth, "out: \"false\"");
            }
        }
    }

    fn status(&mut self, depth: usize, record: &serde_json::Map<String, serde_json::Value>) {
        let status = fields::of(record, &fields::STATUS);
        let Some(status) = status else {
            self.ask(depth, "`status`: the description shows none; is all that is listed final?");
            return self.line(depth, "status: SUCCEEDED");
        };
        self.line(depth, &format!("status: {status}"));
        let words = fields::words(self.description, record, &fields::STATUS);
        let unclear: Vec<&str> =
            words.iter().filter(|word| fields::status_of(word).is_none()).map(String::as_str).collect();
        if words.is_empty() {
            self.ask(depth, "`statuses`: which words are there? One that is not listed becomes OTHER");
        } else if !unclear.is_empty() {
            self.ask(depth, &format!("`statuses`: what are {}?", unclear.join(", ")));
        } else {
            self.ask(depth, "`statuses`: is each of them under the right one of Formance's?");
        }
        self.line(depth, "statuses:");
        let mut listed = false;
        for ours in ["PENDING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "REFUNDED"] {
            let theirs: Vec<String> = words
                .iter()
                .filter(|word| fields::status_of(word) == Some(ours))
                .map(|word| quoted(word))
                .collect();
            if !theirs.is_empty() {
                listed = true;
                self.line(depth + 1, &format!("{ours}: [{}]", theirs.join(", ")));
            }
        }
        if !listed {
            self.line(depth + 1, "SUCCEEDED: succeeded");
        }
    }
}
