//! A provider's API ready to be pulled: its client, its streams, and a cage for its filters.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use jaq_json::Val;

use serde_json::Value;

use tributary_domain::{PaymentKind, ProviderName};

use super::cage::Cage;
use super::cassette::Cassette;
use super::client::{Client, Gate};
use super::jq::{FilterError, Scope};
use super::manifest::Manifest;
use super::page::{PageSink, ReadError, RunError, RunReport};
use super::payment::{Looked, PaymentApi, Payments, Prepared, Sent};
use super::plan::{self, ManifestError, Stream};
use super::run::{Most, Run};
use super::selection::Selection;
use super::shared::{InMemory, Shared};
use super::tap::Tap;
use super::webhook::Webhook;

/// A provider's API, ready to be pulled again and again. Holds no state between runs but the
/// pace of its requests.
pub struct Connection {
    pub(super) provider: ProviderName,
    pub(super) client: Client,
    pub(super) streams: Vec<Arc<Stream>>,
    cage: Arc<Cage>,
    payments: Payments,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams: Vec<&str> = self.streams.iter().map(|stream| stream.name.as_str()).collect();
        f.debug_struct("Connection").field("provider", &self.provider).field("streams", &streams).finish()
    }
}

impl Connection {
    /// As [`Connection::with_shared`], sharing nothing with other instances and later runs of
    /// the process: not for a refresh token that can be used only once.
    pub fn new(provider: &ProviderName, manifest: &Manifest) -> Result<Self, ManifestError> {
        Self::with_shared(provider, manifest, Arc::new(InMemory::default()))
    }

    /// Checks and compiles `manifest`, which has to be interpolated; `shared` is what this
    /// connection has in common with others of the same provider. The error names the field
    /// that is wrong.
    pub fn with_shared(
        provider: &ProviderName,
        manifest: &Manifest,
        shared: Arc<dyn Shared>,
    ) -> Result<Self, ManifestError> {
        let cage: Arc<Cage> = Arc::default();
        Ok(Self {
            provider: provider.clone(),
            client: Client::new(manifest, shared, Arc::clone(&cage)).map_err(ManifestError::Field)?,
            streams: plan::streams(manifest)?.into_iter().map(Arc::new).collect(),
            cage,
            payments: Payments::new(manifest)?,
        })
    }

    /// Shows `tap` what passes. To be called before anything was sent.
    pub fn tapped(mut self, tap: Arc<dyn Tap>) -> Self {
        self.client.tap(tap);
        self
    }

    /// Has `cassette` answer instead of the provider. To be called before anything was sent.
    pub fn played(mut self, cassette: Cassette) -> Self {
        self.client.play(cassette);
        self
    }

    /// The answers of a cassette that nobody asked for.
    pub fn unplayed(&self) -> usize {
        self.client.unplayed()
    }

    /// Waits until no token is being exchanged: an exchange goes on when the run that needed it
    /// is dropped, and is lost if the process ends before it.
    pub async fn settled(&self) {
        self.client.settled().await;
    }

    /// How payments of `kind` are ordered; `None` where the manifest does not say.
    pub fn payment_api(&self, kind: PaymentKind) -> Option<&Arc<PaymentApi>> {
        self.payments.of(kind)
    }

    /// The request for `order`, a JSON object; the error says why there is none.
    pub async fn prepare_payment(&self, api: &Arc<PaymentApi>, order: &Value) -> Result<Prepared, String> {
        self.payments.prepare(api, order).await
    }

    /// Sends a payment's request once, if `gate`, which is asked right before the first byte,
    /// lets it through.
    pub async fn send_payment(&self, api: &Arc<PaymentApi>, prepared: &Prepared, gate: Gate<'_>) -> Sent {
        self.payments.send(api, &self.client, prepared, gate).await
    }

    /// Looks for the payment of `order`; `None` where the manifest does not say how.
    pub async fn look_up_payment(&self, api: &Arc<PaymentApi>, order: &Value) -> Option<Looked> {
        self.payments.look_up(api, &self.client, order).await
    }

    /// Reads every stream once and hands what it reads to `sink`.
    ///
    /// A partition that cannot be read does not stop the others: the run goes on and ends as
    /// [`RunError::Incomplete`]. An error of the sink ends the run. May be dropped at any point:
    /// what the sink has committed stands, and the next run repeats the rest.
    pub async fn run<S: PageSink>(&self, sink: &mut S) -> Result<RunReport, RunError<S::Error>> {
        Run::new(self, sink).finish().await
    }

    /// As [`Connection::run`], for a look at the selected streams: no more of each than `most`
    /// says.
    pub async fn look<S: PageSink>(
        &self,
        selection: &Selection,
        most: Most,
        sink: &mut S,
    ) -> Result<RunReport, RunError<S::Error>> {
        Run::new(self, sink).only(selection).at_most(most).finish().await
    }

    /// Runs filters in their cage.
    pub(super) async fn evaluate<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, ReadError> {
        Ok(self.cage.run(work).await?)
    }
}

impl Manifest {
    /// Checks what does not depend on variables: the streams, their filters and schedules.
    pub fn check_streams(&self) -> Result<(), ManifestError> {
        plan::streams(self)?;
        self.schedules()?;
        Ok(())
    }

    /// Checks everything; the manifest has to be interpolated.
    pub fn check(&self, provider: &ProviderName) -> Result<(), ManifestError> {
        Connection::new(provider, self)?;
        self.schedules()?;
        Webhook::new(self)?;
        Ok(())
    }
}

/// What filters see of a request sent at `now` for the record `parent`.
pub(super) fn scope(now: DateTime<Utc>, parent: Val) -> Scope {
    let now = Val::from(now.to_rfc3339_opts(SecondsFormat::Micros, true));
    Scope { now, parent, identity: Val::Null }
}

#[cfg(test)]
mod tests;
