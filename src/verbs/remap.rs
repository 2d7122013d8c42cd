//! Mapping once more what was kept as it came.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Actor, Failure, OfFile, On, Verb, note};
use crate::config;
use crate::sync::{
    self, Busy, FILES, Instance, Puller, RemapOutcome, RemapRequest, RereadFailure, RereadOutcome, Rereader,
};
use tributary_domain::ProviderName;

/// What is said where there is nothing to map again.
pub const NOTHING_KEPT: &str = "no records are kept: set `keep_raw: 30d` in the provider's file, and sync --full; and no statement \
                                file was taken";

/// Maps the records that were kept once more, and reads the statement files that were taken again, in the background.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Remap {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only this stream; `statement files` for the files alone.
    pub stream: Option<String>,
}

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// How many records are kept.
    pub records: u64,
    /// How many statement files are.
    pub files: u64,
}

impl Verb for Remap {
    const NAME: &'static str = "remap";
    type Answer = Begun;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Begun, Failure> {
        let Self { provider, stream } = self;
        let of = on.declared.get(provider);
        let compiled = of.and_then(|of| of.compiled.clone()).filter(|_| stream.as_deref() != Some(FILES));
        let puller = compiled
            .map(|compiled| Puller::over(on.pool.clone(), provider.clone(), compiled, Instance::default()));
        let rereader = of.and_then(|of| rereader(on, provider, of, stream.as_deref()));
        if puller.is_none() && rereader.is_none() {
            return Err(Failure::NotFound(format!(
                "nothing of {provider} is pulled, and no statement files of it are read"
            )));
        }
        if let (Some(stream), Some(puller)) = (stream, &puller) {
            has_stream(puller, stream)?;
        }
        let records = match &puller {
            Some(puller) => puller.kept(stream.as_deref()).await?,
            None => 0,
        };
        let files = match &rereader {
            Some(rereader) => rereader.kept().await?,
            None => 0,
        };
        if records + files == 0 {
            return Err(Failure::NotFound(NOTHING_KEPT.to_owned()));
        }
        note(on, actor, (Self::NAME, provider.as_str(), self.details())).await?;
        tokio::spawn(go_on(puller, rereader, provider.clone(), stream.clone()));
        Ok(Begun { records, files })
    }
}

impl Remap {
    /// What the audit has of it besides the provider.
    pub fn details(&self) -> serde_json::Value {
        json!({"stream": self.stream})
    }
}

fn has_stream(puller: &Puller, stream: &str) -> Result<(), Failure> {
    let streams: Vec<&str> =
        puller.groups().iter().flat_map(|group| &group.streams).map(String::as_str).collect();
    match streams.contains(&stream) {
        true => Ok(()),
        false => {
            let streams = streams.join(", ");
            Err(Failure::NotFound(format!("there is no stream {stream:?}; there are: {streams}")))
        }
    }
}

/// What reads the statement files of `provider` again, where `stream` means them, too.
fn rereader(on: On<'_>, provider: &ProviderName, of: &OfFile, stream: Option<&str>) -> Option<Rereader> {
    let files = of.files.clone().filter(|_| stream.is_none_or(|stream| stream == FILES))?;
    Some(Rereader { pool: on.pool.clone(), provider: provider.clone(), files, pulled: of.has_api })
}

/// Each batch is written in a transaction of its own: what is stopped before its end is done again from the beginning, and
/// changes what is left to be changed.
async fn go_on(
    puller: Option<Puller>,
    rereader: Option<Rereader>,
    provider: ProviderName,
    stream: Option<String>,
) {
    let never = CancellationToken::new();
    if let Some(puller) = puller {
        let busy = Busy::Wait(&|_, _| {});
        let request = RemapRequest { stream: stream.as_deref(), busy, report: &|_| {} };
        match puller.remap(&request, &never).await {
            Ok(RemapOutcome::Done(done)) => tracing::info!(%provider, ?done, "what was kept is mapped again"),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%provider, %error, "mapping again was stopped: do it again for the rest");
            }
        }
    }
    let Some(rereader) = rereader else { return };
    match rereader.reread(&never, &|_| {}).await {
        Ok(RereadOutcome::Done(done)) => {
            tracing::info!(%provider, ?done, "the statement files that were taken are read again");
        }
        Ok(RereadOutcome::Refused(done)) => {
            let first = done.refused.first().map(String::as_str).unwrap_or_default();
            tracing::error!(%provider, why = first, "statement files are not read again: set the provider's file back");
        }
        Ok(RereadOutcome::Interrupted(_)) => {}
        Err(error) => {
            tracing::error!(%provider, %error, "reading statement files again was stopped: do it again for the rest");
        }
    }
}

/// Shows what mapping the kept records again would change, with another provider file or with the one that runs, and what
/// reading its statement files again would. Nothing is written.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// The provider, as its file names it.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// Only this stream; `statement files` for the files alone.
    pub stream: Option<String>,
    /// The text of a provider file, for records that were pulled; the one that runs, if not given.
    pub file: Option<String>,
    /// Where descriptions are that it uses, besides those that ship: of whoever types a command.
    #[serde(skip)]
    #[schema(ignore)]
    pub folder: Option<PathBuf>,
}

impl Verb for DryRun {
    const NAME: &'static str = "remap --dry-run";
    type Answer = sync::Preview;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<sync::Preview, Failure> {
        let (provider, stream) = (&self.provider, self.stream.as_deref());
        let of = self.of_file(on, actor);
        let files_alone = of.as_ref().is_some_and(|of| of.files.is_some() && !of.has_api);
        let mut preview = sync::Preview::default();
        if stream != Some(FILES) && !files_alone {
            let file = on.file(provider, self.file.as_deref(), self.folder.as_ref())?;
            preview = sync::preview_remap(on.pool, provider, stream, &file, on.bounds()).await?;
        }
        let rereader = of.and_then(|of| rereader(on, provider, &of, stream));
        if let Some(rereader) = rereader
            && rereader.kept().await? > 0
        {
            let rehearsed = rereader.rehearse(on.bounds()).await;
            preview.files = Some(rehearsed.map_err(|error| match error {
                RereadFailure::Store(error) => Failure::from(error),
                other => Failure::Refused(other.to_string()),
            })?);
        }
        match preview.total == 0 && preview.files.is_none() {
            true => Err(Failure::NotFound(NOTHING_KEPT.to_owned())),
            false => Ok(preview),
        }
    }
}

impl DryRun {
    /// What is known of the file that is tried. The text that somebody else pasted is read in the workshop alone, which has
    /// no statement files.
    fn of_file(&self, on: On<'_>, actor: &Actor) -> Option<OfFile> {
        let given = self.file.as_deref().filter(|text| !text.trim().is_empty());
        match (given, actor) {
            (None, _) => on.declared.get(&self.provider).cloned(),
            (Some(text), Actor::Command { .. }) => {
                config::Provider::parse(text, &|_| None).ok().as_ref().map(OfFile::from)
            }
            (Some(_), Actor::Operator { .. }) => None,
        }
    }
}
