//! What a request asks for besides its record: which page, and of which stretch of time.

use jaq_json::Val;
use reqwest::Url;

use crate::jq;
use crate::manifest::Param;

/// Values that go into a request, and where.
#[derive(Debug, Clone, Default)]
pub struct Asks {
    /// Later ones take the place of earlier ones.
    params: Vec<(Param, Val)>,
    /// What the request's own jq sees.
    pub seen: jq::Asked,
    /// The whole address, where an answer named it.
    pub url: Option<Url>,
}

impl Asks {
    /// Has `param` take `value`.
    pub fn add(&mut self, param: &Param, value: Val) {
        match param {
            Param::Variable(name) if name == "page" => self.seen.page = value,
            Param::Variable(name) if name == "since" => self.seen.since = value,
            Param::Variable(name) if name == "until" => self.seen.until = value,
            Param::Variable(name) if name == "report" => self.seen.report = value,
            param => self.params.push((param.clone(), value)),
        }
    }

    /// What takes which value, in the order in which they were added.
    pub fn params(&self) -> impl Iterator<Item = (&Param, &Val)> {
        self.params.iter().map(|(param, value)| (param, value))
    }
}

#[cfg(test)]
impl Asks {
    /// The parameters of the query and headers, as texts.
    pub fn texts(&self) -> Vec<(String, String)> {
        let texts = self.params.iter().map(|(param, value)| match param {
            Param::Query(name) | Param::Header(name) | Param::Body(name) | Param::Variable(name) => {
                (name.clone(), jq::scalar(value).unwrap_or_default())
            }
        });
        texts.collect()
    }
}
