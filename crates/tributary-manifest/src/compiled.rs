//! A provider as its manifest describes it, compiled: ready to be read and paid through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_domain::{Origin, ProviderName, Resource};

use super::cage::Cage;
use super::client::{Client, Rules};
use super::manifest::{Manifest, Schedule};
use super::pay::{PaymentApis, PaymentPlans};
use super::plan::{self, ManifestError};
use super::read::{
    MappedRecord, Most, PageSink, Reader, RemapError, RunError, RunReport, Selection, StreamGroup, Wanted,
};
use super::webhook::Webhook;
use super::wire::{Cassette, InMemory, Shared, Tap};

/// A provider, ready to be read again and again, and to be paid through. Holds no state between
/// runs but the pace of its requests.
pub struct CompiledProvider {
    reader: Reader,
    payments: PaymentPlans,
    webhook: Option<Arc<Webhook>>,
    schedules: BTreeMap<String, Schedule>,
    concurrency: u32,
}

impl std::fmt::Debug for CompiledProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams: Vec<&str> = self.reader.streams.iter().map(|stream| stream.name.as_str()).collect();
        f.debug_struct("CompiledProvider")
            .field("provider", &self.reader.provider)
            .field("streams", &streams)
            .finish()
    }
}

impl CompiledProvider {
    /// As [`CompiledProvider::with_shared`], sharing nothing with other instances and later runs of
    /// the process: not for a refresh token that can be used only once.
    pub fn new(provider: &ProviderName, manifest: &Manifest) -> Result<Self, ManifestError> {
        Self::with_shared(provider, manifest, Arc::new(InMemory::default()))
    }

    /// Checks and compiles `manifest`, which has to be interpolated; `shared` is what this process
    /// has in common with others that ask the same provider. The error names the field that is
    /// wrong.
    pub fn with_shared(
        provider: &ProviderName,
        manifest: &Manifest,
        shared: Arc<dyn Shared>,
    ) -> Result<Self, ManifestError> {
        let cage: Arc<Cage> = Arc::default();
        let streams = plan::streams(manifest)?.into_iter().map(Arc::new).collect();
        let schedules = manifest.schedules()?;
        let client = Client::new(manifest, shared, Arc::clone(&cage)).map_err(ManifestError::Field)?;
        let limits = manifest.rate_limit.scope;
        let reader = Reader { provider: provider.clone(), client: Arc::new(client), streams, cage, limits };
        Ok(Self {
            reader,
            payments: PaymentPlans::new(manifest)?,
            webhook: Webhook::new(manifest)?.map(Arc::new),
            schedules,
            concurrency: manifest.concurrency,
        })
    }

    /// Shares budgets and tokens with others that ask the same provider. To be called once at most,
    /// and before anything was sent.
    pub fn share(&self, shared: Arc<dyn Shared>) {
        self.reader.client.share(shared);
    }

    pub fn name(&self) -> &ProviderName {
        &self.reader.provider
    }

    /// What the provider calls; `None` where the manifest does not say how.
    pub fn webhook(&self) -> Option<&Arc<Webhook>> {
        self.webhook.as_ref()
    }

    /// When the streams are read, by their names.
    pub fn schedules(&self) -> &BTreeMap<String, Schedule> {
        &self.schedules
    }

    /// How many groups of streams are read at the same time.
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// Shows `tap` what passes. To be called before anything was sent.
    pub fn tapped(mut self, tap: Arc<dyn Tap>) -> Self {
        self.unused_client().tap(tap);
        self
    }

    /// Has `cassette` answer instead of the provider. To be called before anything was sent.
    pub fn played(mut self, cassette: Cassette) -> Self {
        self.unused_client().play(cassette);
        self
    }

    /// What it reads.
    #[cfg(test)]
    pub fn streams(&self) -> &[Arc<crate::plan::Stream>] {
        &self.reader.streams
    }

    /// The pauses that it makes from now on, which take no time.
    #[cfg(test)]
    pub fn pauses(&mut self) -> crate::fake::Pauses {
        crate::fake::Pauses::of(self.unused_client())
    }

    fn unused_client(&mut self) -> &mut Client {
        Arc::get_mut(&mut self.reader.client).expect("nothing was sent yet")
    }

    /// The answers of a cassette that nobody asked for.
    pub fn unplayed(&self) -> usize {
        self.reader.client.unplayed()
    }

    /// Waits until no token is being exchanged: an exchange goes on when the run that needed it
    /// is dropped, and is lost if the process ends before it.
    pub async fn drained(&self) {
        self.reader.client.drained().await;
    }

    /// How the provider is paid through.
    pub fn payments(&self) -> PaymentApis {
        PaymentApis::new(&self.payments, &self.reader.client)
    }

    /// The groups of the streams, in the order of their roots.
    pub fn groups(&self) -> Vec<StreamGroup> {
        self.reader.groups()
    }

    /// How many of the streams of these `names` carry `resource`.
    pub fn streams_of(&self, resource: Resource, names: &BTreeSet<&str>) -> usize {
        self.reader.streams_of(resource, names)
    }

    /// What a run has to read for `wanted`: these streams, and those above them, of whose
    /// records they are read. Names of no stream are left out.
    pub fn select(&self, wanted: impl IntoIterator<Item = (String, Wanted)>) -> Selection {
        self.reader.select(wanted)
    }

    /// The names of the streams that are read by the same requests as `stream`, itself among them; none where
    /// there is no such stream.
    pub fn read_together(&self, stream: &str) -> Vec<String> {
        self.reader.of_one_answer(stream)
    }

    /// Reads every stream once and hands what it reads to `sink`.
    ///
    /// A partition that cannot be read does not stop the others: the run goes on and ends as
    /// [`RunError::Incomplete`]. An error of the sink ends the run. May be dropped at any point:
    /// what the sink has committed stands, and the next run repeats the rest.
    pub async fn run<S: PageSink>(&self, sink: &mut S) -> Result<RunReport, RunError<S::Error>> {
        self.reader.run(sink).await
    }

    /// As [`CompiledProvider::run`], of the selected streams only.
    pub async fn run_selected<S: PageSink>(
        &self,
        selection: &Selection,
        sink: &mut S,
    ) -> Result<RunReport, RunError<S::Error>> {
        self.reader.run_selected(selection, sink).await
    }

    /// As [`CompiledProvider::run`], for a sample of the selected streams: no more of each than `most`
    /// says.
    pub async fn sample<S: PageSink>(
        &self,
        selection: &Selection,
        most: Most,
        sink: &mut S,
    ) -> Result<RunReport, RunError<S::Error>> {
        self.reader.sample(selection, most, sink).await
    }

    /// What the records of `stream` become.
    pub fn resource_of(&self, stream: &str) -> Result<Resource, RemapError> {
        self.reader.resource_of(stream)
    }

    /// Maps records again, which see the `$parent` and `$now` that they saw when they came. Gives
    /// for each of them what it becomes, in their order.
    pub async fn map_again(&self, origins: Vec<Origin>) -> Result<Vec<Vec<MappedRecord>>, RemapError> {
        self.reader.map_again(origins).await
    }
}

impl Manifest {
    /// Everything that is wrong and does not depend on variables: the streams, their filters and schedules,
    /// the rules for errors, the webhook, and how money is moved, the key in each request included.
    pub fn check_all(&self) -> Vec<ManifestError> {
        let mut errors = plan::check(self);
        errors.extend(self.schedules().err());
        if errors.is_empty() {
            errors.extend(PaymentPlans::new(self).err());
            errors.extend(Webhook::check(self).err());
            let rules = Rules::compile(&self.functions, &self.errors);
            errors.extend(rules.err().map(|(field, why)| ManifestError::Field(format!("{field}: {why}"))));
        }
        errors
    }

    /// As [`Manifest::check_all`]; the error is the first.
    pub fn check_without_variables(&self) -> Result<(), ManifestError> {
        self.check_all().into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fake::Fake;
    use crate::read::EachPage;

    fn compiled(url: &str, more: &str) -> CompiledProvider {
        let yaml = format!(
            "base_url: {url}\nauth: {{ bearer: hunter2 }}\nevery: 1m\n{more}streams:\n  \
             - {{ name: all, resource: accounts, request: {{ path: /all }}, records: '.[]', map: . }}\n"
        );
        let provider = ProviderName::try_from("bank".to_owned()).unwrap();
        CompiledProvider::new(&provider, &serde_saphyr::from_str(&yaml).unwrap()).unwrap()
    }

    #[test]
    fn debug_output_of_a_provider_shows_no_secret() {
        assert_eq!(
            format!("{:?}", compiled("https://bank.example", "")),
            r#"CompiledProvider { provider: ProviderName("bank"), streams: ["all"] }"#
        );
    }

    #[tokio::test]
    async fn a_budget_that_is_shared_once_all_is_compiled_counts_for_all() {
        let fake = Fake::with_paths([("/all", json!([]))]).await;
        let shared: Arc<dyn Shared> = Arc::new(InMemory::default());
        let read = async || {
            let compiled = compiled(&fake.url, "rate_limit: { budgets: [{ requests: 1, per: 1h }] }\n");
            compiled.share(Arc::clone(&shared));
            compiled.run(&mut EachPage(|_| {})).await.map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(read().await, Ok(()));
        let error = read().await.unwrap_err();
        assert!(error.contains("the budget of requests is used up"), "{error}");
        assert_eq!(fake.received().len(), 1);
    }
}
