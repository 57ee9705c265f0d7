//! Certificates that the tests sign themselves.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;

use super::*;
use crate::telemetry::metrics::HandshakeFailure;

/// A folder with `tls.crt`, `tls.key`, and `ca.crt` that has signed the first.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        made.renew();
        made
    }

    /// Another certificate by another authority.
    pub(crate) fn renew(&self) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        self.write("ca.crt", &authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        self.write("tls.crt", &leaf.signed_by(&key, &issuer).unwrap().pem());
        self.write("tls.key", &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn files(&self) -> TlsFiles {
        let path = |name: &str| self.folder.path().join(name);
        TlsFiles { certificate: path("tls.crt"), key: path("tls.key"), client_ca: None }
    }

    pub(crate) fn for_known_clients(&self) -> TlsFiles {
        let client_ca = Some(self.folder.path().join("ca.crt"));
        TlsFiles { client_ca, ..self.files() }
    }
}

/// A handshake with a client of this configuration, as the server sees it.
async fn refusal(acceptor: Acceptor, config: ClientConfig) -> HandshakeFailure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let client = tokio::spawn(connect(stream, config));
    let (stream, _) = listener.accept().await.unwrap();
    let cause = acceptor.accept(stream).await.map(|_| ()).unwrap_err();
    let _ = client.await.unwrap();
    handshake_failure(&cause)
}

/// A handshake with a client that verifies nothing and has no certificate, as the server sees it.
async fn shake(acceptor: Acceptor) -> io::Result<ClientStream<TcpStream>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut config = unverified_client().unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = tokio::spawn(connect(stream, config));
    let (stream, _) = listener.accept().await.unwrap();
    acceptor.accept(stream).await?;
    client.await.unwrap()
}

pub(crate) async fn connect(
    stream: TcpStream,
    config: ClientConfig,
) -> io::Result<ClientStream<TcpStream>> {
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn shown(acceptor: Acceptor) -> Vec<u8> {
    let stream = shake(acceptor).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn http_2_is_agreed_on() {
    let tls = Tls::load(Certificates::make().files()).unwrap();
    let stream = shake(tls.acceptor(Audience::Clients)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
}

#[tokio::test]
async fn a_certificate_is_asked_of_clients_and_not_of_probes() {
    let made = Certificates::make();
    let tls = Tls::load(made.for_known_clients()).unwrap();
    assert!(shake(tls.acceptor(Audience::Operators)).await.is_ok());
    let refused = shake(tls.acceptor(Audience::Clients)).await.unwrap_err();
    assert!(refused.to_string().contains("no certificates"), "{refused}");
}

#[tokio::test]
async fn connections_get_the_certificate_of_their_time() {
    let made = Certificates::make();
    let tls = Tls::load(made.files()).unwrap();
    let acceptor = tls.acceptor(Audience::Clients);
    let first = shown(acceptor.clone()).await;
    made.renew();
    assert_eq!(shown(acceptor.clone()).await, first, "not read yet");
    tls.reload().unwrap();
    assert_ne!(shown(acceptor).await, first);
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_changes_nothing_until_it_does() {
    let made = Certificates::make();
    let tls = Tls::load(made.files()).unwrap();
    assert!(!tls.has_changed());
    let first = shown(tls.acceptor(Audience::Clients)).await;
    let key = fs::read_to_string(made.files().key).unwrap();
    made.renew();
    let fitting = fs::read_to_string(made.files().key).unwrap();
    made.write("tls.key", &key);
    assert!(tls.has_changed());
    let refused = tls.reload().unwrap_err();
    assert!(refused.to_string().contains("tls.key"), "{refused}");
    assert!(!tls.has_changed(), "it was looked at once");
    assert_eq!(shown(tls.acceptor(Audience::Clients)).await, first);
    made.write("tls.key.new", &fitting);
    let folder = made.folder.path();
    fs::rename(folder.join("tls.key.new"), folder.join("tls.key")).unwrap();
    assert!(tls.has_changed());
    tls.reload().unwrap();
    assert_ne!(shown(tls.acceptor(Audience::Clients)).await, first);
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let made = Certificates::make();
    let good = made.for_known_clients();
    made.write("empty", "");
    made.write("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let path = |name: &str| made.folder.path().join(name);
    let refusal = |files: TlsFiles| Tls::load(files).map(|_| ()).unwrap_err().to_string();
    let of = |name: &str, words: &str, files: TlsFiles| {
        let said = refusal(files);
        assert!(said.contains(name) && said.contains(words), "{name}: {said}");
    };
    let certificate = |name: &str| TlsFiles { certificate: path(name), ..good.clone() };
    let key = |name: &str| TlsFiles { key: path(name), ..good.clone() };
    let client_ca = |name: &str| TlsFiles { client_ca: Some(path(name)), ..good.clone() };
    of("nowhere", "No such file", certificate("nowhere"));
    of("empty", "no certificate in PEM", certificate("empty"));
    of("tls.crt", "no private key in PEM", key("tls.crt"));
    of("nowhere", "No such file", key("nowhere"));
    of("empty", "no certificate in PEM", client_ca("empty"));
    of("broken", "", client_ca("broken"));
    of("", "", certificate("broken"));
}

/// A client that trusts who has signed `trusted`, and shows `shown`.
fn client(trusted: &Certificates, shown: Option<&Certificates>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(trusted.folder.path().join("ca.crt")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let Some(shown) = shown.map(Certificates::files) else { return builder.with_no_client_auth() };
    let chain = vec![CertificateDer::from_pem_file(shown.certificate).unwrap()];
    builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(shown.key).unwrap()).unwrap()
}

#[tokio::test]
async fn a_handshake_that_fails_has_a_reason() {
    let (made, other) = (Certificates::make(), Certificates::make());
    let tls = Tls::load(made.for_known_clients()).unwrap();
    let clients = || tls.acceptor(Audience::Clients);
    for (config, reason) in [
        (client(&made, None), HandshakeFailure::NoCertificate),
        (client(&made, Some(&other)), HandshakeFailure::BadCertificate),
        (client(&other, Some(&made)), HandshakeFailure::ClientAlert),
    ] {
        assert_eq!(refusal(clients(), config).await, reason);
    }
    let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
    assert_eq!(handshake_failure(&gone), HandshakeFailure::Closed);
}

#[test]
fn the_end_of_a_certificate_is_that_of_the_one_that_is_read() {
    let made = Certificates::make();
    let ends = |year| {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        leaf.not_after = rcgen::date_time_ymd(year, 2, 3);
        made.write("tls.crt", &leaf.self_signed(&key).unwrap().pem());
        made.write("tls.key", &key.serialize_pem());
    };
    ends(2031);
    let tls = Tls::load(made.files()).unwrap();
    assert_eq!(tls.expiry().map(|end| end.as_secs()), Some(1_927_843_200));
    ends(2061);
    tls.reload().unwrap();
    assert_eq!(tls.expiry().map(|end| end.as_secs()), Some(2_874_614_400));
}
