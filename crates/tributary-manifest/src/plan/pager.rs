//! From one page to the next: what a page is asked for with, and whether it was the last.

use jaq_json::Val;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

use super::asks::Asks;
use super::facts::PageFacts;
use super::position::{Token, Walk};
use crate::jq::{self, Filter};
use crate::manifest::{Bound, Param, Size};

mod keyset;

pub use keyset::Keyset;

/// How a stream is divided into pages.
#[derive(Debug)]
pub struct Pager {
    pub kind: PagerKind,
    pub stop: PageEnd,
    pub size: Option<Size>,
    /// Whether the answer says that there is another page.
    pub more: Option<Filter>,
    /// How many records all pages hold together, by the answer.
    pub total: Option<Filter>,
    /// Whether a first page that is full and names no next page can be everything.
    pub may_end_full: bool,
}

#[derive(Debug)]
pub enum PagerKind {
    /// One answer is everything.
    Single,
    Page {
        param: Param,
        first: u64,
    },
    Offset {
        param: Param,
    },
    Cursor {
        param: Param,
        next: NextSource,
        bound: Bound,
    },
    NextUrl {
        next: NextSource,
        /// Whether links that are written with http are meant with https.
        https: bool,
    },
    Keyset {
        param: Param,
        field: Filter,
        keyset: Keyset,
    },
}

/// Where the answer names the next page.
#[derive(Debug)]
pub enum NextSource {
    Body(Filter),
    Header(String),
    Link,
}

/// What shows that a page was the last one.
#[derive(Debug)]
pub enum PageEnd {
    ShortPage,
    EmptyPage,
    NoNext,
    When(Filter),
}

/// What comes after a page.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Another one.
    Go(Token),
    /// Nothing.
    End,
}

impl Pager {
    /// Adds to `asks` what asks for the page of `token`, the first one if there is none. The error says
    /// why it cannot be asked for.
    pub fn ask(&self, token: Option<&Token>, asks: &mut Asks) -> Result<(), String> {
        if let Some(Size { param: Some(param), value }) = &self.size {
            asks.add(param, Val::from(*value));
        }
        match (&self.kind, token) {
            (PagerKind::Single, _)
            | (PagerKind::Cursor { .. } | PagerKind::NextUrl { .. } | PagerKind::Keyset { .. }, None) => {}
            (PagerKind::Page { param, first }, None) => asks.add(param, of_number(*first)),
            (PagerKind::Offset { param }, None) => asks.add(param, of_number(0)),
            (PagerKind::Page { param, .. } | PagerKind::Offset { param }, Some(Token::Number(number))) => {
                asks.add(param, of_number(*number));
            }
            (PagerKind::Cursor { param, .. }, Some(Token::Text(text))) => {
                asks.add(param, Val::from(text.clone()));
            }
            (PagerKind::Cursor { param, .. }, Some(Token::Digits(digits))) => {
                asks.add(param, jq::number(digits));
            }
            (PagerKind::NextUrl { .. }, Some(Token::Url(url))) => {
                asks.url =
                    Some(Url::parse(url).map_err(|error| format!("the URL of the next page: {error}"))?);
            }
            (PagerKind::Keyset { param, keyset, .. }, Some(Token::Time(time))) => {
                asks.add(param, keyset.written(*time));
            }
            (PagerKind::Keyset { param, keyset, .. }, Some(Token::Beyond(time))) => {
                asks.add(param, keyset.written(keyset.beyond(*time)));
            }
            (_, Some(token)) => {
                return Err(format!("the stored cursor belongs to another kind of paging: {token:?}"));
            }
        }
        Ok(())
    }

    /// What comes after the page of `walk.token` that held `facts` and came from `url`. The error
    /// says why it would be wrong to go on, and wrong to stop.
    pub fn next(
        &self,
        walk: &Walk,
        facts: &PageFacts,
        headers: &HeaderMap,
        url: &Url,
    ) -> Result<Step, String> {
        let named = self.named_next(facts, headers)?;
        if matches!(self.kind, PagerKind::Single) && link_of(headers)?.is_some() {
            return Err(
                "page: is missing, but the answer names a next page (in its header Link): say how to go on \
                        (`page: { url: link }`)"
                    .to_owned(),
            );
        }
        let silent = self.names_next() && named.is_none();
        match self.step(walk, facts, named, url)? {
            Step::End if facts.more == Some(true) && silent => Err(format!(
                "{}: finds no next page, but the answer says by page.more that there is one: {CHECK}",
                self.next_field()
            )),
            Step::End if facts.more == Some(true) => {
                Err("page.ends: ends here, but the answer says by page.more that there is another page"
                    .to_owned())
            }
            step => Ok(step),
        }
    }

    /// Refuses to take the end after the page of `walk.token` that held `facts` for granted: a
    /// first page that is full and names no next page looks the same as one whose next page was
    /// looked for in the wrong place. `next_known` says that this stream did name one before.
    pub fn prove_end(&self, walk: &Walk, facts: &PageFacts, next_known: bool) -> Result<(), String> {
        let full = self.size.as_ref().is_some_and(|size| facts.count >= size.value);
        let proven = facts.more == Some(false) || facts.stop || next_known || self.may_end_full;
        if !self.names_next() || walk.token.is_some() || !full || proven {
            return Ok(());
        }
        Err(format!(
            "{}: the first page is full ({} records) and finds no next page, and this stream never did: \
             {CHECK}; if one full page can be everything, say `may_end_full: true` in `page`",
            self.next_field(),
            facts.count
        ))
    }

    /// Whether pages are asked for by a number, whatever the answers say.
    pub fn counts(&self) -> bool {
        matches!(self.kind, PagerKind::Page { .. } | PagerKind::Offset { .. })
    }

    /// Whether answers name the next page.
    pub fn names_next(&self) -> bool {
        matches!(self.kind, PagerKind::Cursor { .. } | PagerKind::NextUrl { .. })
    }

    /// The field of the file by which answers name the next page.
    fn next_field(&self) -> &'static str {
        if matches!(self.kind, PagerKind::NextUrl { .. }) { "page.url" } else { "page.next" }
    }

    /// By what answers name the next page, as the file has it.
    pub fn next_text(&self) -> Option<&str> {
        match &self.kind {
            PagerKind::Cursor { next, .. } | PagerKind::NextUrl { next, .. } => Some(match next {
                NextSource::Body(filter) => filter.code(),
                NextSource::Header(name) => name,
                NextSource::Link => "link",
            }),
            _ => None,
        }
    }

    fn step(&self, walk: &Walk, facts: &PageFacts, named: Option<String>, url: &Url) -> Result<Step, String> {
        let stops = self.stops(walk, facts, named.is_some());
        if let PagerKind::Keyset { keyset, .. } = &self.kind {
            let step = keyset.step(walk.token.as_ref(), facts, self.is_short(facts))?;
            return Ok(if stops { Step::End } else { step });
        }
        if stops {
            return Ok(Step::End);
        }
        let repeated = facts.count > 0 && walk.fingerprint.as_ref() == Some(&facts.fingerprint);
        let token = match &self.kind {
            PagerKind::Single | PagerKind::Keyset { .. } => return Ok(Step::End),
            // a page without records cannot be followed by one with some, unless a rule says so
            PagerKind::Page { .. } | PagerKind::Offset { .. } if facts.count == 0 => {
                return Err("a page is empty, but `page.ends` does not end it there".to_owned());
            }
            // an API that does not look at the parameter answers its first page for ever
            PagerKind::Page { param, .. } | PagerKind::Offset { param } if repeated => {
                return Err(format!(
                    "page: the page before came again, as if the API did not know {}: \
                     what lies behind it cannot be read",
                    param.shown()
                ));
            }
            PagerKind::Page { first, .. } => Token::Number(number(walk).unwrap_or(*first) + 1),
            PagerKind::Offset { .. } => Token::Number(number(walk).unwrap_or(0) + facts.count as u64),
            PagerKind::Cursor { bound, .. } => match named
                .map(|named| if facts.next_is_number { Token::Digits(named) } else { Token::Text(named) })
            {
                None => return Ok(Step::End),
                Some(token) if Some(&token) == walk.token.as_ref() => {
                    // the page of an inclusive cursor begins with the record that it names
                    let only_that = *bound == Bound::Inclusive && facts.count <= 1;
                    return if only_that || self.stays(facts) { Ok(Step::End) } else { Err(circle()) };
                }
                Some(token) => token,
            },
            PagerKind::NextUrl { https, .. } => {
                match named.map(|named| link_to(url, &named, *https).map(|url| Token::Url(url.into()))) {
                    None => return Ok(Step::End),
                    Some(Err(error)) => return Err(format!("the URL of the next page: {error}")),
                    Some(Ok(token)) if Some(&token) == walk.token.as_ref() => {
                        return if self.stays(facts) { Ok(Step::End) } else { Err(circle()) };
                    }
                    Some(Ok(token)) => token,
                }
            }
        };
        if repeated { Err(circle()) } else { Ok(Step::Go(token)) }
    }

    /// Whether the page is the last, by what the file says and what the answer does not deny. An API
    /// may give fewer records than it was asked for anywhere: a page that is short ends a walk where
    /// the answer says so, or another page that is empty.
    fn stops(&self, walk: &Walk, facts: &PageFacts, named: bool) -> bool {
        match (&self.kind, &self.stop) {
            (PagerKind::Single, _) => true,
            (_, PageEnd::When(_)) => facts.stop,
            (_, PageEnd::NoNext) => !named,
            (PagerKind::Cursor { .. } | PagerKind::NextUrl { .. }, PageEnd::ShortPage) => !named,
            (PagerKind::Cursor { .. } | PagerKind::NextUrl { .. }, PageEnd::EmptyPage) => {
                // where it names a next page all the same, that has to be empty, too
                let before = walk.token.is_some() && walk.fingerprint.as_ref() == Some(&facts.fingerprint);
                facts.count == 0 && (!named || before)
            }
            (_, PageEnd::EmptyPage) => facts.count == 0,
            (_, PageEnd::ShortPage) => {
                facts.count == 0 || (self.is_short(facts) && facts.more == Some(false))
            }
        }
    }

    fn is_short(&self, facts: &PageFacts) -> bool {
        self.size.as_ref().is_some_and(|size| facts.count < size.value)
    }

    /// Whether a next page that is this one is the end: of an API that names one for ever.
    fn stays(&self, facts: &PageFacts) -> bool {
        facts.count == 0 && matches!(self.stop, PageEnd::EmptyPage)
    }

    /// The token or URL that the answer names.
    pub fn named_next(&self, facts: &PageFacts, headers: &HeaderMap) -> Result<Option<String>, String> {
        let named = self.said_next(facts, headers)?;
        match &named {
            Some(next) if next.len() > MOST_NEXT_BYTES => Err(format!(
                "{}: names the next page in {} bytes; no request takes more than {MOST_NEXT_BYTES}",
                self.next_field(),
                next.len()
            )),
            _ => Ok(named),
        }
    }

    fn said_next(&self, facts: &PageFacts, headers: &HeaderMap) -> Result<Option<String>, String> {
        let next = match &self.kind {
            PagerKind::Cursor { next, .. } | PagerKind::NextUrl { next, .. } => next,
            _ => return Ok(None),
        };
        let named = match next {
            NextSource::Body(_) => facts.next.clone(),
            NextSource::Header(name) => texts(headers, name)?.first().map(|value| (*value).to_owned()),
            NextSource::Link => link_of(headers)?,
        };
        Ok(named.filter(|text| !text.trim().is_empty()))
    }
}

/// The longest token or URL of a next page: it is kept with the cursor, and sent.
const MOST_NEXT_BYTES: usize = 16 * 1024;

/// What to do about a `next` that finds nothing.
const CHECK: &str = "compare it with an answer (`tributary manifest read` shows them)";

fn circle() -> String {
    "the pages go in a circle: the API names a next page that was read already".to_owned()
}

fn number(walk: &Walk) -> Option<u64> {
    match walk.token {
        Some(Token::Number(number)) => Some(number),
        _ => None,
    }
}

/// The page `named` by the answer that came from `url`. With `https`, one that is written with http and has
/// no port of its own is that of https where the answer came so. Which host may be asked is seen to later.
fn link_to(url: &Url, named: &str, https: bool) -> Result<Url, url::ParseError> {
    let mut link = url.join(named)?;
    if https && (url.scheme(), link.scheme(), link.port()) == ("https", "http", None) {
        let _ = link.set_scheme("https");
    }
    Ok(link)
}

fn of_number(number: u64) -> Val {
    jq::number(&number.to_string())
}

/// The texts of a header.
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<&'a str>, String> {
    let texts = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    texts.map_err(|_| format!("page: the header {name:?} is no plain text"))
}

fn link_of(headers: &HeaderMap) -> Result<Option<String>, String> {
    Ok(texts(headers, "link")?.into_iter().find_map(link))
}

/// The target of `rel="next"` in a header `Link` (RFC 8288).
fn link(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some((url, after)) = rest.split_once('<').and_then(|(_, inside)| inside.split_once('>')) {
        let (parameters, others) = after.split_at(after.find('<').unwrap_or(after.len()));
        let next = parameters.split([';', ',']).any(|parameter| {
            let Some((name, rel)) = parameter.split_once('=') else { return false };
            name.trim().eq_ignore_ascii_case("rel")
                && rel.trim().trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if next {
            return Some(url.to_owned());
        }
        rest = others;
    }
    None
}

#[cfg(test)]
mod tests;
