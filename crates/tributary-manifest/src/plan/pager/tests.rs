use chrono::TimeDelta;
use reqwest::Url;
use reqwest::header::HeaderName;

use super::super::window::whole;
use super::*;
use crate::manifest::{SortOrder, TimeFormat};
use crate::time::instant;

fn size(value: usize) -> Option<Size> {
    Some(Size { param: Some(query("limit")), value })
}

fn pager(kind: PagerKind, stop: PageEnd, size: Option<Size>) -> Pager {
    Pager { kind, stop, size, more: None, total: None, may_end_full: false }
}

fn page(stop: PageEnd) -> Pager {
    pager(PagerKind::Page { param: query("page"), first: 1 }, stop, size(2))
}

fn query(name: &str) -> Param {
    Param::Query(name.to_owned())
}

fn cursor(bound: Bound) -> Pager {
    let next = NextSource::Body(Filter::compile("s", "page.next", "", ".next").unwrap());
    let kind = PagerKind::Cursor { param: query("after"), next, bound };
    pager(kind, PageEnd::NoNext, None)
}

fn keyset(bound: Bound, order: SortOrder, format: TimeFormat) -> Pager {
    let field = Filter::compile("s", "page.time", "", ".at").unwrap();
    let kind = PagerKind::Keyset { param: query("to"), field, keyset: Keyset { bound, format, order } };
    pager(kind, PageEnd::ShortPage, size(2))
}

fn walk(token: Option<Token>, fingerprint: Option<&str>) -> Walk {
    Walk {
        token,
        fingerprint: fingerprint.map(str::to_owned),
        ..whole(instant("2026-03-01T00:00:00Z").unwrap())
    }
}

fn facts(count: usize, fingerprint: &str, next: Option<&str>) -> PageFacts {
    let next = next.map(str::to_owned);
    PageFacts { count, fingerprint: fingerprint.to_owned(), next, ..PageFacts::default() }
}

fn url() -> Url {
    Url::parse("https://bank.example/v2/payments?limit=2").unwrap()
}

fn after(pager: &Pager, walk: &Walk, facts: &PageFacts) -> Result<Step, String> {
    pager.next(walk, facts, &HeaderMap::new(), &url())
}

fn asked(pager: &Pager, token: Option<Token>) -> Vec<(String, String)> {
    let mut asks = Asks::default();
    pager.ask(token.as_ref(), &mut asks).unwrap();
    asks.texts()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn pages_are_counted_until_one_is_empty_or_short_and_said_to_be_the_last() {
    let pager = page(PageEnd::ShortPage);
    assert_eq!(asked(&pager, None), [pair("limit", "2"), pair("page", "1")]);
    assert_eq!(after(&pager, &walk(None, None), &facts(2, "a", None)), Ok(Step::Go(Token::Number(2))));
    assert_eq!(asked(&pager, Some(Token::Number(2)))[1], pair("page", "2"));
    let second = walk(Some(Token::Number(2)), Some("a"));
    let short = facts(1, "b", None);
    assert_eq!(after(&pager, &second, &short), Ok(Step::Go(Token::Number(3))), "an API may cap its pages");
    assert_eq!(after(&pager, &second, &facts(0, "b", None)), Ok(Step::End));
    assert_eq!(after(&pager, &second, &PageFacts { more: Some(false), ..short }), Ok(Step::End));
    let full = PageFacts { more: Some(false), ..facts(2, "b", None) };
    assert_eq!(after(&pager, &second, &full), Ok(Step::Go(Token::Number(3))));
}

#[test]
fn where_a_next_page_is_named_a_short_or_empty_one_is_not_the_end() {
    let of = |stop| Pager { stop, size: size(2), ..cursor(Bound::Exclusive) };
    let (first, go) = (walk(None, None), Ok(Step::Go(Token::Text("n".into()))));
    for stop in [PageEnd::ShortPage, PageEnd::EmptyPage] {
        let pager = of(stop);
        assert_eq!(after(&pager, &first, &facts(1, "a", Some("n"))), go);
        assert_eq!(after(&pager, &first, &facts(0, "", Some("n"))), go);
        assert_eq!(after(&pager, &first, &facts(0, "", None)), Ok(Step::End));
    }
    let after_empty = walk(Some(Token::Text("m".into())), Some(""));
    let stays = walk(Some(Token::Text("n".into())), Some("a"));
    for walk in [after_empty, stays] {
        assert_eq!(after(&of(PageEnd::EmptyPage), &walk, &facts(0, "", Some("n"))), Ok(Step::End));
    }
    // empty for the first time
    let after_some = walk(Some(Token::Text("m".into())), Some("a"));
    assert_eq!(after(&of(PageEnd::EmptyPage), &after_some, &facts(0, "", Some("n"))), go);
    // two empty ones in a row are no circle while they lead elsewhere
    let empty = walk(Some(Token::Text("m".into())), Some(""));
    assert_eq!(after(&cursor(Bound::Exclusive), &empty, &facts(0, "", Some("n"))), go);
}

#[test]
fn an_empty_page_by_a_number_is_the_end_only_where_the_file_says_so() {
    let never = || PageEnd::When(Filter::compile("s", "page.ends", "", "false").unwrap());
    let offset = pager(PagerKind::Offset { param: query("skip") }, never(), size(2));
    for pager in [page(never()), offset] {
        let error =
            after(&pager, &walk(Some(Token::Number(2)), Some("a")), &facts(0, "b", None)).unwrap_err();
        assert!(error.contains("a page is empty, but `page.ends` does not end it there"), "{error}");
    }
}

#[test]
fn a_link_to_the_page_itself_is_a_circle_but_from_an_empty_page_that_ends_the_walk() {
    let link = |stop| {
        pager(PagerKind::NextUrl { next: NextSource::Header("next".into()), https: false }, stop, None)
    };
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static("next"), HeaderValue::from_static("/v2/here"))]);
    let here = walk(Some(Token::Url("https://bank.example/v2/here".into())), Some("a"));
    for (stop, count, ends) in [
        (PageEnd::EmptyPage, 0, true),
        (PageEnd::EmptyPage, 2, false),
        (PageEnd::NoNext, 0, false),
        (PageEnd::NoNext, 2, false),
    ] {
        let pager = link(stop);
        let step = pager.next(&here, &facts(count, "b", None), &headers, &url());
        match ends {
            true => assert_eq!(step, Ok(Step::End)),
            false => assert!(step.as_ref().is_err_and(|error| error.contains("circle")), "{count}: {step:?}"),
        }
    }
}

#[test]
fn a_next_page_is_named_in_16_kib_at_most() {
    let name = |bytes: usize| "n".repeat(bytes);
    let after =
        |bytes| after(&cursor(Bound::Exclusive), &walk(None, None), &facts(2, "a", Some(&name(bytes))));
    assert_eq!(after(16_384), Ok(Step::Go(Token::Text(name(16_384)))));
    let error = after(16_385).unwrap_err();
    assert!(error.starts_with("page.next: names the next page in 16385 bytes"), "{error}");
}

#[test]
fn a_link_to_a_next_page_that_nobody_follows_is_an_error() {
    let mut headers = HeaderMap::new();
    headers.insert("link", HeaderValue::from_static("</x?page=2>; rel=\"next\""));
    let single = pager(PagerKind::Single, PageEnd::NoNext, None);
    let error = single.next(&walk(None, None), &facts(2, "a", None), &headers, &url()).unwrap_err();
    assert!(error.starts_with("page: is missing"), "{error}");
}

#[test]
fn offsets_grow_by_what_was_there_and_not_by_what_was_asked_for() {
    let pager = pager(PagerKind::Offset { param: query("skip") }, PageEnd::EmptyPage, size(100));
    assert_eq!(after(&pager, &walk(None, None), &facts(97, "a", None)), Ok(Step::Go(Token::Number(97))));
    let second = walk(Some(Token::Number(97)), Some("a"));
    assert_eq!(after(&pager, &second, &facts(100, "b", None)), Ok(Step::Go(Token::Number(197))));
    assert_eq!(after(&pager, &second, &facts(0, "c", None)), Ok(Step::End));
}

#[test]
fn a_counted_page_that_comes_again_is_an_error_and_not_the_end() {
    let repeated = walk(Some(Token::Number(2)), Some("a"));
    let never = PageEnd::When(Filter::compile("s", "page.ends", "", "false").unwrap());
    for stop in [PageEnd::ShortPage, PageEnd::EmptyPage, never] {
        let error = after(&page(stop), &repeated, &facts(2, "a", None)).unwrap_err();
        assert!(error.contains("page: ") && error.contains("\"page\""), "{error}");
    }
    let offset = pager(PagerKind::Offset { param: query("skip") }, PageEnd::EmptyPage, size(2));
    assert!(after(&offset, &repeated, &facts(2, "a", None)).unwrap_err().contains("skip"));
}

#[test]
fn a_full_first_page_without_a_next_one_is_proof_of_an_end_only_with_a_reason() {
    let first = walk(None, None);
    let of = |size| Pager { size, ..cursor(Bound::Exclusive) };
    let full = facts(2, "a", None);
    let error = of(size(2)).prove_end(&first, &full, false).unwrap_err();
    assert!(error.contains("page.next") && error.contains("may_end_full: true"), "{error}");
    let more = |more| PageFacts { more: Some(more), ..full.clone() };
    assert!(of(size(2)).prove_end(&first, &more(true), false).is_err());
    for (pager, walk, facts, received) in [
        (of(size(2)), first.clone(), full.clone(), true),
        (of(size(2)), first.clone(), more(false), false),
        (of(size(2)), first.clone(), PageFacts { stop: true, ..full.clone() }, false),
        (of(size(3)), first.clone(), full.clone(), false),
        (of(None), first.clone(), full.clone(), false),
        (of(size(2)), super::tests::walk(Some(Token::Text("x".into())), None), full.clone(), false),
        (Pager { may_end_full: true, ..of(size(2)) }, first.clone(), full.clone(), false),
        (page(PageEnd::ShortPage), first.clone(), full.clone(), false),
    ] {
        assert_eq!(pager.prove_end(&walk, &facts, received), Ok(()), "{pager:?}");
    }
}

#[test]
fn no_walk_ends_where_the_answer_says_that_there_is_more() {
    let more = |facts: PageFacts| PageFacts { more: Some(true), ..facts };
    let error = after(&cursor(Bound::Exclusive), &walk(None, None), &more(facts(1, "a", None)));
    assert!(error.unwrap_err().contains("page.next"));
    for pager in
        [page(PageEnd::ShortPage), keyset(Bound::Exclusive, SortOrder::NewestFirst, TimeFormat::Micros)]
    {
        let error = after(&pager, &walk(None, None), &more(facts(0, "a", None))).unwrap_err();
        assert!(error.contains("page.ends"), "{error}");
    }
    let told = more(facts(1, "a", Some("n")));
    let go = after(&cursor(Bound::Exclusive), &walk(None, None), &told);
    assert_eq!(go, Ok(Step::Go(Token::Text("n".into()))));
}

#[test]
fn a_cursor_goes_where_the_api_wants_it_and_ends_where_there_is_none() {
    let pager = cursor(Bound::Exclusive);
    assert_eq!(asked(&pager, Some(Token::Text("x y".into()))), [pair("after", "x y")]);
    for next in [None, Some("")] {
        assert_eq!(after(&pager, &walk(None, None), &facts(2, "a", next)), Ok(Step::End));
    }
    let go = after(&pager, &walk(None, None), &facts(0, "a", Some("n")));
    assert_eq!(go, Ok(Step::Go(Token::Text("n".into()))), "an empty page may be followed by others");
    let mut numbered = facts(2, "a", Some("2.0"));
    numbered.next_is_number = true;
    let Ok(Step::Go(token)) = after(&pager, &walk(None, None), &numbered) else { panic!("it goes on") };
    assert_eq!(token, Token::Digits("2.0".into()));
    let mut asks = Asks::default();
    pager.ask(Some(&token), &mut asks).unwrap();
    let value = asks.params().last().unwrap().1.to_string();
    assert_eq!(value, "2.0", "a number stays one, in the provider's digits");
}

#[test]
fn a_cursor_that_does_not_move_ends_only_where_it_names_the_last_record() {
    let stuck = walk(Some(Token::Text("last".into())), Some("a"));
    let told = facts(1, "b", Some("last"));
    assert_eq!(after(&cursor(Bound::Inclusive), &stuck, &told), Ok(Step::End));
    for (pager, told) in [
        (cursor(Bound::Exclusive), told),
        (cursor(Bound::Inclusive), facts(2, "b", Some("last"))),
        (cursor(Bound::Exclusive), facts(2, "a", Some("other"))),
    ] {
        assert!(after(&pager, &stuck, &told).unwrap_err().contains("circle"));
    }
}

#[test]
fn the_url_of_the_next_page_may_be_relative_and_may_stand_in_a_header() {
    let body = NextSource::Body(Filter::compile("s", "page.next", "", ".next").unwrap());
    let by_body = pager(PagerKind::NextUrl { next: body, https: false }, PageEnd::NoNext, None);
    let next = after(&by_body, &walk(None, None), &facts(2, "a", Some("?page=2")));
    assert_eq!(next, Ok(Step::Go(Token::Url("https://bank.example/v2/payments?page=2".into()))));
    let pager = pager(PagerKind::NextUrl { next: NextSource::Link, https: false }, PageEnd::NoNext, None);
    let header = r#"<https://bank.example/a,b?p=1>; rel="prev", <https://bank.example/a,b?p=3>; title="x"; rel="last next""#;
    let headers = HeaderMap::from_iter([(reqwest::header::LINK, header.parse().unwrap())]);
    let next = pager.next(&walk(None, None), &facts(2, "a", None), &headers, &url());
    assert_eq!(next, Ok(Step::Go(Token::Url("https://bank.example/a,b?p=3".into()))));
    assert_eq!(after(&pager, &walk(None, None), &facts(2, "a", None)), Ok(Step::End));
}

#[test]
fn a_keyset_goes_on_so_that_records_of_the_same_time_come_again_and_none_is_skipped() {
    let last = instant("2026-03-01T12:00:00.1235Z").unwrap();
    let page = PageFacts { keys: Some((last, last)), ..facts(2, "a", None) };
    for (bound, order, format, token) in [
        (Bound::Exclusive, SortOrder::NewestFirst, TimeFormat::Millis, "2026-03-01T12:00:00.124Z"),
        (Bound::Inclusive, SortOrder::NewestFirst, TimeFormat::Millis, "2026-03-01T12:00:00.124Z"),
        (Bound::Exclusive, SortOrder::NewestFirst, TimeFormat::Micros, "2026-03-01T12:00:00.123501Z"),
        (Bound::Inclusive, SortOrder::NewestFirst, TimeFormat::Micros, "2026-03-01T12:00:00.123500Z"),
        (Bound::Inclusive, SortOrder::OldestFirst, TimeFormat::Seconds, "2026-03-01T12:00:00Z"),
        (Bound::Exclusive, SortOrder::OldestFirst, TimeFormat::Seconds, "2026-03-01T11:59:59Z"),
    ] {
        let pager = keyset(bound, order, format);
        let Ok(Step::Go(token_after)) = after(&pager, &walk(None, None), &page) else { panic!("it goes on") };
        assert_eq!(
            asked(&pager, Some(token_after)),
            [pair("limit", "2"), pair("to", token)],
            "{bound:?} {order:?}"
        );
    }
}

#[test]
fn a_keyset_page_begins_with_the_record_with_which_the_one_before_ended_or_the_walk_fails() {
    let at = |second: u32| instant(&format!("2026-03-01T12:00:{second:02}Z")).unwrap();
    let (newest, oldest) = (SortOrder::NewestFirst, SortOrder::OldestFirst);
    let whole = TimeFormat::Seconds;
    for (bound, order, asked, seconds, told) in [
        (Bound::Exclusive, newest, 31, Some((20, 30)), None),
        (Bound::Exclusive, newest, 31, Some((20, 29)), Some("does not begin with")),
        (Bound::Exclusive, newest, 31, None, Some("does not begin with")),
        // an API that takes the bound for inclusive loses nothing
        (Bound::Exclusive, newest, 31, Some((20, 31)), None),
        (Bound::Exclusive, newest, 31, Some((20, 32)), Some("does not look at the parameter")),
        (Bound::Inclusive, newest, 30, Some((20, 30)), None),
        (Bound::Inclusive, newest, 30, Some((20, 29)), Some("does not begin with")),
        (Bound::Inclusive, newest, 30, Some((20, 31)), Some("does not look at the parameter")),
        (Bound::Exclusive, oldest, 29, Some((30, 40)), None),
        (Bound::Exclusive, oldest, 29, Some((31, 40)), Some("does not begin with")),
        (Bound::Exclusive, oldest, 29, Some((29, 40)), None),
        (Bound::Exclusive, oldest, 29, Some((28, 40)), Some("does not look at the parameter")),
        (Bound::Inclusive, oldest, 30, Some((30, 40)), None),
        (Bound::Inclusive, oldest, 30, Some((31, 40)), Some("does not begin with")),
        (Bound::Inclusive, oldest, 30, Some((29, 40)), Some("does not look at the parameter")),
        (Bound::Inclusive, oldest, 30, None, Some("does not begin with")),
    ] {
        let pager = keyset(bound, order, whole.clone());
        let keys = seconds.map(|(from, to)| (at(from), at(to)));
        let page = PageFacts { keys, ..facts(if keys.is_some() { 2 } else { 0 }, "b", None) };
        let step = after(&pager, &walk(Some(Token::Time(at(asked))), Some("a")), &page);
        match (told, &step) {
            (None, Ok(Step::Go(_))) => {}
            (Some(told), Err(error)) if error.contains(told) => {
                let field = if order == newest { "page.before" } else { "page.after" };
                assert!(
                    error.starts_with(&format!("{field}: ")) && error.contains(&format!("`{field}.format`")),
                    "{error}"
                );
            }
            _ => panic!("{bound:?} {order:?} {seconds:?}: {step:?}"),
        }
    }
}

#[test]
fn a_keyset_ends_with_the_record_that_came_last_before() {
    let pager = keyset(Bound::Exclusive, SortOrder::NewestFirst, TimeFormat::Micros);
    assert_eq!(after(&pager, &walk(None, None), &facts(0, "a", None)), Ok(Step::End));
    let last = instant("2026-03-01T12:00:00Z").unwrap();
    let page = PageFacts { keys: Some((last, last)), ..facts(1, "b", None) };
    let Ok(Step::Go(token)) = after(&pager, &walk(None, None), &page) else { panic!("it goes on") };
    assert_eq!(after(&pager, &walk(Some(token), Some("a")), &page), Ok(Step::End));
    let undated = facts(1, "b", None);
    assert!(
        after(&pager, &walk(None, None), &undated).unwrap_err().contains("no record of a page has the time")
    );
}

#[test]
fn more_records_of_one_time_than_fit_on_a_page_are_an_error_and_not_an_end() {
    let pager = keyset(Bound::Exclusive, SortOrder::NewestFirst, TimeFormat::Micros);
    let last = instant("2026-03-01T12:00:00Z").unwrap();
    let page = PageFacts { keys: Some((last, last)), ..facts(2, "b", None) };
    let Ok(Step::Go(token)) = after(&pager, &walk(None, None), &page) else { panic!("it goes on") };
    let error = after(&pager, &walk(Some(token), Some("a")), &page).unwrap_err();
    assert!(error.contains("share the time"), "{error}");
}

#[test]
fn a_short_page_of_one_time_is_everything_only_where_nothing_lies_beyond() {
    let last = instant("2026-03-01T12:00:00.5Z").unwrap();
    for (bound, order, token) in [
        (Bound::Exclusive, SortOrder::NewestFirst, "2026-03-01T12:00:00Z"),
        (Bound::Inclusive, SortOrder::NewestFirst, "2026-03-01T11:59:59Z"),
        (Bound::Exclusive, SortOrder::OldestFirst, "2026-03-01T12:00:00Z"),
        (Bound::Inclusive, SortOrder::OldestFirst, "2026-03-01T12:00:01Z"),
    ] {
        let pager = Pager { size: size(9), ..keyset(bound, order, TimeFormat::Seconds) };
        let page = PageFacts { keys: Some((last, last)), ..facts(2, "b", None) };
        let Ok(Step::Go(again)) = after(&pager, &walk(None, None), &page) else { panic!("it goes on") };
        let beyond = after(&pager, &walk(Some(again), Some("b")), &page);
        assert_eq!(beyond, Ok(Step::Go(Token::Beyond(last))), "{bound:?} {order:?}");
        let walk = walk(Some(Token::Beyond(last)), Some("b"));
        assert_eq!(asked(&pager, walk.token.clone()), [pair("limit", "9"), pair("to", token)]);
        assert_eq!(after(&pager, &walk, &facts(0, "c", None)), Ok(Step::End), "{bound:?} {order:?}");
        assert_eq!(after(&pager, &walk, &page), Ok(Step::End), "the same time once more");
        let further = last
            + if order == SortOrder::NewestFirst { -TimeDelta::seconds(1) } else { TimeDelta::seconds(1) };
        let more = PageFacts { keys: Some((further.min(last), further.max(last))), ..facts(2, "c", None) };
        let error = after(&pager, &walk, &more).unwrap_err();
        assert!(error.contains("others follow"), "{error}");
    }
}

#[test]
fn a_cursor_of_another_kind_of_pages_is_refused() {
    assert!(page(PageEnd::ShortPage).ask(Some(&Token::Text("x".into())), &mut Asks::default()).is_err());
}

#[test]
fn a_link_of_an_api_behind_a_proxy_is_asked_for_with_https_where_the_file_says_so() {
    let step = |https: bool, from: &str, link: &str| {
        let pager = pager(PagerKind::NextUrl { next: NextSource::Link, https }, PageEnd::NoNext, None);
        let header = format!("<{link}>; rel=next").parse().unwrap();
        let headers = HeaderMap::from_iter([(reqwest::header::LINK, header)]);
        let from = Url::parse(from).unwrap();
        match pager.next(&walk(None, None), &facts(2, "a", None), &headers, &from) {
            Ok(Step::Go(Token::Url(url))) => url,
            other => panic!("{other:?}"),
        }
    };
    let (api, link) = ("https://bank.example/a", "http://bank.example/a?p=2");
    assert_eq!(step(true, api, link), "https://bank.example/a?p=2");
    assert_eq!(step(true, api, "http://bank.example:80/a?p=2"), "https://bank.example/a?p=2");
    assert_eq!(
        step(true, api, "http://bank.example:8080/a"),
        "http://bank.example:8080/a",
        "another port is another host"
    );
    assert_eq!(step(true, "http://bank.example/a", link), link);
    assert_eq!(step(false, api, link), link, "which is refused where it would be asked for");
}
