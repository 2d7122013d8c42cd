//! Accounts, statements and files as rows of tables.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::page::{empty, field, table};
use super::super::words::{badge, encoded, id, story_path, time, time_or};
use super::{HERE, PAGE, Wanted, account_path};
use crate::store::listed_statement_files::{ListedFile, SeenFile};
use crate::store::listed_statements::{ListedAccount, ListedMovement, ListedStatement, OpenStatement};
use crate::verbs::statements::{ListedFiles, Statements};

/// Accounts, what of them waits for somebody, and their statements.
pub fn of_accounts(listed: &Statements, wanted: &Wanted, now: DateTime<Utc>) -> Markup {
    let Statements { accounts, open, statements } = listed;
    html! {
        @if accounts.is_empty() {
            (empty(html! { "No statement came yet. " code { "files" } " in a provider's file says where they come from." }))
        } @else {
            (table("Accounts, by provider", &ACCOUNTS, accounts.iter().map(|account| account_row(account, now))))
            (gaps(accounts))
            @if !open.is_empty() {
                (table("Put aside, or without their other pages: nothing of these is published", &OPEN,
                    open.iter().map(|open| open_row(open, now))))
            }
            (table("Statements, the latest first", &STATEMENTS, statements.iter().map(|each| statement_row(each, now))))
            (older(statements.last().map(|last| last.statement), statements.len(), |before| wanted.path(Some(before), wanted.files_before), "Older statements"))
        }
    }
}

/// A link to what came before `last`, where this page is full.
fn older(last: Option<i64>, shown: usize, path: impl Fn(i64) -> String, label: &str) -> Markup {
    html! {
        @if let Some(last) = last.filter(|_| shown == PAGE as usize) { p { a href=(path(last)) { (label) } } }
    }
}

const ACCOUNTS: [&str; 8] =
    ["Account", "Provider", "In Formance", "Closed", "#With, minor units", "#Gaps", "#Off by", "Late"];

fn account_row(account: &ListedAccount, now: DateTime<Utc>) -> Markup {
    let gaps = i64::from(account.broken_chains) + i64::from(account.missing_numbers);
    html! {
        th scope="row" { a href=(account_path(account)) { (account.account) " " (account.currency) } }
        td { (account.provider) }
        td { a href=(story_path(&account.provider, "accounts", &account.account_id)) { (account.account_id) } }
        td.whole { @if let Some(day) = account.closing_day { (day) } @else { "never" } }
        td.number { (account.closing.as_deref().unwrap_or_default()) }
        td.number { @if gaps == 0 { "0" } @else { (badge("warn", &gaps.to_string())) } }
        td.number { @if account.off_by == "0" { "0" } @else { (badge("bad", &account.off_by)) } }
        td {
            @match account.late_since {
                Some(since) => { (badge("bad", "late")) " since " (time(since, now)) },
                None => "no",
            }
        }
    }
}

fn gaps(accounts: &[ListedAccount]) -> Markup {
    html! {
        @for account in accounts.iter().filter(|account| !account.gaps.is_empty()) {
            @let said = html! {
                ul { @for gap in &account.gaps { li { (gap) } } }
                p.note { (account.broken_chains) " do not follow, " (account.missing_numbers) " numbers are left out." }
            };
            @if let [_] = accounts {
                h2 { "What is missing" }
                (said)
            } @else {
                details id={ "gaps-" (encoded(&account.provider)) "-" (encoded(&account.account)) "-" (account.currency) } {
                    summary { "What is missing of " (account.account) " " (account.currency) }
                    (said)
                }
            }
        }
    }
}

const OPEN: [&str; 6] = ["Statement", "Provider", "File", "Closes", "Why", "Taken"];

fn open_row(open: &OpenStatement, now: DateTime<Utc>) -> Markup {
    let name = (open.account.as_str(), open.currency.as_str());
    html! {
        th scope="row" { (link(&open.provider, open.statement, name, open.number.as_deref(), open.page.as_deref())) }
        td { (open.provider) }
        td { (open.file) }
        td.whole { @if let Some(day) = open.closing_day { (day) } }
        td { (why(&open.state, open.reason.as_deref(), open.missing.as_deref(), false)) }
        td { (time(open.taken_at, now)) }
    }
}

/// A statement by its account and the bank's number, which leads to it.
fn link(
    provider: &str,
    statement: i64,
    (account, currency): (&str, &str),
    number: Option<&str>,
    page: Option<&str>,
) -> Markup {
    html! {
        a href={ (HERE) "/" (encoded(provider)) "/" (statement) } {
            (account) " " (currency)
            @if let Some(number) = number { ", number " (number) } @else { ", without a number" }
            @if let Some(page) = page { ", page " (page) }
        }
    }
}

pub fn why(state: &str, reason: Option<&str>, missing: Option<&str>, is_settled: bool) -> Markup {
    let kind = match state {
        "published" | "joined" => "good",
        "put_aside" if !is_settled => "bad",
        "waiting" => "warn",
        _ => "",
    };
    html! {
        (badge(kind, &state.replace('_', " ")))
        @if state == "waiting" { " for its other pages" }
        @if let Some(reason) = reason { " " (reason) }
        @if let Some(missing) = missing { ", missing " strong { (missing) } " minor units" }
        @if is_settled { ", came whole since" }
    }
}

const STATEMENTS: [&str; 11] = [
    "Statement",
    "Provider",
    "File",
    "Day",
    "#Opening",
    "#Closing",
    "#Entries",
    "Closes",
    "Chains",
    "State",
    "Taken",
];

fn statement_row(of: &ListedStatement, now: DateTime<Utc>) -> Markup {
    let name = (of.account.as_str(), of.currency.as_str());
    html! {
        th scope="row" { (link(&of.provider, of.statement, name, of.number.as_deref(), of.page.as_deref())) }
        td { (of.provider) }
        td { (of.file) " (" (of.format) @if of.kind != "final" { ", " (of.kind) } ")" }
        td.whole { @if let Some(day) = of.closing_day { (day) } }
        td.number { (of.opening.as_deref().unwrap_or_default()) }
        td.number { (of.closing.as_deref().unwrap_or_default()) }
        td.number { (of.entries) }
        td { (closes(of)) }
        td { (chains(of)) }
        td { (state(of)) }
        td { (time(of.taken_at, now)) }
    }
}

fn closes(of: &ListedStatement) -> Markup {
    match (of.closes, &of.missing) {
        (Some(true), _) => html! { "yes" },
        (Some(false), Some(missing)) => html! { (badge("bad", "no")) " missing " (missing) },
        (Some(false), None) => badge("bad", "no"),
        (None, _) => html! { "cannot be told" },
    }
}

fn chains(of: &ListedStatement) -> Markup {
    match of.chains {
        Some(true) => html! { "yes" },
        Some(false) => badge("warn", "no"),
        None => html! { "" },
    }
}

fn state(of: &ListedStatement) -> Markup {
    html! {
        (why(&of.state, of.reason.as_deref(), None, of.settled_at.is_some()))
        @if of.restated { ", " strong { "restated" } " by a newer one" }
    }
}

/// A statement by itself.
pub fn of_statement(of: &ListedStatement, now: DateTime<Utc>) -> Markup {
    html! {
        dl {
            (field("Provider", html! { (of.provider) }))
            (field("Account", html! { (id(&of.account)) " " (of.currency) }))
            (field("The bank's number", html! { (of.number.as_deref().unwrap_or("none")) @if let Some(page) = &of.page { ", page " (page) } }))
            (field("Closes", html! { @if let Some(day) = of.closing_day { (day) ": " } (closes(of)) }))
            (field("Opens where one before closed", html! { @if of.chains.is_none() { "cannot be told" } @else { (chains(of)) } }))
            (field("Opening, minor units", html! { (of.opening.as_deref().unwrap_or("none")) }))
            (field("Closing, minor units", html! { (of.closing.as_deref().unwrap_or("none")) }))
            (field("Entries", html! { (of.entries) }))
            (field("State", state(of)))
            @if let Some(at) = of.settled_at { (field("Came whole", time(at, now))) }
            (field("File", html! { (of.file) " (" (of.format) ", " (of.kind) ")" }))
            (field("Taken", time(of.taken_at, now)))
        }
    }
}

pub const MOVEMENT: [&str; 5] = ["Transaction", "State", "#Amount, minor units", "Created", "Order"];

pub fn movement_row(of: &ListedStatement, movement: &ListedMovement, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { a href=(story_path(&of.provider, "transactions", &movement.id)) { (id(&movement.id)) } }
        td { (badge("", &movement.state)) }
        td.number { (movement.amount) }
        td { (time(movement.created_at, now)) }
        td { @if let Some(reference) = &movement.order_reference { (id(reference)) } }
    }
}

/// Files, and those that were seen and not taken.
pub fn of_files(listed: &ListedFiles, wanted: &Wanted, now: DateTime<Utc>) -> Markup {
    let ListedFiles { files, not_taken } = listed;
    html! {
        @if !not_taken.is_empty() {
            (table("Seen where the bank puts them, and not taken: not complete yet, or the warnings of runs say why", &SEEN,
                not_taken.iter().map(|seen| seen_row(seen, now))))
        }
        @if !files.is_empty() {
            (table("Files, the latest first", &FILES, files.iter().map(|file| file_row(file, now))))
            (older(files.last().map(|last| last.file), files.len(), |before| wanted.path(wanted.before, Some(before)), "Older files"))
        }
    }
}

const SEEN: [&str; 4] = ["File", "Provider", "As it is since", "Seen last"];

fn seen_row(seen: &SeenFile, now: DateTime<Utc>) -> Markup {
    html! {
        th scope="row" { (seen.path) }
        td { (seen.provider) }
        td { (time(seen.first_seen, now)) }
        td { (time(seen.last_seen, now)) }
    }
}

const FILES: [&str; 8] =
    ["File", "Provider", "SHA-256", "From", "Format", "#Bytes", "Received", "What became of it"];

fn file_row(file: &ListedFile, now: DateTime<Utc>) -> Markup {
    let short: String = file.sha256.chars().take(12).collect();
    html! {
        th scope="row" { (file.name) }
        td { (file.provider) }
        td.whole { code title=(file.sha256) { (short) } }
        td { (file.source) }
        td { (file.formats.join(", ")) }
        td.number { (file.size) }
        td {
            (time(file.received_at, now))
            @if file.repeats > 0 {
                "; the same bytes came again " (file.repeats) " times, last " (time_or(file.repeated_at, now, ""))
            }
        }
        td {
            @if file.put_aside > 0 { (badge("bad", "put aside")) " " }
            @if file.waiting > 0 { (badge("warn", "waiting")) " " }
            (file.became())
            @if file.erased { ", erased" }
        }
    }
}
