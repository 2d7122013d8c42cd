//! How money is moved on order, as the engine takes it.

use tributary_domain::PaymentKind;

use super::record::{self};
use super::request::{Asked, request};
use super::value::{self, literal, variables};
use super::{Section, is_variable, money};
use crate::language::form::file::MoneyForm;
use crate::language::form::pay::{Answers, Find, FullAt, KeyKept, Made, MadeForm, Party, Payment, Step};
use crate::language::form::right::{Ordered, Right};
use crate::manifest::{
    LookupManifest, Method, PaymentManifest, ProviderKeyManifest, RequestManifest, StepManifest, When,
};
use crate::period::Period;

/// What jq of a payment sees of the order `.`: its name, and what it is.
const SEEN: [(&str, &str); 9] = [
    ("key", ".key"),
    ("step_key", ".stepKey"),
    ("text", "(.description // .idempotencyKey)"),
    ("asset", ".currency"),
    ("from", ".source"),
    ("to", ".destination"),
    ("code", "_code"),
    ("minor", "(_code as $_ | .amount | tonumber)"),
    ("decimal", "(_code as $code | .amount | major_units($code))"),
];

/// One section, with what all of its jq sees.
struct Draft<'s, 'n, 'f> {
    section: &'s mut Section<'n>,
    form: &'f Payment,
    money: Option<&'f MoneyForm>,
    /// The names of `let`.
    lets: Vec<String>,
    /// The names of the steps that were before.
    steps: Vec<String>,
}

/// The section of `kind`. What is wrong is noted, and there is none then.
pub fn payment(
    section: &mut Section<'_>,
    kind: PaymentKind,
    form: &Payment,
    money: Option<&MoneyForm>,
) -> Option<PaymentManifest> {
    let lets = form.lets.0.iter().map(|(name, _)| name.clone()).collect();
    let mut draft = Draft { section, form, money, lets, steps: Vec::new() };
    let prepare = draft.prepare(kind);
    let steps = draft.steps();
    let request = draft.request();
    let key = draft.key();
    let made = draft.section.need("made", form.made.as_ref(), "what an answer says of the payment");
    let answer = made.and_then(|made| draft.made("made", made));
    let refused = draft.answers("no_money", form.no_money.as_ref());
    let unsent = draft.answers("not_looked_at", form.not_looked_at.as_ref());
    if let Some(says) = &form.says {
        draft.section.jq("says", says, &[]);
    }
    let lookup = form.find.as_ref().map(|find| draft.find(find));
    let status_map =
        form.statuses.as_ref().map(|words| super::stream::statuses(draft.section, "statuses", words));
    Some(PaymentManifest {
        prepare: Some(prepare),
        steps: steps?,
        request: request?,
        key: key?,
        timeout: form.timeout.unwrap_or(Period::from_seconds(20)),
        answer: answer?,
        status_map,
        accepted: form.also.clone(),
        refused,
        unsent,
        reason: form.says.clone().map(|says| format!("({says}\n) | _text")),
        lookup: match lookup {
            None => None,
            Some(lookup) => Some(lookup?),
        },
    })
}

/// Binds what `code` uses of the order that `order` leads to; ends with `|`.
fn prelude(order: &str, lets: &[String], steps: &[String], code: &str) -> String {
    let used: Vec<&str> = variables(code).collect();
    let seen = SEEN.iter().filter(|(name, _)| used.contains(name));
    let mut bound: String = seen.map(|(name, is)| format!("({order} | {is}) as ${name} | ")).collect();
    for name in lets.iter().filter(|name| used.contains(&name.as_str())) {
        bound += &format!("({order} | .let[{}]) as ${name} | ", literal(name));
    }
    for name in steps.iter().filter(|name| used.contains(&name.as_str())) {
        bound += &format!("({order} | .steps[{}]) as ${name} | ", literal(name));
    }
    bound
}

impl Draft<'_, '_, '_> {
    fn names(&self) -> Vec<String> {
        let seen = SEEN.iter().map(|(name, _)| (*name).to_owned());
        record::seen().into_iter().chain(seen).chain(self.lets.clone()).chain(self.steps.clone()).collect()
    }

    /// jq on the order: who can be paid, what is refused, and what `let` gives.
    fn prepare(&mut self, kind: PaymentKind) -> String {
        let mut code = String::new();
        let to = self.form.to.unwrap_or(match kind {
            PaymentKind::Payout => Party::Beneficiary,
            PaymentKind::Transfer => Party::Account,
        });
        let only = match to {
            Party::Beneficiary => Some(("beneficiary", "a beneficiary")),
            Party::Account => Some(("account", "an account")),
            Party::Any => None,
        };
        if let Some((word, what)) = only {
            code += &format!(
                "if .destination.type != {} then error({}) else . end\n| ",
                literal(word),
                literal(&format!("destinationAccountId: is not {what} of the provider"))
            );
        }
        let mut below = String::new();
        let seen: Vec<String> = SEEN.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (lets, names) = record::lets(self.section, "let", &self.form.lets, seen);
        below += &lets;
        for (n, refusal) in self.form.refuse.iter().enumerate() {
            let field = format!("refuse[{n}]");
            self.section.jq(&format!("{field}.where"), &refusal.holds, &names);
            self.section.right(&format!("{field}.says"), &refusal.says, &names);
            match value::text(&refusal.says) {
                Ok(says) => below += &format!("if ({}\n) then error({says}) else . end\n| ", refusal.holds),
                Err(why) => self.section.wrong(&format!("{field}.says"), why),
            }
        }
        let members: Vec<String> =
            self.lets.iter().map(|name| format!("{}: ${name}", literal(name))).collect();
        let kept = if members.is_empty() {
            ".".to_owned()
        } else {
            format!(". + {{ let: {{ {} }} }}", members.join(", "))
        };
        code += &prelude(".", &[], &[], &below);
        format!("{code}{below}{kept}")
    }

    /// The steps; each sees those before it, and all that comes later sees all of them.
    fn steps(&mut self) -> Option<Vec<StepManifest>> {
        let form = self.form;
        let mut steps = Vec::new();
        for (name, step) in &form.steps.0 {
            let place = format!("steps.{name}");
            let taken = |known: &str| known == name;
            if !is_variable(name) || self.names().iter().any(|known| taken(known)) {
                self.section
                    .wrong(&place, "take a name of letters and digits, that is no other's: it becomes $NAME");
            }
            steps.push(self.step(&place, name, step));
            self.steps.push(name.clone());
        }
        steps.into_iter().collect()
    }

    fn step(&mut self, place: &str, name: &str, step: &Step) -> Option<StepManifest> {
        let names = self.names();
        let gives = self.section.need(
            &format!("{place}.gives"),
            step.gives.as_ref(),
            "what later requests take of its answer",
        );
        let refused = self.answers(&format!("{place}.no_money"), step.no_money.as_ref());
        let (method, field, path) = match (&step.post, &step.put) {
            (Some(path), None) => (Method::Post, "post", path),
            (None, Some(path)) => (Method::Put, "put", path),
            _ => {
                self.section.wrong(place, "give one of `post` and `put`: the path at which it is asked for");
                return None;
            }
        };
        let (lets, before) = (self.lets.clone(), self.steps.clone());
        let asked = Asked {
            method,
            field: &format!("{place}.{field}"),
            path,
            query: &step.query,
            headers: &step.headers,
            body: step.body.as_ref(),
            form: step.form.as_ref(),
            within: &format!("{place}."),
            prelude: &|code| prelude(".", &lets, &before, code),
            sees: &names,
        };
        let request = request(self.section, &asked);
        let gives = gives?;
        self.section.right(&format!("{place}.gives"), gives, &names);
        if let Some(why) = self.section.meant_as_jq(gives) {
            self.section.wrong(&format!("{place}.gives"), why);
        }
        let code = match value::json(gives) {
            Ok(code) => code,
            Err(why) => {
                self.section.wrong(&format!("{place}.gives"), why);
                return None;
            }
        };
        let gives = format!("{}_one(\"gives\"; {code})", prelude("$parent", &lets, &before, &code));
        Some(StepManifest { name: name.to_owned(), request, gives, again: step.again, refused })
    }

    fn request(&mut self) -> Option<RequestManifest> {
        let (method, field, path) = match (&self.form.post, &self.form.put) {
            (Some(path), None) => (Method::Post, "post", path),
            (None, Some(path)) => (Method::Put, "put", path),
            _ => {
                self.section.wrong("", "give one of `post` and `put`: the path to which an order goes");
                return None;
            }
        };
        let mut headers = self.form.headers.clone();
        if let Some(header) = self.form.key.as_ref().and_then(|key| key.header.as_ref()) {
            if headers.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(header)) {
                self.section.wrong("key.header", "is among `headers`, too");
            }
            headers.0.push((header.clone(), Right::Text("{key}".to_owned())));
        }
        let (lets, steps) = (self.lets.clone(), self.steps.clone());
        let asked = Asked {
            method,
            field,
            path,
            query: &self.form.query,
            headers: &headers,
            body: self.form.body.as_ref(),
            form: self.form.form.as_ref(),
            within: "",
            prelude: &|code| prelude(".", &lets, &steps, code),
            sees: &self.names(),
        };
        Some(request(self.section, &asked))
    }

    fn key(&mut self) -> Option<ProviderKeyManifest> {
        let key =
            self.section.need("key", self.form.key.as_ref(), "how the provider takes its idempotency key")?;
        Some(ProviderKeyManifest {
            format: key.form.unwrap_or_default(),
            max_length: key.length.unwrap_or(40),
            lifetime: key.kept.map(|kept| match kept {
                KeyKept::For(period) => period,
                // longer than any order is open
                KeyKept::Always(_) => Period::LONGEST,
            }),
        })
    }

    /// jq on an answer, or on a row of one, that says what it is of the payment; it begins with what binds
    /// the names.
    fn made(&mut self, field: &str, made: &Made) -> Option<String> {
        let code = match made {
            Made::Filter(code) => {
                let names = self.names();
                self.section.jq(field, code, &names);
                Some(format!("({code}\n)"))
            }
            Made::Form(form) => self.made_fields(field, form),
        }?;
        let bound = prelude("$parent", &self.lets, &self.steps, &code);
        Some(format!("{bound}{code}"))
    }

    fn made_fields(&mut self, field: &str, form: &MadeForm) -> Option<String> {
        if form.id.is_none() && form.reference.is_none() {
            self.section
                .wrong(field, "give `id` or `reference`, by which the answer shows that there is a payment");
        }
        let (lets, names) = record::lets(self.section, &format!("{field}.let"), &form.lets, self.names());
        let mut members = Vec::new();
        for (name, ours, right, read) in [
            ("id", "id", &form.id, "_id"),
            ("reference", "reference", &form.reference, "_id"),
            ("status", "status", &form.status, "_text"),
            ("reason", "reason", &form.reason, "_text"),
            ("at", "at", &form.at, "if . == null then null else (try parse_time catch null) end"),
            ("to", "destination", &form.to, "_id"),
        ] {
            let Some(right) = right else { continue };
            let place = format!("{field}.{name}");
            self.section.right(&place, right, &names);
            if let Some(why) = self.section.meant_as_jq(right).or_else(|| record::no_time(right, read)) {
                self.section.wrong(&place, why);
            }
            match value::text(right) {
                Ok(code) => members.push(format!("{ours}: _one({}; {code} | {read})", literal(&place))),
                Err(why) => self.section.wrong(&place, why),
            }
        }
        let mut money = String::new();
        if form.money.is_some() {
            let place = format!("{field}.money");
            let code = money::money(self.section, &place, form.money.as_ref(), self.money, &names)?;
            money = format!(" + (_one({}; {}) // {{}})", literal(&place), code.reported());
        }
        Some(format!(
            "{lets}{{ {} }}{money}\n| if .id == null and .reference == null then error(\"it names no payment\") else . end",
            members.join(", ")
        ))
    }

    fn answers(&mut self, field: &str, answers: Option<&Answers>) -> Vec<When> {
        let rules = match answers {
            None => return Vec::new(),
            Some(Answers::Statuses(statuses)) => {
                return vec![When { status: statuses.clone(), ..When::default() }];
            }
            Some(Answers::Rule(rule)) => std::slice::from_ref(rule),
            Some(Answers::Rules(rules)) => rules,
        };
        let mut whens = Vec::new();
        for rule in rules {
            if let Some(holds) = &rule.holds {
                self.section.jq(&format!("{field}.where"), holds, &record::seen_of_answer());
            }
            whens.push(When { status: rule.on.all().to_vec(), body: rule.holds.clone(), ..When::default() });
        }
        whens
    }

    fn find(&mut self, find: &Find) -> Option<LookupManifest> {
        let path =
            self.section.need("find.get", find.get.as_deref(), "the path at which the payment is looked for");
        let within = self.section.need(
            "find.within",
            find.within,
            "how long after a request its payment is found at the latest",
        );
        let names = self.names();
        let rows = match (&find.rows, &find.row) {
            (Some(rows), None) => {
                self.section.jq("find.rows", rows, &names);
                self.section.need(
                    "find.full_at",
                    find.full_at,
                    "how many rows a list has that may go on elsewhere, in which nothing is missing: the size of its \
                     page; `never` where an answer always has all of them, however many there are",
                );
                Some(format!("_list(\"find.rows\"; {rows}\n)"))
            }
            (None, Some(row)) => {
                self.section.jq("find.row", row, &names);
                if find.full_at.is_some() {
                    self.section.wrong("find.full_at", "belongs to `rows`: `row` is the payment alone");
                }
                Some(format!("[_object(\"find.row\"; {row}\n)]"))
            }
            _ => {
                self.section.wrong(
                    "find",
                    "give `rows`, jq to the list of what may be the payment, or `row`, the payment",
                );
                None
            }
        };
        let made = match find.made.as_ref().or(self.form.made.as_ref()) {
            Some(made) => self.made(if find.made.is_some() { "find.made" } else { "made" }, made),
            None => None,
        };
        let mut code = format!("{} as $_rows\n| ", rows?);
        if let Some(FullAt::At(most)) = find.full_at {
            code += &format!(
                "if ($_rows | length) >= {most} then error(\"there are too many rows to find one: a list of {most} may go on elsewhere\") else . end\n| "
            );
        }
        code += "$_rows[]\n| ";
        if let Some(holds) = &find.holds {
            self.section.jq("find.where", holds, &names);
            code += &format!("if ({holds}\n) then . else empty end\n| ");
        }
        let code = format!("{}{code}{}", prelude("$parent", &self.lets, &self.steps, &code), made?);
        let (lets, steps, none) = (self.lets.clone(), self.steps.clone(), Ordered::default());
        let asked = Asked {
            method: Method::Get,
            field: "find.get",
            path: path?,
            query: &none,
            headers: &none,
            body: None,
            form: None,
            within: "",
            prelude: &|code| prelude(".", &lets, &steps, code),
            sees: &names,
        };
        Some(LookupManifest {
            request: request(self.section, &asked),
            payment: code,
            missing: find.missing.clone(),
            settle: within?,
            every: find.every.unwrap_or(Period::from_seconds(60)),
        })
    }
}
