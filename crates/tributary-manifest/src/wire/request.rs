//! What is asked for, and where requests may go at all.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderMap;

use super::lane::Lane;
use crate::writing::ReadAs;

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    /// For APIs that take a query as a body. It is sent again like a GET, so it must only read.
    Post,
    /// For payments, which are never sent again like that.
    Put,
}

impl Method {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// Below the base URL.
    Relative {
        /// Percent-encoded, beginning with `/`.
        path: String,
        query: Vec<(String, String)>,
    },
    /// A whole URL, such as the link to a next page. Only the hosts of `base_url` and
    /// `allow_hosts` are asked.
    Absolute(Url),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub target: Target,
    /// Besides those of every request; one of the same name replaces the other.
    pub headers: HeaderMap,
    /// JSON, unless the headers say otherwise.
    pub body: Option<Vec<u8>>,
    /// What it is closed with, where the provider wants a pause.
    pub lane: Lane,
    /// Statuses with which an answer without a body is an empty list.
    pub empty: Arc<[u16]>,
    /// Whether it is sent once, since each time has the API make something.
    pub once: bool,
    /// How the answer is read, where it is no JSON.
    pub read_as: Option<Arc<ReadAs>>,
    /// Its path as the provider file writes it, without any value; not known of every one.
    pub template: Option<Arc<str>>,
}

impl Request {
    /// A GET of `path` below the base URL: percent-encoded, beginning with `/`.
    #[cfg(test)]
    pub fn get(path: String, query: Vec<(String, String)>) -> Self {
        Self::to(Target::Relative { path, query })
    }

    /// A GET of `target`.
    #[cfg(test)]
    pub fn to(target: Target) -> Self {
        let (headers, lane) = (HeaderMap::new(), Lane::default());
        Self {
            method: Method::Get,
            target,
            headers,
            body: None,
            lane,
            empty: Arc::default(),
            once: false,
            read_as: None,
            template: None,
        }
    }

    /// Method, path and the names of the query's parameters: what an error may show.
    pub fn redacted(&self) -> String {
        let method = self.method.as_str();
        match &self.target {
            Target::Relative { path, query } => {
                format!("{method} {path}{}", redacted_query(query.iter().map(|(name, _)| name.as_str())))
            }
            Target::Absolute(url) => {
                let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
                format!("{method} {}{}", url.path(), redacted_query(names.iter().map(String::as_str)))
            }
        }
    }
}

fn redacted_query<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.map(|name| format!("{name}=…")).collect::<Vec<_>>().join("&");
    if names.is_empty() { names } else { format!("?{names}") }
}

/// The URLs that may be asked: those below the base, and absolute ones of the hosts that the
/// manifest names. A token must not follow a link to anywhere else.
#[derive(Debug)]
pub struct Reach {
    /// Without a `/` at its end.
    base: Url,
    /// Host, or host and port.
    allowed: Vec<String>,
}

impl Reach {
    /// Below `base`, and `allowed`: hosts, each with a port where it is not the usual one.
    pub fn new(base: Url, allowed: &[String]) -> Result<Self, String> {
        for (index, host) in allowed.iter().enumerate() {
            let plain = Url::parse(&format!("https://{host}/")).is_ok_and(|url| {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                let read = format!("{}{port}", url.host_str().unwrap_or_default());
                read == host.to_lowercase() && !read.contains('*')
            });
            if !plain {
                return Err(format!("allow_hosts[{index}]: write a host, such as files.bank.example"));
            }
        }
        Ok(Self { base, allowed: allowed.iter().map(|host| host.to_lowercase()).collect() })
    }

    /// The URL of `target`; the error completes "cannot be asked for: …".
    pub fn url(&self, target: &Target) -> Result<Url, String> {
        match target {
            Target::Relative { path, query } => self.below_base(path, query),
            Target::Absolute(url) => self.checked(url),
        }
    }

    fn below_base(&self, path: &str, query: &[(String, String)]) -> Result<Url, String> {
        let text = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).map_err(|error| error.to_string())?;
        if url.origin() != self.base.origin() {
            return Err("the path leads to another host".to_owned());
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn checked(&self, url: &Url) -> Result<Url, String> {
        if !matches!(url.scheme(), "https" | "http") || !url.username().is_empty() || url.password().is_some()
        {
            return Err("the link is no plain https:// URL".to_owned());
        }
        if url.scheme() == "http" && self.base.scheme() == "https" {
            return Err("the link leaves https".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let known = url.origin() == self.base.origin()
            || self.allowed.iter().any(|allowed| match url.port() {
                Some(port) => *allowed == format!("{host}:{port}"),
                None => allowed == host,
            });
        if !known {
            return Err(format!("the link leads to {host}, which allow_hosts does not name"));
        }
        let mut url = url.clone();
        url.set_fragment(None);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(base: &str) -> Reach {
        let allowed = ["files.bank.example".to_owned(), "Other.example:8443".to_owned()];
        Reach::new(Url::parse(base).unwrap(), &allowed).unwrap()
    }

    fn link(base: &str, link: &str) -> Result<String, String> {
        reach(base).url(&Target::Absolute(Url::parse(link).unwrap())).map(String::from)
    }

    #[test]
    fn links_are_followed_to_the_hosts_of_the_manifest_only() {
        let base = "https://api.bank.example/v1";
        for good in [
            "https://api.bank.example/other?page=2&x=%20",
            "https://api.bank.example:443/v1",
            "https://files.bank.example/v1",
            "https://other.example:8443/",
        ] {
            assert_eq!(link(base, good).unwrap(), good.replace(":443/", "/"));
        }
        for bad in [
            "http://api.bank.example/v1",
            "http://files.bank.example/v1",
            "https://api.bank.example:8443/v1",
            "https://other.example/",
            "https://evil.example/",
            "https://api.bank.example.evil.example/",
            "https://api.bank.example@evil.example/",
            "https://me:hunter2@api.bank.example/",
            "ftp://api.bank.example/",
            "file:///etc/passwd",
            "data:application/json,1",
        ] {
            let error = link(base, bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(link("http://localhost:1/", "http://localhost:1/a#b").unwrap(), "http://localhost:1/a");
        assert!(link("http://localhost:1/", "http://localhost:2/").is_err());
    }

    #[test]
    fn paths_stay_on_the_host_of_the_base() {
        let url = |path: &str| {
            reach("https://bank.example").url(&Target::Relative { path: path.to_owned(), query: vec![] })
        };
        assert_eq!(url("/a%2Fb").unwrap().as_str(), "https://bank.example/a%2Fb");
        for path in ["@evil.example/", ".evil.example/", ":8443/"] {
            assert!(url(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_host_with_anything_around_it_is_no_host() {
        for host in ["https://a.example", "a.example/path", "me@a.example", "", "a b", "*.example"] {
            let made = Reach::new(Url::parse("https://bank.example").unwrap(), &[host.to_owned()]);
            assert!(made.is_err_and(|error| error.starts_with("allow_hosts[0]")), "{host}");
        }
    }

    #[test]
    fn what_is_shown_of_a_request_has_no_values() {
        let link = Url::parse("https://bank.example/a?token=hunter2&b").unwrap();
        assert_eq!(Request::to(Target::Absolute(link)).redacted(), "GET /a?token=…&b=…");
        assert_eq!(Request::get("/a".to_owned(), vec![]).redacted(), "GET /a");
    }
}
