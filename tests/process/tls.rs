//! TLS on every listener of a running service, with certificates that the tests sign themselves.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use reqwest::{Client, StatusCode, Version};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::support::{Service, SmallModel, png, run, stderr};

const NOT_READ: &str = "not read anew; what was there holds";

/// Signs certificates, which are trusted by whoever has its own.
struct Authority {
    own: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap().pem();
        Self { own, issuer: Issuer::new(params, key) }
    }

    fn sign(&self) -> Identity {
        self.sign_until(2040)
    }

    /// Signs what holds until a year begins.
    fn sign_until(&self, year: i32) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// A client that trusts this authority and, with an identity, shows that.
    fn client(&self, identity: Option<&Identity>) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.own.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Client::builder().tls_backend_preconfigured(config).build().unwrap()
    }
}

/// The files that the flags name, beside the model.
struct Files<'a>(&'a SmallModel);

impl Files<'_> {
    fn write(&self, Identity { certificate, key }: &Identity) -> [String; 2] {
        let key = self.0.file("tls.key", key.as_bytes());
        let certificate = self.0.file("tls.crt", certificate.as_bytes());
        [format!("--tls-cert={certificate}"), format!("--tls-key={key}")]
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().with_file_name("tls.crt")
    }

    fn serve(&self, identity: &Identity, more: &[&str]) -> Service {
        let [certificate, key] = self.write(identity);
        Service::start(&self.0.path(), &[&[certificate.as_str(), &key], more].concat())
    }
}

async fn classify(service: &Service, client: &Client) -> Option<StatusCode> {
    let url = format!("https://{}/classify", service.public);
    Some(client.post(url).body(png()).send().await.ok()?.status())
}

async fn ready(service: &Service, client: &Client) -> Option<StatusCode> {
    let url = format!("https://{}/ready", service.admin);
    Some(client.get(url).send().await.ok()?.status())
}

/// Asks the health service; the answer is a frame with the status that says that it serves.
async fn health(service: &Service, client: &Client) -> Option<bool> {
    let url = format!("https://{}/grpc.health.v1.Health/Check", service.grpc);
    let request = client.post(url).header("content-type", "application/grpc").body(vec![0; 5]);
    let answer = request.send().await.ok()?;
    assert_eq!(answer.version(), Version::HTTP_2);
    Some(answer.bytes().await.ok()?[..] == [0, 0, 0, 0, 2, 8, 1])
}

#[tokio::test]
async fn every_listener_speaks_tls_and_nothing_else() {
    let (model, authority) = (SmallModel::build(), Authority::new());
    let service = Files(&model).serve(&authority.sign(), &[]);
    let client = authority.client(None);
    assert_eq!(classify(&service, &client).await, Some(StatusCode::OK));
    assert_eq!(ready(&service, &client).await, Some(StatusCode::OK));
    assert_eq!(health(&service, &client).await, Some(true));
    let models = client.get(format!("https://{}/models", service.public)).send().await.unwrap();
    assert_eq!(models.version(), Version::HTTP_2);
    for url in [service.url("/models"), service.admin_url("/ready")] {
        assert!(Client::new().get(url).send().await.is_err());
    }
    let stranger = Authority::new().client(None);
    assert_eq!(classify(&service, &stranger).await, None, "it trusts another authority");
    let listening = service.start_log.iter().filter(|line| line["message"] == "listening");
    assert_eq!(listening.map(|line| line["tls"] == true).collect::<Vec<_>>(), [true; 3]);
}

async fn metrics(service: &Service, client: &Client) -> String {
    let url = format!("https://{}/metrics", service.admin);
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn metrics_say_until_when_the_certificate_holds_and_why_handshakes_fail() {
    let (model, authority) = (SmallModel::build(), Authority::new());
    let files = Files(&model);
    let mut service = files.serve(&authority.sign_until(2031), &[]);
    let client = authority.client(None);
    assert_eq!(classify(&service, &Authority::new().client(None)).await, None);
    assert!(Client::new().get(service.admin_url("/ready")).send().await.is_err());
    let text = metrics(&service, &client).await;
    let failures = "resnet_serve_tls_handshake_failures_total";
    for (listener, reason) in [("public", "client_alert"), ("admin", "protocol")] {
        let series = format!(r#"{failures}{{listener="{listener}",reason="{reason}"}} "#);
        let line = text.lines().find(|line| line.starts_with(&series)).unwrap();
        assert!(!line.ends_with(" 0"), "{line}");
    }
    let ends = |listener: &str, seconds: u64| {
        let name = "resnet_serve_tls_certificate_expiry_timestamp_seconds";
        format!("{name}{{listener=\"{listener}\"}} {seconds}\n")
    };
    for listener in ["public", "admin", "grpc"] {
        assert!(text.contains(&ends(listener, 1_924_992_000)), "{text}");
    }
    files.write(&authority.sign_until(2032));
    service.wait_for("read anew");
    assert!(metrics(&service, &client).await.contains(&ends("public", 1_956_528_000)));
}

#[tokio::test]
async fn with_an_authority_for_clients_they_need_its_certificate_and_probes_need_none() {
    let model = SmallModel::build();
    let (servers, clients) = (Authority::new(), Authority::new());
    let flag = format!("--tls-client-ca={}", model.file("ca.crt", clients.own.as_bytes()));
    let service = Files(&model).serve(&servers.sign(), &[&flag]);
    let known = servers.client(Some(&clients.sign()));
    assert_eq!(classify(&service, &known).await, Some(StatusCode::OK));
    assert_eq!(health(&service, &known).await, Some(true));
    let nobody = servers.client(None);
    let other = servers.client(Some(&Authority::new().sign()));
    for client in [&nobody, &other] {
        assert_eq!(classify(&service, client).await, None);
        assert_eq!(health(&service, client).await, None);
        assert_eq!(ready(&service, client).await, Some(StatusCode::OK));
    }
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_without_a_restart() {
    let (model, old, new) = (SmallModel::build(), Authority::new(), Authority::new());
    let files = Files(&model);
    let mut service = files.serve(&old.sign(), &[]);
    let connected = old.client(None);
    assert_eq!(classify(&service, &connected).await, Some(StatusCode::OK));
    files.write(&new.sign());
    service.wait_for("read anew");
    assert_eq!(classify(&service, &new.client(None)).await, Some(StatusCode::OK));
    assert_eq!(health(&service, &new.client(None)).await, Some(true));
    assert_eq!(classify(&service, &old.client(None)).await, None);
    assert_eq!(classify(&service, &connected).await, Some(StatusCode::OK), "it stays open");
}

#[tokio::test]
async fn a_certificate_that_is_none_leaves_the_old_one_there() {
    let (model, authority) = (SmallModel::build(), Authority::new());
    let files = Files(&model);
    let mut service = files.serve(&authority.sign(), &[]);
    fs::write(files.certificate(), "renewed by mistake").unwrap();
    let line = service.wait_for(NOT_READ);
    assert!(line["cause"].as_str().unwrap().contains("tls.crt"), "{line}");
    assert_eq!(classify(&service, &authority.client(None)).await, Some(StatusCode::OK));
    service.signal("-HUP");
    service.wait_for(NOT_READ);
    assert_eq!(ready(&service, &authority.client(None)).await, Some(StatusCode::OK));
}

#[test]
fn a_probe_asks_by_tls_where_the_service_has_a_certificate() {
    let (model, authority) = (SmallModel::build(), Authority::new());
    let service = Files(&model).serve(&authority.sign(), &[]);
    let probe = ["probe", &format!("--admin-listen={}", service.admin)];
    let certificate = format!("--tls-cert={}", Files(&model).certificate().display());
    let output = run(&[probe[0], probe[1], &certificate]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(run(&probe).status.code(), Some(1), "without TLS there is no answer");
}

#[test]
fn a_certificate_that_is_not_in_order_keeps_the_service_from_starting() {
    let (model, authority) = (SmallModel::build(), Authority::new());
    let [certificate, key] = Files(&model).write(&authority.sign());
    let check = |flags: &[&str]| {
        let model = format!("--model={}", model.argument());
        let output = run(&[&["serve", "--check", &model], flags].concat());
        (output.status.code(), stderr(&output))
    };
    assert_eq!(check(&[&certificate, &key]).0, Some(0));
    let other = model.file("other.key", authority.sign().key.as_bytes());
    for (flags, said) in [
        ([certificate.as_str(), &format!("--tls-key={other}")], "other.key"),
        ([certificate.as_str(), "--tls-key=/nowhere"], "/nowhere"),
        ([certificate.as_str(), "--sessions=1"], "need each other"),
        (["--tls-client-ca=/nowhere", "--sessions=1"], "--tls-client-ca needs"),
    ] {
        let (code, words) = check(&flags);
        assert_eq!(code, Some(78), "{words}");
        assert!(words.contains(said), "{words}");
    }
}
