//! What makes one provider's stand-in differ from another's.

use axum::Router;
use axum::http::StatusCode;
use std::sync::Arc;

use super::auth::Login;
use super::books::Item;
use super::budget::Limit;
use super::liar::Terms;
use super::lives::{Kind, TwinAccount};
use super::money::Currency;
use super::refusal::Refusal;
use super::{Json, Standin};
use tributary_domain::{Status, TransactionType};

/// A provider: how records live there and how its API shows them.
pub trait Fsp: Send + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// What the ledger consists of and how the API behaves in general.
    fn profile(&self) -> &'static Profile;

    /// The endpoints. The kit adds the token, the faults and the control API around them.
    fn routes(&self) -> Router<Arc<Standin>>;

    /// The id of the `n`th thing of a domain: the name of a [`Kind`], `account`, `space` or
    /// `beneficiary`.
    fn id(&self, domain: &str, seed: u64, n: u64) -> String;

    /// Whose the beneficiary of this position is: the position of the first that its owner has.
    /// An owner has one, unless the API pays accounts, of which somebody may have several.
    fn owner(&self, beneficiary: usize) -> usize {
        beneficiary
    }

    /// What version number `upto` of a record (or leg: each is a record of its own here), with all that came before it, means in the
    /// canonical model; `None` where nothing is to be shown yet.
    fn meaning(&self, item: &Item, upto: usize) -> Option<(TransactionType, Status)>;

    /// Status and body of an error answer.
    fn refusal(&self, refusal: &Refusal) -> (StatusCode, Json);

    /// The provider's word for a status of a payment that was ordered; `None` where it does not pay.
    fn word(&self, status: Status) -> Option<&'static str> {
        let _ = status;
        None
    }

    /// The status of the answer that tells of a payment which an earlier request of the same key
    /// made.
    fn paid_before(&self) -> StatusCode {
        StatusCode::OK
    }

    /// How clients send the token.
    fn scheme(&self) -> Scheme {
        Scheme::Bearer
    }

    /// How clients log in, where their token comes by a request of the API's own making.
    fn login(&self) -> Option<&'static Login> {
        None
    }

    /// What a liar has to know of the API.
    fn terms(&self) -> Terms;

    /// The body of an error that comes with status 200, where the provider does such a thing.
    fn error_in_200(&self) -> Option<Json> {
        None
    }
}

/// How clients send the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Bearer,
    /// As the user of basic authentication, with an empty password.
    BasicUser,
}

/// What a provider's ledger consists of and how its API behaves in general.
#[derive(Debug)]
pub struct Profile {
    /// The currencies of the accounts, in turn.
    pub currencies: &'static [&'static Currency],
    /// How many accounts the provider can have at most.
    pub most_accounts: usize,
    /// What is on an account before the first record, in minor units.
    pub opening_minor: i64,
    /// All kinds of records.
    pub kinds: &'static [Kind],
    /// How far apart two consecutive changes are at least, in microseconds: the resolution of
    /// the API's times, or a millisecond where that is coarser and times tie anyway.
    pub tick_us: i64,
    /// The media type of the answers.
    pub content_type: &'static str,
    /// Where a client with OAuth fetches its tokens.
    pub token_path: &'static str,
    /// How many requests the provider allows.
    pub limit: Option<Limit>,
}

impl Profile {
    /// Whether accounts have spaces: where a movement goes into one.
    pub(super) fn has_spaces(&self) -> bool {
        self.kinds.iter().any(|kind| kind.twin.as_ref().is_some_and(|twin| twin.to == TwinAccount::Space))
    }

    /// The kind of this name.
    ///
    /// # Panics
    /// Where a table names a kind that is not in it: a defect of the stand-in.
    pub fn kind(&self, name: &str) -> &'static Kind {
        self.kinds.iter().find(|kind| kind.name == name).expect("the tables name only kinds that exist")
    }
}
