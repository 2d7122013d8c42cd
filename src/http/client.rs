//! Who asks: the address that a request comes from, behind the proxies that are trusted to tell, and
//! the id that its answer and its log lines carry.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use tracing::Instrument as _;
use uuid::Uuid;

use super::SharedState;
use super::operations::DESCRIPTION;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The longest id that is taken from a proxy.
const ID_MAX_BYTES: usize = 128;

/// Where a connection comes from: set for each of its requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub IpAddr);

/// Which header tells where a proxy's client is. A proxy passes on what clients write into the other
/// one, so that only one of them is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The proxies that are believed as to where a request comes from. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    networks: Arc<[IpNet]>,
    header: ForwardedHeader,
}

impl Trusted {
    /// Those in `networks`, which tell by `header`.
    pub fn new(networks: Vec<IpNet>, header: ForwardedHeader) -> Self {
        Self { networks: networks.into(), header }
    }

    /// Whether `address` is one of theirs.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Where a request comes from that `peer` sent: the last address of the way that nobody trusted
    /// has. What is left of it may have been written by anybody.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let told: Vec<&str> = match self.header {
            ForwardedHeader::XForwardedFor => listed(headers, &FORWARDED_FOR).collect(),
            ForwardedHeader::Forwarded => {
                let hops = listed(headers, &header::FORWARDED);
                hops.map(|hop| member(hop, "for").unwrap_or_default()).collect()
            }
        };
        for hop in told.into_iter().rev() {
            if !self.holds(client) {
                break;
            }
            let Some(address) = address(hop) else { break };
            client = address;
        }
        client
    }

    /// Whether the proxy in front of this server was asked by https: as the last item says, which is its own.
    fn says_https(&self, headers: &HeaderMap) -> bool {
        let told = match self.header {
            ForwardedHeader::XForwardedFor => listed(headers, &FORWARDED_PROTO).last(),
            ForwardedHeader::Forwarded => {
                listed(headers, &header::FORWARDED).last().and_then(|hop| member(hop, "proto"))
            }
        };
        told.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
    }
}

/// The items of a header that may be there several times, in their order.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// What `wanted=` says in an element of `Forwarded`.
fn member<'a>(hop: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim_matches('"'))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Who asks, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// `None` where there is no connection (tests).
    pub address: Option<IpAddr>,
    /// Whether a trusted proxy says that it was asked by https.
    pub https: bool,
}

/// Finds out who asks and gives the request an id: that of a trusted proxy, else one of its own. Both
/// are in all log lines of the request, and the id in its answer. No answer is to be kept by anybody
/// on the way, but for the description.
pub async fn identify(State(state): State<SharedState>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let believed = peer.is_some_and(|peer| state.trusted.holds(peer.to_canonical()));
    let client = Client {
        address: peer.map(|peer| state.trusted.client(peer, request.headers())),
        https: believed && state.trusted.says_https(request.headers()),
    };
    let id = believed.then(|| told_id(request.headers())).flatten();
    let id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let shown = client.address.map(|address| address.to_string()).unwrap_or_default();
    let span = tracing::error_span!("request", request_id = id, client = shown, key = tracing::field::Empty);
    request.extensions_mut().insert(client);
    let may_be_kept = request.uri().path() == DESCRIPTION;
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    if !may_be_kept {
        // what may be kept once it was asked for anew says so itself
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

fn told_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    ((1..=ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ForwardedHeader, peer: &str, told: &[(&'static str, &'static str)]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Trusted::new(networks.to_vec(), header).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_client() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        let for_header = |value| [("x-forwarded-for", value)];
        for (peer, told, expected) in [
            ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
            ("10.0.0.1", "10.2.2.2, 10.9.9.9", "10.2.2.2"),
            ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
            ("fd00::1", "[2001:db8::1]:80", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
            // what cannot be read ends the way, and so does whoever is not trusted
            ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ] {
            assert_eq!(client(XForwardedFor, peer, &for_header(told)), expected, "{peer} {told}");
        }
        let two = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client(XForwardedFor, "10.0.0.1", &two), "203.0.113.7");
        let both = [
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "for=\"[2001:db8::1]:1\";proto=https, For=10.1.1.1"),
        ];
        assert_eq!(client(Forwarded, "10.0.0.1", &both), "2001:db8::1");
        assert_eq!(client(XForwardedFor, "10.0.0.1", &both), "198.51.100.1");
    }

    #[test]
    fn https_is_what_the_last_proxy_says_by_the_header_that_is_looked_at() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        for (header, name, value, https) in [
            (XForwardedFor, "x-forwarded-proto", "https", true),
            (XForwardedFor, "x-forwarded-proto", "http, HTTPS", true),
            // a client wrote the first one
            (XForwardedFor, "x-forwarded-proto", "https, http", false),
            (XForwardedFor, "forwarded", "proto=https", false),
            (Forwarded, "forwarded", "for=192.0.2.1;proto=https", true),
            (Forwarded, "forwarded", "proto=https, for=192.0.2.1", false),
            (Forwarded, "x-forwarded-proto", "https", false),
        ] {
            let trusted = Trusted::new(vec![], header);
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(trusted.says_https(&headers), https, "{name}: {value}");
        }
    }

    #[test]
    fn an_id_that_could_forge_a_log_line_is_not_taken() {
        let told = |id: &str| {
            told_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap())]))
        };
        assert_eq!(told("abc-1.2_3").as_deref(), Some("abc-1.2_3"));
        for id in ["", "a b", "a\"b", "a\tb", "é", &"x".repeat(129)] {
            assert_eq!(told(id), None, "{id:?}");
        }
    }
}
