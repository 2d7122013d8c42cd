//! The fields that make a record, as one filter.

use tributary_domain::Resource;

use super::money;
use super::value::{self, literal};
use super::{Section, is_variable};
use crate::language::form::file::{MoneyForm, TYPES};
use crate::language::form::right::{Ordered, Right};
use crate::language::form::stream::{Kept, Order, Stream};
use crate::manifest::Zone;

/// What of the file the records of all streams are made with.
pub struct Making<'a> {
    pub money: Option<&'a MoneyForm>,
    pub namespace: &'a str,
    /// By whose clock times are that do not say it.
    pub zone: Option<Zone>,
    /// The file's own definitions of jq.
    pub functions: &'a str,
}

/// Names that jq of a stream sees besides those of `let`.
const SEEN: [&str; 3] = ["now", "parent", "identity"];

/// And those that only jq on an answer sees: its status and headers.
pub const OF_AN_ANSWER: [&str; 2] = ["status", "headers"];
/// And those that only jq of a request sees, where its stream says that they stand in it.
pub const OF_A_REQUEST: [&str; 4] = ["page", "since", "until", "report"];

/// A filter in the making: what is bound so far, and to which names.
struct Draft<'s, 'n> {
    section: &'s mut Section<'n>,
    code: String,
    names: Vec<String>,
}

/// The values of `let`, bound one after the other, as jq that ends with `|`; and the names seen after it.
pub fn lets(
    section: &mut Section<'_>,
    field: &str,
    lets: &Ordered<Right>,
    mut names: Vec<String>,
) -> (String, Vec<String>) {
    let mut code = String::new();
    for (name, right) in &lets.0 {
        let field = format!("{field}.{name}");
        if !is_variable(name) {
            section.wrong(&field, "take a name of letters and digits");
            continue;
        }
        section.right(&field, right, &names);
        if let Some(why) = section.meant_as_jq(right) {
            section.wrong(&field, why);
        }
        match value::json(right) {
            Ok(bound) => code += &format!("_one({}; {bound}) as ${name} | ", literal(&field)),
            Err(why) => section.wrong(&field, why),
        }
        names.push(name.clone());
    }
    (code, names)
}

/// The names that jq on a row sees.
pub fn seen() -> Vec<String> {
    SEEN.iter().map(|name| (*name).to_owned()).collect()
}

/// The names that jq on an answer sees.
pub fn seen_of_answer() -> Vec<String> {
    let mut names = seen();
    names.extend(OF_AN_ANSWER.map(str::to_owned));
    names
}

/// As [`seen`], with the row itself.
pub fn seen_of_row() -> Vec<String> {
    let mut names = seen();
    names.push("row".to_owned());
    names
}

/// The filter that makes records of `resource`; `None` where something is missing, which is noted.
pub fn record(
    section: &mut Section<'_>,
    form: &Stream,
    resource: Resource,
    making: &Making<'_>,
) -> Option<String> {
    if let Some(map) = &form.map {
        section.jq("map", map, &seen());
        return Some(map.clone());
    }
    let (lets, names) = lets(section, "let", &form.lets, seen_of_row());
    let mut draft = Draft { section, code: format!(". as $row | {lets}"), names };
    if let Some(holds) = &form.holds {
        draft.jq("where", holds);
        draft.code += &format!("if ({holds}\n) then . else empty end\n| ");
    }
    if let Some(split) = &form.split {
        draft.jq("split", split);
        draft.code += &format!("_list(\"split\"; {split}\n)[]\n| ");
    }
    if let Some(out) = &form.out {
        draft.jq("out", out);
        draft.code += &format!("(_one(\"out\"; {out}\n) | . != null and . != false) as $out\n| ");
        draft.names.push("out".to_owned());
    }
    let fields = match resource {
        Resource::Accounts => draft.account(form, making, "accountName"),
        Resource::Beneficiaries => draft.account(form, making, "ownerName"),
        Resource::Balances => draft.balances(form, making),
        Resource::Transactions => draft.transaction(form, making),
    }?;
    let fields: Vec<String> = fields.into_iter().map(|(name, code)| format!("{name}: {code}")).collect();
    Some(format!("{}{{\n  {}\n}}", draft.code, fields.join(",\n  ")))
}

/// Why a value that is always the same, and is read as a time by `read`, is none.
pub fn no_time(right: &Right, read: &str) -> Option<String> {
    let written = match right {
        Right::Number(number) => number,
        right => value::constant(right)?,
    };
    let is_time = crate::time::normalized(written, None).is_some();
    let name = if value::is_member(&format!(".{written}")) { written } else { "created_at" };
    (read.contains("parse_time") && !is_time)
        .then(|| format!("{written:?} is always this, and no time; write jq, such as `.{name}`"))
}

type Fields = Vec<(&'static str, String)>;

impl Draft<'_, '_> {
    fn jq(&mut self, field: &str, code: &str) {
        self.section.jq(field, code, &self.names);
    }

    /// jq that gives what is written in `field`, and then `read` of it; an error in it names the field.
    fn value(&mut self, field: &str, right: &Right, read: &str) -> Option<String> {
        self.section.right(field, right, &self.names);
        if let Some(why) = self.section.meant_as_jq(right).or_else(|| no_time(right, read)) {
            self.section.wrong(field, why);
        }
        let code = match value::text(right) {
            Ok(code) => code,
            Err(why) => {
                self.section.wrong(field, why);
                return None;
            }
        };
        let read = if read.is_empty() { String::new() } else { format!(" | {read}") };
        Some(match right {
            Right::Text(text) if value::is_member(text) && read.is_empty() => text.clone(),
            Right::Text(text) if value::is_member(text) && read == " | _id" => format!("({text}{read})"),
            Right::Text(text) if value::is_path(text) => format!("_named({}; {text}{read})", literal(field)),
            Right::Text(_) => format!("_one({}; {code}{read})", literal(field)),
            _ => code,
        })
    }

    fn needed(&mut self, field: &str, right: &Option<Right>, read: &str, what: &str) -> Option<String> {
        let right = self.section.need(field, right.as_ref(), what)?;
        self.value(field, right, read)
    }

    fn optional(&mut self, field: &str, right: &Option<Right>, read: &str) -> Option<String> {
        self.value(field, right.as_ref()?, read)
    }

    fn account(&mut self, form: &Stream, making: &Making<'_>, name_field: &'static str) -> Option<Fields> {
        let id = self.needed("id", &form.id, "_id", "the id of the record, which never changes");
        let name = self.needed("name", &form.name, "", "what people call it");
        let created = self.optional("created", &form.created, "if . == null then $now else parse_time end");
        let updated = self.optional("updated", &form.updated, "if . == null then null else parse_time end");
        let metadata = self.metadata(form, making);
        let mut fields =
            vec![("id", id?), (name_field, name?), ("createdAt", created.unwrap_or("$now".to_owned()))];
        fields.extend(updated.map(|updated| ("updatedAt", updated)));
        fields.push(("metadata", metadata));
        Some(fields)
    }

    fn balances(&mut self, form: &Stream, making: &Making<'_>) -> Option<Fields> {
        let account = self.needed("account", &form.account, "_id", "the id of the account");
        let at = self.optional("at", &form.at, "parse_time").unwrap_or("$now".to_owned());
        let money = money::money(self.section, "money", form.money.as_ref(), making.money, &self.names)?;
        Some(vec![("accountID", account?), ("at", at), ("balances", money.balances(form.out.is_some()))])
    }

    fn transaction(&mut self, form: &Stream, making: &Making<'_>) -> Option<Fields> {
        let money = money::money(self.section, "money", form.money.as_ref(), making.money, &self.names)?;
        self.code += &format!("{}\n| ", money.bound());
        self.names.extend(["amount".to_owned(), "asset".to_owned()]);
        let id = self.needed("id", &form.id, "_id", "the id of the record, which never changes");
        let created = self.needed("created", &form.created, "parse_time", "when it was created");
        let updated = self.optional("updated", &form.updated, "if . == null then null else parse_time end");
        let related = self.optional("related", &form.related, "_id");
        let kind = self.kind(form);
        let status = self.needed("status", &form.status, "_text", "where it stands");
        let (from, to) = self.ends(form)?;
        let order = self.order(form);
        let metadata = self.metadata(form, making);
        let mut fields = vec![("id", id?), ("createdAt", created?), ("type", kind?), ("status", status?)];
        fields.extend([
            ("currency", "$asset".to_owned()),
            ("amount", "($amount | ltrimstr(\"-\"))".to_owned()),
        ]);
        let optional = [
            ("updatedAt", updated),
            ("relatedTransactionID", related),
            ("sourceAccountID", from),
            ("destinationAccountID", to),
            ("orderReference", order),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, code)| Some((name, code?))));
        fields.push(("metadata", metadata));
        Some(fields)
    }

    fn kind(&mut self, form: &Stream) -> Option<String> {
        let Some(kind) = &form.kind else {
            if form.out.is_some() {
                return Some("(if $out then \"PAYOUT\" else \"PAYIN\" end)".to_owned());
            }
            return self.section.need("type", None, "PAYIN, PAYOUT, TRANSFER or OTHER, or `out`");
        };
        let Some(types) = &form.types else {
            if value::constant(kind).is_some_and(|text| !TYPES.contains(&text))
                && self.section.meant_as_jq(kind).is_none()
            {
                self.section.wrong("type", "write PAYIN, PAYOUT, TRANSFER or OTHER, or jq that yields one");
            }
            return self.value("type", kind, "");
        };
        let mut table = Vec::new();
        let mut rest = false;
        for (ours, words) in &types.0.0 {
            for word in words.all() {
                if ours == "OTHER" && word == "rest" {
                    rest = true;
                } else {
                    table.push(format!("{}: {}", literal(word), literal(ours)));
                }
            }
        }
        self.twice("types", types.0.0.iter().flat_map(|(_, words)| words.all()));
        let kind = self.value("type", kind, "_text")?;
        let otherwise =
            if rest { "\"OTHER\"" } else { "error(\"type: \\($_type) is in no list of `types`\")" };
        Some(format!("({kind} as $_type | {{ {} }}[$_type // \"\"] // {otherwise})", table.join(", ")))
    }

    /// Refuses a word that stands under two of ours.
    fn twice<'w>(&mut self, field: &str, words: impl Iterator<Item = &'w String>) {
        let mut seen = std::collections::BTreeSet::new();
        for word in words {
            if !seen.insert(word) {
                self.section.wrong(field, format!("{word:?} is listed twice"));
            }
        }
    }

    /// Where the money comes from and where it goes.
    fn ends(&mut self, form: &Stream) -> Option<(Option<String>, Option<String>)> {
        let Some(account) = &form.account else {
            if form.other.is_some() {
                self.section.wrong("other", "is the other end of `account`, which is missing");
            }
            return Some((self.optional("from", &form.from, "_id"), self.optional("to", &form.to, "_id")));
        };
        if form.from.is_some() || form.to.is_some() {
            self.section.wrong("account", "stands for `from` and `to`: give it with `out`, or give them");
        }
        self.section.need(
            "out",
            form.out.as_ref(),
            "jq that says whether money leaves `account`; or give `from` and `to`",
        )?;
        let account = self.value("account", account, "_id")?;
        let other = self.optional("other", &form.other, "_id").unwrap_or("null".to_owned());
        self.code += &format!("{account} as $_account | {other} as $_other\n| ");
        Some((
            Some("(if $out then $_account else $_other end)".to_owned()),
            Some("(if $out then $_other else $_account end)".to_owned()),
        ))
    }

    fn order(&mut self, form: &Stream) -> Option<String> {
        match form.order.as_ref()? {
            Order::Key(key) => self.value("order", key, "_id"),
            Order::Form(order) => {
                let key =
                    self.needed("order.key", &order.key, "_id", "by what the provider refers to an order")?;
                let key = if order.always { format!("({key} // \"-\")") } else { key };
                Some(match &order.holds {
                    None => key,
                    Some(holds) => {
                        self.jq("order.where", holds);
                        format!("(if ({holds}\n) then {key} else null end)")
                    }
                })
            }
        }
    }

    fn metadata(&mut self, form: &Stream, making: &Making<'_>) -> String {
        let mut kept: Vec<(String, String)> = Vec::new();
        for (n, item) in form.keep.all().iter().enumerate() {
            let place = format!("keep[{n}]");
            match item {
                Kept::Field(name) if value::is_member(&format!(".{name}")) && name != "." => {
                    kept.push((name.clone(), format!(".{name}")));
                }
                Kept::Field(_) => {
                    self.section
                        .wrong(&place, "take the name of a field of the record, or write { name: .path }");
                }
                Kept::Named(members) => {
                    for (name, right) in &members.0 {
                        let place = format!("{place}.{name}");
                        let code = match right {
                            Right::Text(text) if value::is_member(text) => Some(text.clone()),
                            right => self.value(&place, right, ""),
                        };
                        kept.extend(code.map(|code| (name.clone(), code)));
                    }
                }
            }
        }
        self.twice("keep", kept.iter().map(|(name, _)| name));
        if kept.is_empty() {
            return "{}".to_owned();
        }
        let kept: Vec<String> = kept
            .iter()
            .map(|(name, code)| format!("{}: {code}", literal(&format!("{}{name}", making.namespace))))
            .collect();
        format!("({{ {} }} | map_values(values | tostring))", kept.join(", "))
    }
}
