//! Putting JSON values into fields, with Go's rules for what happens to the value
//! that a field had before.

use std::collections::BTreeMap;

use super::{JsonError, Raw, text};
use crate::gotime::GoTime;

/// Text to text, as metadata is; `None` is Go's nil map.
pub type TextMap = Option<BTreeMap<String, String>>;

/// Assigns an object member by member: `assign` gets each key folded to upper
/// case, and its value. `null` assigns nothing. `field` names the target in
/// errors.
pub fn object<'a>(
    raw: Raw<'a>,
    field: &str,
    mut assign: impl FnMut(&str, Raw<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if raw.is_null() {
        return Ok(());
    }
    let mut members = raw.members().ok_or_else(|| mismatch(raw, field))?;
    members.try_for_each(|(key, value)| assign(&text::fold(&key), value))
}

/// Assigns an array. `null` empties the list. Elements that the list already had
/// are assigned over, not replaced, so a repeated key merges into them.
pub fn list<'a, T: Default>(
    raw: Raw<'a>,
    field: &str,
    target: &mut Vec<T>,
    mut assign: impl FnMut(Raw<'a>, &mut T) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if raw.is_null() {
        target.clear();
        return Ok(());
    }
    let elements = raw.elements().ok_or_else(|| mismatch(raw, field))?;
    let mut count = 0;
    for element in elements {
        if count == target.len() {
            target.push(T::default());
        }
        assign(element, &mut target[count])?;
        count += 1;
    }
    target.truncate(count);
    Ok(())
}

/// Assigns a string. `null` leaves the field as it was.
pub fn string(raw: Raw<'_>, field: &str, target: &mut String) -> Result<(), JsonError> {
    if !raw.is_null() {
        *target = raw.string().ok_or_else(|| mismatch(raw, field))?;
    }
    Ok(())
}

/// Assigns a string that may be absent. `null` makes it absent.
pub fn optional(raw: Raw<'_>, field: &str, target: &mut Option<String>) -> Result<(), JsonError> {
    *target = match raw.string() {
        None if !raw.is_null() => return Err(mismatch(raw, field)),
        text => text,
    };
    Ok(())
}

/// Assigns a map of strings. `null` makes it nil; a `null` value is an empty
/// string; a repeated key of the map's field adds to the map.
pub fn text_map(raw: Raw<'_>, field: &str, target: &mut TextMap) -> Result<(), JsonError> {
    if raw.is_null() {
        *target = None;
        return Ok(());
    }
    let members = raw.members().ok_or_else(|| mismatch(raw, field))?;
    let map = target.get_or_insert_default();
    for (key, value) in members {
        let mut text = String::new();
        string(value, field, &mut text)?;
        map.insert(key, text);
    }
    Ok(())
}

/// Assigns a time. `null` leaves the field as it was.
pub fn time(raw: Raw<'_>, field: &str, target: &mut GoTime) -> Result<(), JsonError> {
    let time = GoTime::from_json(raw.literal())
        .map_err(|source| JsonError::Time { field: field.to_owned(), source })?;
    *target = time.unwrap_or(*target);
    Ok(())
}

/// Assigns a value of a closed list, which `known` looks up. `null` counts as an
/// empty string, so it is an error where an absent key is none.
pub fn enumeration<T>(
    raw: Raw<'_>,
    field: &str,
    target: &mut T,
    known: impl FnOnce(&str) -> Option<T>,
) -> Result<(), JsonError> {
    let mut value = String::new();
    string(raw, field, &mut value)?;
    *target = known(&value).ok_or_else(|| JsonError::Enum { field: field.to_owned(), value })?;
    Ok(())
}

fn mismatch(raw: Raw<'_>, field: &str) -> JsonError {
    JsonError::Type { found: raw.type_name(), field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes()).unwrap()
    }

    fn names(text: &str, target: &mut Vec<String>) -> Result<(), JsonError> {
        list(raw(text), "names", target, |element, name| string(element, "names", name))
    }

    #[test]
    fn null_leaves_a_string_but_clears_what_may_be_absent() {
        let mut name = "kept".to_owned();
        string(raw("null"), "name", &mut name).unwrap();
        assert_eq!(name, "kept");

        let mut related = Some("dropped".to_owned());
        optional(raw("null"), "related", &mut related).unwrap();
        assert_eq!(related, None);
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let expected = Err(JsonError::Type { found: "number", field: "name".into() });
        assert_eq!(string(raw("7"), "name", &mut String::new()), expected);
        assert_eq!(optional(raw("7"), "name", &mut None), expected);
        assert_eq!(text_map(raw("7"), "name", &mut None), expected);
        assert_eq!(object(raw("7"), "name", |_, _| Ok(())), expected);
    }

    #[test]
    fn keys_match_in_any_case_and_the_last_one_counts() {
        let mut id = String::new();
        object(raw(r#"{"ID":"a","x":1,"iD":"b","id":null}"#), "row", |key, value| match key {
            "ID" => string(value, "id", &mut id),
            _ => Ok(()),
        })
        .unwrap();
        assert_eq!(id, "b");
    }

    #[test]
    fn a_repeated_list_is_assigned_over_the_first() {
        let mut target = Vec::new();
        names(r#"["a","b","c"]"#, &mut target).unwrap();
        names(r#"[null,"d"]"#, &mut target).unwrap();
        assert_eq!(target, ["a", "d"]);
        names("null", &mut target).unwrap();
        assert!(target.is_empty());
    }

    #[test]
    fn a_repeated_map_adds_to_the_first_and_null_values_are_empty() {
        let mut map = None;
        text_map(raw(r#"{"a":"1","b":"2"}"#), "metadata", &mut map).unwrap();
        text_map(raw(r#"{"b":null,"c":"3"}"#), "metadata", &mut map).unwrap();
        let expected = [("a", "1"), ("b", ""), ("c", "3")];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(map, Some(BTreeMap::from(expected)));
        text_map(raw("null"), "metadata", &mut map).unwrap();
        assert_eq!(map, None);
    }

    #[test]
    fn null_is_not_a_value_of_a_closed_list() {
        let known = |text: &str| (text == "A").then_some('A');
        let mut target = '-';
        enumeration(raw(r#""\u0041""#), "letter", &mut target, known).unwrap();
        assert_eq!(target, 'A');
        let error = enumeration(raw("null"), "letter", &mut target, known).unwrap_err();
        assert_eq!(error.to_string(), r#""" is not a valid letter"#);
    }

    #[test]
    fn null_leaves_a_time_as_it_was() {
        let before = GoTime::from_unix(5, 0);
        let mut at = before;
        time(raw("null"), "at", &mut at).unwrap();
        assert_eq!(at, before);
        assert!(time(raw("5"), "at", &mut at).is_err());
    }
}
