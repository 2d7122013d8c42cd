//! From records to canonical records. Nothing here waits.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use jaq_json::Val;
use sha2::{Digest, Sha256};

use tributary_domain::{Origin, RawRecord, Record, Resource, Status, Transaction, parse_record};

use super::extract::{hex, time};
use super::page::{MappedRecord, OpenRecord};
use super::report::{Warning, Warnings};
use crate::jq::{self, FilterError, Limits, Scope, holds, id_of, name_of, text};
use crate::plan::{IdentityPlan, Output, Stream, TrackedBy, Tracking};

/// The most canonical records that one record becomes.
pub const MOST_MAPPED: usize = 1_000;
/// How much of a status that is not in the table is kept, in characters.
const STATUS_CHARS: usize = 64;

/// Why a refund or a dispute of a status that nobody knows is not served: OTHER would show on its payment,
/// and stay there.
const CHILD_UNKNOWN: &str = "status: is in no list of `statuses`, and what belongs to a payment would show on it as OTHER: add it to a list, \
     then replay the record";

/// Why a record is put aside whose text came broken, and of which nothing else tells what it is.
const BROKEN: &str = "identity: its text came broken, and nothing but its text names it: if it comes again whole, discard this one";

/// The mapped records of a page.
#[derive(Debug, Default)]
pub struct Reading {
    pub records: Vec<MappedRecord>,
    /// Records that may still change.
    pub open: Vec<OpenRecord>,
    /// The keys of those that no longer do.
    pub closed: Vec<String>,
    /// The records as they came, for a stream that others depend on.
    pub parents: Vec<Val>,
    /// The records as they came, to be kept; for a stream that keeps them.
    pub raw: Vec<RawRecord>,
    /// The keys of records that the answer says were removed.
    pub removed: Vec<String>,
    pub warnings: Warnings,
}

impl Reading {
    /// Adds what another answer brought, or another piece of this one.
    pub fn append(&mut self, other: Self) {
        self.records.extend(other.records);
        self.open.extend(other.open);
        self.closed.extend(other.closed);
        self.parents.extend(other.parents);
        self.raw.extend(other.raw);
        self.removed.extend(other.removed);
        add(&mut self.warnings, other.warnings);
    }
}

/// How often records of equal fields were seen in a walk, by these fields.
pub type Occurrences = HashMap<String, u32>;

/// Maps `records` of `partition`. One that cannot be mapped does not stop the others. Where some of the
/// text came broken and was `repaired`, what is known by its text alone would be another record now.
pub fn map(
    stream: &Stream,
    partition: &str,
    records: Vec<Val>,
    scope: &Scope,
    repaired: bool,
    occurrences: &mut Occurrences,
    deadline: Instant,
) -> Result<Reading, FilterError> {
    let mut reading = Reading::default();
    for record in &records {
        let limits = Limits { outputs: MOST_MAPPED, deadline };
        let mut scope = scope.clone();
        if let Some(identity) = &stream.identity {
            let (name, known_by) = identity.of(record, &scope, limits, occurrences)?;
            scope.identity = Val::from(name);
            if known_by == KnownBy::BlankId {
                *reading.warnings.entry(Warning::BlankId).or_default() += 1;
            }
            if known_by != KnownBy::Id && repaired && is_broken(record) {
                let (origin, reason) = (origin(stream, partition, record, &scope), BROKEN.to_owned());
                reading.records.push(MappedRecord::Unmappable { origin, reason });
                continue;
            }
        }
        let before = reading.records.len();
        if let Some(output) = &stream.output {
            let origin = || origin(stream, partition, record, &scope);
            let (mapped, warnings) = output.map_one(record, &scope, limits, origin);
            // a filter that was stopped says nothing of its record
            if jq::is_late(deadline) {
                return Err(stream.records.error("mapping the records took too long".to_owned()));
            }
            if output.keeps_raw {
                reading.raw.push(raw(origin(), &mapped));
            }
            reading.records.extend(mapped);
            add(&mut reading.warnings, warnings);
        }
        if let Some(tracking) = &stream.tracking {
            if holds(&tracking.open.run_one(record.clone(), &scope, limits)?) {
                let key = tracking.key_of_open(record, &scope, limits)?;
                let canonical = reading.records[before..].iter().filter_map(|mapped| match mapped {
                    MappedRecord::Canonical(record) => Some(record.clone()),
                    MappedRecord::Unmappable { .. } | MappedRecord::Refused { .. } => None,
                });
                let at = match &tracking.at {
                    Some(at) => time(at, record, &scope, limits)?,
                    None => None,
                };
                let (canonical, record) = (canonical.collect(), jq::to_json(record));
                reading.open.push(OpenRecord {
                    key,
                    record,
                    canonical,
                    at,
                    first_seen: None,
                    checked_at: None,
                    missed_at: None,
                });
            } else {
                reading.closed.extend(tracking.key_of_closed(record, &scope, limits)?);
            }
        }
    }
    if stream.is_parent {
        reading.parents = records;
    }
    Ok(reading)
}

/// By what a record is known that may have no lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    Id,
    Text,
    /// By its text, since its id is blank.
    BlankId,
}

fn is_broken(record: &Val) -> bool {
    String::from_utf8_lossy(&jq::to_json(record)).contains(char::REPLACEMENT_CHARACTER)
}

impl Tracking {
    /// What names `record`; `None` where nothing does.
    fn key_of(&self, record: &Val, scope: &Scope, limits: Limits) -> Result<Option<String>, FilterError> {
        let key = self.key.run_one(record.clone(), scope, limits)?;
        name_of(&self.key, &key)
    }

    /// As [`Tracking::key_of`], of a record that changes no more. Where open ones are asked for by themselves, one that
    /// nothing names was never kept as open. Where what is missing is taken for gone, it might be the one that is missing.
    fn key_of_closed(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
    ) -> Result<Option<String>, FilterError> {
        match (self.key_of(record, scope, limits), &self.by) {
            (Ok(Some(key)), _) => Ok(Some(key)),
            (Ok(None) | Err(_), TrackedBy::Refresh { .. }) => Ok(None),
            (Ok(None), _) => Err(self.key.error("yields nothing that names the row".to_owned())),
            (Err(error), _) => Err(error),
        }
    }

    /// As [`Tracking::key_of`], of a record that may still change: nobody could follow one without a name.
    fn key_of_open(&self, record: &Val, scope: &Scope, limits: Limits) -> Result<String, FilterError> {
        let nameless = |why: &str| {
            let row = jq::to_json(record);
            let row = String::from_utf8_lossy(&row);
            self.key.error(format!("{why}, and a row that may still change cannot be followed: {row}"))
        };
        match self.key_of(record, scope, limits) {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err(nameless("yields nothing that names the row")),
            Err(error) if jq::is_late(limits.deadline) => Err(error),
            Err(error) => Err(nameless(&error.message)),
        }
    }
}

impl IdentityPlan {
    /// The record's own id or else, by its text, a digest of its fields and of how many equal ones came
    /// before it in this walk; and which of them.
    fn of(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
        occurrences: &mut Occurrences,
    ) -> Result<(String, KnownBy), FilterError> {
        let id = self.id.run_one(record.clone(), scope, limits)?;
        if let Some(id) = id_of(&self.id, &id)? {
            return Ok((id, KnownBy::Id));
        }
        let known_by =
            if text(&id).is_some_and(|id| !id.is_empty()) { KnownBy::BlankId } else { KnownBy::Text };
        let fields = jq::to_json(&self.fields.run_one(record.clone(), scope, limits)?);
        let fields = hex(&Sha256::digest(fields)[..16]);
        let occurrence = occurrences.entry(fields.clone()).or_default();
        *occurrence += 1;
        Ok((format!("{fields}-{occurrence}"), known_by))
    }
}

/// Where `record` comes from, with what its mapping sees in `scope`.
pub(super) fn origin(stream: &Stream, partition: &str, record: &Val, scope: &Scope) -> Origin {
    Origin {
        stream: stream.name.clone(),
        partition: partition.to_owned(),
        record: jq::to_json(record),
        parent: jq::to_json(&scope.parent),
        asked_at: text(&scope.now).unwrap_or_default(),
        identity: text(&scope.identity).map(String::into_bytes),
        vanished: false,
    }
}

/// What came from `origin`, with what it was `mapped` to.
pub(super) fn raw(origin: Origin, mapped: &[MappedRecord]) -> RawRecord {
    let mut became: Vec<String> = Vec::new();
    let taken = mapped.iter().filter(|mapped| matches!(mapped, MappedRecord::Canonical(_)));
    for id in taken.filter_map(MappedRecord::id) {
        if became.iter().all(|known| known != id) {
            became.push(id.to_owned());
        }
    }
    RawRecord { origin, became }
}

impl Output {
    /// What `record` becomes, and what is odd about it. `origin` says where it comes from, for what
    /// has no place.
    pub(super) fn map_one(
        &self,
        record: &Val,
        scope: &Scope,
        limits: Limits,
        origin: impl Fn() -> Origin,
    ) -> (Vec<MappedRecord>, Warnings) {
        let mut warnings = Warnings::new();
        let unmappable = |reason: String| MappedRecord::Unmappable { origin: origin(), reason };
        let mapped = match self.map.run(record.clone(), scope, limits) {
            // the message of a filter that was made of fields begins with the field
            Err(error) if self.by_fields => vec![unmappable(error.message)],
            Err(error) => vec![unmappable(error.to_string())],
            Ok(mapped) => mapped
                .into_iter()
                .map(|mut canonical| {
                    let unknown = self.status_map.as_ref().is_some_and(|status_map| {
                        translate_status(status_map, &mut canonical, &mut warnings)
                    });
                    whole_amounts(&mut canonical);
                    match parse(self.resource, &canonical) {
                        Ok(Record::Transaction(child)) if unknown && child.related_id.is_some() => {
                            unmappable(CHILD_UNKNOWN.to_owned())
                        }
                        Ok(Record::Transaction(transaction)) => {
                            MappedRecord::Canonical(Record::Transaction(Transaction {
                                status_unknown: unknown,
                                ..transaction
                            }))
                        }
                        Ok(record) => MappedRecord::Canonical(record),
                        Err(reason) => unmappable(self.told(reason)),
                    }
                })
                .collect(),
        };
        (mapped, warnings)
    }

    /// Why a record has no place, by the field of the file where the record was made of fields.
    fn told(&self, reason: String) -> String {
        if self.by_fields { in_words_of_file(self.resource, &reason) } else { reason }
    }
}

fn parse(resource: Resource, canonical: &Val) -> Result<Record, String> {
    parse_record(resource, &jq::to_json(canonical)).map_err(|error| error.to_string())
}

/// `reason` with the field of the file in the place of the canonical one that was made of it.
fn in_words_of_file(resource: Resource, reason: &str) -> String {
    let Some((field, why)) = reason.split_once(": ") else { return reason.to_owned() };
    let base = field.split(['.', '[']).next().unwrap_or(field);
    let ours = match base {
        "accountName" | "ownerName" => "name",
        "createdAt" => "created",
        "updatedAt" => "updated",
        "accountID" => "account",
        "amount" | "currency" | "balances" => "money",
        "relatedTransactionID" => "related",
        "sourceAccountID" if resource == Resource::Transactions => "from",
        "destinationAccountID" if resource == Resource::Transactions => "to",
        "orderReference" => "order",
        "metadata" => "keep",
        _ => return reason.to_owned(),
    };
    format!("{ours}: {field}: {why}")
}

/// Puts whole numbers in the place of amounts that some languages write with a point or an exponent,
/// though they are whole: `1050.0`, `1.05E7`. Not `10.00`: that is how major units are written, and no
/// number of minor ones.
fn whole_amounts(canonical: &mut Val) {
    let Val::Obj(members) = canonical else { return };
    let members = jaq_json::Rc::make_mut(members);
    if let Some(amount) = members.get_mut(&Val::from("amount".to_owned()))
        && let Some(whole) = text(amount).and_then(|amount| whole(&amount))
    {
        *amount = Val::from(whole);
    }
    if let Some(Val::Arr(balances)) = members.get_mut(&Val::from("balances".to_owned())) {
        jaq_json::Rc::make_mut(balances).iter_mut().for_each(whole_amounts);
    }
}

fn whole(amount: &str) -> Option<String> {
    let (mantissa, exponent) = amount.split_once(['e', 'E']).map_or((amount, None), |(m, e)| (m, Some(e)));
    let float = exponent.is_some() || mantissa.strip_suffix(".0").is_some_and(|whole| !whole.contains('.'));
    float.then(|| jq::whole(amount)).flatten()
}

/// Adds `others` to `warnings`.
pub(super) fn add(warnings: &mut Warnings, others: Warnings) {
    for (warning, times) in others {
        *warnings.entry(warning).or_default() += times;
    }
}

/// Puts Formance's status in the place of the provider's; gives whether that is not known.
fn translate_status(
    status_map: &BTreeMap<String, Status>,
    canonical: &mut Val,
    warnings: &mut Warnings,
) -> bool {
    let Val::Obj(members) = canonical else { return false };
    let key = Val::from("status".to_owned());
    let Some(provider_status) = members.get(&key).and_then(text) else { return false };
    let known = status_map.get(&provider_status).copied();
    if known.is_none() {
        let shown = provider_status.chars().take(STATUS_CHARS).collect();
        *warnings.entry(Warning::UnmappedStatus(shown)).or_default() += 1;
    }
    let status = known.unwrap_or(Status::Other);
    jaq_json::Rc::make_mut(members).insert(key, Val::from(status.as_str().to_owned()));
    known.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_the_field_of_the_file_and_what_was_made_of_it() {
        for (resource, reason, told) in [
            (
                Resource::Accounts,
                "accountName: is null, and not a text",
                "name: accountName: is null, and not a text",
            ),
            (Resource::Transactions, "id: is empty", "id: is empty"),
            (Resource::Transactions, "amount: is too long", "money: amount: is too long"),
            (Resource::Balances, "balances[0].amount: x", "money: balances[0].amount: x"),
            (Resource::Balances, "a record is a JSON object", "a record is a JSON object"),
            (Resource::Transactions, "createdAt: x", "created: createdAt: x"),
            (Resource::Transactions, "updatedAt: x", "updated: updatedAt: x"),
            (Resource::Balances, "accountID: x", "account: accountID: x"),
            (Resource::Transactions, "relatedTransactionID: x", "related: relatedTransactionID: x"),
            (Resource::Transactions, "sourceAccountID: x", "from: sourceAccountID: x"),
            (Resource::Transactions, "destinationAccountID: x", "to: destinationAccountID: x"),
            (Resource::Accounts, "sourceAccountID: x", "sourceAccountID: x"),
            (Resource::Accounts, "destinationAccountID: x", "destinationAccountID: x"),
            (Resource::Transactions, "orderReference: x", "order: orderReference: x"),
            (Resource::Transactions, "metadata.a: x", "keep: metadata.a: x"),
            (Resource::Transactions, "status: x", "status: x"),
        ] {
            assert_eq!(in_words_of_file(resource, reason), told);
        }
    }

    #[test]
    fn a_row_that_cannot_be_followed_is_shown_unless_its_filter_was_stopped() {
        let manifest = r#"
base_url: http://bank
auth: { bearer: token }
every: 1m
streams:
  - name: feed
    resource: transactions
    request: { path: /feed }
    records: .[]
    refresh: { open: "true", key: 'error("nameless")', request: { path: "/{a}" }, record: ., every: 1m, give_up: 1d }
    map: .
"#;
        let name = tributary_domain::ProviderName::try_from("bank".to_owned()).unwrap();
        let provider =
            crate::compiled::CompiledProvider::new(&name, &serde_saphyr::from_str(manifest).unwrap())
                .unwrap();
        let tracking = provider.streams()[0].tracking.as_ref().unwrap();
        let row = jq::parse(br#"{"a": 1}"#).unwrap();
        let key = |deadline: Instant| tracking.key_of_open(&row, &Scope::default(), Limits::one(deadline));
        let hour = std::time::Duration::from_secs(3_600);
        let told = key(Instant::now() + hour).unwrap_err().message;
        assert!(told.contains("nameless") && told.contains(r#"cannot be followed: {"a":1}"#), "{told}");
        let told =
            key(Instant::now().checked_sub(hour / 60).unwrap_or_else(Instant::now)).unwrap_err().message;
        assert!(!told.contains("followed"), "{told}");
    }

    #[test]
    fn a_raw_record_names_each_record_that_it_became_once() {
        let of = |id: &str, kind: &str| {
            let json = format!(
                r#"{{"id":"{id}","createdAt":"2026-03-01T00:00:00Z","type":"{kind}","status":"PENDING","currency":"EUR/2","amount":"1"}}"#
            );
            MappedRecord::Canonical(parse_record(Resource::Transactions, json.as_bytes()).unwrap())
        };
        let origin = || Origin {
            stream: "feed".to_owned(),
            partition: String::new(),
            record: b"{}".to_vec(),
            parent: b"null".to_vec(),
            asked_at: String::new(),
            identity: None,
            vanished: false,
        };
        let refused = MappedRecord::Unmappable { origin: origin(), reason: "bad".to_owned() };
        let mapped = [of("a", "PAYIN"), of("b", "PAYIN"), of("a", "PAYOUT"), refused];
        assert_eq!(raw(origin(), &mapped).became, ["a", "b"]);
    }

    #[test]
    fn whole_minor_units_that_are_written_as_a_decimal_number_are_taken_digit_by_digit() {
        for (amount, taken) in [
            ("1050.0", "1050"),
            ("-1050.0", "-1050"),
            ("1.05E7", "10500000"),
            ("90071992547409930.0", "90071992547409930"),
            ("1050", "1050"),
            // major units, or none at all: not guessed at
            ("10.00", "10.00"),
            ("10.5", "10.5"),
            ("1e-1", "1e-1"),
            ("NaN", "NaN"),
        ] {
            let json = format!(r#"{{"amount":"{amount}","balances":[{{"amount":"{amount}"}}]}}"#);
            let mut record = jq::parse(json.as_bytes()).unwrap();
            whole_amounts(&mut record);
            let expected = format!(r#"{{"amount":"{taken}","balances":[{{"amount":"{taken}"}}]}}"#);
            assert_eq!(String::from_utf8(jq::to_json(&record)).unwrap(), expected);
        }
    }
}
