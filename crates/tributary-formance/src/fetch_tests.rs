use super::*;
use crate::en1095::En1095State;
use crate::error::ErrorClass;
use crate::gotime::GoTime;
use crate::state::State;

/// A server that holds `log`: ids with the fraction of a second of one minute.
struct Server {
    log: Vec<(String, String)>,
}

impl Server {
    fn new(log: &[(&str, &str)]) -> Self {
        let own = |&(id, at): &(&str, &str)| (id.to_owned(), at.to_owned());
        Self { log: log.iter().map(own).collect() }
    }

    /// The page as an honest server answers it; its times are text that sorts.
    fn answer(&self, request: &Request) -> Answer {
        let query: Vec<_> = request.query.as_deref().unwrap().split('&').collect();
        let get = |name| query.iter().find_map(|q| q.strip_prefix(name));
        let from = get("createdAtFrom=").map(|from| from.replace("%3A", ":"));
        let from = from.as_deref().map_or("", |from| from.trim_end_matches('Z'));
        let page: usize = get("page=").unwrap().parse().unwrap();
        let size: usize = get("pageSize=").unwrap().parse().unwrap();
        let rows: Vec<_> = self
            .log
            .iter()
            .map(|(id, at)| (id, format!("2026-03-01T12:00:{at}")))
            .filter(|(_, at)| at.as_str() >= from)
            .skip((page - 1) * size)
            .take(size)
            .map(|(id, at)| format!(r#"{{"id":"{id}","createdAt":"{at}Z"}}"#))
            .collect();
        ok(&format!("[{}]", rows.join(",")))
    }
}

fn ok(body: &str) -> Answer {
    Answer { status: 200, body: body.into() }
}

/// More pages and calls than any walk here needs.
const ENOUGH: u64 = 20;

/// One call; gives the ids, the new state, has-more and the number of requests.
fn call<S: Watermark>(server: &Server, size: usize, state: S) -> (Vec<String>, S, bool, u64) {
    let mut fetch = Fetch::new(Kind::Accounts, size, state);
    for page in 1..=ENOUGH {
        let answer = server.answer(&fetch.request());
        match fetch.answer(&answer).unwrap() {
            Progress::Ask(next) => fetch = next,
            Progress::Done(done) => {
                let ids = done.rows.into_iter().map(|row| row.reference).collect();
                return (ids, done.state, done.has_more, page);
            }
        }
    }
    panic!("the call does not end");
}

/// Calls until there is no more; gives all ids.
fn drain<S: Watermark>(server: &Server, size: usize, mut state: S) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..ENOUGH {
        let (ids, next, has_more, _) = call(server, size, state);
        all.extend(ids);
        state = next;
        if !has_more {
            return all;
        }
    }
    panic!("the poll does not end");
}

#[test]
fn a_log_of_unique_ascending_times_arrives_once_and_in_order() {
    let server = Server::new(&[("a", "00.1"), ("b", "00.2"), ("c", "00.3"), ("d", "01.1"), ("e", "01.2")]);
    for size in 1..=6 {
        assert_eq!(drain(&server, size, State::default()), ["a", "b", "c", "d", "e"]);
        assert_eq!(drain(&server, size, En1095State::default()), ["a", "b", "c", "d", "e"]);
    }
}

#[test]
fn rows_of_one_time_beyond_a_page_are_lost_for_ever() {
    let server = Server::new(&[("a", "00.1"), ("b", "00.1"), ("c", "00.1"), ("d", "00.2")]);
    assert_eq!(drain(&server, 2, State::default()), ["a", "b", "d"]);
}

#[test]
fn the_rewrite_loses_no_rows_of_one_time() {
    let server = Server::new(&[("a", "00.1"), ("b", "00.1"), ("c", "00.1"), ("d", "00.2")]);
    for size in 1..=5 {
        assert_eq!(drain(&server, size, En1095State::default()), ["a", "b", "c", "d"]);
    }
}

#[test]
fn the_rewrite_adds_to_the_ids_of_one_time_and_forgets_those_of_earlier_times() {
    let mut server = Server::new(&[("a", "00.1"), ("b", "00.2")]);
    let (_, state, _, _) = call(&server, 5, En1095State::default());
    assert_eq!(state.seen, ["b"]);

    server.log.push(("c".into(), "00.2".into()));
    let (ids, state, _, _) = call(&server, 5, state);
    assert_eq!(ids, ["c"]);
    assert_eq!(state.seen, ["b", "c"]);
    let text = state.to_json(Kind::Accounts).unwrap();
    assert_eq!(text, r#"{"lastCreatedAtFrom":"2026-03-01T12:00:00.2Z","lastProcessedIDs":["b","c"]}"#);
    assert_eq!(En1095State::from_json(Kind::Accounts, text.as_bytes()), Ok(state));
}

#[test]
fn the_rewrite_hands_on_what_it_gathered_instead_of_one_page() {
    let server = Server::new(&[("a", "00.1"), ("b", "00.2"), ("c", "00.3"), ("d", "00.4")]);
    let (_, seen_a, _, _) = call(&Server::new(&[("a", "00.1")]), 2, State::default());
    let (ids, _, has_more, pages) = call(&server, 2, seen_a);
    assert_eq!((ids, has_more, pages), (vec!["b".into(), "c".into()], true, 2));

    let (_, seen_a, _, _) = call(&Server::new(&[("a", "00.1")]), 2, En1095State::default());
    let (ids, _, has_more, pages) = call(&server, 2, seen_a);
    assert_eq!((ids.join(""), has_more, pages), ("bcd".into(), true, 2));
}

#[test]
fn an_exact_page_ends_only_with_a_short_page() {
    let server = Server::new(&[("a", "00.1"), ("b", "00.2")]);
    let (ids, state, has_more, _) = call(&server, 2, State::default());
    assert_eq!((ids.len(), has_more), (2, true));
    let (ids, state_after, has_more, pages) = call(&server, 2, state);
    assert_eq!((ids.len(), has_more, pages), (0, false, 2));
    assert_eq!(state_after, state, "no rows leave the watermark where it was");
}

/// The body of a page of accounts, with the given fractions of one second.
fn page(fractions: &[u32]) -> Answer {
    let row = |n: &u32| format!(r#"{{"id":"{n}","createdAt":"2026-03-01T12:00:00.{n}Z"}}"#);
    let rows: Vec<_> = fractions.iter().map(row).collect();
    ok(&format!("[{}]", rows.join(",")))
}

/// One call with the given answers; gives the ids, the watermark and has-more.
fn ended(size: usize, from: u32, answers: &[Answer]) -> (String, String, bool) {
    let watermark = format!("2026-03-01T12:00:00.{from}Z");
    let watermark = GoTime::parse(watermark.as_bytes()).unwrap();
    let mut fetch = Fetch::new(Kind::Accounts, size, State { watermark });
    for answer in answers {
        match fetch.answer(answer).unwrap() {
            Progress::Ask(next) => fetch = next,
            Progress::Done(done) => {
                let ids: Vec<_> = done.rows.into_iter().map(|row| row.reference).collect();
                let watermark = done.state.watermark.to_string();
                return (ids.concat(), watermark.replace("2026-03-01T12:00:00.", ""), done.has_more);
            }
        }
    }
    panic!("the call wants more answers");
}

#[test]
fn a_short_page_ends_the_data_unless_rows_are_left_over() {
    let exactly = ended(3, 2, &[page(&[1, 2, 3]), page(&[4, 5])]);
    assert_eq!(exactly, ("345".into(), "5Z".into(), false));
    let too_many = ended(3, 1, &[page(&[1, 2, 3]), page(&[4, 5])]);
    assert_eq!(too_many, ("234".into(), "4Z".into(), true));
}

#[test]
fn a_page_larger_than_asked_for_counts_as_full() {
    let done = ended(2, 3, &[page(&[1, 2, 3]), page(&[4])]);
    assert_eq!(done, ("4".into(), "4Z".into(), false));
}

#[test]
fn the_watermark_is_the_time_of_the_last_row_even_if_it_goes_back() {
    let done = ended(3, 1, &[page(&[5, 2])]);
    assert_eq!(done, ("52".into(), "2Z".into(), false));
}

#[test]
fn a_bad_amount_fails_the_call_only_if_its_row_is_new() {
    let body = r#"[{"id":"t","amount":"1.5","updatedAt":"2026-03-01T12:00:00Z"}]"#;
    let first = Fetch::new(Kind::Transactions, 5, State::default());
    let error = first.answer(&ok(body)).unwrap_err();
    assert_eq!(error, CallError::Amount("1.5".into()));
    assert_eq!(error.class(), ErrorClass::Other);

    let text = br#"{"lastUpdatedAtFrom":"2026-03-01T12:00:00Z"}"#;
    let state = State::from_json(Kind::Transactions, text).unwrap();
    let later = Fetch::new(Kind::Transactions, 5, state);
    assert!(matches!(later.answer(&ok(body)), Ok(Progress::Done(_))));
}

#[test]
fn a_time_that_cannot_be_written_fails_the_call_only_if_its_row_is_new() {
    let body = r#"[{"id":"a","createdAt":"2026-03-01T12:00:00+24:00"}]"#;
    let first = Fetch::new(Kind::Accounts, 5, State::default());
    assert!(matches!(first.answer(&ok(body)), Err(CallError::Time(_))));

    let text = br#"{"lastCreatedAtFrom":"2026-03-01T12:00:00Z"}"#;
    let state = State::from_json(Kind::Accounts, text).unwrap();
    let later = Fetch::new(Kind::Accounts, 5, state);
    assert!(matches!(later.answer(&ok(body)), Ok(Progress::Done(_))));
}

#[test]
fn rows_without_a_time_fill_a_page_but_are_never_new() {
    let fetch = Fetch::new(Kind::Accounts, 2, State::default());
    let answer = ok(r#"[null,{"id":"a","createdAt":null}]"#);
    let Ok(Progress::Ask(next)) = fetch.answer(&answer) else {
        panic!("a full page of old rows asks for the next one");
    };
    let Ok(Progress::Done(done)) = next.answer(&ok("null")) else {
        panic!("null is a page without rows");
    };
    assert_eq!((done.rows.len(), done.has_more), (0, false));
}

#[test]
fn absent_type_and_status_are_other_but_null_is_an_error() {
    let fetch = || Fetch::new(Kind::Transactions, 5, State::default());
    let absent = r#"[{"ID":"t","AMOUNT":"5","UpdatedAt":"2026-03-01T12:00:00Z"}]"#;
    let Ok(Progress::Done(done)) = fetch().answer(&ok(absent)) else {
        panic!("absent fields are no error");
    };
    let payment = done.rows[0].payment();
    assert_eq!((payment.kind.to_string(), payment.status.to_string()), ("OTHER".into(), "OTHER".into()));

    for field in ["type", "status"] {
        let body = format!(r#"[{{"{field}":null}}]"#);
        let error = fetch().answer(&ok(&body)).unwrap_err();
        assert!(matches!(error, CallError::Body { status: 200, .. }), "{error}");
    }
}

#[test]
fn a_payment_is_known_by_its_related_transaction_unless_that_is_empty() {
    for (related, reference) in [(r#""p""#, "p"), (r#""""#, "t"), ("null", "t")] {
        let body = format!(
            r#"[{{"id":"t","relatedTransactionID":{related},"amount":"5","updatedAt":"2026-03-01T12:00:00Z"}}]"#
        );
        let fetch = Fetch::new(Kind::Transactions, 5, State::default());
        let Ok(Progress::Done(done)) = fetch.answer(&ok(&body)) else {
            panic!("a short page ends the call");
        };
        assert_eq!(done.rows[0].payment_reference(), reference, "{related}");
    }
}
