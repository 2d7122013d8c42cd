//! What an OpenAPI description (3, or Swagger 2) tells of an API: where it is, how one proves oneself, and
//! which of its endpoints list something that Tributary knows.

use serde_json::{Map, Value};

use tributary_domain::Resource;

/// How deep references are followed: descriptions refer in circles.
const DEEPEST: usize = 20;
const NOTHING: Value = Value::Null;

/// A description, as it was written.
pub struct Description(pub Value);

/// An endpoint that lists, or has, records.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub path: String,
    pub resource: Resource,
    /// The names in braces of the path.
    pub holes: Vec<String>,
    /// The query parameters that it takes, and those that it needs.
    pub query: Vec<Parameter>,
    /// Where in the answer the list is; `None` where the answer is one record.
    pub rows: Option<String>,
    /// The properties of a record.
    pub record: Map<String, Value>,
    /// Texts of the answer beside the list, by their paths: what may name the next page.
    pub beside: Vec<String>,
}

/// What an answer lists.
struct Listed {
    rows: Option<String>,
    record: Map<String, Value>,
    beside: Vec<String>,
}

/// A query parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: String,
    pub required: bool,
    pub most: Option<u64>,
}

impl Description {
    /// The address of the API.
    pub fn address(&self) -> Option<String> {
        if let Some(server) = self.0["servers"].get(0) {
            let mut url = server["url"].as_str()?.to_owned();
            for (name, variable) in server["variables"].as_object().into_iter().flatten() {
                url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
            }
            return url.starts_with("http").then(|| url.trim_end_matches('/').to_owned());
        }
        let scheme = self.0["schemes"].get(0).and_then(Value::as_str).unwrap_or("https");
        let base = self.0["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
        Some(format!("{scheme}://{}{base}", self.0["host"].as_str()?))
    }

    /// How one proves oneself, by the names that the description gives them.
    pub fn schemes(&self) -> Vec<(&str, &Value)> {
        let schemes = [&self.0["components"]["securitySchemes"], &self.0["securityDefinitions"]];
        let members = schemes.into_iter().filter_map(Value::as_object).flatten();
        members.map(|(name, scheme)| (name.as_str(), self.resolved(scheme))).collect()
    }

    /// The endpoints that list what Tributary knows, the shortest path first.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let mut endpoints: Vec<Endpoint> =
            paths.filter_map(|(path, item)| self.endpoint(path, self.resolved(item))).collect();
        endpoints.sort_by_key(|endpoint| (endpoint.holes.len(), endpoint.path.len(), endpoint.path.clone()));
        endpoints
    }

    fn endpoint(&self, path: &str, item: &Value) -> Option<Endpoint> {
        let get = item.get("get")?;
        let last = path.rsplit('/').find(|part| !part.is_empty())?;
        let resource = resource_of(last)?;
        let answer = self.answer(get)?;
        let Listed { rows, record, beside } = self.list(answer).or_else(|| {
            // one balance of one account is no list
            let record = self.properties(answer);
            let alone = Listed { rows: None, record, beside: Vec::new() };
            (resource == Resource::Balances && !alone.record.is_empty()).then_some(alone)
        })?;
        let holes =
            path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect();
        let parameters = [&item["parameters"], &get["parameters"]];
        let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
        let query = parameters.map(|parameter| self.resolved(parameter)).filter(|one| one["in"] == "query");
        let query = query.filter_map(|parameter| {
            let schema = parameter.get("schema").map_or(parameter, |schema| self.resolved(schema));
            Some(Parameter {
                name: parameter["name"].as_str()?.to_owned(),
                required: parameter["required"] == true,
                most: schema["maximum"].as_u64(),
            })
        });
        Some(Endpoint {
            path: path.to_owned(),
            resource,
            holes,
            query: query.collect(),
            rows,
            record,
            beside,
        })
    }

    /// The schema of the JSON that answers a request.
    fn answer<'a>(&'a self, get: &'a Value) -> Option<&'a Value> {
        let responses = get["responses"].as_object()?;
        let found = responses.iter().find(|(status, _)| status.starts_with('2'))?;
        let response = self.resolved(found.1);
        if let Some(schema) = response.get("schema") {
            return Some(self.resolved(schema));
        }
        let content = response["content"].as_object()?;
        let json = content.iter().find(|(kind, _)| kind.contains("json"))?;
        Some(self.resolved(&json.1["schema"]))
    }

    /// Where in the answer its list is, the properties of the records in it, and the texts beside it.
    fn list(&self, answer: &Value) -> Option<Listed> {
        if let Some(record) = self.items(answer) {
            return Some(Listed { rows: Some(".".to_owned()), record, beside: Vec::new() });
        }
        let mut lists = Vec::new();
        let mut beside = Vec::new();
        self.look_into(answer, "", 0, &mut lists, &mut beside);
        // errors and links are lists, too; records have the most properties
        let (path, record) =
            lists.into_iter().max_by_key(|(path, record)| (record.len(), std::cmp::Reverse(path.len())))?;
        Some(Listed { rows: Some(path), record, beside })
    }

    fn look_into(
        &self,
        schema: &Value,
        path: &str,
        depth: usize,
        lists: &mut Vec<(String, Map<String, Value>)>,
        beside: &mut Vec<String>,
    ) {
        for (name, property) in self.properties(schema) {
            let property = self.resolved(&property).clone();
            let path = format!("{path}{}", member(&name));
            if let Some(record) = self.items(&property) {
                if !name.to_lowercase().contains("error") && !record.is_empty() {
                    lists.push((path, record));
                }
            } else if depth < 2 && !self.properties(&property).is_empty() {
                self.look_into(&property, &path, depth + 1, lists, beside);
            } else {
                beside.push(path);
            }
        }
    }

    /// The properties of the items, of what is a list.
    fn items(&self, schema: &Value) -> Option<Map<String, Value>> {
        let items = schema.get("items")?;
        Some(self.properties(self.resolved(items)))
    }

    /// The properties of an object, those of what it is made of (`allOf`) included.
    pub fn properties(&self, schema: &Value) -> Map<String, Value> {
        self.properties_within(schema, 0)
    }

    fn properties_within(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let mut properties = Map::new();
        if depth > DEEPEST {
            return properties;
        }
        let schema = self.resolved(schema);
        for parts in ["allOf", "oneOf", "anyOf"] {
            for part in schema[parts].as_array().into_iter().flatten() {
                properties.extend(self.properties_within(part, depth + 1));
            }
        }
        properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        properties
    }

    /// What `value` refers to, or itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut value = value;
        for _ in 0..DEEPEST {
            let Some(reference) = value["$ref"].as_str() else { return value };
            value = reference.strip_prefix('#').and_then(|path| self.0.pointer(path)).unwrap_or(&NOTHING);
        }
        &NOTHING
    }
}

/// jq that takes the member `name`.
pub fn member(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { format!(".{name}") } else { format!(".{}", serde_json::json!(name)) }
}

/// The letters of a name, in lower case: `created_at` and `createdAt` are one.
pub fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// What the last part of a path lists.
fn resource_of(last: &str) -> Option<Resource> {
    Some(match letters(last).as_str() {
        "account" | "accounts" | "wallets" | "locations" => Resource::Accounts,
        "balance" | "balances" => Resource::Balances,
        "transaction"
        | "transactions"
        | "payment"
        | "payments"
        | "transfer"
        | "transfers"
        | "payout"
        | "payouts"
        | "refunds"
        | "charges"
        | "movements"
        | "accounttransactions"
        | "financialtransactions" => Resource::Transactions,
        "beneficiaries" | "payees" | "recipients" | "counterparties" | "contacts" | "transferrecipient"
        | "externalaccounts" | "bankaccounts" => Resource::Beneficiaries,
        _ => return None,
    })
}
