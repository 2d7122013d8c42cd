//! Places in requests for what steps give. All requests of a payment are made when it is ordered, so that what
//! was approved is what is sent; what a step gives is put in where its place is.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tributary_domain::RecordId;

use crate::manifest::ProviderKeyFormat;
use crate::plan::encode;

/// What steps gave, by name: texts and numbers.
pub type Given = BTreeMap<String, Value>;

/// What stands in the requests of the order of `key` for what its step `name` gives: letters and digits, which go
/// through URLs, headers and JSON as they are, and which nobody can foresee who writes an order.
pub fn place(key: &str, name: &str) -> String {
    format!("PLACE{}", digest(&["place", key, name]))
}

/// A key that is the step's alone, written as `form` says; it follows from that of the payment.
pub fn step_key(key: &str, name: &str, form: ProviderKeyFormat) -> String {
    let digest = digest(&["step", key, name]);
    match form {
        ProviderKeyFormat::Text => digest.chars().take(key.chars().count()).collect(),
        ProviderKeyFormat::Uuid => {
            let bytes = u128::from_str_radix(&digest, 16).expect("it is hexadecimal");
            uuid::Builder::from_custom_bytes(bytes.to_be_bytes()).into_uuid().to_string()
        }
    }
}

/// 32 hexadecimal digits, in capitals.
fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize()[..16].iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Where a text stands, and so how a value is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    Url,
    Header,
    Json,
    /// JSON that is not sent: the places of steps that are yet to come stay in it.
    Record,
}

/// `text` with what was `given` in its places; the error names the step that gave nothing.
pub fn fill(text: &str, within: Within, key: &str, steps: &[&str], given: &Given) -> Result<String, String> {
    let mut filled = text.to_owned();
    for name in steps {
        let place = place(key, name);
        if !filled.contains(&place) {
            continue;
        }
        let Some(value) = given.get(*name) else {
            if within == Within::Record {
                continue;
            }
            return Err(format!("its step {name} gave nothing yet"));
        };
        if matches!(within, Within::Json | Within::Record) {
            // all of a text: a number stays one
            filled = filled.replace(&format!("\"{place}\""), &value.to_string());
        }
        filled = filled.replace(&place, &written(value, within));
    }
    Ok(filled)
}

fn written(value: &Value, within: Within) -> String {
    let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match within {
        Within::Header => plain,
        Within::Url => {
            let mut encoded = String::new();
            encode(&plain, &mut encoded);
            encoded
        }
        Within::Json | Within::Record => {
            let text = Value::from(plain).to_string();
            text[1..text.len() - 1].to_owned()
        }
    }
}

/// A text of the request that is kept with an order, as people read it: with `{$name}` where what the step `name` gives
/// is put in.
pub fn readable(kept: &Value, text: &str) -> String {
    let key = kept["order"]["key"].as_str().unwrap_or_default();
    let names = kept["steps"].as_array().into_iter().flatten().filter_map(|step| step["name"].as_str());
    names.fold(text.to_owned(), |text, name| text.replace(&place(key, name), &format!("{{${name}}}")))
}

/// What a step's filter yielded, if later requests can take it: a text as ids are, or an integer.
pub fn checked(yielded: &Value) -> Result<Value, String> {
    match yielded {
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(yielded.clone()),
        // as an id: neither blank nor without an end
        Value::String(text) => match RecordId::parse("gives", text) {
            Ok(_) => Ok(yielded.clone()),
            Err(error) => Err(error.to_string()),
        },
        _ => Err("gives: is neither a text nor an integer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "the key of an order";

    #[test]
    fn what_a_step_gives_is_written_as_its_place_wants_it() {
        let given = Given::from([("a".to_owned(), json!("x/\"1\"")), ("n".to_owned(), json!(16521632))]);
        let text = |text: &str| text.replace("@a", &place(KEY, "a")).replace("@n", &place(KEY, "n"));
        for (written, within, filled) in [
            ("/t/@a/@n", Within::Url, "/t/x%2F%221%22/16521632"),
            ("of @a", Within::Header, "of x/\"1\""),
            (r#"{"id":"@n","a":["@a"]}"#, Within::Json, r#"{"id":16521632,"a":["x/\"1\""]}"#),
            (r#"{"text":"no. @n of @a"}"#, Within::Json, r#"{"text":"no. 16521632 of x/\"1\""}"#),
        ] {
            assert_eq!(fill(&text(written), within, KEY, &["a", "n"], &given).unwrap(), filled);
        }
        let missing = fill(&text("@a"), Within::Header, KEY, &["a"], &Given::new());
        assert_eq!(missing.unwrap_err(), "its step a gave nothing yet");
    }

    #[test]
    fn places_and_keys_differ_by_order_and_by_step() {
        assert_ne!(place(KEY, "a"), place(KEY, "b"));
        assert_ne!(place(KEY, "a"), place("another", "a"));
        assert_ne!(step_key(KEY, "a", ProviderKeyFormat::Text), step_key(KEY, "b", ProviderKeyFormat::Text));
        let uuid = step_key(KEY, "a", ProviderKeyFormat::Uuid);
        assert_eq!(uuid::Uuid::parse_str(&uuid).unwrap().get_version_num(), 8);
    }

    #[test]
    fn who_approves_reads_what_is_put_in_later() {
        let kept = json!({"order": {"key": KEY}, "steps": [{"name": "draft"}]});
        let url = format!("https://bank.example/drafts/{}/fund", place(KEY, "draft"));
        assert_eq!(readable(&kept, &url), "https://bank.example/drafts/{$draft}/fund");
    }

    #[test]
    fn what_no_request_can_name_is_no_value_of_a_step() {
        for wrong in [json!(null), json!(" "), json!(""), json!(true), json!({}), json!(1.5), json!("a\u{0}")]
        {
            assert!(checked(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(checked(&json!(7)).unwrap(), json!(7));
    }
}
