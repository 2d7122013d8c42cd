use super::*;

fn read(text: &str) -> GoTime {
    GoTime::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_time_is_printed_in_its_own_offset_without_trailing_zeros() {
    for (given, printed) in [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.120Z", "2026-03-01T12:00:00.12Z"),
        ("2026-03-01T12:00:00.000000042Z", "2026-03-01T12:00:00.000000042Z"),
        ("2026-03-01T14:00:00.5+02:00", "2026-03-01T14:00:00.5+02:00"),
        ("2026-02-28T23:30:00-00:30", "2026-02-28T23:30:00-00:30"),
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ] {
        assert_eq!(read(given).to_json_text().unwrap(), printed, "{given}");
    }
}

#[test]
fn go_reads_some_times_that_rfc_3339_does_not_know() {
    for (given, printed) in [
        ("2026-03-01T1:00:00Z", "2026-03-01T01:00:00Z"),
        ("2026-03-01T01:00:00,25Z", "2026-03-01T01:00:00.25Z"),
        ("2026-03-01T01:00:00.1234567899Z", "2026-03-01T01:00:00.123456789Z"),
        ("2026-03-01T01:00:00+22:60", "2026-03-01T01:00:00+23:00"),
    ] {
        assert_eq!(read(given).to_string(), printed, "{given}");
    }
}

#[test]
fn what_go_cannot_read_is_refused() {
    for text in [
        "",
        "yesterday",
        "2024-01-01",
        "2024-01-01T10:00:00",
        "2024-01-01 10:00:00Z",
        "2024-01-01t10:00:00z",
        "2024-1-01T10:00:00Z",
        "2024-00-01T10:00:00Z",
        "2024-13-01T10:00:00Z",
        "2023-02-29T10:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T10:00:60Z",
        "2024-01-01T10:00:00.Z",
        "2024-01-01T10:00:00+2:00",
        "2024-01-01T10:00:00+0200",
        "2024-01-01T10:00:00+25:00",
        "2024-01-01T10:00:00+02:61",
        "2024-01-01T10:00:00ZZ",
        "+024-01-01T10:00:00Z",
        "12024-01-01T10:00:00Z",
    ] {
        let error = GoTime::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error, TimeError::Malformed(text.into()), "{text}");
    }
}

#[test]
fn a_time_that_was_read_may_still_not_be_printable() {
    let day_east = read("2026-03-01T01:00:00+24:00");
    assert_eq!(day_east.to_json_text(), Err(TimeError::OffsetOutOfRange(86_400)));
    let year_10000 = GoTime::from_unix(read("9999-12-31T23:59:59Z").unix_seconds() + 1, 0);
    assert_eq!(year_10000.to_json_text(), Err(TimeError::YearOutOfRange(10_000)));
}

#[test]
fn the_query_parameter_is_utc_and_cut_to_seconds_not_rounded() {
    assert_eq!(read("2026-03-01T14:00:01.999999999+02:00").to_utc_seconds(), "2026-03-01T12:00:01Z");
    assert_eq!(read("0000-01-01T00:00:00+02:00").to_utc_seconds(), "-0001-12-31T22:00:00Z");
}

#[test]
fn times_compare_by_instant_to_the_nanosecond() {
    assert_eq!(read("2026-03-01T14:00:00+02:00"), read("2026-03-01T12:00:00Z"));
    assert!(read("2026-03-01T12:00:00.000000001Z") > read("2026-03-01T12:00:00Z"));
    assert!(read("0000-12-31T23:59:59.9Z") < GoTime::ZERO);
}

#[test]
fn zero_is_an_instant_in_whatever_offset() {
    assert!(read("0001-01-01T00:00:00Z").is_zero());
    assert!(read("0001-01-01T02:00:00+02:00").is_zero());
    assert!(!read("0001-01-01T00:00:00.000000001Z").is_zero());
    assert_eq!(GoTime::default().to_string(), "0001-01-01T00:00:00Z");
}

#[test]
fn in_json_null_is_no_time_and_escapes_are_not_resolved() {
    assert_eq!(GoTime::from_json(b"null"), Ok(None));
    assert_eq!(GoTime::from_json(b"1700000000"), Err(TimeError::NotAString));
    assert!(GoTime::from_json(br#""2026-03-01T12:00:00Z""#).is_ok());
    assert!(GoTime::from_json(br#""2026\u002d03-01T12:00:00Z""#).is_err());
}
