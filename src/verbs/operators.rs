//! Who operates.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::keys::NewSecret;
use super::{Actor, Failure, On, Verb, begin, commit, from_now, period, write};
use crate::http::{new_link, new_operator_key};
use crate::store::operator_issuers;
use crate::store::operators::{self, NewOperator, Operator};
use tributary_domain::{ApiKeyDigest, KeyName, OperatorName, Role};

/// For how long a link opens a session.
const LINK_LASTS: Duration = Duration::from_secs(600);

/// An operator, all but the secret of the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownOperator {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    /// Of a person who signs in by single sign-on: whose provider names them, and how.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether the key opens anything now, or whether they may sign in, in a word.
    pub state: String,
}

impl From<Operator> for ShownOperator {
    fn from(operator: Operator) -> Self {
        let state = operator.state().to_owned();
        let Operator {
            id,
            name,
            role,
            issuer,
            subject,
            created_at,
            last_used_at,
            expires_at,
            revoked_at,
            ..
        } = operator;
        Self { id, name, role, issuer, subject, created_at, last_used_at, expires_at, revoked_at, state }
    }
}

/// Lists operators, without the secrets of their keys.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {}

impl Verb for List {
    const NAME: &'static str = "operators list";
    type Answer = Vec<ShownOperator>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<ShownOperator>, Failure> {
        Ok(operators::list(on.pool).await?.into_iter().map(ShownOperator::from).collect())
    }
}

/// Makes an operator, with the key to sign in with.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Who it is. One valid key has a name.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: KeyName,
    /// What they may do: viewer, operator, approver, admin.
    #[schema(value_type = String, pattern = "^(viewer|operator|admin)$")]
    pub role: Role,
    /// After how long the key opens nothing any more: 90d. Never, if not given.
    #[schema(pattern = "^[0-9]{1,4}(s|m|h|d)$")]
    pub expires: Option<String>,
}

impl Verb for Create {
    const NAME: &'static str = "operators create";
    type Answer = NewSecret;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<NewSecret, Failure> {
        let Self { name, role, expires } = self;
        let expires_at = expires.as_deref().map(period).transpose()?.map(from_now);
        let (id, key) = new_operator_key();
        let digest = ApiKeyDigest::of(&key);
        let new = NewOperator { id, name, role: *role, digest: &digest, expires_at };
        let mut transaction = begin(on, actor).await?;
        if !operators::create(&mut *transaction, new).await? {
            return Err(Failure::Refused(format!(
                "there is an operator {name}: take another name, or first `tributary operators revoke {name}`"
            )));
        }
        let details = json!({"id": id, "role": role.as_str(), "expires_at": expires_at});
        commit(transaction, actor, (Self::NAME, name.as_str(), details)).await?;
        Ok(NewSecret { key })
    }

    fn secret(new: &NewSecret) -> Option<&str> {
        Some(&new.key)
    }
}

/// The secret text of a link that signs an operator in once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewLink {
    /// Behind the address of the console.
    pub path: String,
}

/// Makes a link that signs an operator in once, within 10 minutes.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Whom.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: KeyName,
}

impl Verb for Link {
    const NAME: &'static str = "operators link";
    type Answer = NewLink;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<NewLink, Failure> {
        let token = new_link();
        let mut transaction = begin(on, actor).await?;
        let digest = ApiKeyDigest::of(&token);
        if !operators::make_link(&mut *transaction, &digest, &self.name, LINK_LASTS).await? {
            return Err(no_such(&self.name));
        }
        commit(transaction, actor, (Self::NAME, self.name.as_str(), json!({}))).await?;
        Ok(NewLink { path: format!("/console/link?token={token}") })
    }

    fn secret(new: &NewLink) -> Option<&str> {
        Some(&new.path)
    }
}

/// Revokes an operator: the key, the links and every session, and whoever signs in by single sign-on stays out.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Whom, as the list writes it.
    #[schema(value_type = String, pattern = "^([a-z0-9][a-z0-9._-]{0,62}|[a-z0-9][a-z0-9._@+-]{0,39}~[0-9a-f]{8})$")]
    pub name: OperatorName,
}

impl Verb for Revoke {
    const NAME: &'static str = "operators revoke";
    type Answer = ();

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<(), Failure> {
        let mut transaction = begin(on, actor).await?;
        // before it ends what proves the operator, who may be this one
        write(&mut transaction, actor, (Self::NAME, self.name.as_str(), json!({}))).await?;
        if !operators::revoke(&mut *transaction, &self.name).await? {
            return Err(no_such(&self.name));
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Lets a person sign in again by single sign-on who was revoked.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Whom, as the list writes it.
    #[schema(value_type = String)]
    pub name: OperatorName,
}

impl Verb for Restore {
    const NAME: &'static str = "operators restore";
    type Answer = ();

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<(), Failure> {
        let mut transaction = begin(on, actor).await?;
        if !operators::restore(&mut *transaction, &self.name).await? {
            return Err(Failure::NotFound(format!(
                "nobody called {} was revoked who signs in by single sign-on; whose key was revoked gets a new one: \
                 `tributary operators create`",
                self.name
            )));
        }
        commit(transaction, actor, (Self::NAME, self.name.as_str(), json!({}))).await
    }
}

/// What whoever trusts a provider has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trusted {
    /// Approvers who have keys, where the provider names approvers, too: one of them who signs in through it has two names,
    /// and counts as two persons.
    pub approvers_by_key: Vec<String>,
}

/// Trusts an OpenID provider to say who somebody is, and that their groups give them one of these roles.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// As TRIBUTARY_OIDC_ISSUER has it.
    pub issuer: String,
    /// These, and no others.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
}

impl Verb for Trust {
    const NAME: &'static str = "operators trust";
    type Answer = Trusted;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Trusted, Failure> {
        let mut transaction = begin(on, actor).await?;
        operator_issuers::trust(&mut transaction, &self.issuer, &self.roles).await?;
        commit(transaction, actor, (Self::NAME, &self.issuer, json!({"roles": self.roles}))).await?;
        let mut operators = operators::list(on.pool).await?;
        operators.retain(|operator| {
            self.roles.contains(&Role::Approver)
                && operator.role == Role::Approver.as_str()
                && operator.issuer.is_none()
                && operator.state() == "valid"
        });
        Ok(Trusted { approvers_by_key: operators.into_iter().map(|operator| operator.name).collect() })
    }
}

/// Trusts an OpenID provider no more: whoever signed in by it is out at once.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Distrust {
    /// As it was trusted.
    pub issuer: String,
}

impl Verb for Distrust {
    const NAME: &'static str = "operators distrust";
    type Answer = ();

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<(), Failure> {
        let mut transaction = begin(on, actor).await?;
        if !operator_issuers::distrust(&mut transaction, &self.issuer).await? {
            let trusted = operator_issuers::list(&mut *transaction).await?;
            let trusted = if trusted.is_empty() { "none".to_owned() } else { trusted.join(", ") };
            return Err(Failure::NotFound(format!("{} was not trusted; trusted: {trusted}", self.issuer)));
        }
        commit(transaction, actor, (Self::NAME, &self.issuer, json!({}))).await
    }
}

fn no_such(name: &impl std::fmt::Display) -> Failure {
    Failure::NotFound(format!(
        "there is no operator {name} with a valid key; `tributary operators list` shows who there is"
    ))
}
