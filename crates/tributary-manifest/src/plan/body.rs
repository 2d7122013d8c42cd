//! The bodies of requests: values put into them, and how they are written.

use jaq_json::{Rc, Val};

use crate::jq;
use crate::manifest::BodyForm;

/// Puts `value` into `body`, at a member or at a path of them (`variables.after`).
pub fn set_member(body: &mut Val, path: &str, value: &Val) -> Result<(), String> {
    let mut place = body;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Val::Obj(members) = place else {
            return Err(format!("request.body: has no object that could take {path:?}"));
        };
        let (members, name) = (Rc::make_mut(members), Val::from(name.to_owned()));
        if names.peek().is_none() {
            members.insert(name, value.clone());
            break;
        }
        place = members.entry(name).or_insert_with(|| Val::obj(Default::default()));
    }
    Ok(())
}

/// The bytes of `body`. The error says why it cannot be written so.
pub fn write(body: &Val, form: BodyForm) -> Result<Vec<u8>, String> {
    match form {
        BodyForm::Json => Ok(jq::to_json(body)),
        BodyForm::Fields => {
            let Val::Obj(members) = body else {
                return Err("request.body: a form is made of an object; this is none".to_owned());
            };
            let mut fields = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in members.iter() {
                let name = jq::text(name).ok_or("request.body: has a name that is no text")?;
                add_fields(&mut fields, &name, value)?;
            }
            Ok(fields.finish().into_bytes())
        }
    }
}

/// Adds `value` under `name`: `name[member]` of an object, `name[0]` of a list. Null, and what has no
/// members, is left out: a form has no way to write it.
fn add_fields(
    fields: &mut url::form_urlencoded::Serializer<'_, String>,
    name: &str,
    value: &Val,
) -> Result<(), String> {
    match value {
        Val::Null => {}
        Val::Bool(truth) => drop(fields.append_pair(name, if *truth { "true" } else { "false" })),
        Val::Arr(items) => {
            for (place, item) in items.iter().enumerate() {
                add_fields(fields, &format!("{name}[{place}]"), item)?;
            }
        }
        Val::Obj(members) => {
            for (member, value) in members.iter() {
                let member = jq::text(member).ok_or("request.body: has a name that is no text")?;
                add_fields(fields, &format!("{name}[{member}]"), value)?;
            }
        }
        value => {
            let text = jq::scalar(value).ok_or_else(|| format!("request.body: {name} is no text"))?;
            fields.append_pair(name, &text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Val {
        jq::parse(json.as_bytes()).unwrap()
    }

    fn form(json: &str) -> Result<Vec<(String, String)>, String> {
        let bytes = write(&parse(json), BodyForm::Fields)?;
        Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
    }

    #[test]
    fn a_form_names_members_and_places_of_lists_in_brackets_and_leaves_nothing_out_but_null() {
        let fields = form(
            r#"{"amount":10.50,"destination":"a&b=c é","live":false,"metadata":{"order id":"7","none":null},
                "items":[{"price":"p1","n":9007199254740993},{"price":"p2"}],"expand":["data.source"],"empty":[],"nothing":{}}"#,
        );
        let pairs = [
            ("amount", "10.50"),
            ("destination", "a&b=c é"),
            ("live", "false"),
            ("metadata[order id]", "7"),
            ("items[0][price]", "p1"),
            ("items[0][n]", "9007199254740993"),
            ("items[1][price]", "p2"),
            ("expand[0]", "data.source"),
        ];
        assert_eq!(fields.unwrap(), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for body in ["[1]", "\"a=b\"", "null"] {
            assert!(form(body).unwrap_err().contains("of an object"), "{body}");
        }
    }

    #[test]
    fn a_value_goes_to_where_it_belongs_within_a_body_as_what_it_is() {
        let set = |body: &str, path: &str, value: &str| {
            let mut body = parse(body);
            set_member(&mut body, path, &parse(value))?;
            Ok::<_, String>(String::from_utf8(jq::to_json(&body)).unwrap())
        };
        for (body, path, value, made) in [
            (r#"{"limit":2,"after":null}"#, "after", "\"t\"", r#"{"limit":2,"after":"t"}"#),
            (
                r#"{"query":"q","variables":{"first":2}}"#,
                "variables.page.after",
                "12345678901234567890",
                r#"{"query":"q","variables":{"first":2,"page":{"after":12345678901234567890}}}"#,
            ),
        ] {
            assert_eq!(set(body, path, value).unwrap(), made);
        }
        assert!(set(r#"{"variables":[]}"#, "variables.after", "1").unwrap_err().contains("request.body"));
    }
}
