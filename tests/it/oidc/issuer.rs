//! An OpenID provider that says what a test has it say, lies included. Its people sign in by a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub const CLIENT: &str = "tributary";
pub const SECRET: &str = "a-secret-of-the-client";

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// By the provider's key.
    Well,
    /// By a key of somebody else, under the name of the provider's.
    ByAnother,
    /// By a key of which the provider has not said anything.
    Unpublished,
    /// By the secret of the client.
    BySecret,
    Not,
}

struct Key {
    name: String,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self { name: Uuid::new_v4().to_string(), pair: pair.unwrap() }
    }

    fn published(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name, "x": x, "y": y})
    }
}

/// What a code is exchanged for.
struct Grant {
    challenge: String,
    token: String,
    userinfo: Value,
}

struct Known {
    key: Key,
    codes: HashMap<String, Grant>,
    /// What is said at the userinfo endpoint, by access token.
    userinfo: HashMap<String, Value>,
    /// How often its keys were asked for.
    keys_asked: usize,
    /// Whether the client shows its secret in the form, and not in the head.
    by_form: bool,
}

type Shared = Arc<Mutex<Known>>;

pub struct Issuer {
    pub url: String,
    known: Shared,
    serving: tokio::task::JoinHandle<()>,
}

impl Issuer {
    pub async fn start() -> Self {
        Self::describing(json!({})).await
    }

    /// One that says this of itself besides what it has to.
    pub async fn describing(more: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut described = describe(&url);
        described.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let by_form = described["token_endpoint_auth_methods_supported"] == json!(["client_secret_post"]);
        let known = Known {
            key: Key::new(),
            codes: HashMap::new(),
            userinfo: HashMap::new(),
            keys_asked: 0,
            by_form,
        };
        let known = Arc::new(Mutex::new(known));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(described)))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&known));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, known, serving }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Signs with another key from now on, and has published that one alone.
    pub fn rotate(&self) {
        self.known().key = Key::new();
    }

    pub fn keys_asked(&self) -> usize {
        self.known().keys_asked
    }

    /// It goes away.
    pub fn stop(&self) {
        self.serving.abort();
    }

    /// Has whoever was sent to `to` sign in, of whom the token says `claims` besides what it has to; a claim of null
    /// is left out. Gives the code.
    pub fn grant(&self, to: &Url, claims: Value) -> String {
        self.grant_as(to, claims, Signed::Well, Value::Null)
    }

    /// The same, signed like this, and with this at the userinfo endpoint.
    pub fn grant_as(&self, to: &Url, claims: Value, signed: Signed, userinfo: Value) -> String {
        let asked: HashMap<String, String> = to.query_pairs().into_owned().collect();
        assert_eq!(
            (asked["response_type"].as_str(), asked["code_challenge_method"].as_str()),
            ("code", "S256")
        );
        let now = chrono::Utc::now().timestamp();
        let mut whole = json!({"iss": self.url, "aud": asked["client_id"], "sub": "ann", "nonce": asked["nonce"],
            "iat": now, "exp": now + 300, "preferred_username": "ann", "groups": ["staff"]});
        for (name, value) in claims.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let mut known = self.known();
        let token = sign(&known.key, &whole, signed);
        let code = Uuid::new_v4().to_string();
        let challenge = asked["code_challenge"].clone();
        known.codes.insert(code.clone(), Grant { challenge, token, userinfo });
        code
    }

    /// The token that a code will be exchanged for.
    pub fn token_of(&self, code: &str) -> String {
        self.known().codes[code].token.clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn describe(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // a provider that would take what only it can check
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    })
}

/// A token in the form of JWS.
fn sign(key: &Key, claims: &Value, signed: Signed) -> String {
    let (alg, key_name) = match signed {
        Signed::Well | Signed::ByAnother => ("ES256", Some(key.name.clone())),
        Signed::Unpublished => ("ES256", Some("nobody's".to_owned())),
        Signed::BySecret => ("HS256", None),
        Signed::Not => ("none", None),
    };
    let mut head = json!({"alg": alg, "typ": "JWT"});
    if let Some(name) = key_name {
        head["kid"] = name.into();
    }
    let [head, claims] = [&head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let content = format!("{head}.{claims}");
    let by = |key: &Key| {
        let signature = key.pair.sign(&SystemRandom::new(), content.as_bytes()).unwrap();
        URL_SAFE_NO_PAD.encode(signature.as_ref())
    };
    let signature = match signed {
        Signed::Well => by(key),
        Signed::ByAnother | Signed::Unpublished => by(&Key::new()),
        Signed::BySecret => {
            let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
            URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, content.as_bytes()))
        }
        Signed::Not => String::new(),
    };
    format!("{content}.{signature}")
}

async fn keys(State(known): State<Shared>) -> Json<Value> {
    let mut known = known.lock().unwrap();
    known.keys_asked += 1;
    Json(json!({"keys": [known.key.published()]}))
}

/// Whoever shows the verifier and the client's secret gets the token, once.
async fn token(
    State(known): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
    let mut known = known.lock().unwrap();
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    let head = headers.get("authorization").is_some_and(|shown| shown == expected.as_str());
    let body =
        form.get("client_secret").is_some_and(|secret| secret == SECRET) && form["client_id"] == CLIENT;
    if (head, body) != (!known.by_form, known.by_form) {
        return refused("invalid_client");
    }
    let grant = form.get("code").and_then(|code| known.codes.remove(code));
    let digest = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
    let Some(grant) = grant.filter(|grant| grant.challenge == URL_SAFE_NO_PAD.encode(digest)) else {
        return refused("invalid_grant");
    };
    let access = Uuid::new_v4().to_string();
    known.userinfo.insert(access.clone(), grant.userinfo);
    Json(json!({"access_token": access, "token_type": "Bearer", "id_token": grant.token})).into_response()
}

async fn userinfo(State(known): State<Shared>, headers: HeaderMap) -> Json<Value> {
    let shown = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    Json(known.lock().unwrap().userinfo[shown].clone())
}
