//! Certificates of the client, and roots that the system does not know.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use rustls_pki_types::PrivateKeyDer;

use super::{Client, Request, Rules};
use crate::wire::InMemory;

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A server that answers `[]` to whoever shows a certificate of `authority`, connection by
/// connection until one fails; gives its URL.
fn serve(authority: &Authority) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = authority.issue("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut tls) =
                (socket.unwrap(), ServerConnection::new(Arc::clone(&config)).unwrap());
            let mut stream = Stream::new(&mut tls, &mut socket);
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match stream.read(&mut byte) {
                    Ok(1) => request.push(byte[0]),
                    _ => break,
                }
            }
            // whoever was refused is not there any more
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]");
        }
    });
    url
}

async fn ask(url: &str, tls: &serde_json::Value) -> Result<String, String> {
    let yaml = serde_json::json!({
        "base_url": url, "auth": "none", "tls": tls, "every": "1m", "streams": [], "retry": { "attempts": 1 },
    });
    let manifest = serde_saphyr::from_str(&yaml.to_string()).map_err(|error| error.to_string())?;
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default())?;
    let answer = client.send(&Request::get("/".to_owned(), vec![]), &Rules::default()).await;
    answer.map(|answer| answer.json.to_string()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_client_shows_its_certificate_and_trusts_the_root_it_is_given() {
    let authority = Authority::new();
    let url = serve(&authority);
    let (certificate, key) = authority.issue("client");
    let both = format!("{}{}", certificate.pem(), key.serialize_pem());
    for tls in [
        serde_json::json!({ "identity": both, "ca": authority.pem }),
        serde_json::json!({ "identity": certificate.pem(), "key": key.serialize_pem(), "ca": authority.pem }),
        serde_json::json!({ "identity": both.replace('\n', "\\n"), "ca": authority.pem }),
    ] {
        assert_eq!(ask(&url, &tls).await.as_deref(), Ok("[]"));
    }
    let stranger = Authority::new().issue("client");
    let stranger = format!("{}{}", stranger.0.pem(), stranger.1.serialize_pem());
    for tls in [
        serde_json::json!({ "ca": authority.pem }),
        serde_json::json!({ "identity": stranger, "ca": authority.pem }),
        serde_json::json!({ "identity": both }),
    ] {
        let error = ask(&url, &tls).await.unwrap_err();
        assert!(error.contains("failed 1 times"), "{error}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named_and_not_shown() {
    let (certificate, key) = Authority::new().issue("client");
    for (tls, about) in [
        (serde_json::json!({ "identity": "/nowhere/hunter2.pem" }), "tls.identity"),
        (serde_json::json!({ "identity": certificate.pem() }), "tls.identity"),
        (serde_json::json!({ "identity": "-----BEGIN hunter2" }), "tls.identity"),
        (serde_json::json!({ "key": key.serialize_pem() }), "tls.key"),
        (serde_json::json!({ "ca": key.serialize_pem() }), "tls.ca"),
        (serde_json::json!({ "certificate": "hunter2" }), "certificate"),
    ] {
        let error = ask("https://localhost:1", &tls).await.unwrap_err();
        assert!(error.contains(about), "{error}");
        assert!(!error.contains("hunter2.pem") && !error.contains("PRIVATE KEY"), "{error}");
    }
}
