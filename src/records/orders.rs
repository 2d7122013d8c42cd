//! Matches records to orders to pay, and keeps what they and the provider's answers say of them.

use std::collections::{BTreeMap, HashSet};

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::batch::{self, Batch};
use super::matching::{Decision, Known};
use crate::encryption;
use crate::store::payment_orders::{self, Act};
use crate::store::quarantine::{self, Refused, RefusedRecord};
use crate::store::{self, StoreError, Tally, transactions, unmatched_records};
use tributary_domain::{
    PaymentState, ProviderName, Record, RecordId, Resource, Said, Transaction, TransactionType, Verdict,
};

/// Who changes an order when a record is news of it.
const BY_RECORD: Act<'static> = Act { actor: "the provider's records", what: "reported by the provider" };

/// What became of the records of a batch, as far as orders are concerned.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// The records to be written, with their places in the batch; `None` where the batch is to be written as
    /// it is.
    pub records: Option<Vec<(usize, Record)>>,
    /// How many are not written, since what they say is kept with an order or waits.
    pub left_out: usize,
    /// Of these, the ones that say something else than is known of their order, and are older.
    pub older: usize,
    /// Of these, the ones that changed an order.
    pub news: usize,
    /// Those that are not taken, by their place in the batch, with the reason.
    pub refused: Vec<(usize, String)>,
}

/// Takes those of the batch's transactions out that are news of an order, or may be; a record of
/// what came of an order's movement gets the order's payment for its parent. To be called before
/// anything is written, in the same transaction.
pub(super) async fn match_to_orders(
    connection: &mut PgConnection,
    provider: &ProviderName,
    batch: &Batch,
) -> Result<Matched, StoreError> {
    if !payment_orders::any(connection, provider).await? {
        return Ok(Matched::default());
    }
    let rows: Vec<&Transaction> = batch.records.iter().filter_map(transaction).collect();
    let mut known = read(connection, provider, &rows).await?;
    known.unmatched = unmatched_records::among(connection, provider, &ids(&rows)).await?;
    let mut matched = Matched::default();
    let mut kept = Vec::with_capacity(rows.len());
    let mut as_it_is = true;
    for (place, row) in rows.iter().enumerate() {
        let decision = known.decide(row, batch.decides);
        as_it_is &= decision == Decision::Write;
        matched.older += usize::from(decision == Decision::Older);
        if matches!(decision, Decision::Wait | Decision::WaitAndPark(..)) {
            unmatched_records::add(connection, provider, row, batch.backfill, batch.decides).await?;
        }
        match carry_out(connection, provider, row, decision).await? {
            Outcome::Written(transaction) => kept.push((place, Record::Transaction(transaction))),
            Outcome::LeftOut | Outcome::Waits => matched.left_out += 1,
            Outcome::News => {
                matched.left_out += 1;
                matched.news += 1;
            }
            Outcome::Refused(reason) => matched.refused.push((place, reason)),
        }
    }
    matched.records = (!as_it_is).then_some(kept);
    Ok(matched)
}

fn transaction(record: &Record) -> Option<&Transaction> {
    match record {
        Record::Transaction(transaction) => Some(transaction),
        _ => None,
    }
}

/// The ids of records and of their parents.
fn ids<'a>(rows: &[&'a Transaction]) -> Vec<&'a str> {
    rows.iter()
        .flat_map(|row| [Some(row.id.as_str()), row.related_id.as_ref().map(RecordId::as_str)])
        .flatten()
        .collect()
}

/// Reads, and locks, what `rows` may be about. Each statement sees what has committed by then: those
/// that are not identified are read first, so that one that is identified meanwhile is among the
/// orders that a record names; and attempts last, as a Retry makes them of what an order was.
async fn read(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Transaction],
) -> Result<Known, StoreError> {
    let ids = ids(rows);
    let names: Vec<&str> = {
        let references = rows.iter().filter_map(|row| row.order_reference.as_deref());
        ids.iter().copied().chain(references).collect()
    };
    let some_unidentified = payment_orders::any_unidentified(connection, provider).await?;
    let mut known = Known { some_unidentified, ..Known::default() };
    if some_unidentified {
        let sizes: Vec<_> = rows.iter().map(|row| (row.asset.as_str(), row.amount)).collect();
        known.unidentified = payment_orders::unidentified(connection, provider, &sizes).await?;
    }
    known.orders = payment_orders::named(connection, provider, &names).await?;
    known.attempts = payment_orders::past_attempts_named(connection, provider, &names).await?;
    if some_unidentified {
        known.written = transactions::existing(connection, provider, &ids).await?;
    }
    Ok(known)
}

enum Outcome {
    Written(Transaction),
    LeftOut,
    /// Left out, too, as it changed an order.
    News,
    Waits,
    Refused(String),
}

async fn carry_out(
    connection: &mut PgConnection,
    provider: &ProviderName,
    row: &Transaction,
    decision: Decision,
) -> Result<Outcome, StoreError> {
    let id = row.id.as_str();
    Ok(match decision {
        Decision::Write => Outcome::Written(row.clone()),
        Decision::WriteLoudly(why) => {
            alarm(provider, id, why);
            Outcome::Written(row.clone())
        }
        Decision::Child { parent, kind } => {
            let mut child = row.clone();
            child.related_id = RecordId::parse("relatedTransactionID", &parent).ok();
            child.kind = TransactionType::from(kind);
            Outcome::Written(child)
        }
        Decision::Known | Decision::Older => Outcome::LeftOut,
        Decision::News(change) => {
            payment_orders::change(connection, &change, BY_RECORD).await?;
            Outcome::News
        }
        Decision::Contradiction(change) => {
            alarm(provider, id, "the provider now contradicts what it said before about a payment");
            if let Some(change) = change {
                payment_orders::change(connection, &change, BY_RECORD).await?;
            }
            Outcome::LeftOut
        }
        Decision::Wait => Outcome::Waits,
        Decision::WaitAndPark(order, why) => {
            if payment_orders::park_at_once(connection, order, &why, BY_RECORD).await? {
                alarm(provider, id, &why);
            }
            Outcome::Waits
        }
        Decision::Refuse { reason, loud } => {
            if loud {
                alarm(provider, id, &reason);
            }
            Outcome::Refused(reason)
        }
    })
}

tokio::task_local! {
    static REHEARSAL: ();
}

/// Does `work`, whose writes are going to be taken back: it raises no alarm about what does not happen.
pub async fn rehearsed<T>(work: impl Future<Output = T>) -> T {
    REHEARSAL.scope((), work).await
}

fn alarm(provider: &ProviderName, record: &str, why: &str) {
    if REHEARSAL.try_with(|()| ()).is_ok() {
        return;
    }
    metrics::counter!("tributary_payment_alarms_total", "provider" => provider.to_string()).increment(1);
    tracing::error!(%provider, record, "{why}: a person has to check it");
}

/// How many records that wait are matched together.
const PAGE: usize = 1_000;

/// Matches the records of `provider` that wait once more, and writes those that are decided by now; gives
/// how many still wait. All are matched, a page after the other, so that none is behind those that cannot be
/// decided yet. One caller at a time does so, whoever else tries gets `None`.
pub async fn match_waiting(
    pool: &PgPool,
    provider: &ProviderName,
) -> Result<Option<(Tally, usize)>, StoreError> {
    let mut matching = Matching::default();
    loop {
        match match_page(pool, provider, &mut matching).await? {
            None => return Ok(None),
            Some(PAGE) => {}
            Some(_) => return Ok(Some((matching.tally, matching.waiting))),
        }
    }
}

/// How far the records that wait were matched.
#[derive(Default)]
struct Matching {
    tally: Tally,
    waiting: usize,
    /// The number of the last that was matched.
    last: i64,
    /// The ids of those that still wait: what belongs to them waits, too.
    unmatched: HashSet<String>,
}

/// Matches the next page, in a transaction of its own; gives how many were on it, and `None` where
/// somebody else does so just now.
async fn match_page(
    pool: &PgPool,
    provider: &ProviderName,
    matching: &mut Matching,
) -> Result<Option<usize>, StoreError> {
    let mut transaction = store::begin(pool).await?;
    if !unmatched_records::take_turn(&mut transaction, provider).await? {
        return Ok(None);
    }
    let page = unmatched_records::after(&mut transaction, provider, matching.last, PAGE as i64).await?;
    let rows: Vec<&Transaction> = page.iter().map(|unmatched| &unmatched.record).collect();
    let mut known = read(&mut transaction, provider, &rows).await?;
    known.unmatched = matching.unmatched.clone();
    let mut written: BTreeMap<bool, Vec<Record>> = BTreeMap::new();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for unmatched in &page {
        let decision = known.decide(&unmatched.record, unmatched.decides);
        match carry_out(&mut transaction, provider, &unmatched.record, decision).await? {
            Outcome::Waits => continue,
            Outcome::Written(record) => {
                written.entry(unmatched.backfill).or_default().push(Record::Transaction(record));
            }
            Outcome::LeftOut | Outcome::News => {}
            Outcome::Refused(reason) => {
                let raw = unmatched.record.to_json().to_string().into_bytes();
                refused.push(Refused { record: RefusedRecord::Canonical(raw), reason });
            }
        }
        done.push(unmatched.seq);
    }
    let mut tally = Tally::default();
    // history last: whatever is marked so stays marked until the commit
    for (backfill, records) in written {
        let batch = Batch { records, backfill, ..Batch::default() };
        let written =
            batch::write_decided(&mut transaction, provider, Resource::Transactions, &batch).await?;
        tally += written.tally;
    }
    if !refused.is_empty() {
        let keys = encryption::keyring();
        quarantine::keep(&mut transaction, &keys, provider, Resource::Transactions, &refused).await?;
    }
    unmatched_records::remove(&mut transaction, &done).await?;
    transaction.commit().await?;
    matching.tally += tally;
    matching.waiting += page.len() - done.len();
    matching.last = page.last().map_or(matching.last, |unmatched| unmatched.seq);
    matching.unmatched = known.unmatched;
    Ok(Some(page.len()))
}

/// What became of something that the provider said of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    Changed,
    Unchanged,
    /// It is the opposite of what was said before, or of another payment.
    Contradiction,
    /// It is of a payment that differs from what was ordered; says in what.
    Another(String),
}

impl Applied {
    /// Why what was said cannot be of the order's payment, if that is so.
    pub fn another(&self) -> Option<&str> {
        match self {
            Self::Changed | Self::Unchanged => None,
            Self::Contradiction => Some("it is another order's, or the opposite of what was said before"),
            Self::Another(why) => Some(why),
        }
    }
}

/// Keeps what the provider answered of the payment of an attempt. It is true whoever asked, so no
/// claim is needed; an order never goes back from a status that Formance has.
pub async fn apply(
    pool: &PgPool,
    id: Uuid,
    attempt: i32,
    state: &PaymentState,
    act: Act<'_>,
) -> Result<Applied, StoreError> {
    let said = Said {
        attempt,
        status: state.status,
        at: state.at,
        payment_id: state.id.clone(),
        reference: state.reference.clone(),
        record: None,
        reason: state.reason.clone(),
    };
    let mut transaction = payment_orders::begin(pool, act).await?;
    let Some((order, of_another)) = payment_orders::lock(&mut transaction, id, state.id.as_deref()).await?
    else {
        return Ok(Applied::Unchanged);
    };
    if order.attempt == attempt
        && let Some(why) = order.differs(state)
    {
        let id = state.id.as_deref().or(state.reference.as_deref()).unwrap_or("without an id");
        return Ok(Applied::Another(format!("{id}: {why}")));
    }
    let Verdict { change, contradiction, .. } = order.verdict_on(&said, of_another);
    if let Some(change) = &change {
        payment_orders::change(&mut transaction, change, act).await?;
    }
    transaction.commit().await?;
    Ok(match (contradiction, change) {
        (true, _) => Applied::Contradiction,
        (false, Some(_)) => Applied::Changed,
        (false, None) => Applied::Unchanged,
    })
}
