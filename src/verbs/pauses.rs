//! Providers of which nothing is read for now.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, Failure, On, Verb, begin, commit};
use crate::store::provider_pauses::{self, Pause as Paused};
use crate::store::sync_tasks;
use tributary_domain::ProviderName;

/// Reads nothing of a provider until it is resumed: what is being read stops with its page, and goes on from there later. Payments, and
/// what is pushed, go on.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Why, in 1 to 500 characters: whoever looks sees it.
    #[schema(min_length = 1, max_length = 500)]
    pub why: String,
}

impl Verb for Pause {
    const NAME: &'static str = "pause";
    type Answer = Paused;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Paused, Failure> {
        let Self { provider, why } = self;
        let why = why.replace('\0', "").trim().to_owned();
        if why.is_empty() || why.chars().count() > 500 {
            return Err(Failure::Refused("say why, in 1 to 500 characters".to_owned()));
        }
        if sync_tasks::streams(on.pool, provider).await?.is_empty() {
            return Err(Failure::NotFound(format!("nothing of {provider} is pulled")));
        }
        let mut transaction = begin(on, actor).await?;
        let new = provider_pauses::pause(&mut transaction, provider, actor.name(), &why).await?;
        let paused = provider_pauses::of(&mut *transaction, std::slice::from_ref(provider)).await?;
        let paused = paused.into_iter().next().ok_or_else(|| not_paused(provider))?;
        if !new {
            return Err(Failure::Refused(paused.to_string()));
        }
        commit(transaction, actor, (Self::NAME, provider.as_str(), json!({"why": why}))).await?;
        Ok(paused)
    }
}

/// Has a provider read again that was paused; what was due meanwhile is read at once.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
}

impl Verb for Resume {
    const NAME: &'static str = "resume";
    /// How it was paused.
    type Answer = Paused;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Paused, Failure> {
        let Self { provider } = self;
        let mut transaction = begin(on, actor).await?;
        let paused = provider_pauses::of(&mut *transaction, std::slice::from_ref(provider)).await?;
        let paused = paused.into_iter().next().ok_or_else(|| not_paused(provider))?;
        if !provider_pauses::resume(&mut *transaction, provider).await? {
            return Err(not_paused(provider));
        }
        commit(transaction, actor, (Self::NAME, provider.as_str(), json!({"why": paused.why}))).await?;
        Ok(paused)
    }
}

fn not_paused(provider: &ProviderName) -> Failure {
    Failure::NotFound(format!("{provider} is not paused"))
}

/// Refuses to read what is paused.
pub async fn refuse_if_paused(on: On<'_>, provider: &ProviderName) -> Result<(), Failure> {
    match provider_pauses::of(on.pool, std::slice::from_ref(provider)).await?.first() {
        None => Ok(()),
        Some(paused) => Err(Failure::Refused(format!("{paused}. `tributary resume {provider}` first"))),
    }
}
