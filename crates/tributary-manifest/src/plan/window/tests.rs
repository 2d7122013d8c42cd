use super::*;
use crate::manifest::TimeFormat;
use crate::time::instant;

fn at(text: &str) -> DateTime<Utc> {
    instant(text).unwrap()
}

fn edge(param: &str, bound: Bound, format: TimeFormat) -> Edge {
    Edge { param: Param::Query(param.to_owned()), bound, format }
}

/// Asks `since` inclusively, as far back as 180 days, an hour again.
fn window(to: Option<Edge>) -> Window {
    Window {
        cursor: Filter::compile("feed", "changes.by", "", ".updatedAt").unwrap(),
        from: edge("since", Bound::Inclusive, TimeFormat::Millis),
        to,
        lookback: TimeDelta::hours(1),
        settle: TimeDelta::zero(),
        start: TimeDelta::days(180),
        step: None,
        halving: None,
    }
}

/// What is sent for `walk`: parameters and their texts.
fn sent_for(window: &Window, walk: &Walk) -> Vec<(String, String)> {
    let text = |(param, value): (&Param, Val)| match param {
        Param::Query(name) => (name.clone(), crate::jq::scalar(&value).unwrap()),
        other => panic!("{other:?}"),
    };
    window.query(walk).into_iter().map(text).collect()
}

fn asked(window: &Window, walk: &Walk) -> Vec<String> {
    sent_for(window, walk).into_iter().map(|(param, value)| format!("{param}={value}")).collect()
}

fn newest(window: &Window, newest: &str, now: &str) -> Walk {
    Walk { newest: Some(at(newest)), ..window.open(None, None, at(now)) }
}

#[test]
fn the_first_window_begins_as_far_back_as_the_api_answers() {
    let window = window(None);
    assert_eq!(
        asked(&window, &window.open(None, None, at("2026-07-01T00:00:00Z"))),
        ["since=2026-01-02T00:00:00.000Z"]
    );
}

#[test]
fn later_windows_ask_again_for_the_lookback_in_utc_and_never_round_up() {
    let window = window(None);
    let walk = window.open(Some(at("2026-03-01T14:00:00.1239999+02:00")), None, at("2026-03-02T00:00:00Z"));
    assert_eq!(asked(&window, &walk), ["since=2026-03-01T11:00:00.123Z"]);
}

#[test]
fn an_account_that_was_quiet_for_longer_than_the_api_goes_back_can_still_be_asked_for() {
    let window = window(None);
    let walk = window.open(Some(at("2025-01-01T00:00:00Z")), None, at("2026-07-01T00:00:00Z"));
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
    let empty = window.open(None, None, at("2026-03-02T00:00:00Z"));
    assert_eq!((window.close(Some(later), &empty), window.close(None, &empty)), (Some(later), None));
    let walk = newest(&window, "2099-01-01T00:00:00Z", "2026-03-02T00:00:00Z");
    assert_eq!(window.close(None, &walk), Some(at("2026-03-02T00:00:00Z")));
}

#[test]
fn where_the_api_takes_an_end_the_watermark_is_the_end_and_what_may_be_incomplete_stays_out() {
    let mut window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Millis)));
    window.settle = TimeDelta::minutes(5);
    let walk = window.open(None, None, at("2026-03-02T00:00:00Z"));
    assert_eq!(asked(&window, &walk)[1], "to=2026-03-01T23:55:00.000Z");
    assert_eq!(window.close(None, &walk), Some(at("2026-03-01T23:55:00Z")));
}

#[test]
fn what_is_not_settled_yet_holds_the_watermark_back() {
    let window = Window { settle: TimeDelta::minutes(5), ..window(None) };
    let walk = newest(&window, "2099-01-01T00:00:00Z", "2026-03-02T00:00:00Z");
    assert_eq!(window.close(None, &walk), Some(at("2026-03-01T23:55:00Z")));
}

#[test]
fn the_newest_window_ends_where_the_first_one_would_have() {
    let now = at("2026-03-02T00:00:00Z");
    let mut window = Window { settle: TimeDelta::minutes(5), ..window(None) };
    let begins = |window: &Window| {
        let watermark = window.newest(now, TimeDelta::days(1));
        window.open(Some(watermark), None, now).from.unwrap()
    };
    assert_eq!(begins(&window), at("2026-02-28T23:55:00Z"), "the span before what is settled");
    window.step = Some(TimeDelta::days(4));
    assert_eq!(begins(&window), at("2026-02-25T23:55:00Z"), "a window of its own length");
}

#[test]
fn no_window_is_empty_when_it_is_sent() {
    let mut window = window(Some(edge("to", Bound::Exclusive, TimeFormat::Micros)));
    window.from.format = TimeFormat::Micros;
    let now = at("2026-03-02T00:00:00Z");
    let walk = Walk { until: Some(now), from: Some(now), ..whole(now) };
    let limits = ["since=2026-03-02T00:00:00.000000Z", "to=2026-03-02T00:00:00.000001Z"];
    assert_eq!(asked(&window, &walk), limits);
}

#[test]
fn a_window_that_was_halved_grows_back_to_its_step() {
    let mut window = window(Some(edge("to", Bound::Exclusive, TimeFormat::Millis)));
    (window.step, window.start) = (Some(TimeDelta::days(4)), TimeDelta::days(40));
    window.halving = Some(Halving { at: None, shortest: TimeDelta::hours(1) });
    let days = |walk: &Walk| (walk.until.unwrap() - walk.from.unwrap()).num_hours() / 24;
    let whole = window.open(None, None, at("2026-03-11T00:00:00Z"));
    assert_eq!((days(&whole), whole.longest_us), (4, None));
    let quarter = window.halved(&window.halved(&whole).unwrap()).unwrap();
    assert_eq!(
        (days(&quarter), quarter.longest_us),
        (1, Some(86_400_000_000)),
        "a run that is killed goes on with it"
    );
    let half = window.next(&quarter).unwrap();
    assert_eq!((days(&half), half.longest_us), (2, Some(2 * 86_400_000_000)));
    let grown = window.next(&half).unwrap();
    assert_eq!((days(&grown), grown.longest_us), (4, None));
    let shortest = Walk { until: whole.from.map(|from| from + TimeDelta::hours(1)), ..whole };
    assert_eq!(window.halved(&shortest), None);
}

#[test]
fn a_step_has_room_for_the_units_of_its_limits_and_for_hours_that_come_twice() {
    let pattern = |text: &str| {
        let zone = Some("Europe/Berlin".to_owned());
        TimeFormat::Pattern(crate::manifest::TimePattern::new(text.to_owned(), zone))
    };
    let (minutes, days) = ("%Y-%m-%d %H:%M", "%d.%m.%Y");
    let (minute, hour) = (TimeDelta::minutes(1), TimeDelta::hours(1));
    for (from, to, shortest) in [
        ((Bound::Inclusive, minutes), (Bound::Exclusive, minutes), minute + hour * 2),
        ((Bound::Exclusive, minutes), (Bound::Exclusive, minutes), minute * 2 + hour * 2),
        ((Bound::Inclusive, minutes), (Bound::Inclusive, minutes), minute * 2 + hour * 2),
        ((Bound::Inclusive, minutes), (Bound::Inclusive, days), TimeDelta::days(1) + hour),
        ((Bound::Inclusive, days), (Bound::Exclusive, minutes), TimeDelta::days(1) + hour),
    ] {
        let (from, to) = (edge("from", from.0, pattern(from.1)), edge("to", to.0, pattern(to.1)));
        assert_eq!(Window::shortest_step(&from, &to), shortest, "{from:?} {to:?}");
    }
}

#[test]
fn whichever_limits_are_excluded_no_instant_falls_between_two_windows() {
    for (format, from, to) in [
        (TimeFormat::Seconds, "2026-03-01T11:59:59Z", "2026-03-01T12:00:01Z"),
        (TimeFormat::Date, "2026-02-28", "2026-03-02"),
        (TimeFormat::UnixMillis, "1772366400122", "1772366400124"),
    ] {
        let mut window = window(Some(edge("to", Bound::Exclusive, format.clone())));
        window.from = edge("from", Bound::Exclusive, format.clone());
        let cut = at("2026-03-01T12:00:00.1235Z");
        let mut walk = window.open(None, None, cut);
        assert_eq!(asked(&window, &walk)[1], format!("to={to}"), "{format:?}: includes the cut");
        walk.from = Some(cut);
        assert_eq!(asked(&window, &walk)[0], format!("from={from}"), "{format:?}: includes the cut");
    }
    let window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Date)));
    let walk = window.open(None, None, at("2026-03-01T12:00:00Z"));
    assert_eq!(asked(&window, &walk)[1], "to=2026-03-01", "the day is included to its end");
}

#[test]
fn a_long_stretch_is_asked_for_step_by_step_and_each_step_counts() {
    let mut window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Millis)));
    window.start = TimeDelta::days(10);
    window.step = Some(TimeDelta::days(4));
    let now = at("2026-03-11T00:00:00Z");
    let mut walk = window.open(None, None, now);
    let mut ends = vec![window.close(None, &walk).unwrap()];
    while let Some(next) = window.next(&walk) {
        assert_eq!(next.from, walk.until, "windows touch");
        ends.push(window.close(None, &next).unwrap());
        walk = next;
    }
    // the last millisecond belongs to the window
    let ends_wanted = ["2026-03-04T23:59:59.999Z", "2026-03-08T23:59:59.998Z", "2026-03-11T00:00:00Z"];
    assert_eq!(ends, ends_wanted.map(at));
}

#[test]
fn a_walk_back_ends_the_lookback_before_what_was_read_and_never_further_than_it_may() {
    let descending = Descending {
        cursor: Filter::compile("payments", "creations.by", "", ".createdAt").unwrap(),
        lookback: TimeDelta::days(2),
        start: TimeDelta::days(100),
    };
    let now = at("2026-07-01T00:00:00Z");
    assert_eq!(descending.end(None, now), now - TimeDelta::days(100));
    assert_eq!(descending.end(Some(at("2026-06-20T00:00:00Z")), now), at("2026-06-18T00:00:00Z"));
    assert_eq!(descending.end(Some(at("2020-01-01T00:00:00Z")), now), now - TimeDelta::days(100));
}

/// What a sent limit of this format is read as.
fn read(format: &TimeFormat, sent: &str) -> DateTime<Utc> {
    match format {
        TimeFormat::Date => at(&format!("{sent}T00:00:00Z")),
        TimeFormat::UnixSeconds => DateTime::from_timestamp(sent.parse().unwrap(), 0).unwrap(),
        TimeFormat::UnixMillis => DateTime::from_timestamp_millis(sent.parse().unwrap()).unwrap(),
        _ => at(sent),
    }
}

/// Of what is sent for `walk`: the limits, and from when until before when the API answers.
fn sent(window: &Window, walk: &Walk) -> [DateTime<Utc>; 4] {
    let to = window.to.as_ref().unwrap();
    let query = sent_for(window, walk);
    let (lower, upper) = (read(&window.from.format, &query[0].1), read(&to.format, &query[1].1));
    let excluded =
        if window.from.bound == Bound::Exclusive { window.from.format.unit() } else { TimeDelta::zero() };
    let included = if to.bound == Bound::Inclusive { to.format.unit() } else { TimeDelta::zero() };
    [lower, upper, lower + excluded, upper + included]
}

const FORMATS: [TimeFormat; 6] = [
    TimeFormat::Seconds,
    TimeFormat::Millis,
    TimeFormat::Micros,
    TimeFormat::Date,
    TimeFormat::UnixSeconds,
    TimeFormat::UnixMillis,
];

fn bound() -> impl proptest::strategy::Strategy<Value = Bound> {
    proptest::sample::select(vec![Bound::Inclusive, Bound::Exclusive])
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4000))]

    #[test]
    fn no_window_spans_more_than_a_step_and_no_instant_falls_between_two(
        bounds in (bound(), bound()),
        formats in (proptest::sample::select(FORMATS.to_vec()), proptest::sample::select(FORMATS.to_vec())),
        longer in proptest::sample::select(vec![0, 1, 59, 3_600, 86_399, 86_400, 7 * 86_400]),
        steps in 1..20_i32,
        more_us in 0..86_400_000_000_i64,
        now_us in 1_700_000_000_000_000..1_800_000_000_000_000_i64,
        settle in proptest::sample::select(vec![0, 1, 90, 86_400]),
        whole_seconds in proptest::bool::ANY,
    ) {
        let mut window = window(Some(edge("to", bounds.1, formats.1.clone())));
        window.from = edge("from", bounds.0, formats.0.clone());
        let shortest = Window::shortest_step(&window.from, window.to.as_ref().unwrap());
        // a period of a manifest has whole seconds
        let seconds = (shortest.num_microseconds().unwrap() + 999_999) / 1_000_000;
        let step = TimeDelta::seconds(seconds + longer);
        window.step = Some(step);
        window.settle = TimeDelta::seconds(settle);
        window.start = step * steps + TimeDelta::microseconds(more_us % step.num_microseconds().unwrap());
        let now_us = if whole_seconds { now_us / 86_400_000_000 * 86_400_000_000 } else { now_us };
        let now = DateTime::from_timestamp_micros(now_us).unwrap();

        let first = window.open(None, None, now);
        let (begin, end) = (now - window.start, (now - window.settle).max(now - window.start));
        let (mut walk, mut windows) = (first.clone(), 0);
        let [_, _, mut covered, _] = sent(&window, &first);
        proptest::prop_assert!(covered <= begin, "begins at {covered} and not at {begin}");
        loop {
            let [lower, upper, answered_from, answered_until] = sent(&window, &walk);
            proptest::prop_assert!(upper - lower <= step, "{lower} to {upper} is longer than {step}");
            proptest::prop_assert!(answered_until - answered_from <= step, "{answered_from} to {answered_until}: {step}");
            proptest::prop_assert!(answered_from < answered_until);
            // from limit to limit, an instant between the last written time and the next belongs to
            // nobody; so what is left over to the next window begins at the limit itself
            proptest::prop_assert!(answered_from <= covered, "nobody asks for {covered} to {answered_from}");
            let whole_day = (bounds.1, &formats.1) == (Bound::Inclusive, &TimeFormat::Date);
            covered = if whole_day { answered_until } else { upper };
            windows += 1;
            proptest::prop_assert!(windows < 2_000, "no window gets ahead");
            match window.next(&walk) {
                Some(next) => {
                    proptest::prop_assert_eq!(next.from, walk.until, "windows touch");
                    proptest::prop_assert!(next.until > next.from);
                    walk = next;
                }
                None => break,
            }
        }
        proptest::prop_assert!(covered >= end, "ends at {covered} and not at {end}");
    }
}

#[test]
fn seven_days_are_seven_days_to_the_millisecond() {
    let mut window = window(Some(edge("to", Bound::Inclusive, TimeFormat::Millis)));
    window.step = Some(TimeDelta::days(7));
    let walk = window.open(None, None, at("2026-07-01T12:34:56.789012Z"));
    let [lower, upper, ..] = sent(&window, &walk);
    assert!(upper - lower <= TimeDelta::days(7), "{:?}", asked(&window, &walk));
}

#[test]
fn a_lookback_longer_than_a_step_is_asked_for_in_several_windows() {
    let mut window = window(Some(edge("to", Bound::Exclusive, TimeFormat::Date)));
    window.from = edge("from", Bound::Inclusive, TimeFormat::Date);
    (window.step, window.lookback) = (Some(TimeDelta::days(7)), TimeDelta::days(30));
    let watermark = at("2026-06-30T00:00:00Z");
    let mut walk = window.open(Some(watermark), None, at("2026-07-01T00:00:00Z"));
    let (mut asked_for, mut reached) =
        (vec![asked(&window, &walk).join(" ")], window.close(Some(watermark), &walk));
    while let Some(next) = window.next(&walk) {
        assert_eq!(reached, Some(watermark), "what is listed again moves nothing back");
        asked_for.push(asked(&window, &next).join(" "));
        (reached, walk) = (window.close(reached, &next), next);
    }
    assert_eq!(asked_for.len(), 5);
    assert_eq!(
        (asked_for[0].as_str(), asked_for[4].as_str()),
        ("from=2026-05-31 to=2026-06-07", "from=2026-06-28 to=2026-07-01")
    );
    assert_eq!(reached, Some(at("2026-07-01T00:00:00Z")));
}

#[test]
fn windows_by_the_clock_of_a_zone_touch_over_the_hours_that_it_shows_twice_and_skips() {
    let berlin = chrono_tz::Tz::Europe__Berlin;
    for (pattern, bound, step) in [
        ("%Y-%m-%d %H:%M", Bound::Exclusive, TimeDelta::hours(6)),
        ("%Y-%m-%d %H:%M:%S", Bound::Inclusive, TimeDelta::hours(5)),
        ("%Y-%m-%d %H", Bound::Exclusive, TimeDelta::hours(8)),
        ("%d.%m.%Y", Bound::Inclusive, TimeDelta::days(1)),
        ("%d.%m.%Y", Bound::Exclusive, TimeDelta::days(1)),
    ] {
        let days = ["2026-10-27T12:34:56Z", "2026-03-30T12:34:56Z"].map(at);
        // so that limits lie everywhere around the hour
        let hours = || (0..8).map(|quarters| TimeDelta::minutes(45) * quarters);
        for now in days.into_iter().flat_map(|day| hours().map(move |hours| day + hours)) {
            let format = TimeFormat::Pattern(crate::manifest::TimePattern::new(
                pattern.to_owned(),
                Some(berlin.name().to_owned()),
            ));
            let mut window = window(Some(edge("to", bound, format.clone())));
            window.from = edge("from", Bound::Inclusive, format.clone());
            (window.step, window.start) = (Some(step), TimeDelta::days(4));
            assert!(Window::shortest_step(&window.from, window.to.as_ref().unwrap()) <= step, "{pattern}");
            // what an API that reads a limit in the later of two hours, or in the earlier one, answers with
            let read = |text: &str, later: bool| {
                let local = chrono::NaiveDateTime::parse_from_str(text, pattern)
                    .or_else(|_| {
                        chrono::NaiveDateTime::parse_from_str(&format!("{text}:00"), &format!("{pattern}:%M"))
                    })
                    .or_else(|_| {
                        chrono::NaiveDate::parse_from_str(text, pattern)
                            .map(|day| day.and_time(chrono::NaiveTime::MIN))
                    })
                    .unwrap();
                match chrono::TimeZone::from_local_datetime(&berlin, &local) {
                    chrono::LocalResult::Ambiguous(first, second) => {
                        if later { second } else { first }.to_utc()
                    }
                    other => other.single().unwrap().to_utc(),
                }
            };
            let mut windows = 0;
            let mut walk = window.open(None, None, now);
            let mut covered = walk.from.unwrap();
            loop {
                let sent = sent_for(&window, &walk);
                for later in [false, true] {
                    assert!(
                        read(&sent[0].1, later) <= covered,
                        "{pattern}: {sent:?} begins behind {covered}"
                    );
                    let until = read(&sent[1].1, later);
                    let until = if bound == Bound::Inclusive { format.after(until) } else { until };
                    assert!(until >= walk.until.unwrap(), "{pattern}: {sent:?} ends before {:?}", walk.until);
                }
                let (earliest, latest) = (read(&sent[0].1, false), read(&sent[1].1, true));
                let is_daily = step == TimeDelta::days(1);
                assert!(
                    is_daily || latest - earliest <= step,
                    "{pattern}: {sent:?} may be read as longer than {step}"
                );
                (covered, windows) = (walk.until.unwrap(), windows + 1);
                assert!(windows < 200, "{pattern}: no window gets ahead");
                match window.next(&walk) {
                    Some(next) => walk = next,
                    None => break,
                }
            }
            assert!(covered >= now, "{pattern}");
        }
    }
}
