//! Mapping once more what was kept as it came.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Actor, Failure, On, Verb, note};
use crate::sync::{self, Busy, Instance, Puller, RemapOutcome, RemapRequest};
use tributary_domain::ProviderName;

/// What is said where there is nothing to map again.
pub const NOTHING_KEPT: &str =
    "no records are kept: set `keep_raw: 30d` in the provider's file, and sync --full";

/// Maps the records that were kept once more, in the background.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remap {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only this stream.
    pub stream: Option<String>,
}

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// How many records are kept.
    pub records: u64,
}

impl Verb for Remap {
    const NAME: &'static str = "remap";
    type Answer = Begun;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Begun, Failure> {
        let Self { provider, stream } = self;
        let compiled = on.declared.get(provider).and_then(|of| of.compiled.clone());
        let compiled =
            compiled.ok_or_else(|| Failure::NotFound(format!("nothing of {provider} is pulled")))?;
        let puller = Puller::over(on.pool.clone(), provider.clone(), compiled, Instance::default());
        let streams: Vec<&str> =
            puller.groups().iter().flat_map(|group| &group.streams).map(String::as_str).collect();
        if let Some(stream) = stream.as_deref().filter(|stream| !streams.contains(stream)) {
            let streams = streams.join(", ");
            return Err(Failure::NotFound(format!("there is no stream {stream:?}; there are: {streams}")));
        }
        let records = puller.kept(stream.as_deref()).await?;
        if records == 0 {
            return Err(Failure::NotFound(NOTHING_KEPT.to_owned()));
        }
        note(on, actor, (Self::NAME, provider.as_str(), self.details())).await?;
        tokio::spawn(go_on(Arc::new(puller), provider.clone(), stream.clone()));
        Ok(Begun { records })
    }
}

impl Remap {
    /// What the audit has of it besides the provider.
    pub fn details(&self) -> serde_json::Value {
        json!({"stream": self.stream})
    }
}

/// Each batch is written in a transaction of its own: what is stopped before its end is done again from the beginning, and
/// changes what is left to be changed.
async fn go_on(puller: Arc<Puller>, provider: ProviderName, stream: Option<String>) {
    let busy = Busy::Wait(&|_, _| {});
    let request = RemapRequest { stream: stream.as_deref(), busy, report: &|_| {} };
    match puller.remap(&request, &CancellationToken::new()).await {
        Ok(RemapOutcome::Done(done)) => tracing::info!(%provider, ?done, "what was kept is mapped again"),
        Ok(_) => {}
        Err(error) => {
            tracing::error!(%provider, %error, "mapping again was stopped: do it again for the rest");
        }
    }
}

/// Shows what mapping the kept records again would change, with another provider file or with the one that runs. Nothing
/// is written.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only this stream.
    pub stream: Option<String>,
    /// The text of a provider file; the one that runs, if not given.
    pub file: Option<String>,
    /// Where descriptions are that it uses, besides those that ship: of whoever types a command.
    #[serde(skip)]
    #[schema(ignore)]
    pub folder: Option<PathBuf>,
}

impl Verb for DryRun {
    const NAME: &'static str = "remap --dry-run";
    type Answer = sync::Preview;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<sync::Preview, Failure> {
        let file = on.file(&self.provider, self.file.as_deref(), self.folder.as_ref())?;
        let stream = self.stream.as_deref();
        let preview = sync::preview_remap(on.pool, &self.provider, stream, &file, on.bounds()).await?;
        if preview.total == 0 { Err(Failure::NotFound(NOTHING_KEPT.to_owned())) } else { Ok(preview) }
    }
}
