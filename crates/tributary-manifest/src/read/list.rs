//! Whether an answer is the list that it is taken for. A filter such as `(.items // [])[]` finds no
//! record in an empty list, in an error that came with status 200, and in the answer to another
//! question: only the first of them may end a walk, cancel what is not listed, or move a watermark.

use jaq_json::Val;

use crate::jq::{FilterError, Limits, Scope, holds};
use crate::manifest::Writing;
use crate::plan::Stream;

/// How many names of members an error shows.
const NAMES: usize = 8;

/// Where the records of an answer come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    /// From a list in it: one bad record does not say anything of the others.
    #[default]
    List,
    /// The answer, or a member of it, is the record.
    Itself,
}

/// Shows that `answer`, in which `count` records were found, is what the stream asks for. The error
/// says what it is instead.
pub fn prove(
    stream: &Stream,
    answer: &Val,
    count: usize,
    scope: &Scope,
    limits: Limits,
) -> Result<Source, FilterError> {
    if let Some(when) = &stream.list_when {
        return match when.run_one(answer.clone(), scope, limits) {
            Ok(said) if holds(&said) => Ok(Source::List),
            Ok(_) => Err(when.error(format!("does not hold: the answer is {}", described(answer)))),
            Err(error) => Err(when.error(format!("{}: the answer is {}", error.message, described(answer)))),
        };
    }
    let found = |stand_in: &Val| stream.records.run(with_lists(answer, stand_in), scope, limits);
    if count == 0 {
        // a list that is there is looked into: another thing in its place is noticed
        let list = Val::Arr(vec![Val::obj(Default::default())].into());
        let noticed = |stand_in| found(stand_in).map_or(true, |records| !records.is_empty());
        return match noticed(&Val::Bool(true)) || noticed(&list) {
            true => no_error(stream, answer),
            false => Err(stream.records.error(format!(
                "finds no list: the answer is {}; where an answer without a list is an empty one, say by which \
                 it is known (`list_when`)",
                described(answer)
            ))),
        };
    }
    if let Val::Arr(values) = answer {
        let by_lines = stream.read_as.as_ref().is_some_and(|read_as| read_as.written == Writing::Ndjson);
        return match by_lines {
            // a line may say that the others are a part
            true => values.iter().try_fold(Source::List, |_, line| no_error(stream, line)),
            false => Ok(Source::List),
        };
    }
    let bare = with_lists(answer, &Val::Arr(Vec::new().into()));
    let Ok(others @ 1..) = stream.records.run(bare.clone(), scope, limits).map(|records| records.len())
    else {
        return no_error(stream, answer);
    };
    let widened = stream.records.run(with_another_member(&bare), scope, limits);
    if widened.map_or(true, |records| records.len() > others) {
        return Err(stream.records.error(format!(
            "takes the members of an object for the records of a list: the answer is {}; where that is right, \
             say by which such an answer is known (`list_when`)",
            described(answer)
        )));
    }
    Ok(Source::Itself)
}

/// An answer that lists and says that something went wrong lists only a part.
fn no_error(stream: &Stream, answer: &Val) -> Result<Source, FilterError> {
    let Val::Obj(members) = answer else { return Ok(Source::List) };
    let wrong = members.iter().find_map(|(name, value)| {
        let name = crate::jq::text(name)?;
        let named = name.eq_ignore_ascii_case("error") || name.eq_ignore_ascii_case("errors");
        (named && holds(value) && !is_empty(value)).then_some(name)
    });
    match wrong {
        None => Ok(Source::List),
        Some(name) => Err(stream.records.error(format!(
            "the answer says that something went wrong (it has {name:?}), so that what it lists may be a part; \
             where that is right, say so (`list_when: true`)"
        ))),
    }
}

fn is_empty(value: &Val) -> bool {
    match value {
        Val::Arr(items) => items.is_empty(),
        Val::Obj(members) => members.is_empty(),
        Val::TStr(text) => text.is_empty(),
        _ => false,
    }
}

/// `value` with `stand_in` in the place of each list that is in no other.
fn with_lists(value: &Val, stand_in: &Val) -> Val {
    match value {
        Val::Arr(_) => stand_in.clone(),
        Val::Obj(members) => Val::obj(
            members.iter().map(|(name, value)| (name.clone(), with_lists(value, stand_in))).collect(),
        ),
        other => other.clone(),
    }
}

/// `value` with one member more in each object, equal to one that is there.
fn with_another_member(value: &Val) -> Val {
    let Val::Obj(members) = value else { return value.clone() };
    let mut widened: Vec<(Val, Val)> =
        members.iter().map(|(name, value)| (name.clone(), with_another_member(value))).collect();
    if let Some((_, value)) = widened.last() {
        widened.push((Val::from("\u{1}another".to_owned()), value.clone()));
    }
    Val::obj(widened.into_iter().collect())
}

/// What kind of value an answer is, without anything that it says.
fn described(answer: &Val) -> String {
    match answer {
        Val::Null => "null".to_owned(),
        Val::Bool(_) => "true or false".to_owned(),
        Val::Num(_) => "a number".to_owned(),
        Val::TStr(_) | Val::BStr(_) => "a text".to_owned(),
        Val::Arr(_) => "a list".to_owned(),
        Val::Obj(members) if members.is_empty() => "an empty object".to_owned(),
        Val::Obj(members) => {
            let names: Vec<String> = members.keys().take(NAMES).filter_map(crate::jq::text).collect();
            let more = if members.len() > NAMES { ", …" } else { "" };
            format!("an object of {}{more}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Val {
        crate::jq::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_is_described_by_what_it_is_and_not_by_what_it_says() {
        for (answer, told) in [
            ("null", "null"),
            ("true", "true or false"),
            ("17", "a number"),
            (r#""secret""#, "a text"),
            ("[]", "a list"),
            ("{}", "an empty object"),
            (r#"{"a": "secret", "b": 2}"#, "an object of a, b"),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1}"#, "an object of a, b, c, d, e, f, g, h"),
            (
                r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}"#,
                "an object of a, b, c, d, e, f, g, h, …",
            ),
        ] {
            assert_eq!(described(&json(answer)), told);
        }
    }

    #[test]
    fn an_error_that_says_nothing_is_none() {
        for (value, empty) in
            [("[]", true), ("{}", true), (r#""""#, true), ("[1]", false), (r#"{"a":1}"#, false), ("0", false)]
        {
            assert_eq!(is_empty(&json(value)), empty, "{value}");
        }
    }
}
