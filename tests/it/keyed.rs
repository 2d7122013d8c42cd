//! The second wall behind the API key: whatever touches the rows of one provider says which provider, in
//! every statement of the program and every function of the schema. What does not is on a list here,
//! with the reason. The check reads SQL as far as it has to: which tables a query names, and whether it
//! holds each of them to a provider, or to a key that stands for one.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::TestApp;

/// Columns that stand for the provider: they name one row, or the rows of one parent, and their values
/// come from a row that was found by its provider.
const STAND_FOR_IT: [(&str, &str, &str); 13] = [
    ("payment_orders", "id", "a UUID of ours; requests bring idempotency keys, which go with the provider"),
    ("payment_attempts", "order_id", "the order's"),
    ("payment_approvals", "order_id", "the order's; whoever decides does so for all providers"),
    ("payment_lookups", "order_id", "the order's"),
    ("payment_audit", "order_id", "the order's"),
    ("payment_audit", "id", "of the row that a trigger has just written"),
    ("sync_runs", "id", "a UUID of the run that is being written"),
    ("sync_run_streams", "run", "the run's"),
    ("sync_run_warnings", "run", "the run's"),
    ("changes", "seq", "of rows that the same statement has read by provider"),
    ("api_keys", "id", "the key's own: its row is what tells the provider"),
    ("quarantine", "fault_group", "a digest of the provider, among others"),
    ("quarantine_actions", "id", "of the replay or discard that the caller does"),
];

/// Queries that are about several providers, by a part of each.
const ABOUT_SEVERAL: [(&str, &str); 53] = [
    ("delete from notifications where id in ()", "one retention for all providers"),
    ("update notifications set attempts = attempts + 1", "what is due is sent, whoever's it is"),
    ("select id from notifications where next_at", "what is due is sent, whoever's it is"),
    ("update notifications set last_error = $2", "of one that the caller has taken"),
    ("update notifications set delivered_at", "of one that the caller has taken"),
    (
        "from notifications where $1 :: text is null or provider = $1",
        "operators list, of one provider or all",
    ),
    ("notifications n where n.ended_at < $1", "one retention for all providers"),
    ("select provider from api_keys", "operators look for a record, at one provider or all"),
    ("select provider from feeds", "operators look for a record, at one provider or all"),
    ("select provider from sync_leases", "operators look for a record, at one provider or all"),
    ("delete from consumers where ( provider , resource , key ) in ()", "one retention for all providers"),
    ("from consumers c where c.polled_at < $1", "one retention for all providers"),
    (
        "from closed_lanes where closed_until > clock_timestamp",
        "what is closed is listed for all providers, for an operator",
    ),
    ("select from changes", "whether the queue of all is empty, before its files are released"),
    (
        "from quarantine where id > $1 and key_id is distinct from $2",
        "what is encrypted anew is so for all providers, by who may",
    ),
    (
        "update quarantine set key_id = $2 , raw = $3 , parent = $4 where id = $1",
        "what is encrypted anew is so for all providers, by who may",
    ),
    (
        "from raw_records where ( provider , stream , position ) > ( $1 , $2 , $3 )",
        "what is encrypted anew is so for all providers, by who may",
    ),
    (
        "select provider , auth_digest from provider_tokens where key_id is distinct from $1",
        "what is encrypted anew is so for all providers, by who may",
    ),
    ("from provider_tokens group by key_id", "counts by key of encryption, for who has to rotate"),
    ("from raw_records group by key_id", "counts by key of encryption, for who has to rotate"),
    ("from quarantine group by key_id", "counts by key of encryption, for who has to rotate"),
    (
        "from statement_files where bytes is not null group by key_id",
        "counts by key of encryption, for who has to rotate",
    ),
    (
        "from statement_files where ( provider , sha256 ) > ( $1 , $2 )",
        "what is encrypted anew is so for all providers, by who may",
    ),
    (
        "from statement_accounts where ( $1 :: text is null or provider = $1 )",
        "operators list, of one provider or all",
    ),
    (
        "from statement_accounts a where $1 :: text is null or a.provider = $1",
        "operators list, of one provider or all",
    ),
    (
        "from statement_accounts a cross join lateral () s where ( $1 :: text is null or a.provider = $1 )",
        "operators list, of one provider or all",
    ),
    (
        "from statement_sightings where sha256 is null and ( $1 :: text is null or provider = $1 )",
        "operators list, of one provider or all",
    ),
    (
        "from statements where state in ( '' , '' ) and settled_at is null and state = ''",
        "operators count, of one provider or all",
    ),
    (
        "select digest from api_keys where revoked_at is null and",
        "which digests are some key's, at the start: opens nothing",
    ),
    ("select id from payment_refusals where last_at < $1", "one retention for all providers"),
    ("delete from payment_refusals where id in ()", "one retention for all providers"),
    ("from api_keys where $1 :: text is null or provider = $1", "operators list, of one provider or all"),
    (
        "from payment_orders o where ( $1 :: text is null or o.provider = $1 )",
        "operators list, of one provider or all",
    ),
    (
        "from payment_refusals where $1 :: text is null or provider = $1",
        "operators list, of one provider or all",
    ),
    (
        "from unmatched_records where $1 :: text is null or provider = $1",
        "operators count, of one provider or all",
    ),
    (
        "from quarantine where ( $1 :: text is null or provider = $1 )",
        "operators list, count and discard, of one provider or all",
    ),
    ("from sync_runs where $1 :: text is null or provider = $1", "operators list, of one provider or all"),
    (
        "from payment_orders o where o.idempotency_key = $1",
        "operators find orders by Formance's key, and choose by provider where there are two",
    ),
    ("from quarantine where id = $1", "an operator names a record by its number"),
    (
        "select id from quarantine where id = any ( $1 )",
        "of records that the caller has read by provider, or an operator named",
    ),
    ("delete from quarantine where id = any ( $1 )", "of records that the caller has locked"),
    ("delete from quarantine where id = any ( $2 )", "of records that the caller has locked"),
    ("from quarantine where id = any ( $1 ) and id > $2", "an operator names records by their numbers"),
    (
        "min ( provider ) from quarantine where id = any ( $4 )",
        "whose the records are that an operator named",
    ),
    ("quarantine q on q.id = g.latest", "operators list groups, of one provider or all"),
    (
        "where ( $1 :: text is null or a.fault_group = $1 )",
        "operators list what was done, of one group or all",
    ),
    (
        "delete from unmatched_records where seq = any ( $1 )",
        "of records that the caller has read by provider",
    ),
    (
        "from transactions where created_at > = $1 and created_at < $2 and ( $3 :: text is null or provider = $3 )",
        "operators list, of one provider or all",
    ),
    ("from payment_orders where state not in", "gauges, counted by provider"),
    (
        "from payment_orders where state = '' and claimed_until",
        "the claims of dead instances end, whoever's orders they have",
    ),
    ("from payment_audit where position = $1", "the audit is one chain for all"),
    ("from payment_audit where position > $1", "the audit is one chain for all"),
    ("from payment_audit where position is null", "the audit is one chain for all"),
];

/// Tables that have nothing to do with providers.
const OF_NOBODY: [&str; 9] = [
    "_sqlx_migrations",
    "payment_audit_head",
    "payment_secrets",
    "operators",
    "operator_links",
    "operator_sessions",
    "operator_audit",
    "operator_issuers",
    "operator_sign_ins",
];

/// Words that begin a query within parentheses.
const QUERY: [&str; 7] = ["select", "with", "insert", "update", "delete", "merge", "values"];
/// Words that may follow a table, and are no alias of it.
const NO_ALIAS: [&str; 27] = [
    "set",
    "where",
    "on",
    "join",
    "left",
    "right",
    "inner",
    "cross",
    "full",
    "order",
    "group",
    "limit",
    "for",
    "using",
    "returning",
    "values",
    "select",
    "default",
    "union",
    "having",
    "natural",
    "loop",
    "then",
    "into",
    "as",
    "to",
    "from",
];

/// SQL in words and signs: without comments, and with every string as ''.
fn tokens(sql: &str) -> Vec<String> {
    let sql = sql.to_lowercase();
    let pattern = r"--[^\n]*|'(?:[^']|'')*'|[a-z_][a-z0-9_]*(?:\.[a-z_*][a-z0-9_]*)*|\$?[0-9]+|::|\S";
    let found = regex::Regex::new(pattern).unwrap();
    let tokens = found.find_iter(&sql).map(|found| found.as_str()).filter(|token| !token.starts_with("--"));
    tokens.map(|token| if token.starts_with('\'') { "''" } else { token }.to_owned()).collect()
}

/// Every query in the SQL, each without those within it; what else is in parentheses stays in its place.
fn queries(sql: &str) -> Vec<Vec<String>> {
    fn read(tokens: &mut std::vec::IntoIter<String>, found: &mut Vec<Vec<String>>) -> Vec<String> {
        let mut own = Vec::new();
        while let Some(token) = tokens.next() {
            match token.as_str() {
                ")" => break,
                "(" => {
                    let inner = read(tokens, found);
                    if inner.first().is_some_and(|first| QUERY.contains(&first.as_str())) {
                        split(inner, found);
                        own.push("()".to_owned());
                    } else {
                        own.extend(["(".to_owned()].into_iter().chain(inner).chain([")".to_owned()]));
                    }
                }
                _ => own.push(token),
            }
        }
        own
    }
    /// Each part of a union, and each statement of a function, is a query of its own.
    fn split(tokens: Vec<String>, found: &mut Vec<Vec<String>>) {
        let parts = tokens.split(|token| ["union", "intersect", "except", ";"].contains(&token.as_str()));
        found.extend(parts.map(<[String]>::to_vec));
    }
    let mut found = Vec::new();
    let own = read(&mut tokens(sql).into_iter(), &mut found);
    split(own, &mut found);
    found
}

/// What the tables are held to: their names, with the columns of which one has to be compared.
type Keys = BTreeMap<String, BTreeSet<String>>;

/// The tables that the query names and does not hold to any of their keys.
fn unkeyed(query: &[String], keys: &Keys) -> Vec<String> {
    let at = |i: usize| query.get(i).map_or("", String::as_str);
    // no query
    if query.iter().any(|word| word == "grant" || word == "revoke") {
        return Vec::new();
    }
    let mut unkeyed = Vec::new();
    for i in 1..query.len() {
        let table = query[i].trim_start_matches("public.");
        let (before, Some(columns)) = (at(i - 1), keys.get(table)) else { continue };
        let locks = before == "update" && i > 1 && ["for", "do"].contains(&at(i - 2));
        if locks || !["from", "join", "update", "into", "using", "only", ","].contains(&before) {
            continue;
        }
        let behind = if at(i + 1) == "as" { i + 2 } else { i + 1 };
        let is_alias =
            at(behind).starts_with(|c: char| c.is_ascii_lowercase()) && !NO_ALIAS.contains(&at(behind));
        let (alias, behind) = if is_alias { (at(behind), behind + 1) } else { (table, behind) };
        let held = match before {
            "into" => {
                query[behind..].iter().take_while(|word| *word != ")").any(|word| columns.contains(word))
            }
            _ => columns.iter().any(|column| is_held(query, alias, column)),
        };
        if !held {
            unkeyed.push(table.to_owned());
        }
    }
    unkeyed
}

/// Whether the query compares `column` of `alias`, and is about nothing else besides.
fn is_held(query: &[String], alias: &str, column: &str) -> bool {
    let at = |i: Option<usize>| i.and_then(|i| query.get(i)).map_or("", String::as_str);
    query.iter().enumerate().any(|(i, word)| {
        let names = *word == column || *word == format!("{alias}.{column}");
        let compared = at(i.checked_sub(1)) == "=" || ["=", "in"].contains(&at(Some(i + 1)));
        let before = query[..i].iter().rfind(|word| *word != "(");
        let or = before.is_some_and(|word| word == "or") || at(Some(i + 3)) == "or";
        names && compared && !or
    })
}

/// The tables of a database, and what each is held to.
async fn keys(app: &TestApp) -> Keys {
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "select relname::text, exists (select from pg_attribute where attrelid = c.oid and attname = 'provider')
         from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r'",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let mut keys = Keys::new();
    for (table, has_provider) in tables {
        if OF_NOBODY.contains(&table.as_str()) {
            continue;
        }
        let own =
            STAND_FOR_IT.iter().filter(|(of, ..)| *of == table).map(|(_, column, _)| (*column).to_owned());
        let columns: BTreeSet<_> = own.chain(has_provider.then(|| "provider".to_owned())).collect();
        assert!(
            !columns.is_empty(),
            "{table}: whose rows are these? Add a provider, or say here what stands for it"
        );
        keys.insert(table, columns);
    }
    keys
}

#[tokio::test]
async fn every_statement_and_every_function_says_of_which_provider() {
    let app = TestApp::new().await;
    let keys = keys(&app).await;
    let functions: Vec<(String, String)> = sqlx::query_as(
        "select proname::text, coalesce(pg_get_function_sqlbody(oid), prosrc) from pg_proc
         where pronamespace = 'public'::regnamespace",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let statements = std::fs::read_dir(".sqlx").unwrap().map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        ("a statement".to_owned(), described["query"].as_str().unwrap().to_owned())
    });
    let (mut looked_at, mut used, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for (name, sql) in statements.chain(functions) {
        for query in queries(&sql) {
            looked_at += 1;
            let unkeyed = unkeyed(&query, &keys);
            let text = query.join(" ");
            match ABOUT_SEVERAL.iter().find(|(part, _)| text.contains(part)) {
                _ if unkeyed.is_empty() => {}
                Some((part, _)) => drop(used.insert(*part)),
                None => wrong.push(format!("{name}: {unkeyed:?} in {text}")),
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
    assert!(wrong.is_empty(), "not keyed by provider, and not on the list:\n{}", wrong.join("\n"));
    let idle: Vec<_> = ABOUT_SEVERAL.iter().filter(|(part, _)| !used.contains(part)).collect();
    assert!(idle.is_empty(), "on the list, and not needed there: {idle:?}");
}

#[test]
fn the_check_finds_a_statement_that_forgets_the_provider() {
    let key = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
    let keys = Keys::from([
        ("accounts".to_owned(), key(&["provider"])),
        ("feed".to_owned(), key(&["provider"])),
        ("payment_orders".to_owned(), key(&["provider", "id"])),
    ]);
    let found = |sql: &str| queries(sql).iter().flat_map(|query| unkeyed(query, &keys)).count();
    for sql in [
        "select id from accounts",
        "select id from accounts where id = $1",
        "select id from accounts where id = $1 -- and provider = $2",
        "select id from accounts where id = $1 and name = 'provider = 2'",
        "select provider from accounts where id = $1",
        "select id from accounts where $2::text is null or provider = $2",
        "select id from accounts where provider = $2 or id = $1",
        "select a.id from accounts a join feed f on f.provider = $1",
        "select id from accounts where provider = $1 and exists (select from feed where id = $2)",
        "select id from feed where provider = $1 union all select id from accounts",
        "update accounts set name = $1 where id = $2",
        "delete from accounts as a using feed f where f.provider = $1",
        "insert into accounts (id, name) select id, name from feed where provider = $1",
        "with a as (select id from accounts) select id from a where provider = $1",
        "select a.id from feed f, accounts a where f.provider = $1",
        "begin if true then update accounts set name = x; end if; delete from feed where provider = y; end",
    ] {
        assert!(found(sql) > 0, "{sql}");
    }
    for sql in [
        "select id from accounts where provider = $1 for update",
        "select a.id from public.accounts a join feed f on f.provider = a.provider where a.provider = $1",
        "select o.id from payment_orders as o where o.id = any ($1)",
        "insert into accounts as a (provider, id) values ($1, $2) on conflict (provider, id) do update set name = $3",
        "update accounts a set name = $1 from unnest($2) u where a.provider = $3",
        "select extract(epoch from clock_timestamp())",
    ] {
        assert_eq!(found(sql), 0, "{sql}");
    }
}
