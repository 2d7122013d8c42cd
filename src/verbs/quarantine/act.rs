//! Tries records again, and deletes them: some, by their ids, or all that are here for one fault.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::nothing;
use crate::store::database::{LARGE, within};
use crate::store::quarantine::{self, Begun, Chosen, Kind, Which};
use crate::store::{StoreError, Tally};
use crate::sync::{self, Replayed, Replayer};
use crate::verbs::text::{numbers, numbers_schema};
use crate::verbs::{Actor, Failure, On, Report, Verb, Wait, begin, write};
use tributary_domain::ProviderName;

/// The most records that are named at once.
const MOST: usize = 500;

/// What is meant by ids or by a group: one of them has to be said.
fn chosen<'a>(ids: &'a [i64], group: Option<&'a str>) -> Result<Chosen<'a>, Failure> {
    match (ids, group) {
        ([], Some(group)) => Ok(Chosen::Group(group)),
        ([_, ..], None) if ids.len() <= MOST => Ok(Chosen::Ids(ids)),
        ([], None) => Err(Failure::NotFound(format!(
            "no record is named: say which, up to {MOST} of them, by their ids; or a group"
        ))),
        ([_, ..], Some(_)) => {
            Err(Failure::Refused("say records by their ids, or a group, not both".to_owned()))
        }
        _ => Err(Failure::Invalid(format!("say up to {MOST} records by their ids; or a group"))),
    }
}

/// What it is called in the audit.
fn subject(chosen: Chosen<'_>) -> String {
    match chosen {
        Chosen::Ids(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Chosen::Group(group) => group.to_owned(),
        Chosen::All(Which { provider, resource }) => {
            let provider = provider.map_or("all", ProviderName::as_str);
            resource
                .map_or_else(|| provider.to_owned(), |resource| format!("{provider}/{}", resource.as_str()))
        }
    }
}

/// Writes into the audit that it begins; `None` where there is nothing to be done. From then on it can be stopped
/// anywhere: each batch is in a transaction of its own, and the same again does the rest.
async fn begin_with(
    on: On<'_>,
    actor: &Actor,
    (kind, verb): (Kind, &str),
    chosen: Chosen<'_>,
    why: Option<&str>,
) -> Result<Option<Begun>, Failure> {
    let mut transaction = begin(on, actor).await?;
    let (total, last) = within(LARGE, quarantine::measure(&mut *transaction, chosen)).await?;
    let Some(last) = last else { return Ok(None) };
    let audit = write(&mut transaction, actor, (verb, &subject(chosen), json!({"records": total}))).await?;
    let begun = quarantine::begin(&mut transaction, kind, chosen, (total, last), (audit, why)).await?;
    transaction.commit().await?;
    Ok(Some(begun))
}

/// Tries records again; what succeeds leaves the quarantine. A group is replayed in the background.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Their ids, up to 500.
    #[serde(default, deserialize_with = "numbers")]
    #[schema(required = false, schema_with = numbers_schema::<MOST>)]
    pub ids: Vec<i64>,
    /// Or the group that they are, as `quarantine groups` shows it.
    pub group: Option<String>,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many records there were.
    pub records: u64,
    /// Whether it goes on in the background: `quarantine actions` shows how far it is.
    pub goes_on: bool,
    /// Records that left the quarantine.
    pub freed: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Records that stay, with the reason of now.
    pub stay: u64,
}

impl Outcome {
    fn of(records: u64, done: Replayed) -> Self {
        let Tally { created, updated, unchanged, .. } = done.tally;
        Self { records, goes_on: false, freed: done.freed, created, updated, unchanged, stay: done.refused }
    }
}

/// What is said where a server goes on with it.
fn going_on(f: &mut std::fmt::Formatter<'_>, records: u64) -> std::fmt::Result {
    write!(f, "begun with {records} records; `tributary quarantine actions` shows how far it is")
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { records, goes_on, freed, created, updated, unchanged, stay } = self;
        if *goes_on {
            return going_on(f, *records);
        }
        write!(f, "{freed} freed ({created} created, {updated} updated, {unchanged} unchanged), {stay} stay")
    }
}

impl Verb for Replay {
    const NAME: &'static str = "quarantine replay";
    type Answer = Outcome;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Outcome, Failure> {
        let chosen = chosen(&self.ids, self.group.as_deref())?;
        let outcome = replay(on, actor, chosen).await?;
        match outcome.records == 0 && !was_here(on, chosen).await? {
            true => Err(nothing(&subject(chosen))),
            false => Ok(outcome),
        }
    }
}

/// Whether it is a group of which something was replayed or discarded: whoever does the same again has nothing left to do.
async fn was_here(on: On<'_>, chosen: Chosen<'_>) -> Result<bool, Failure> {
    let Chosen::Group(group) = chosen else { return Ok(false) };
    Ok(!quarantine::actions(on.pool, Some(group), 1).await?.is_empty())
}

/// Tries the `chosen` records again.
pub async fn replay(on: On<'_>, actor: &Actor, chosen: Chosen<'_>) -> Result<Outcome, Failure> {
    let begun = begin_with(on, actor, (Kind::Replay, Replay::NAME), chosen, None).await?;
    let Some(begun) = begun else { return Ok(Outcome::default()) };
    let quiet: Report<'_> = &|_, _| {};
    let report = match (on.wait, chosen) {
        (Wait::Answer, Chosen::Group(group)) => {
            let (pool, pulled, group) = (on.pool.clone(), on.pulled(), group.to_owned());
            in_background("replay", async move {
                let replayer = Replayer::new(&pool, pulled);
                replayer.replay(Chosen::Group(&group), begun, &|_| {}).await.map(drop)
            });
            return Ok(Outcome { records: begun.total, goes_on: true, ..Outcome::default() });
        }
        (Wait::Answer, _) => quiet,
        (Wait::End(report), _) => report,
    };
    let told = |done: &Replayed| report(done.freed + done.refused, &format!("{} freed", done.freed));
    let done = Replayer::new(on.pool, on.pulled()).replay(chosen, begun, &told).await?;
    Ok(Outcome::of(begun.total, done))
}

/// Does what nobody waits for.
fn in_background(what: &'static str, work: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = work.await {
            tracing::error!(%error, what, "what was begun with a group of the quarantine was stopped: do it again for the rest");
        }
    });
}

/// Deletes records for good. A group is deleted in the background.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    /// Their ids, up to 500.
    #[serde(default, deserialize_with = "numbers")]
    #[schema(required = false, schema_with = numbers_schema::<MOST>)]
    pub ids: Vec<i64>,
    /// Or the group that they are, as `quarantine groups` shows it.
    pub group: Option<String>,
    /// Why, in 1 to 500 characters: it is kept with which records they were.
    #[schema(min_length = 1, max_length = 500, pattern = "[^ \\t\\r\\n]")]
    pub reason: String,
}

/// How many records are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// How many there were.
    pub records: u64,
    /// Whether it goes on in the background: `quarantine actions` shows how far it is.
    pub goes_on: bool,
    pub discarded: u64,
}

impl std::fmt::Display for Discarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.goes_on { going_on(f, self.records) } else { write!(f, "{} discarded", self.discarded) }
    }
}

impl Verb for Discard {
    const NAME: &'static str = "quarantine discard";
    type Answer = Discarded;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<Discarded, Failure> {
        let chosen = chosen(&self.ids, self.group.as_deref())?;
        let gone = discard(on, actor, chosen, &self.reason).await?;
        match gone.records == 0 && !was_here(on, chosen).await? {
            true => Err(nothing(&subject(chosen))),
            false => Ok(gone),
        }
    }
}

/// Deletes the `chosen` records for good, for the reason `why`.
pub async fn discard(on: On<'_>, actor: &Actor, chosen: Chosen<'_>, why: &str) -> Result<Discarded, Failure> {
    let why = quarantine::why(why).map_err(Failure::Invalid)?;
    let begun = begin_with(on, actor, (Kind::Discard, Discard::NAME), chosen, Some(why)).await?;
    let Some(begun) = begun else { return Ok(Discarded::default()) };
    let quiet: Report<'_> = &|_, _| {};
    let report = match (on.wait, chosen) {
        (Wait::Answer, Chosen::Group(group)) => {
            let (pool, group) = (on.pool.clone(), group.to_owned());
            in_background("discard", async move {
                sync::discard(&pool, Chosen::Group(&group), begun, &|_| {}).await.map(drop)
            });
            return Ok(Discarded { records: begun.total, goes_on: true, discarded: 0 });
        }
        (Wait::Answer, _) => quiet,
        (Wait::End(report), _) => report,
    };
    let discarded = sync::discard(on.pool, chosen, begun, &|done| report(done, "discarded")).await?;
    Ok(Discarded { records: begun.total, goes_on: false, discarded })
}
