//! The vocabulary of the field, parsed once at the edge: a value of one of these types is
//! known to be acceptable to Formance's connector and to the tables. Knows no other layer.

mod access;
mod account;
mod amount;
mod asset;
mod balance;
mod formance_version;
mod id;
mod json_budget;
mod metadata;
mod order;
mod origin;
mod payment;
mod record;
mod resource;
mod text;
mod timestamp;
mod transaction;

pub use access::{ApiKeyDigest, KeyName, OperatorName, PaymentLimit, RequestLimit, Role, Scope};
pub use account::{Account, Beneficiary};
pub use amount::Amount;
pub use asset::Asset;
pub use balance::{Balance, Balances};
pub use formance_version::FormanceVersion;
pub use id::{ID_MAX_BYTES, ProviderName, RecordId, served_id_to_original};
pub use json_budget::{JsonBudget, TooCostly};
pub use metadata::{METADATA_MAX_BYTES, Metadata};
pub use order::{
    OrderChange, OrderState, Ordered, PastAttempt, Progress, ProviderNames, Said, SaidByRecord, Unidentified,
    Verdict,
};
pub use origin::{Origin, RawRecord};
pub use payment::{PaymentKind, PaymentState};
pub use record::{Record, RecordError, parse_record};
pub use resource::{FeedName, Resource};
pub use timestamp::Timestamp;
pub use transaction::{Status, Transaction, TransactionType};
