//! Whether a connector that is installed with an address and a key would work.

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use tributary_formance::error::{CallError, ErrorClass};
use tributary_formance::{Client, Kind, State};

/// What the connector's first calls brought, at most one page of each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstCalls {
    pub accounts: usize,
    pub beneficiaries: usize,
    pub transactions: usize,
}

/// Why it would not work. The texts say what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WouldFail {
    /// What was given is no address.
    #[error(
        "the endpoint is no address of an API: write http://host or https://host, with the path prefix if there is one"
    )]
    Endpoint,
    /// The key is not taken.
    #[error(
        "{endpoint} does not know the API key (401): make one with `tributary keys create --provider NAME --name \
         formance --scope connector`, and check that it is not expired or revoked (`tributary keys list`)"
    )]
    KeyUnknown { endpoint: String },
    /// The key may not do this.
    #[error(
        "{endpoint} does not let this API key read {kind} (403): the connector needs one of the scope connector"
    )]
    KeyOfAnotherScope { endpoint: String, kind: Kind },
    /// There is no such list.
    #[error(
        "{endpoint} has no /{kind} (404): is the path prefix right, and is it Tributary's address for everybody?"
    )]
    NoList { endpoint: String, kind: Kind },
    /// Nobody answers.
    #[error(
        "{endpoint} does not answer: {why}. Is it the address by which Formance reaches it, and is `serve` running?"
    )]
    NoAnswer { endpoint: String, why: String },
    /// The server is in trouble.
    #[error(
        "{endpoint} answers {why}: Formance would ask again, and so may you; its log and /readyz say what is missing"
    )]
    Trouble { endpoint: String, why: String },
    /// Formance would take nothing of it.
    #[error(
        "{endpoint} answers /{kind} as Formance cannot read it: {why}. `tributary conformance {endpoint}` says more"
    )]
    Unfit { endpoint: String, kind: Kind, why: String },
}

/// Makes the connector's first call of each list and, where there is an account, of its balances.
pub async fn first_calls(endpoint: &str, key: &SecretString) -> Result<FirstCalls, WouldFail> {
    let endpoint = crate::run::endpoint(endpoint).map_err(|_| WouldFail::Endpoint)?;
    let client = Client::new(&endpoint, key.expose_secret());
    let mut first = FirstCalls::default();
    for kind in Kind::ALL {
        let fetched = client.fetch_next(kind, &State::default()).await;
        let rows = fetched.map_err(|error| would_fail(&endpoint, kind, error))?.rows;
        match kind {
            Kind::Accounts => {
                if let Some(account) = rows.first() {
                    let balances = client.balances(&account.reference).await;
                    balances.map_err(|error| would_fail(&endpoint, kind, error))?;
                }
                first.accounts = rows.len();
            }
            Kind::Beneficiaries => first.beneficiaries = rows.len(),
            Kind::Transactions => first.transactions = rows.len(),
        }
    }
    Ok(first)
}

fn would_fail(endpoint: &str, kind: Kind, error: CallError) -> WouldFail {
    let endpoint = endpoint.to_owned();
    match error {
        CallError::Status { status: 401, .. } => WouldFail::KeyUnknown { endpoint },
        CallError::Status { status: 403, .. } => WouldFail::KeyOfAnotherScope { endpoint, kind },
        CallError::Status { status: 404, .. } => WouldFail::NoList { endpoint, kind },
        CallError::Status { class: ErrorClass::ClientError, .. } => {
            WouldFail::Unfit { endpoint, kind, why: error.to_string() }
        }
        CallError::Status { .. } => WouldFail::Trouble { endpoint, why: error.to_string() },
        CallError::Transport { reason, .. } => WouldFail::NoAnswer { endpoint, why: reason },
        error => WouldFail::Unfit { endpoint, kind, why: error.to_string() },
    }
}
