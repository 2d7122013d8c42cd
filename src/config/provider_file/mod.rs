//! A provider file: who the provider is, who may call for it, and where its records come from.

mod parts;
mod schema;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Lookup;
use super::files::FilesSection;
use super::keys::{self, FileKey};
use super::source::{FileText, Source};
use super::uses::Descriptions;
use crate::payments::Policy;
use crate::statements::Files;
use crate::store::feeds::FeedPace;
use crate::sync::FileSource;
use tributary_domain::{FormanceVersion, PaymentLimit, ProviderName, RequestLimit, Resource};
use tributary_manifest::language;
use tributary_manifest::{CompiledProvider, InterpolateError, Manifest, ManifestError};

use parts::Parts;
pub use parts::{Described, described, manifest_of, try_examples};
pub use schema::schema;
use service::Push;

/// A provider as its file declares it.
#[derive(Debug, Clone)]
pub struct Provider {
    pub name: ProviderName,
    pub source: Source,
    pub formance: FormanceVersion,
    pub pace: FeedPace,
    /// What may be pushed.
    pub pushed: Vec<Resource>,
    /// What each of its API keys may ask of the API.
    pub limit: RequestLimit,
    /// And how many payments.
    pub payment_limit: PaymentLimit,
    /// What may be paid.
    pub payments: Policy,
    /// How its statement files are read; `None` of one that has none.
    pub files: Option<Arc<Files>>,
    /// Where those are fetched from.
    pub file_source: Option<FileSource>,
    /// Keys that the file brings.
    pub keys: Vec<FileKey>,
    /// What a draft asks, and in which line: until it is answered, nothing is pulled by a guess.
    pub questions: Vec<(usize, String)>,
    /// What the operator has to know: declared, but not in force.
    pub warnings: Vec<String>,
    /// The file itself.
    pub file: FileText,
    compiled: Option<Arc<CompiledProvider>>,
}

impl Provider {
    /// Reads the text of a provider file; `lookup` resolves the `${NAME}` of its keys. A key
    /// whose variable is not set opens nothing, and the provider's warnings say so. Of other descriptions it
    /// can use those that ship.
    pub fn parse(text: &str, lookup: Lookup) -> Result<Self, String> {
        Self::parse_beside(text, lookup, &|_| None)
    }

    /// As [`Provider::parse`], of a file that can use the `descriptions` beside it.
    pub fn parse_beside(text: &str, lookup: Lookup, descriptions: Descriptions) -> Result<Self, String> {
        let Parts { service, policy, api } =
            Parts::of(text, descriptions).map_err(|mistakes| mistakes.to_string())?;
        let (keys, mut warnings) = keys::keys(&service.keys, lookup)?;
        let (source, compiled) = match api {
            None => (Source::Push, None),
            Some(api) => {
                warnings.extend(blind_payments(&api.manifest));
                warnings.extend(api.manifest.streams.iter().flat_map(|stream| stream.notes.iter().cloned()));
                let filled = api.variables(lookup).and_then(|lookup| {
                    let mut manifest = api.manifest.clone();
                    if let Some(error @ InterpolateError::Missing(_)) = manifest.unset_webhook(&lookup) {
                        // what is pulled does not wait for what may only come sooner by a call
                        manifest.webhook = None;
                        warnings.push(format!("webhooks are refused: {error}"));
                    }
                    manifest.interpolated(lookup)
                });
                match filled {
                    Ok(manifest) => {
                        let compiled = CompiledProvider::new(&service.provider, &manifest)
                            .map_err(|error| language::at_its_place(&error, &api.node).to_string())?;
                        (Source::Pull(Box::new(manifest)), Some(Arc::new(compiled)))
                    }
                    Err(error) => {
                        let unset = unset(&api, lookup);
                        let why = if unset.len() > 1 { all_unset(&unset) } else { error.to_string() };
                        warnings.push(format!("nothing is pulled: {why}"));
                        (Source::Unset, None)
                    }
                }
            }
        };
        let pace = service.feed.pace()?;
        let files = service.files.as_ref().map(FilesSection::files).transpose();
        let files = files.map_err(|(field, why)| format!("{field}: {why}"))?.map(Arc::new);
        let file_source = service.files.as_ref().map(|files| files.source(lookup)).transpose();
        let file_source = file_source.unwrap_or_else(|error| {
            warnings.push(format!("files are taken only as they are posted: {error}"));
            None
        });
        Ok(Self {
            files,
            file_source: file_source.flatten(),
            name: service.provider,
            source,
            formance: service.formance.version,
            limit: service.callers.limit(pace)?,
            payment_limit: service.callers.payment_limit()?,
            payments: policy.policy()?,
            pace,
            pushed: Push::beside(service.push),
            keys,
            questions: questions(text),
            warnings,
            file: FileText::new(text, None),
            compiled,
        })
    }

    /// That nothing is to be pulled or paid yet, where the file has questions: what is read by a wrong guess
    /// stays so for Formance.
    pub fn require_answers(&self) -> Result<(), String> {
        match self.questions.len() {
            0 => Ok(()),
            open => Err(format!(
                "the file of {} has open questions ({open}): answer each `{}` and delete it; \
                 `tributary manifest validate` names them, `tributary manifest read` shows what the API says",
                self.name,
                QUESTION.trim()
            )),
        }
    }

    /// What its manifest was compiled to, once for all who need it; `None` of one that is not
    /// pulled.
    pub fn compiled(&self) -> Option<&Arc<CompiledProvider>> {
        self.compiled.as_ref()
    }

    /// Changes the manifest of one that is pulled, and compiles it anew.
    pub fn change_manifest(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<(), ManifestError> {
        if let Source::Pull(manifest) = &mut self.source {
            change(manifest);
            self.compiled = Some(Arc::new(CompiledProvider::new(&self.name, manifest)?));
        }
        Ok(())
    }
}

/// What begins a comment that asks what only a person can know.
pub const QUESTION: &str = "# QUESTION: ";

fn questions(text: &str) -> Vec<(usize, String)> {
    let asked = |(n, line): (usize, &str)| Some((n + 1, line.split_once(QUESTION)?.1.trim().to_owned()));
    text.lines().enumerate().filter_map(asked).collect()
}

/// The variables that the description asks for and that are not set, besides those of its webhook alone.
fn unset(api: &Described, lookup: Lookup) -> Vec<String> {
    let Ok(known) = api.variables(lookup) else { return Vec::new() };
    let mut manifest = api.manifest.clone();
    if manifest.unset_webhook(&known).is_some() {
        manifest.webhook = None;
    }
    let mut unset: Vec<String> = Vec::new();
    loop {
        let filled = |name: &str| {
            known(name).or_else(|| unset.iter().any(|other| other == name).then(|| name.to_owned()))
        };
        match manifest.clone().interpolated(filled) {
            Err(InterpolateError::Missing(name)) if !unset.contains(&name) => unset.push(name),
            _ => return unset,
        }
    }
}

fn all_unset(names: &[String]) -> String {
    format!("the environment variables {} must be set: the file asks for each as ${{NAME}}", names.join(", "))
}

/// What is missing for a payment whose outcome is unknown to be found out about without a person.
fn blind_payments(manifest: &Manifest) -> Vec<String> {
    let sections = [("payouts", &manifest.payouts), ("transfers", &manifest.transfers)];
    let blind =
        sections.into_iter().filter(|(_, section)| section.as_ref().is_some_and(|pay| pay.lookup.is_none()));
    let told = blind.map(|(name, _)| {
        format!("pay.{name} has no `find`: an order of which the answer is lost waits for a person to ask the provider")
    });
    told.collect()
}
