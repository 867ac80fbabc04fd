//! TLS: an authority of the user's own, and a server that asks who the client is.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;

use super::*;

/// Writes `ca.pem`, `client.pem` and `client.key`, and starts a server that takes no other client.
fn strict_server(folder: &Path) -> u16 {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let root = authority.self_signed(&authority_key).expect("signed");
    let issuer = Issuer::new(authority, authority_key);
    let signed = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![name.into()]).expect("parameters");
        (leaf.signed_by(&key, &issuer).expect("signed"), key)
    };
    let (client, client_key) = signed("client");
    for (name, pem) in [
        ("ca.pem", root.pem()),
        ("client.pem", client.pem()),
        ("client.key", client_key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), pem).expect("written");
    }
    let (server, server_key) = signed("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).expect("an authority");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![server.der().clone()], key)
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
            if read_request(&mut reader).is_some() {
                reader.get_mut().write_all(OK.as_bytes()).ok();
            }
        }
    });
    port
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = strict_server(folder.path());
    let surroundings = Surroundings { config_directory: folder.path().into(), ..surroundings() };
    let url = format!("https://localhost:{port}/");
    let body = Body::Memory(b"x".to_vec());
    let send = |yaml: &str| post(&Post::new(&http(yaml), &surroundings, &url, &body), soon());
    let answer = send("{ca_file: ca.pem, client_certificate: client.pem, client_key: client.key}");
    assert_eq!(answer.expect("an answer").status, 204);
    assert!(send("{ca_file: ca.pem}").is_err(), "nobody was let in");
    assert!(send("{}").is_err(), "nobody vouches for it");
    for (yaml, told) in [
        ("{ca_file: no.pem}", "certificate authorities in"),
        ("{client_certificate: no.pem, client_key: client.key}", "the client's certificate in"),
        ("{client_certificate: client.pem, client_key: ca.pem}", "no private key"),
    ] {
        let error = send(yaml).expect_err(yaml);
        let text = crate::report::chain(&error);
        assert!(text.contains(told), "{text}");
        assert!(matches!(error.receipt(), Receipt::Retry { .. }));
    }
}
