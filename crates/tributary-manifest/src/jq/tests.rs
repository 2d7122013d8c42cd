use std::time::Duration;

use tributary_domain::TooCostly;

use super::json::{BUDGET, NotJson};
use super::*;

fn limits() -> Limits {
    Limits { outputs: 10, deadline: Instant::now() + Duration::from_secs(60) }
}

fn scope() -> Scope {
    Scope {
        now: Val::from("2026-03-01T12:00:00.000000Z".to_owned()),
        parent: parse(b"{\"id\":\"p\"}").unwrap(),
        ..Scope::default()
    }
}

fn run(code: &str, input: &str) -> Result<Vec<String>, FilterError> {
    let filter = Filter::compile("feed", "map", "def twice: [., .];", code)?;
    let outputs = filter.run(parse(input.as_bytes()).unwrap(), &scope(), limits())?;
    Ok(outputs.iter().map(|output| String::from_utf8(to_json(output)).unwrap()).collect())
}

#[test]
fn filters_see_their_input_the_definitions_and_the_scope() {
    assert_eq!(run(".a[] | twice", r#"{"a":[1,2]}"#).unwrap(), ["[1,1]", "[2,2]"]);
    assert_eq!(run("[$now, $parent.id]", "null").unwrap(), [r#"["2026-03-01T12:00:00.000000Z","p"]"#]);
    assert_eq!(run(r#"select(.a == null)"#, r#"{"a":1}"#).unwrap(), [""; 0]);
}

#[test]
fn numbers_keep_their_digits() {
    let input = r#"{"big":9007199254740993,"huge":123456789012345678901234567890,"dec":10.10,"exp":1e2}"#;
    assert_eq!(run(".", input).unwrap(), [input]);
    assert_eq!(run(".big | tostring", input).unwrap(), [r#""9007199254740993""#]);
    assert_eq!(run(r#".dec | minor_units("GBP")"#, input).unwrap(), [r#""1010""#]);
    assert_eq!(run(r#".exp | minor_units("JPY")"#, input).unwrap(), [r#""100""#]);
    assert_eq!(run(r#""GBP", "JPY" | umn"#, "null").unwrap(), [r#""GBP/2""#, r#""JPY""#]);
}

#[test]
fn times_in_the_usual_forms_become_rfc_3339() {
    assert_eq!(run("parse_time", r#""2026-03-01 12:00:00""#).unwrap(), [r#""2026-03-01T12:00:00-00:00""#]);
    let of_seconds = run("parse_time", "5").unwrap_err().to_string();
    assert!(of_seconds.contains("5 is no time; of seconds since 1970 `todate` makes one"), "{of_seconds}");
}

#[test]
fn a_word_is_looked_for_among_others_as_in_jq() {
    assert_eq!(run(r#"IN("a", "b"), IN("c")"#, r#""a""#).unwrap(), ["true", "false"]);
    assert_eq!(run(r#"IN(.[]; 3, 4)"#, "[1, 4]").unwrap(), ["true"]);
}

#[test]
fn money_that_went_through_arithmetic_is_refused() {
    let error = run(r#".a * 100 | minor_units("GBP")"#, r#"{"a":10.1}"#).unwrap_err();
    assert!(error.message.contains("calculated"), "{error}");
}

#[test]
fn nothing_outside_the_cage_can_be_called() {
    for code in [
        "env",
        "$ENV",
        "now",
        "input",
        "inputs",
        "halt",
        "halt(0)",
        "halt_error",
        "debug",
        "debug(.)",
        "stderr",
        "localtime",
        "input_filename",
        "get_search_list",
        "getpath(env)",
    ] {
        let error = Filter::compile("feed", "map", "", code).unwrap_err();
        assert!(error.message.contains("undefined"), "{code}: {error}");
    }
    for functions in [r#"import "a" as $a;"#, r#"include "a";"#, r#"import "a" as a;"#] {
        assert!(Filter::compile("feed", "map", functions, ".").is_err(), "{functions}");
    }
}

#[test]
fn errors_name_stream_and_field_and_stay_readable() {
    let error = run(".a[] | {", "1").unwrap_err();
    assert!(error.to_string().starts_with("map of stream feed: expected"), "{error}");
    let error = run("nonsense(1)", "1").unwrap_err();
    assert!(error.to_string().contains("undefined filter nonsense"), "{error}");
    let long = format!(r#"{{"a":"{}"}}"#, "é".repeat(10_000));
    let error = run(".a.b", &long).unwrap_err();
    assert!(error.to_string().contains("cannot index") && error.to_string().len() < 400, "{error}");
}

#[test]
fn outputs_are_capped_and_an_endless_filter_meets_its_deadline() {
    assert_eq!(run("range(10)", "null").unwrap().len(), 10);
    assert!(run("range(11)", "null").unwrap_err().message.contains("more than 10"));
    let endless = Filter::compile("feed", "records", "", "repeat(1)").unwrap();
    let limits = Limits { outputs: usize::MAX, deadline: Instant::now() };
    assert!(endless.run(Val::Null, &scope(), limits).unwrap_err().message.contains("too long"));
}

#[test]
fn a_filter_for_one_value_yields_one() {
    let one =
        |code| Filter::compile("feed", "partition", "", code).unwrap().run_one(Val::Null, &scope(), limits());
    assert!(one("1").is_ok());
    assert!(one("empty").is_err());
    assert!(one("1, 2").is_err());
}

#[test]
fn only_strict_json_of_a_sane_depth_is_read() {
    for body in ["", "<html>", "nan", "# hi\n1", "1 2", "{\"a\":1", "b\"x\"", "{1:2}", "[1,]"] {
        assert!(matches!(parse(body.as_bytes()), Err(NotJson::Malformed(_))), "{body}");
    }
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let too_deep = NotJson::TooCostly(TooCostly::Depth(BUDGET.depth));
    assert!(parse(nested(BUDGET.depth).as_bytes()).is_ok());
    assert_eq!(parse(nested(BUDGET.depth + 1).as_bytes()), Err(too_deep.clone()));
    assert_eq!(parse("[".repeat(10_000_000).as_bytes()), Err(too_deep));
    let long = "9".repeat(1_000_000);
    assert_eq!(parse(long.as_bytes()), Err(NotJson::TooCostly(TooCostly::Digits(BUDGET.digits))));
    let many = format!("[{}0]", "0,".repeat(BUDGET.values));
    assert_eq!(parse(many.as_bytes()), Err(NotJson::TooCostly(TooCostly::Values(BUDGET.values))));
    assert!(parse(format!(r#"["\"{}"]"#, "[".repeat(1_000)).as_bytes()).is_ok());
}
