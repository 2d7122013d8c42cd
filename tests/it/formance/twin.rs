//! A Formance and the feed that it polled, both as they were recorded, both to be changed by a test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tributary_formance::GoTime;

/// The key of the recorded connector.
pub const KEY: &str = "trb_recorded";
/// A token that a test may have asked for.
pub const TOKEN: &str = "a-token-of-the-test";
/// How many a page of Formance's has, however many are asked for.
const MOST: usize = 100;

/// What a test makes of the books.
pub type Change = fn(&mut Books);

/// What both sides hold.
pub struct Books {
    pub connectors: Vec<Value>,
    pub accounts: Vec<Value>,
    pub payments: Vec<Value>,
    pub initiations: Vec<Value>,
    pub schedules: Vec<Value>,
    /// Of every schedule.
    pub instances: Vec<Value>,
    /// By the reference of the account.
    pub balances: HashMap<String, Vec<Value>>,
    /// What the feed serves: `accounts`, `beneficiaries`, `transactions`, `balances` by account.
    pub feed: Value,
    /// A path that answers 500 from this many requests of it on.
    pub fails: Option<(&'static str, usize)>,
    /// The token that Formance's API takes, if it takes not everybody.
    pub token: Option<&'static str>,
    /// What happens right before a request of a path is answered, once.
    pub before: Option<(&'static str, usize, Change)>,
    asked: HashMap<String, usize>,
}

/// The server of both.
pub struct Twin {
    pub url: String,
    books: Arc<Mutex<Books>>,
}

impl Twin {
    /// `None` where there are no recordings.
    pub async fn start() -> Option<Self> {
        let mut books = recorded()?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        books.connectors[0]["config"]["endpoint"] = json!(format!("{url}/feed"));
        let books = Arc::new(Mutex::new(books));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&books));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Some(Self { url, books })
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }
}

fn recorded() -> Option<Books> {
    let lines = std::fs::read_to_string(tributary_reference::reference("formance/v3-api.jsonl")?).unwrap();
    let feed = std::fs::read_to_string(tributary_reference::reference("formance/v3-api-feed.json")?).unwrap();
    let mut books = Books {
        connectors: vec![],
        accounts: vec![],
        payments: vec![],
        initiations: vec![],
        schedules: vec![],
        instances: vec![],
        balances: HashMap::new(),
        feed: serde_json::from_str(&feed).unwrap(),
        fails: None,
        token: None,
        before: None,
        asked: HashMap::new(),
    };
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let data = line["body"]["cursor"]["data"].as_array().cloned().unwrap_or_default();
        let path = line["path"].as_str().unwrap();
        let parts: Vec<&str> = path.trim_start_matches("/v3/").split('/').collect();
        match parts[..] {
            ["connectors"] => books.connectors.extend(data),
            ["accounts"] => books.accounts.extend(data),
            ["payments"] => books.payments.extend(data),
            ["payment-initiations"] => books.initiations.extend(data),
            ["connectors", _, "schedules"] => books.schedules.extend(data),
            ["connectors", _, "schedules", _, "instances"] => books.instances.extend(data),
            ["accounts", id, "balances"] => drop(books.balances.insert(reference_of(id), data)),
            _ => {}
        }
    }
    Some(books)
}

/// The reference within an id of Formance's.
pub fn reference_of(id: &str) -> String {
    let id: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(id).unwrap()).unwrap();
    id["Reference"].as_str().unwrap().to_owned()
}

impl Books {
    /// An id as Formance makes it.
    pub fn id(&self, reference: &str, kind: Option<&str>) -> String {
        let connector = json!({"Provider": "generic", "Reference": self.connectors[0]["reference"]});
        let mut id = json!({"ConnectorID": connector, "Reference": reference});
        if let Some(kind) = kind {
            id["Type"] = kind.into();
        }
        URL_SAFE_NO_PAD.encode(id.to_string())
    }

    /// The payment with this reference in its id.
    pub fn payment(&mut self, reference: &str) -> &mut Value {
        let of = |payment: &&mut Value| reference_of(payment["id"].as_str().unwrap()) == reference;
        self.payments.iter_mut().find(of).unwrap()
    }

    /// The id of the n-th entry of the feed's transactions that is the only one of its payment.
    pub fn single(&self, n: usize) -> String {
        let entries = self.feed["transactions"].as_array().unwrap();
        let identity = |entry: &Value| {
            let related = entry["relatedTransactionID"].as_str();
            related.unwrap_or(entry["id"].as_str().unwrap()).to_owned()
        };
        let is_single =
            |entry: &&Value| entries.iter().filter(|other| identity(other) == identity(entry)).count() == 1;
        let single = entries.iter().filter(|entry| entry["relatedTransactionID"].is_null()).filter(is_single);
        single.map(|entry| entry["id"].as_str().unwrap().to_owned()).nth(n).unwrap()
    }

    /// The entries of the feed's transactions with this id.
    pub fn entries(&mut self, id: &str) -> Vec<&mut Value> {
        let entries = self.feed["transactions"].as_array_mut().unwrap();
        entries.iter_mut().filter(|entry| entry["id"] == id).collect()
    }

    /// Puts an entry at the end of the feed's transactions, a second after the last one.
    pub fn tell(&mut self, mut entry: Value) {
        let entries = self.feed["transactions"].as_array_mut().unwrap();
        let last = entries.last().unwrap()["updatedAt"].as_str().unwrap().to_owned();
        let last =
            chrono::DateTime::parse_from_rfc3339(&last).unwrap().to_utc() + chrono::TimeDelta::seconds(1);
        entry["updatedAt"] = json!(last.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        entries.push(entry);
    }
}

async fn answer(
    State(books): State<Arc<Mutex<Books>>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let authorization =
        request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let bearer = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let mut books = books.lock().unwrap();
    let asked = books.asked.entry(path.clone()).or_default();
    *asked += 1;
    let asked = *asked;
    if let Some((_, _, change)) = books.before.take_if(|(of, from, _)| *of == path && asked >= *from) {
        change(&mut books);
    }
    if books.fails.is_some_and(|(of, from)| of == path && asked >= from) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "{}").into_response();
    }
    match path.strip_prefix("/feed") {
        Some(_) if bearer != Some(KEY) => (StatusCode::UNAUTHORIZED, "{}").into_response(),
        Some(path) => json_answer(of_feed(&books.feed, path, &query)),
        None if path == "/api/auth/oauth/token" => {
            axum::Json(json!({"access_token": TOKEN, "token_type": "bearer"})).into_response()
        }
        None if books.token.is_some_and(|token| bearer != Some(token)) => {
            (StatusCode::UNAUTHORIZED, "{}").into_response()
        }
        None => json_answer(of_formance(&books, path.trim_start_matches("/api/payments"), &query)),
    }
}

fn json_answer(answer: Option<Value>) -> Response {
    match answer {
        Some(answer) => axum::Json(answer).into_response(),
        None => (StatusCode::NOT_FOUND, "{}").into_response(),
    }
}

/// A list by page and time, as the Generic Connector asks for it.
fn of_feed(feed: &Value, path: &str, query: &HashMap<String, String>) -> Option<Value> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let ["accounts", account, "balances"] = parts[..] {
        return feed["balances"].get(account).cloned();
    }
    let [list] = parts[..] else { return None };
    let field = if list == "transactions" { "updatedAt" } else { "createdAt" };
    let number = |name: &str| query[name].parse::<usize>().unwrap();
    let from = query.get(&format!("{field}From")).map(|from| GoTime::parse(from.as_bytes()).unwrap());
    let is_behind = |row: &&Value| {
        let at = GoTime::parse(row[field].as_str().unwrap().as_bytes()).unwrap();
        from.is_none_or(|from| at >= from)
    };
    let rows = feed[list].as_array()?.iter().filter(is_behind);
    let size = number("pageSize");
    Some(rows.skip((number("page") - 1) * size).take(size).cloned().collect())
}

/// A list by cursor, as Formance's API gives it.
fn of_formance(books: &Books, path: &str, query: &HashMap<String, String>) -> Option<Value> {
    let parts: Vec<&str> = path.trim_start_matches("/v3/").split('/').collect();
    let none = Vec::new();
    let list = match parts[..] {
        ["connectors"] => &books.connectors,
        ["accounts"] => &books.accounts,
        ["payments"] => &books.payments,
        ["payment-initiations"] => &books.initiations,
        ["connectors", _, "schedules"] => &books.schedules,
        ["connectors", _, "schedules", _, "instances"] => &books.instances,
        ["accounts", id, "balances"] => books.balances.get(&reference_of(id)).unwrap_or(&none),
        _ => return None,
    };
    let (offset, size) = match query.get("cursor") {
        Some(cursor) => {
            let (offset, size) = cursor.split_once('/').unwrap();
            (offset.parse().unwrap(), size.parse().unwrap())
        }
        None => (0, query["pageSize"].parse::<usize>().unwrap().min(MOST)),
    };
    let data: Vec<&Value> = list.iter().skip(offset).take(size).collect();
    let mut cursor = json!({"pageSize": size, "hasMore": offset + size < list.len(), "data": data});
    if cursor["hasMore"] == true {
        cursor["next"] = json!(format!("{}/{size}", offset + size));
    }
    Some(json!({"cursor": cursor}))
}
