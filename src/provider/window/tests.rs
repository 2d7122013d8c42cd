use super::super::time::instant;
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    instant(text).unwrap()
}

fn edge(param: &str, bound: Bound, format: TimeFormat) -> Edge {
    Edge { param: param.to_owned(), bound, format }
}

/// Asks `since` inclusively, as far back as 180 days, an hour again.
fn window(to: Option<Edge>) -> Window {
    Window {
        cursor: Filter::compile("feed", "incremental.cursor", "", ".updatedAt").unwrap(),
        from: edge("since", Bound::Inclusive, TimeFormat::Millis),
        to,
        lookback: TimeDelta::hours(1),
        settle: TimeDelta::zero(),
        start: TimeDelta::days(180),
        step: None,
    }
}

fn asked(window: &Window, walk: &Walk) -> Vec<String> {
    window.query(walk).into_iter().map(|(param, value)| format!("{param}={value}")).collect()
}

fn newest(window: &Window, newest: &str, now: &str) -> Walk {
    Walk { newest: Some(at(newest)), ..window.open(None, at(now)) }
}

#[test]
fn the_first_window_begins_as_far_back_as_the_api_answers() {
    let window = window(None);
    assert_eq!(
        asked(&window, &window.open(None, at("2026-07-01T00:00:00Z"))),
        ["since=2026-01-02T00:00:00.000Z"]
    );
}

#[test]
fn later_windows_ask_again_for_the_lookback_in_utc_and_never_round_up() {
    let window = window(None);
    let walk = window.open(Some(at("2026-03-01T14:00:00.1239999+02:00")), at("2026-03-02T00:00:00Z"));
    assert_eq!(asked(&window, &walk), ["since=2026-03-01T11:00:00.123Z"]);
}

#[test]
fn an_account_that_was_quiet_for_longer_than_the_api_goes_back_can_still_be_asked_for() {
    let window = window(None);
    let walk = window.open(Some(at("2025-01-01T00:00:00Z")), at("2026-07-01T00:00:00Z"));
    assert_eq!(asked(&window, &walk), ["since=2026-01-02T00:00:00.000Z"]);
}

#[test]
fn the_watermark_follows_instants_never_goes_back_and_never_passes_the_question() {
    let window = window(None);
    let (earlier, later) = (at("2026-03-01T23:30:00+02:00"), at("2026-03-01T22:00:00Z"));
    let walk = newest(&window, "2026-03-01T22:00:00Z", "2026-03-02T00:00:00Z");
    assert_eq!(window.close(Some(earlier), &walk), Some(later));
    let walk = newest(&window, "2026-03-01T23:30:00+02:00", "2026-03-02T00:00:00Z");
    assert_eq!(window.close(Some(later), &walk), Some(later), "it never goes back");
    let empty = window.open(None, at("2026-03-02T00:00:00Z"));
    assert_eq!((window.close(Some(later), &empty), window.close(None, &empty)), (Some(later), None));
    let walk = newest(&window, "2099-01-01T00:00:00Z", "2026-03-02T00:00:00Z");
    assert_eq!(window.close(None, &walk), Some(at("2026-03-02T00:00:00Z")));
}

#[test]
fn where_the_api_takes_an_end_the_watermark_is_the_end_and_what_may_be_incomplete_stays_out() {
    let mut window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Millis)));
    window.settle = TimeDelta::minutes(5);
    let walk = window.open(None, at("2026-03-02T00:00:00Z"));
    assert_eq!(asked(&window, &walk)[1], "to=2026-03-01T23:55:00.000Z");
    assert_eq!(window.close(None, &walk), Some(at("2026-03-01T23:55:00Z")));
}

#[test]
fn whichever_limits_are_excluded_no_instant_falls_between_two_windows() {
    for (format, from, to) in [
        (TimeFormat::Seconds, "2026-03-01T11:59:59Z", "2026-03-01T12:00:01Z"),
        (TimeFormat::Date, "2026-02-28", "2026-03-02"),
        (TimeFormat::UnixMillis, "1772366400122", "1772366400124"),
    ] {
        let mut window = window(Some(edge("to", Bound::Exclusive, format)));
        window.from = edge("from", Bound::Exclusive, format);
        let cut = at("2026-03-01T12:00:00.1235Z");
        let mut walk = window.open(None, cut);
        assert_eq!(asked(&window, &walk)[1], format!("to={to}"), "{format:?}: includes the cut");
        walk.from = Some(cut);
        assert_eq!(asked(&window, &walk)[0], format!("from={from}"), "{format:?}: includes the cut");
    }
    let window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Date)));
    let walk = window.open(None, at("2026-03-01T12:00:00Z"));
    assert_eq!(asked(&window, &walk)[1], "to=2026-03-01", "the day is included to its end");
}

#[test]
fn a_long_stretch_is_asked_for_step_by_step_and_each_step_counts() {
    let mut window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Millis)));
    window.start = TimeDelta::days(10);
    window.step = Some(TimeDelta::days(4));
    let now = at("2026-03-11T00:00:00Z");
    let mut walk = window.open(None, now);
    let mut ends = vec![window.close(None, &walk).unwrap()];
    while let Some(next) = window.next(&walk) {
        assert_eq!(next.from, walk.until, "windows touch");
        ends.push(window.close(None, &next).unwrap());
        walk = next;
    }
    assert_eq!(ends, ["2026-03-05", "2026-03-09", "2026-03-11"].map(|day| at(&format!("{day}T00:00:00Z"))));
}

#[test]
fn a_walk_back_ends_the_lookback_before_what_was_read_and_never_further_than_it_may() {
    let descending = Descending {
        cursor: Filter::compile("payments", "incremental.cursor", "", ".createdAt").unwrap(),
        lookback: TimeDelta::days(2),
        start: TimeDelta::days(100),
    };
    let now = at("2026-07-01T00:00:00Z");
    assert_eq!(descending.end(None, now), now - TimeDelta::days(100));
    assert_eq!(descending.end(Some(at("2026-06-20T00:00:00Z")), now), at("2026-06-18T00:00:00Z"));
    assert_eq!(descending.end(Some(at("2020-01-01T00:00:00Z")), now), now - TimeDelta::days(100));
}
