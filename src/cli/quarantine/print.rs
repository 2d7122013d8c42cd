//! What is printed of the quarantine.

use crate::cli::table::{self, Column, Output, OutputArgs, numbers, time, words};
use crate::store::quarantine::{Action, Group};
use crate::verbs::quarantine::{Listed, ShownRecord};

const RECORDS: [Column; 6] = [
    numbers("ID"),
    words("PROVIDER"),
    words("RESOURCE"),
    numbers("ATTEMPTS"),
    words("FIRST SEEN"),
    words("REASON"),
];

fn row(record: &ShownRecord) -> [String; 6] {
    let (id, attempts) = (record.id.to_string(), record.attempts.to_string());
    let (provider, resource) = (record.provider.clone(), record.resource.clone());
    [id, provider, resource, attempts, time(record.first_seen), record.reason.clone()]
}

pub fn records(listed: &Listed, form: OutputArgs) {
    match form.output {
        Output::Json => table::json(&listed.records),
        Output::Table => table::print(&RECORDS, listed.records.iter().map(row)),
    }
    let more = listed.all.saturating_sub(listed.records.len() as u64);
    if more > 0 {
        eprintln!("and {more} more; --limit shows more of them");
    }
}

const GROUPS: [Column; 7] = [
    words("GROUP"),
    numbers("RECORDS"),
    words("PROVIDER"),
    words("RESOURCE"),
    words("STREAM"),
    words("LAST SEEN"),
    words("FAULT"),
];

fn group_row(group: &Group) -> [String; 7] {
    let stream = group.stream.clone().unwrap_or_else(|| "(pushed)".to_owned());
    let (id, provider, resource) = (group.group.clone(), group.provider.clone(), group.resource.clone());
    [id, group.count.to_string(), provider, resource, stream, time(group.last_seen), group.fault.clone()]
}

pub fn groups(groups: &[Group], form: OutputArgs) {
    match form.output {
        Output::Json => table::json(&groups),
        Output::Table => table::print(&GROUPS, groups.iter().map(group_row)),
    }
}

const ACTIONS: [Column; 9] = [
    words("BEGAN"),
    words("WHAT"),
    words("WHO"),
    words("GROUP"),
    numbers("RECORDS"),
    numbers("FREED"),
    numbers("STAY"),
    numbers("DISCARDED"),
    words("ENDED"),
];

fn action_row(action: &Action) -> [String; 9] {
    let group = action.group.clone().unwrap_or_default();
    let counts = [action.total, action.freed, action.stayed, action.discarded];
    let [total, freed, stayed, discarded] = counts.map(|count| count.to_string());
    let (what, who) = (action.action.clone(), action.person.clone());
    let ended = action.ended_at.map(time).unwrap_or_default();
    [time(action.started_at), what, who, group, total, freed, stayed, discarded, ended]
}

pub fn actions(actions: &[Action], form: OutputArgs) {
    match form.output {
        Output::Json => table::json(&actions),
        Output::Table => table::print(&ACTIONS, actions.iter().map(action_row)),
    }
}

pub fn show(record: &ShownRecord, form: OutputArgs) {
    if form.output == Output::Json {
        return table::json(record);
    }
    eprintln!("{} of {}: {}", record.resource, record.provider, record.reason);
    eprintln!(
        "{} attempts, first {}, last {}",
        record.attempts,
        time(record.first_seen),
        time(record.last_seen)
    );
    match (&record.stream, record.partition.as_deref()) {
        (Some(stream), None | Some("")) => eprintln!("of the stream {stream}"),
        (Some(stream), Some(partition)) => eprintln!("of the stream {stream}, partition {partition}"),
        (None, _) => eprintln!("a canonical record"),
    }
    println!("{}", record.raw);
}
