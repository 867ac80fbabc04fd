//! TLS: trust, and the certificate's end.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use serde_json::json;

use super::server::{Server, answer, serve_tls};
use super::*;

/// A server whose certificate is valid until a day of that year, and the authority that vouches for it.
fn tls_server(until_year: i32, folder: &Path) -> Server {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let root = authority.self_signed(&authority_key).expect("signed");
    std::fs::write(folder.join("ca.pem"), root.pem()).expect("written");

    let mut leaf = CertificateParams::new(vec!["localhost".into()]).expect("parameters");
    leaf.not_before = date_time_ymd(2020, 1, 1);
    leaf.not_after = date_time_ymd(until_year, 1, 11);
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(authority, authority_key);
    let certificate = leaf.signed_by(&key, &issuer).expect("signed");

    let config = server_config()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("a certificate");
    serve_tls(config, |_, wire| wire.write_all(&answer("200 OK", "", r#"{"v": 1}"#)))
}

fn server_config() -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    let provider = rustls::crypto::ring::default_provider();
    ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
}

/// A server that shows a certificate whose key it has not.
fn tls_impostor() -> Server {
    let [key, other] = [(); 2].map(|()| KeyPair::generate().expect("a key"));
    let leaf = CertificateParams::new(vec!["localhost".into()]).expect("parameters");
    let certificate = leaf.self_signed(&key).expect("signed").der().clone();
    let other = PrivateKeyDer::Pkcs8(other.serialize_der().into());
    let other = rustls::crypto::ring::sign::any_supported_type(&other).expect("a key");
    let shown = CertifiedKey::new(vec![certificate], other);
    let config = server_config().with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    serve_tls(config, |_, wire| wire.write_all(&answer("200 OK", "", "1")))
}

#[test]
fn a_certificate_whose_key_the_server_has_not_is_no_datapoint() {
    let server = tls_impostor();
    let url = format!("https://localhost:{}/", server.port);
    let (result, collected) =
        collect_in(Path::new("/"), &json!({"url": url, "probe": ["certificate"]}));
    let error = chain(&result.expect_err("a wrong signature"));
    assert!(error.contains("BadSignature"), "{error}");
    assert!(collected.batch.is_empty());
}

fn options(server: &Server) -> serde_json::Value {
    json!({"url": format!("https://localhost:{}/", server.port), "tls": {"ca_file": "ca.pem"},
           "mapping": {"values": {"v": "/v"}}})
}

fn collect_in(folder: &Path, options: &serde_json::Value) -> (Result<(), Error>, Collected) {
    let http = http(options.clone());
    // The last second of the year 2030.
    let context = Context { now_ms: 1_924_992_000_000 - 1_000, ..context(folder) };
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let result = http.collect(&context, &sink);
    (result, sink.seal().expect("open"))
}

#[test]
fn a_server_is_trusted_by_its_authority_and_its_connection_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tls_server(2090, folder.path());
    for _ in 0..3 {
        let (result, collected) = collect_in(folder.path(), &options(&server));
        result.expect("collected");
        assert_eq!(told(&collected), ["v 1"]);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_nobody_vouches_for_is_not_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tls_server(2090, folder.path());
    let mut options = options(&server);
    options["tls"] = json!({});
    let (result, collected) = collect_in(folder.path(), &options);
    let error = chain(&result.expect_err("not trusted"));
    assert!(error.contains("UnknownIssuer"), "{error}");
    assert!(collected.batch.is_empty() && server.requests().is_empty());
}

#[test]
fn the_days_until_the_certificate_expires_are_a_datapoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tls_server(2031, folder.path());
    let mut options = options(&server);
    options["probe"] = json!(["certificate"]);
    let (result, collected) = collect_in(folder.path(), &options);
    result.expect("collected");
    // From the last second of 2030 to 11 January, 0:00.
    assert_eq!(told(&collected), ["http_certificate_expires_days 10.000011574074074", "v 1"]);
}

#[test]
fn an_expired_certificate_is_a_datapoint_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = tls_server(2021, folder.path());
    let mut options = options(&server);
    options["probe"] = json!(["certificate"]);
    let (result, collected) = collect_in(folder.path(), &options);
    let error = chain(&result.expect_err("expired"));
    assert!(error.contains("xpired"), "{error}");
    assert_eq!(collected.batch.len(), 1);

    options["mapping"] = json!({});
    let (result, collected) = collect_in(folder.path(), &options);
    result.expect("the certificate is all that was asked for");
    assert!(told(&collected)[0].starts_with("http_certificate_expires_days -"));
    assert!(server.requests().is_empty());
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("empty.pem"), "nothing").expect("written");
    for (file, reason) in [("missing.pem", "No such file"), ("empty.pem", "no certificate")] {
        let options = json!({"url": "https://localhost:1/", "tls": {"ca_file": file},
                             "mapping": {"values": {"v": "/v"}}});
        let (result, _) = collect_in(folder.path(), &options);
        let error = chain(&result.expect_err(file));
        assert!(error.contains(file) && error.contains(reason), "{error}");
    }
}

#[test]
fn a_port_without_tls_has_no_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream.expect("a client").write_all(b"220 mail ready\r\n").expect("written");
        }
    });
    let options = json!({"url": format!("https://localhost:{port}/"), "probe": ["certificate"]});
    let (result, _) = collect_in(Path::new("/"), &options);
    let error = chain(&result.expect_err("no TLS"));
    assert!(error.contains("the certificate could not be fetched"), "{error}");
}
