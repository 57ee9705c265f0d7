//! The files of certificates and keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::Audience;
use crate::file_state::FileState;

/// HTTP/2 where the client can, else HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the flags name, in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The server's certificate and those above it, in this order.
    pub certificate: PathBuf,
    /// The key of the first.
    pub key: PathBuf,
    /// Who signs the certificates of clients; without it none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Certificates that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("`{}`: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// A file holds nothing of its kind.
    #[error("`{}` holds no {kind} in PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        kind: &'static str,
    },
    /// A certificate, or a key, that does not fit.
    #[error("`{}`: {cause}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

/// Which file each path led to.
pub(super) type Stamps = Vec<Option<FileState>>;

impl TlsFiles {
    /// What a listener encrypts with.
    pub(super) fn server(&self, audience: Audience) -> Result<ServerConfig, TlsError> {
        let certificates = certificates(&self.certificate)?;
        let key = key(&self.key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| refused(&self.certificate, &cause))?;
        let asked_of = self.client_ca.as_deref().filter(|_| audience == Audience::Clients);
        let builder = match asked_of {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(roots(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|cause| refused(path, &cause))?)
            }
        };
        let config = builder.with_single_cert(certificates, key);
        let mut config = config.map_err(|cause| refused(&self.key, &cause))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }

    /// When the certificate ends, from 1970; `None` where that cannot be read.
    pub(super) fn expiry(&self) -> Result<Option<Duration>, TlsError> {
        let chain = certificates(&self.certificate)?;
        let own = chain.first().and_then(|own| Certificate::from_der(own).ok());
        Ok(own.map(|own| own.tbs_certificate().validity().not_after.to_unix_duration()))
    }

    pub(super) fn stamps(&self) -> Stamps {
        let stamp = |path: &PathBuf| FileState::at(path);
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).map(stamp).collect()
    }
}

/// The certificates of a file, of which there is at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |cause| TlsError::File { path: path.to_owned(), cause };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let found = found.map_err(failed)?;
    if found.is_empty() { Err(empty(path, "certificate")) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| match cause {
        pem::Error::NoItemsFound => empty(path, "private key"),
        cause => TlsError::File { path: path.to_owned(), cause },
    })
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| refused(path, &cause))?;
    }
    Ok(roots)
}

fn empty(path: &Path, kind: &'static str) -> TlsError {
    TlsError::Empty { path: path.to_owned(), kind }
}

fn refused(path: &Path, cause: &impl ToString) -> TlsError {
    TlsError::Refused { path: path.to_owned(), cause: cause.to_string() }
}
